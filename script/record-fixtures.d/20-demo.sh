# shellcheck shell=bash
# demo.pcapng: an ordinary day of a client in a few seconds. What the README and script/demo show.

record_demo() {
  lan
  web
  shell_server
  other_servers
  sleep 1.5
  watch nfs-server eth0 demo.pcap
  local c='within nfs-client'

  try $c ping -q -c 3 -i 0.2 192.0.2.80
  try $c ping -q -c 3 -i 0.2 2001:db8:5::80
  try $c dig +tries=1 www.wikipedia.org A
  try $c dig +tries=1 @"$dns6" www.github.com AAAA
  try $c dig +tries=1 example.org MX
  try $c dig +tries=1 example.org TXT
  try $c dig +tries=1 _mqtt._tcp.example.org SRV
  try $c dig +tries=1 -x 192.0.2.80
  try $c dig +tries=1 nowhere.example.org
  try $c dig +tries=1 +tcp long.example.org TXT

  local curl="$c curl -sS -o /dev/null --max-time 5 -k"
  try $curl http://example.org/
  try $curl -6 http://www.wikipedia.org/index.html
  try $curl -A 'fixture/1.0' http://example.org/nothing-here
  try $curl http://example.org/large.bin
  try $curl -H 'Content-Type: application/json' -d '{"answer": 42}' http://example.org/upload
  try $curl --tls-max 1.2 https://www.wikipedia.org/
  try $curl --tls-max 1.2 -4 https://www.netflix.com/api.json
  try $curl --http1.1 --tls-max 1.2 -6 https://www.facebook.com/
  try $curl https://www.github.com/api.json
  try $curl -4 https://www.youtube.com/large.bin
  try $curl -6 --http1.1 https://www.github.com/

  try shell shell.example.org 'uname -s; id -u'
  try $c curl -sS -o /dev/null ftp://files.example.org/report.bin
  try $c curl -sS -o /dev/null tftp://"$dns4"/boot.cfg
  printf 'From: a@example.org\nTo: b@example.org\nSubject: fixture\n\nHello.\n' >"$tmp/mail"
  try $c curl -sS smtp://192.0.2.25 --mail-from a@example.org --mail-rcpt b@example.org -T "$tmp/mail"
  $c mosquitto_sub -h 192.0.2.183 -t fixtures/# -C 1 >/dev/null &
  sleep 0.3
  try $c mosquitto_pub -h 192.0.2.183 -t fixtures/temperature -m 21.5
  try $c chronyd -Q -t 4 -f /dev/null 'server 192.0.2.123 iburst maxsamples 1'
  try $c snmpget -v2c -c public -t 1 -r 0 192.0.2.161 1.3.6.1.2.1.1.5.0
  try $c logger -n 192.0.2.85 -P 514 -d 'a line to a syslog server that is not there'
  try $c iperf3 -c 192.0.2.201 -n 12K -l 1200
  try $c iperf3 -c 192.0.2.201 -u -n 8K -l 800 -b 2M
  # A closed port: RST, and for UDP (above, syslog) an ICMP error.
  $c curl -sS --max-time 1 http://example.org:81/ 2>/dev/null || true

  unwatch
  editcap -F pcapng "$tmp/demo.pcap" "$out/demo.pcapng"
}
