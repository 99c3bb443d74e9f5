// What all steps agree on about a capture: how flows are cut, what they are called, and what their labels are.
import { readFileSync } from 'node:fs';
import type { Flow, StreamerOptions } from 'nfstream';

/** Training and serving have to cut flows alike: other timeouts are other flows. nDPI has nothing to say here. */
export const flowOptions = {
  activeTimeout: 120,
  inactiveTimeout: 60,
  enableNdpi: false,
} satisfies Partial<StreamerOptions>;

/** Tells a flow from all others of its capture: rows of different tables are joined by it. */
export function flowId(flow: Flow): string {
  const { ip_src, src_port, ip_dst, dst_port, ip_protocol, start_time } = flow;
  return `${ip_src}:${src_port}-${ip_dst}:${dst_port}/${ip_protocol}@${start_time}`;
}

/** The label of a flow by its server's address, `{ "192.0.2.80": "web" }`, '' when it has none. */
export function readLabels(path: string): (flow: Flow) => string {
  const labels: Record<string, string> = JSON.parse(readFileSync(path, 'utf8'));
  return (flow) => labels[flow.ip_dst] ?? '';
}

/** One flow and what a trainer says about it. */
export interface Prediction {
  flow: string;
  label: string;
  probabilities?: Record<string, number>;
}

export function readJsonLines<Row>(path: string): Row[] {
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Row);
}

export function toJsonLines(rows: readonly unknown[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
