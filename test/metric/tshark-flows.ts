// Test support: what tshark says of each TCP flow of a capture, by the flow's key, for comparison with shipped metrics.
import { existsSync } from 'node:fs';
import type { Flow } from '../../src/flow/flow.ts';
import type { UserMetric } from '../../src/metric/metric.ts';
import { Streamer } from '../../src/streamer.ts';
import { tsharkRows } from '../tshark.ts';

const SHARED = '../shared/captures';
export const HAS_CAPTURES = existsSync(SHARED);
export const capture = (name: string) => `${SHARED}/${name}`;

export interface TsharkPacket {
  stream: string;
  vlan: string;
  /** ms since the epoch. */
  timeMs: number;
  flags: number;
  isRetransmission: boolean;
  /** tcp.analysis.initial_rtt, ms; NaN where it is not shown. */
  initialRttMs: number;
  /** 0: sent by the endpoint that sorts first in the key. */
  side: 0 | 1;
  /** The IP header claims more bytes than the frame had. */
  isOverlong: boolean;
}

const FIELDS = [
  'tcp.stream',
  'ip.src',
  'ipv6.src',
  'tcp.srcport',
  'ip.dst',
  'ipv6.dst',
  'tcp.dstport',
  'vlan.id',
  'frame.time_epoch',
  'tcp.flags',
  'tcp.analysis.retransmission',
  'tcp.analysis.initial_rtt',
  '_ws.expert.message',
];

/** Of a field that tunnels repeat, the innermost value. */
const innermost = (text: string) => text.slice(text.lastIndexOf(',') + 1);

function keyOf(source: string, destination: string, vlan: string): string {
  return [...[source, destination].sort(), vlan].join(' ');
}

export function keyOfFlow(flow: Flow): string {
  return keyOf(`${flow.ip_src}|${flow.src_port}`, `${flow.ip_dst}|${flow.dst_port}`, String(flow.vlan_id));
}

/** Packets of TCP in order, by flow; those that ICMP quotes are left out. */
export function tsharkFlows(path: string): Map<string, TsharkPacket[]> {
  const options = ['-Y', 'tcp && !icmp && !icmpv6', '-o', 'ip.defragment:FALSE'];
  const flows = new Map<string, TsharkPacket[]>();
  for (const cells of tsharkRows(path, FIELDS, options)) {
    const [ip4, ip6, port, toIp4, toIp6, toPort, vlan] = cells.slice(1, 8).map(innermost);
    const source = `${ip4 || ip6}|${port}`;
    const destination = `${toIp4 || toIp6}|${toPort}`;
    const key = keyOf(source, destination, vlan || '0');
    const packets = flows.get(key) ?? [];
    flows.set(key, packets);
    packets.push({
      stream: cells[0],
      vlan,
      timeMs: Number(cells[8]) * 1000,
      flags: Number.parseInt(cells[9], 16),
      isRetransmission: cells[10] !== '',
      initialRttMs: cells[11] === '' ? Number.NaN : Number(cells[11]) * 1000,
      side: source < destination ? 0 : 1,
      isOverlong: cells[12].includes('total length exceeds packet length'),
    });
  }
  return flows;
}

/** tcp.stream values that are found in more than one VLAN: tshark 4.0 takes them for one connection. */
export function mixedStreams(flows: ReadonlyMap<string, readonly TsharkPacket[]>): Set<string> {
  const vlanOf = new Map<string, string>();
  const mixed = new Set<string>();
  for (const packets of flows.values()) {
    for (const { stream, vlan } of packets) {
      if ((vlanOf.get(stream) ?? vlan) !== vlan) mixed.add(stream);
      vlanOf.set(stream, vlan);
    }
  }
  return mixed;
}

/** A Streamer whose flows last as long as tshark's: no timeouts. */
export const lasting = (
  source: string | Uint8Array,
  userMetrics: Record<string, UserMetric>,
  activeTimeout = Infinity,
) =>
  new Streamer({
    source,
    enableNdpi: false,
    handleSigint: false,
    activeTimeout,
    inactiveTimeout: Infinity,
    userMetrics,
  });
