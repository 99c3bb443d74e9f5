// What the forests see of a flow: user metrics and columns, by name. Training (table.ts) and serving (deploy.ts) both
// import this list, so they cannot see different numbers. No address and no port is in it: the label came from those.
import type { Flow, UserMetric } from 'nfstream';

/** Size of the n-th payload of the flow, either way; below 0 from destination to source. Reads `payloads`. */
function payloadSize(n: number): UserMetric<number> {
  return (packet, flow, direction) => {
    if (flow.metrics.payloads !== n || packet.payloadSize === 0) return flow.metrics[`payload_${n}`];
    return direction === 0 ? packet.payloadSize : -packet.payloadSize;
  };
}

/** In the order in which they are updated: each sees what the ones above it have just become. */
export const userMetrics = {
  payloads: (packet, flow) => flow.metrics.payloads + (packet.payloadSize > 0 ? 1 : 0),
  payload_1: payloadSize(1),
  payload_2: payloadSize(2),
  payload_3: payloadSize(3),
  payload_4: payloadSize(4),
  payload_5: payloadSize(5),
  payload_6: payloadSize(6),
  payload_7: payloadSize(7),
  payload_8: payloadSize(8),
  /** Payloads of more than 1000 bytes. */
  large_payloads: (packet, flow) => flow.metrics.large_payloads + (packet.payloadSize > 1000 ? 1 : 0),
  /** How often the other side took the word. `speaker` is whose payload was last: 1 source, -1 destination. */
  turns: (packet, flow, direction) => {
    const speaker = direction === 0 ? 1 : -1;
    return flow.metrics.turns + (packet.payloadSize > 0 && flow.metrics.speaker === -speaker ? 1 : 0);
  },
  speaker: (packet, flow, direction) => (packet.payloadSize === 0 ? flow.metrics.speaker : direction === 0 ? 1 : -1),
  longest_gap_ms: (packet, flow) => Math.max(flow.metrics.longest_gap_ms, packet.deltaTime),
  duration_ms: (_packet, flow) => flow.end_time - flow.start_time,
} satisfies Record<string, UserMetric<number>>;

const columns = [
  'ip_protocol',
  'src_to_dst_pkts',
  'dst_to_src_pkts',
  'src_to_dst_bytes',
  'dst_to_src_bytes',
] as const satisfies readonly (keyof Flow)[];

/** Names of the features, in the order of the table's columns and of the model's input. */
export const features: readonly string[] = [
  ...columns,
  ...Object.keys(userMetrics).filter((name) => name !== 'speaker'),
];

/** The numbers behind the names, for this flow, now. */
export function readFeatures(flow: Flow): Record<string, number> {
  return Object.fromEntries(
    features.map((name) => [name, (name in flow.metrics ? flow.metrics[name] : flow[name as keyof Flow]) as number]),
  );
}

/** The early forest answers at this packet of a flow, both directions counted, or at the flow's end if that is sooner. */
export const EARLY_PACKETS = 20;
