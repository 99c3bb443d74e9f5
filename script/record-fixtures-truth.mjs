// The flows of each fixture by an independent reading: tshark dissects, this script adds up. It shares no code with
// src/ on purpose; it is slow and plain instead.
//
//   fixtures/NAME.pcap ──tshark──► one line a packet ──► fixtures/expected/NAME.jsonl, one line a flow
//
// Semantics: one flow for each (VLAN, tunnel, protocol, endpoints), however long; later fragments belong to the flow
// of their first fragment. The rows are the classic record without application data, sorted by time.
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const FOLDER = join(dirname(fileURLToPath(import.meta.url)), '..', 'fixtures');
const FIELDS = [
  'frame.time_epoch',
  'frame.len',
  'frame.protocols',
  'vlan.id',
  'ip.src',
  'ip.dst',
  'ip.proto',
  'ip.id',
  'ip.frag_offset',
  'ip.flags.mf',
  'ipv6.src',
  'ipv6.dst',
  'ipv6.nxt',
  'ipv6.fraghdr.nxt',
  'ipv6.fraghdr.offset',
  'ipv6.fraghdr.ident',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.flags',
  'udp.srcport',
  'udp.dstport',
  'vxlan.vni',
  'geneve.vni',
];
const OPTIONS = ['ip.defragment', 'ipv6.defragment', 'tcp.desegment_tcp_streams'].flatMap((o) => ['-o', `${o}:FALSE`]);
// syn, cwr, ece, urg, ack, psh, rst, fin: the order of the classic record.
const FLAGS = { syn: 0x02, cwr: 0x80, ece: 0x40, urg: 0x20, ack: 0x10, psh: 0x08, rst: 0x04, fin: 0x01 };

/** @param {string} file @returns {Record<string, string[]>[]} fields of each packet, every occurrence */
function dissect(file) {
  const wanted = FIELDS.flatMap((field) => ['-e', field]);
  const args = ['-r', file, ...OPTIONS, '-T', 'fields', '-E', 'occurrence=a', '-E', 'aggregator=;', ...wanted];
  const text = execFileSync('tshark', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const columns = line.split('\t');
      return Object.fromEntries(FIELDS.map((field, i) => [field, columns[i] ? columns[i].split(';') : []]));
    });
}

/**
 * The innermost IP packet: its addresses, protocol and ports. The headers that an ICMP error quotes come after the
 * word icmp in tshark's list of protocols, so the list is read up to there.
 * @param {Record<string, string[]>} packet
 */
function innermost(packet) {
  const words = packet['frame.protocols'][0].split(':');
  const end = words.findIndex((word) => word === 'icmp' || word === 'icmpv6');
  const layers = end < 0 ? words : words.slice(0, end + 1);
  const count = (word) => layers.filter((layer) => layer === word).length;
  const at = layers.lastIndexOf('ip') > layers.lastIndexOf('ipv6') ? 'ip' : 'ipv6';
  const index = count(at) - 1;
  if (index < 0) return undefined;
  const above = layers.slice(layers.lastIndexOf(at) + 1);
  const isV4 = at === 'ip';
  const fragment = isV4
    ? { offset: Number(packet['ip.frag_offset'][index]), id: packet['ip.id'][index] }
    : { offset: Number(packet['ipv6.fraghdr.offset'][0] ?? 0), id: packet['ipv6.fraghdr.ident'][0] };
  const isFragment = isV4 ? packet['ip.flags.mf'][index] === '1' || fragment.offset > 0 : fragment.id !== undefined;
  const transport = above.find((layer) => ['tcp', 'udp', 'icmp', 'icmpv6'].includes(layer));
  const numbers = { tcp: 6, udp: 17, icmp: 1, icmpv6: 58 };
  const next = isV4 ? packet['ip.proto'][index] : (packet['ipv6.fraghdr.nxt'][0] ?? packet['ipv6.nxt'][index]);
  const protocol = transport ? numbers[transport] : Number(next);
  const port = (side) => {
    if (transport !== 'tcp' && transport !== 'udp') return 0;
    return Number(packet[`${transport}.${side}port`][count(transport) - 1]);
  };
  return {
    src: packet[`${at}.src`][index],
    dst: packet[`${at}.dst`][index],
    srcPort: port('src'),
    dstPort: port('dst'),
    protocol,
    tcpFlags: transport === 'tcp' ? Number(packet['tcp.flags'][count('tcp') - 1]) : 0,
    fragment: isFragment ? fragment : undefined,
    // What carries no IP packet (ARP in VXLAN) is no tunnel: the outer packet is what counts.
    tunnel: tunnelOf(packet, layers.slice(0, layers.lastIndexOf(at) + 1)),
  };
}

function tunnelOf(packet, layers) {
  if (layers.includes('vxlan')) return `vxlan ${Number(packet['vxlan.vni'][0])}`;
  if (layers.includes('geneve')) return `geneve ${Number(packet['geneve.vni'][0])}`;
  if (layers.includes('gre')) return 'gre';
  const ipLayers = layers.filter((layer) => layer === 'ip' || layer === 'ipv6');
  return ipLayers.length > 1 ? 'ip in ip' : '';
}

/** @param {string} file */
function flowsOf(file) {
  const flows = new Map();
  const datagrams = new Map();
  const skipped = {};
  for (const packet of dissect(file)) {
    const ip = innermost(packet);
    if (ip === undefined) {
      skipped.not_ip = (skipped.not_ip ?? 0) + 1;
      continue;
    }
    const vlan = Number(packet['vlan.id'].at(-1) ?? 0);
    if (ip.fragment !== undefined) {
      const datagram = [vlan, ip.tunnel, ip.src, ip.dst, ip.protocol, ip.fragment.id].join();
      if (ip.fragment.offset === 0) datagrams.set(datagram, [ip.srcPort, ip.dstPort]);
      else [ip.srcPort, ip.dstPort] = datagrams.get(datagram);
    }
    add(flows, packet, ip, vlan);
  }
  return { skipped, flows: [...flows.values()] };
}

function add(flows, packet, ip, vlan) {
  const source = `${ip.src} ${ip.srcPort}`;
  const destination = `${ip.dst} ${ip.dstPort}`;
  const key = [vlan, ip.tunnel, ip.protocol, ...[source, destination].sort()].join();
  const [seconds, fraction] = packet['frame.time_epoch'][0].split('.');
  const timeMs = Number(seconds) * 1000 + Number(fraction.padEnd(9, '0')) / 1e6;
  let flow = flows.get(key);
  if (flow === undefined) {
    flow = { ip_src: ip.src, ip_dst: ip.dst, src_port: ip.srcPort, dst_port: ip.dstPort, ip_protocol: ip.protocol };
    Object.assign(flow, { vlan_id: vlan, tunnel: ip.tunnel });
    Object.assign(flow, { src_to_dst_pkts: 0, dst_to_src_pkts: 0, src_to_dst_bytes: 0, dst_to_src_bytes: 0 });
    for (const name of Object.keys(FLAGS)) flow[`${name}_count`] = [0, 0];
    flow.start_time = timeMs;
    flows.set(key, flow);
  }
  const isBack = flow.ip_src !== ip.src || flow.src_port !== ip.srcPort;
  const way = isBack ? 'dst_to_src' : 'src_to_dst';
  flow[`${way}_pkts`] += 1;
  flow[`${way}_bytes`] += Number(packet['frame.len'][0]);
  for (const [name, bit] of Object.entries(FLAGS)) {
    if (ip.tcpFlags & bit) flow[`${name}_count`][isBack ? 1 : 0] += 1;
  }
  flow.end_time = timeMs;
}

const counters = {};
for (const file of readdirSync(FOLDER).filter((name) => /\.pcap(ng)?$/.test(name))) {
  const { skipped, flows } = flowsOf(join(FOLDER, file));
  const name = basename(file).replace(/\.pcap(ng)?$/, '');
  writeFileSync(join(FOLDER, 'expected', `${name}.jsonl`), flows.map((flow) => `${JSON.stringify(flow)}\n`).join(''));
  const metered = flows.reduce((sum, flow) => sum + flow.src_to_dst_pkts + flow.dst_to_src_pkts, 0);
  counters[file] = { flows: flows.length, packets_metered: metered, packets_skipped: skipped };
}
writeFileSync(join(FOLDER, 'expected', 'counters.json'), `${JSON.stringify(counters, null, 2)}\n`);
console.table(counters);
