// Test support: what tshark says of a capture, and flows of ours with the same key.
import { existsSync } from 'node:fs';
import type { MetricValue } from '../../src/flow/schema.ts';
import type { UserMetric } from '../../src/metric/metric.ts';
import { Streamer } from '../../src/streamer.ts';
import { tsharkRows } from '../tshark.ts';

const CAPTURES = '../shared/captures';

/** Those of the shared captures that are here. Tests that need one skip when it is absent. */
export function captures(names: readonly string[]): string[] {
  return names.map((name) => `${CAPTURES}/${name}`).filter((file) => existsSync(file));
}

/** One row a packet: for each field the list of its values. */
export function tsharkFields(file: string, fields: readonly string[], args: readonly string[] = []): string[][][] {
  const options = ['-o', 'tcp.reassemble_out_of_order:TRUE', '-E', 'occurrence=a', '-E', 'aggregator=|'];
  const rows = tsharkRows(file, fields, [...args, ...options]);
  return rows.map((row) => row.map((cell) => (cell === '' ? [] : cell.split('|'))));
}

/** Fields that make a key; their columns come first. */
export const KEY_FIELDS = [
  'ip.src',
  'ip.dst',
  'ipv6.src',
  'ipv6.dst',
  'tcp.srcport',
  'tcp.dstport',
  'udp.srcport',
  'udp.dstport',
];

/** The key of a row whose first columns are KEY_FIELDS: the same for both directions. */
export function tsharkKey(row: readonly string[][]): string {
  const last = (...columns: number[]) => columns.map((column) => row[column].at(-1)).find((cell) => cell !== undefined);
  return key(last(2, 0), last(4, 6), last(3, 1), last(5, 7));
}

function key(src: string | undefined, srcPort: unknown, dst: string | undefined, dstPort: unknown): string {
  return [`${src} ${srcPort ?? 0}`, `${dst} ${dstPort ?? 0}`].sort().join(' - ');
}

/** Flows of the whole capture with one metric, in the order of their first packets; nothing expires. */
export async function meter<Value extends MetricValue>(
  source: string | Uint8Array,
  metric: UserMetric<Value>,
): Promise<{ key: string; value: Value; protocol: number }[]> {
  const never = { activeTimeout: Number.POSITIVE_INFINITY, inactiveTimeout: Number.POSITIVE_INFINITY };
  const streamer = new Streamer({
    source,
    enableNdpi: false,
    handleSigint: false,
    ...never,
    userMetrics: { value: metric as UserMetric },
  });
  const flows: { key: string; value: Value; protocol: number; start: number }[] = [];
  for await (const flow of streamer) {
    flows.push({
      key: key(flow.ip_src, flow.src_port, flow.ip_dst, flow.dst_port),
      value: flow.metrics.value as unknown as Value,
      protocol: flow.ip_protocol,
      start: flow.start_time,
    });
  }
  return flows.sort((a, b) => a.start - b.start).map(({ key, value, protocol }) => ({ key, value, protocol }));
}
