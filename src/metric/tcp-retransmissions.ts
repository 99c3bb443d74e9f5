// Counts TCP retransmissions in each direction of a flow: what tshark marks with tcp.analysis.retransmission, which
// includes its fast and its spurious retransmissions. The rules are in tcp-sequence.ts.
import { FlowScratch } from './flow-scratch.ts';
import type { UserMetric } from './metric.ts';
import { TcpSequence } from './tcp-sequence.ts';

const PROTOCOL_TCP = 6;
/** Captured bytes of a TCP header up to the end of its window field. */
const SEGMENT_BYTES = 16;
const HEADER_BYTES = 20;

/** [source to destination, destination to source] */
type Counts = [number, number];

interface Retransmissions {
  sequence: TcpSequence;
  counts: Counts;
}

export function tcpRetransmissions(): UserMetric<[number, number] | null> {
  const scratch = new FlowScratch<Retransmissions>('tcp-retransmissions');
  return (packet, flow, direction) => {
    if (packet.ipProtocol !== PROTOCOL_TCP) return null;
    let state = scratch.get(flow);
    if (state === undefined) {
      state = { sequence: new TcpSequence(), counts: [0, 0] };
      scratch.set(flow, state);
    }
    const at = packet.transportAt;
    if (packet.isLaterFragment || at + SEGMENT_BYTES > packet.ipEnd) return state.counts;
    const header = (packet.bytes[at + 12] >> 4) * 4;
    const size = packet.transportSize - header;
    if (header < HEADER_BYTES || size < 0) return state.counts;
    if (state.sequence.update(packet, direction, size)) {
      const counts = state.counts;
      // A new pair: whoever kept the old one keeps what was counted then.
      state.counts = direction === 0 ? [counts[0] + 1, counts[1]] : [counts[0], counts[1] + 1];
    }
    return state.counts;
  };
}
