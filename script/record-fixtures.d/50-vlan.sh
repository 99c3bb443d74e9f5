# shellcheck shell=bash
# vlan.pcap and qinq.pcap: two pairs of hosts with the same addresses, kept apart by their VLAN alone. Open vSwitch in
# user space makes the tags (this needs no 8021q module). Four bridges in a row:
#
#   hosts ── access 10, 20 ── br0 ══ A ══ br1 ══ B ══ br2 ══ C ══ br3 ── access 10, 20 ── hosts
#                                one tag    two tags (100 outside)

# switch NAMESPACE: an Open vSwitch of its own in a namespace; `vsctl NAMESPACE ...` speaks to it.
switch() {
  local dir=$tmp/ovs-$1
  mkdir -p "$dir"
  ovsdb-tool create "$dir/conf.db" /usr/share/openvswitch/vswitch.ovsschema
  start "ovsdb-$1" within "$1" env OVS_RUNDIR="$dir" OVS_LOGDIR="$dir" \
    ovsdb-server "$dir/conf.db" --remote="punix:$dir/db.sock" --pidfile --unixctl="$dir/ovsdb.ctl" --log-file
  for _ in $(seq 50); do [ -S "$dir/db.sock" ] && break || sleep 0.1; done
  ovs-vsctl --db="unix:$dir/db.sock" --no-wait init -- set Open_vSwitch . other-config:vlan-limit=2
  start "ovs-$1" within "$1" env OVS_RUNDIR="$dir" OVS_LOGDIR="$dir" \
    ovs-vswitchd "unix:$dir/db.sock" --pidfile --unixctl="$dir/vswitchd.ctl" --log-file
}
vsctl() { ovs-vsctl --timeout=10 --db="unix:$tmp/ovs-$1/db.sock" "${@:2}"; }
bridge() { vsctl "$1" add-br "$2" -- set bridge "$2" datapath_type=netdev fail-mode=standalone; }

record_vlan() {
  namespace nfs-switch
  switch nfs-switch
  local link side vlan host
  for side in 0 1 2 3; do bridge nfs-switch br$side; done
  for link in a b c; do wire nfs-switch $link$link-left nfs-switch $link$link-right 1600; done
  vsctl nfs-switch add-port br0 aa-left -- add-port br1 aa-right vlan_mode=dot1q-tunnel tag=100
  vsctl nfs-switch add-port br1 bb-left -- add-port br2 bb-right
  vsctl nfs-switch add-port br2 cc-left vlan_mode=dot1q-tunnel tag=100 -- add-port br3 cc-right
  for vlan in 10 20; do
    for side in 0 3; do
      host=nfs-v$vlan-$side
      namespace "$host"
      wire "$host" eth0 nfs-switch "v$vlan-$side"
      vsctl nfs-switch add-port br$side "v$vlan-$side" tag=$vlan
      address "$host" eth0 "203.0.113.1$side/24"
      address "$host" eth0 "2001:db8:f::1$side/64" nodad
    done
    start web-$vlan within nfs-v$vlan-3 ncat -6 -lk 8080 -c 'head -n 1; echo a line back'
    start log-$vlan within nfs-v$vlan-3 ncat -4 -luk 514 -c 'head -c 8'
  done
  sleep 1.5
  watch nfs-switch aa-left vlan.pcap
  local first=$watcher
  watch nfs-switch bb-left qinq.pcap
  for vlan in 10 20; do
    host=nfs-v$vlan-0
    try within $host ping -q -c 2 -i 0.2 203.0.113.13
    try within $host ping -q -c 2 -i 0.2 2001:db8:f::13
    # The same ports too: only the VLAN tells these flows apart.
    printf 'hello VLAN %s\n' $vlan | within $host ncat -6 -w 1 -p 40000 2001:db8:f::13 8080 || true
    printf 'log line' | within $host ncat -u -w 1 -p 40001 203.0.113.13 514 || true
  done >"$tmp/vlan-clients.log"
  unwatch
  watcher=$first unwatch
  cp "$tmp/vlan.pcap" "$tmp/qinq.pcap" "$out/"
}
