# shellcheck shell=bash
# tunnels.pcapng: the same addresses talk through VXLAN (the kernel's), Geneve and GRE (Open vSwitch in user space) and
# IPv4 and IPv6 in IPv6 with a segment routing header (the kernel's); what does not work here is left out and said.

record_tunnels() {
  namespace nfs-left
  namespace nfs-right
  wire nfs-left eth0 nfs-right eth0 1700
  address nfs-left eth0 192.0.2.1/24
  address nfs-right eth0 192.0.2.2/24
  address nfs-left eth0 2001:db8:5::1/64 nodad
  address nfs-right eth0 2001:db8:5::2/64 nodad

  local side peer
  for side in left right; do
    [ $side = left ] && peer=2 || peer=1
    # VXLAN 42 over IPv4, 43 over IPv6.
    ip -n nfs-$side link add vx4 type vxlan id 42 remote 192.0.2.$peer dstport 4789 dev eth0
    ip -n nfs-$side link add vx6 type vxlan id 43 remote 2001:db8:5::$peer dstport 4789 dev eth0
    ip -n nfs-$side link set vx4 up
    ip -n nfs-$side link set vx6 up
    address nfs-$side vx4 203.0.113.$((3 - peer))/25
    address nfs-$side vx6 203.0.113.$((203 - peer))/25
    address nfs-$side vx4 2001:db8:f::$((3 - peer))/64 nodad
    within nfs-$side sysctl -qw net.ipv6.conf.all.seg6_enabled=1 net.ipv6.conf.eth0.seg6_enabled=1 \
      net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.eth0.rp_filter=0 net.ipv6.conf.all.forwarding=1
    # IP in IPv6: the segment ends at an address of its own, which decapsulates into the ordinary tables.
    ip -n nfs-$side link add inner type veth peer name inner-end 2>/dev/null
    ip -n nfs-$side link set inner up
    ip -n nfs-$side link set inner-end up
    address nfs-$side inner "198.51.100.$((3 - peer))/32"
    address nfs-$side inner "2001:db8:a::$((3 - peer))/128" nodad
    ip -n nfs-$side -6 route add 2001:db8:5e::4$((3 - peer))/128 encap seg6local action End.DX4 nh4 "198.51.100.$((3 - peer))" dev eth0
    ip -n nfs-$side -6 route add 2001:db8:5e::6$((3 - peer))/128 encap seg6local action End.DT6 table local dev eth0
    ip -n nfs-$side -6 route add 2001:db8:5e::4$peer/128 via 2001:db8:5::$peer
    ip -n nfs-$side -6 route add 2001:db8:5e::6$peer/128 via 2001:db8:5::$peer
    ip -n nfs-$side route add 198.51.100.$peer/32 encap seg6 mode encap segs 2001:db8:5e::4$peer dev eth0 src "198.51.100.$((3 - peer))"
    ip -n nfs-$side -6 route add 2001:db8:a::$peer/128 encap seg6 mode encap segs 2001:db8:5e::6$peer dev eth0 src "2001:db8:a::$((3 - peer))"
  done

  # Geneve 44 and GRE with key 45 between two switches whose uplinks are a cable of their own.
  local number
  wire nfs-left uplink nfs-right uplink 1700
  for side in left right; do
    [ $side = left ] && number=1 || number=2
    peer=$((3 - number))
    switch nfs-$side
    bridge nfs-$side phy
    vsctl nfs-$side add-port phy uplink
    ip -n nfs-$side link set phy up mtu 1600
    address nfs-$side phy 198.18.0.$number/24
    address nfs-$side phy 2001:db8:18::$number/64 nodad
    bridge nfs-$side over
    vsctl nfs-$side add-port over gnv -- set interface gnv type=geneve options:remote_ip=198.18.0.$peer options:key=44
    bridge nfs-$side over2
    vsctl nfs-$side add-port over2 gre0 -- set interface gre0 type=gre options:remote_ip=198.18.0.$peer options:key=45
    ip -n nfs-$side link set over up mtu 1400
    ip -n nfs-$side link set over2 up mtu 1400
    address nfs-$side over 10.44.0.$number/24
    address nfs-$side over2 10.45.0.$number/24
  done
  start web-right within nfs-right ncat -lk 8080 -c 'head -n 1; echo a line back'
  sleep 2

  watch nfs-left eth0 tunnels-kernel.pcap
  local first=$watcher
  watch nfs-left uplink tunnels-ovs.pcap
  local address
  for address in 203.0.113.2 2001:db8:f::2 203.0.113.202 198.51.100.2 2001:db8:a::2 10.44.0.2 10.45.0.2; do
    try within nfs-left ping -q -c 2 -i 0.2 -W 1 $address
    printf 'hello %s\n' $address | within nfs-left ncat -w 1 $address 8080 || echo "record-fixtures: no TCP to $address" >&2
  done >"$tmp/tunnel-clients.log"
  unwatch
  watcher=$first unwatch
  mergecap -w "$out/tunnels.pcapng" "$tmp/tunnels-kernel.pcap" "$tmp/tunnels-ovs.pcap"
}
