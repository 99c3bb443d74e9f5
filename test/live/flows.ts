// How flows of two runs are compared: as sets by key, those of one key in the order of their start.
import { Streamer } from '../../src/index.ts';
import type { StreamerOptions } from '../../src/options.ts';
import type { Row } from './meter.ts';

const KEY = ['vlan_id', 'ip_protocol', 'ip_src', 'src_port', 'ip_dst', 'dst_port'];

const keyOf = (row: Row): string => KEY.map((name) => row[name]).join(' ');

/** The flows of capture files, as the records of JSON Lines. */
export async function flowsOf(source: string | string[], options: Partial<StreamerOptions> = {}): Promise<Row[]> {
  const rows: Row[] = [];
  for await (const flow of new Streamer({ ...options, source })) rows.push(JSON.parse(JSON.stringify(flow)) as Row);
  return rows;
}

export function sorted(rows: readonly Row[]): Row[] {
  const order = (a: Row, b: Row) => Number(a['start_time']) - Number(b['start_time']);
  return [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : order(a, b)));
}

/**
 * All that a flow is, but the times (compared with a tolerance) and why it ended: live, time passes without packets. Of
 * nDPI's findings the application.
 */
export function facts(rows: readonly Row[]): Row[] {
  return sorted(rows).map((row) => {
    const { start_time: _1, end_time: _2, export_reason: _3, metrics, ...rest } = row;
    return { ...rest, application_name: (metrics as Row)['application_name'] };
  });
}

export function packetsOf(rows: readonly Row[]): number {
  return rows.reduce((sum, row) => sum + Number(row['src_to_dst_pkts']) + Number(row['dst_to_src_pkts']), 0);
}
