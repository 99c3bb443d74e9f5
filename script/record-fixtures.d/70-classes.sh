# shellcheck shell=bash
# The captures of examples/train-a-classifier: some hundreds of labelled flows each. A service's address is its label;
# everything else about the services is alike where it can be. `train` and `deploy` differ in everything but the kinds
# of service: seed, addresses, distance, loss, rate, MTU. Frames are cut after the headers: there is nothing else to
# learn from than sizes and times.

record_classes() {
  local folder=$root/examples/train-a-classifier/captures
  mkdir -p "$folder"
  #         name   servers     clients    first seed sessions seconds mtu  delay jitter loss mbit
  classes_of train  192.0.2    198.51.100    16   1      450      40  1500     8    1.0  0.1   40
  classes_of deploy 203.0.113  198.51.100   120   2      200      22  1420    22    3.0  0.8   15
  local net number label separator='{'
  {
    for net in 192.0.2 203.0.113; do
      while read -r number label; do
        printf '%s\n  "%s.%s": "%s"' "$separator" "$net" "$number" "$label"
        separator=','
      done <<<"$class_hosts"
    done
    printf '\n}\n'
  } >"$folder/labels.json"
}

readonly class_hosts='80 web
81 download
82 video
83 chat
25 mail
22 shell
53 dns'

classes_of() {
  local name=$1 servers=$2 clients=$3 first=$4 seed=$5 sessions=$6 seconds=$7 mtu=$8
  shift 8
  local programs=$root/script/record-classes client="$name-client" link="$name-link" server="$name-server"
  namespace "$client"
  namespace "$link"
  namespace "$server"
  wire "$client" eth0 "$link" left "$mtu"
  wire "$link" right "$server" eth0 "$mtu"
  local number
  for number in $(seq "$first" $((first + 7))); do address "$client" eth0 "$clients.$number/32"; done
  while read -r number _; do address "$server" eth0 "$servers.$number/32"; done <<<"$class_hosts"
  ip -n "$client" route add "$servers.0/24" dev eth0
  ip -n "$server" route add "$clients.0/24" dev eth0
  # Time stamps (RFC 7323) would be a third of the captures.
  within "$client" sysctl -qw net.ipv4.tcp_timestamps=0
  start "$name-relay" within "$link" /usr/bin/python3 "$programs/relay.py" left right "$@" "$seed"

  class_servers "$name" "$servers" "$seed"
  sleep 1.5
  watch "$client" eth0 "$name.pcap" -s 128 ip
  within "$client" /usr/bin/python3 "$programs/clients.py" \
    "$servers" "$clients" "$first" "$seed" "$sessions" "$seconds" "$tmp/$name-user" </dev/null
  unwatch
  "$programs/headers_only.py" <"$tmp/$name.pcap" | zstd -q -f --ultra -22 -o "$folder/$name.pcap.zst"
}

# Files of random sizes: KIND COUNT MEDIAN SPREAD LEAST MOST, log-normal.
class_files() {
  local kind count median spread least most
  while read -r kind count median spread least most; do
    mkdir -p "$1/$kind"
    /usr/bin/python3 - "$1/$kind" "$2 $kind" "$count" "$median" "$spread" "$least" "$most" <<'PYTHON'
import math, random, sys
folder, seed, count, median, spread, least, most = sys.argv[1:]
rng = random.Random(seed)
for number in range(int(count)):
    size = rng.lognormvariate(math.log(float(median)), float(spread))
    with open(f'{folder}/{number}', 'wb') as file:
        file.write(rng.randbytes(int(min(max(size, float(least)), float(most)))))
PYTHON
  done <<'SIZES'
page 60 6000 0.9 600 30000
object 120 1800 1.2 120 25000
file 40 36000 0.6 9000 110000
segment 60 12000 0.5 4000 35000
SIZES
}

class_servers() {
  local name=$1 net=$2 seed=$3 within="within $1-server" folder=$tmp/$1-www
  class_files "$folder" "$seed"
  # One certificate for all of them: its length would give a service away.
  [ -e "$tmp/services.example.org.crt" ] || certificate services.example.org 'Services'
  local key="$tmp/services.example.org.key" crt="$tmp/services.example.org.crt"
  cat >"$tmp/$name-nginx.conf" <<CONF
user root; daemon off; pid $tmp/$name-nginx.pid; error_log stderr; worker_processes 1;
events {}
http {
  access_log off; client_body_temp_path $folder; proxy_temp_path $folder; fastcgi_temp_path $folder;
  uwsgi_temp_path $folder; scgi_temp_path $folder;
  server {
    listen $net.80:443 ssl; listen $net.81:443 ssl; listen $net.82:443 ssl; listen $net.83:443 ssl;
    ssl_certificate $crt; ssl_certificate_key $key; ssl_protocols TLSv1.2 TLSv1.3;
    root $folder;
    location /slow { alias $folder; limit_rate 40k; }
    location /chat { proxy_pass http://127.0.0.1:9000; proxy_http_version 1.1; proxy_buffering off;
                     proxy_set_header Upgrade websocket; proxy_set_header Connection Upgrade; }
  }
}
CONF
  # shellcheck disable=SC2086 # a command and its arguments
  {
    start "$name-nginx" $within nginx -p "$tmp" -e stderr -c "$tmp/$name-nginx.conf"
    start "$name-chat" $within /usr/bin/python3 "$root/script/record-classes/chat_server.py" 9000 "$seed"
    start "$name-mail" $within /usr/bin/python3 -m aiosmtpd -n -l "$net.25:465" -c aiosmtpd.handlers.Sink \
      --smtpscert "$crt" --smtpskey "$key"
    start "$name-dns" $within dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
      --listen-address="$net.53" --bind-interfaces --pid-file --edns-packet-max=4096 --local=/#/ \
      --host-record=www.example.org,"$net.80" --host-record=api.example.org,"$net.81" \
      --cname=cdn.example.org,www.example.org --mx-host=www.example.org,api.example.org,10 \
      --txt-record=www.example.org,'v=spf1 -all' --txt-record=long.example.org,"$(printf 'v=fixture %.0s' $(seq 20))"
  }
  ssh-keygen -q -t ed25519 -N '' -f "$tmp/$name-host"
  ssh-keygen -q -t ed25519 -N '' -f "$tmp/$name-user"
  mkdir -p /run/sshd
  cat >"$tmp/$name-sshd" <<CONF
HostKey $tmp/$name-host
AuthorizedKeysFile $tmp/$name-user.pub
ListenAddress $net.22
MaxStartups 200
PermitRootLogin yes
StrictModes no
UsePAM no
PidFile $tmp/$name-sshd.pid
CONF
  # shellcheck disable=SC2086
  start "$name-sshd" $within /usr/sbin/sshd -D -e -f "$tmp/$name-sshd"
}
