# shellcheck shell=bash
# The same ordinary traffic seen through other link types: Linux cooked v1 and v2 (any device), loopback, and raw IP
# (a tun device, made by ssh -w).

record_links() {
  [ ${#namespaces[@]} -gt 0 ] || { lan; shell_server; sleep 1.5; }
  local c='within nfs-client'
  some_traffic() {
    try $c dig +tries=1 www.wikipedia.org A
    try $c dig +tries=1 @"$dns6" www.github.com AAAA
    try $c ping -q -c 2 -i 0.2 192.0.2.80
    try $c ping -q -c 2 -i 0.2 2001:db8:5::80
    try shell shell.example.org true
  }
  watch nfs-server any cooked.pcap -y LINUX_SLL
  some_traffic
  unwatch
  cp "$tmp/cooked.pcap" "$out/cooked.pcap"
  watch nfs-server any cooked2.pcap -y LINUX_SLL2
  some_traffic
  unwatch
  cp "$tmp/cooked2.pcap" "$out/cooked2.pcap"

  shell -N -w 0:0 -o Tunnel=point-to-point 192.0.2.22 &
  processes+=($!)
  sleep 1.5
  ip -n nfs-client address add 203.0.113.1 peer 203.0.113.2 dev tun0
  ip -n nfs-server address add 203.0.113.2 peer 203.0.113.1 dev tun0
  ip -n nfs-client address add 2001:db8:f::1/64 dev tun0 nodad
  ip -n nfs-server address add 2001:db8:f::2/64 dev tun0 nodad
  ip -n nfs-client link set tun0 up
  ip -n nfs-server link set tun0 up
  watch nfs-server tun0 raw.pcap
  try $c ping -q -c 2 -i 0.2 203.0.113.2
  try $c ping -q -c 2 -i 0.2 2001:db8:f::2
  start syslog-sink within nfs-server busybox nc -lu -p 514
  try $c logger -n 203.0.113.2 -P 514 -d 'through the tunnel'
  $c curl -sS --max-time 1 http://203.0.113.2:81/ 2>/dev/null || true
  unwatch
  cp "$tmp/raw.pcap" "$out/raw.pcap"
}
