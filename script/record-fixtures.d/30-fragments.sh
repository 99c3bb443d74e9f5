# shellcheck shell=bash
# fragments.pcap: what a small MTU does to large datagrams, over IPv4 and IPv6; several at once, so that fragments of
# different datagrams mix.

record_fragments() {
  [ ${#namespaces[@]} -gt 0 ] || { lan; other_servers; sleep 1.5; }
  ip -n nfs-client link set eth0 mtu 1280
  ip -n nfs-server link set eth0 mtu 1280
  watch nfs-server eth0 fragments.pcap --time-stamp-precision=nano
  local c='within nfs-client'
  try $c dig +tries=1 +bufsize=4096 long.example.org TXT
  try $c dig +tries=1 +bufsize=4096 @"$dns6" long.example.org TXT
  try $c ping -q -c 2 -i 0.2 -s 4000 192.0.2.80 &
  try $c ping -q -c 2 -i 0.2 -s 3000 192.0.2.81 &
  try $c ping -q -c 2 -i 0.2 -s 3500 2001:db8:5::80 &
  try $c ping -q -c 2 -i 0.2 -s 2500 2001:db8:5::81 &
  sleep 1.5
  # Datagrams of three fragments each; the TCP control connection beside them has none.
  try $c iperf3 -c 192.0.2.201 -u -n 24K -l 3000 -b 4M
  unwatch
  ip -n nfs-client link set eth0 mtu 1500
  ip -n nfs-server link set eth0 mtu 1500
  cp "$tmp/fragments.pcap" "$out/fragments.pcap"
}
