# shellcheck shell=bash
# One client and one machine with many servers on a cable: `lan` makes it. Names are those of well-known sites, so
# that dissectors have something to name; the addresses are documentation's.

readonly client4=198.51.100.10 client6=2001:db8:c::10
readonly dns4=192.0.2.53 dns6=2001:db8:5::53
# name, last number of the IPv4 address and of the IPv6 one
readonly sites='www.wikipedia.org 80
www.github.com 81
www.youtube.com 82
www.facebook.com 83
www.netflix.com 84
example.org 85
time.example.org 123
mail.example.org 25
files.example.org 21
mqtt.example.org 183
shell.example.org 22
speed.example.org 201
router.example.org 161'

lan() {
  namespace nfs-client
  namespace nfs-server
  wire nfs-client eth0 nfs-server eth0 "${1:-1500}"
  address nfs-client eth0 "$client4/24"
  address nfs-client eth0 "$client6/64" nodad
  ip -n nfs-client route add 192.0.2.0/24 dev eth0
  ip -n nfs-client -6 route add 2001:db8:5::/64 dev eth0
  ip -n nfs-server route add 198.51.100.0/24 dev eth0
  ip -n nfs-server -6 route add 2001:db8:c::/64 dev eth0
  address nfs-server eth0 "$dns4/32"
  address nfs-server eth0 "$dns6/128" nodad
  local name number hosts=()
  while read -r name number; do
    address nfs-server eth0 "192.0.2.$number/32"
    address nfs-server eth0 "2001:db8:5::$number/128" nodad
    hosts+=("--host-record=$name,192.0.2.$number,2001:db8:5::$number")
  done <<<"$sites"
  mkdir -p /etc/netns/nfs-client
  printf 'nameserver %s\noptions timeout:1 attempts:1\n' "$dns4" >/etc/netns/nfs-client/resolv.conf

  local text
  text=$(printf 'v=fixture %.0s' $(seq 20))
  local long=()
  for number in $(seq 18); do long+=("--txt-record=long.example.org,$number $text"); done
  mkdir -p "$tmp/tftp" && seq 400 >"$tmp/tftp/boot.cfg"
  start dnsmasq within nfs-server dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
    --listen-address="$dns4,$dns6" --bind-interfaces --user=root --edns-packet-max=4096 --pid-file \
    --cname=wikipedia.org,www.wikipedia.org --txt-record='example.org,v=spf1 -all' "${long[@]}" \
    --mx-host=example.org,mail.example.org,10 --srv-host=_mqtt._tcp.example.org,mqtt.example.org,1883 \
    --ptr-record=80.2.0.192.in-addr.arpa,www.wikipedia.org --local=/#/ \
    --enable-tftp --tftp-root="$tmp/tftp" "${hosts[@]}"
}

certificate() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -keyout "$tmp/$1.key" -out "$tmp/$1.crt" \
    -subj "/C=AQ/O=$2/CN=$1" -addext "subjectAltName=DNS:$1,DNS:${1#www.}" 2>/dev/null
}

web() {
  mkdir -p "$tmp/www" "$tmp/nginx"
  printf '<!doctype html><title>Fixture</title><p>A page to be captured.\n' >"$tmp/www/index.html"
  openssl rand -out "$tmp/www/large.bin" 24000
  printf '{"flows": 42}\n' >"$tmp/www/api.json"
  local name rest servers=''
  while read -r name rest; do
    case "$name" in www.*) ;; *) continue ;; esac
    certificate "$name" "Fixture of ${name#www.}"
    servers+="server {
      listen 443 ssl http2; listen [::]:443 ssl http2; server_name $name ${name#www.};
      ssl_certificate $tmp/$name.crt; ssl_certificate_key $tmp/$name.key;
      ssl_protocols TLSv1.2 TLSv1.3; root $tmp/www;
    }"
  done <<<"$sites"
  cat >"$tmp/nginx.conf" <<CONF
user root; daemon off; pid $tmp/nginx.pid; error_log stderr; worker_processes 1;
events {}
http {
  types { text/html html; application/json json; }
  access_log off; client_body_temp_path $tmp/nginx; proxy_temp_path $tmp/nginx;
  fastcgi_temp_path $tmp/nginx; uwsgi_temp_path $tmp/nginx; scgi_temp_path $tmp/nginx;
  server { listen 80 default_server; listen [::]:80 default_server; root $tmp/www;
           location /upload { client_max_body_size 1m; return 204; } }
  $servers
}
CONF
  start nginx within nfs-server nginx -p "$tmp" -e stderr -c "$tmp/nginx.conf"
}

shell_server() {
  ssh-keygen -q -t ed25519 -N '' -f "$tmp/host_key"
  ssh-keygen -q -t ed25519 -N '' -f "$tmp/user_key"
  cp "$tmp/user_key.pub" "$tmp/authorized_keys"
  mkdir -p /run/sshd
  cat >"$tmp/sshd_config" <<CONF
HostKey $tmp/host_key
AuthorizedKeysFile $tmp/authorized_keys
PermitRootLogin yes
PermitTunnel yes
StrictModes no
UsePAM no
PidFile $tmp/sshd.pid
CONF
  start sshd within nfs-server /usr/sbin/sshd -D -e -f "$tmp/sshd_config" -o "ListenAddress=192.0.2.22" \
    -o 'ListenAddress=[2001:db8:5::22]'
}
shell() {
  within nfs-client ssh -F none -i "$tmp/user_key" -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null \
    -o LogLevel=ERROR "$@"
}

other_servers() {
  mkdir -p "$tmp/ftp" "$tmp/empty" && openssl rand -out "$tmp/ftp/report.bin" 9000
  chmod 755 "$tmp/ftp"
  cat >"$tmp/vsftpd.conf" <<CONF
listen=YES
listen_address=192.0.2.21
background=NO
anonymous_enable=YES
no_anon_password=NO
anon_root=$tmp/ftp
secure_chroot_dir=$tmp/empty
seccomp_sandbox=NO
run_as_launching_user=YES
CONF
  start vsftpd within nfs-server vsftpd "$tmp/vsftpd.conf"
  start mosquitto within nfs-server mosquitto -c <(printf 'listener 1883 192.0.2.183\nallow_anonymous true\n')
  start smtp within nfs-server /usr/bin/python3 -m aiosmtpd -n -l 192.0.2.25:25 -c aiosmtpd.handlers.Sink
  printf 'local stratum 2\nallow all\nbindaddress 192.0.2.123\ncmdport 0\npidfile %s/chronyd.pid\n' "$tmp" >"$tmp/chrony.conf"
  start chronyd within nfs-server chronyd -x -d -u root -f "$tmp/chrony.conf"
  printf 'rocommunity public\nagentAddress udp:192.0.2.161:161\n' >"$tmp/snmpd.conf"
  start snmpd within nfs-server snmpd -f -Lo -C -c "$tmp/snmpd.conf" -p "$tmp/snmpd.pid"
  start iperf3 within nfs-server iperf3 -s -B 192.0.2.201
}
