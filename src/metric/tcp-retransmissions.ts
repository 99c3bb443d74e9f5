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

/**
 * A metric: TCP segments that were sent again, [source to destination, destination to source]; `null` for flows of other
 * protocols. It is what tshark counts as tcp.analysis.retransmission: retransmissions after a timeout, fast ones, and
 * spurious ones of data that was acknowledged already; not keep-alives, zero-window probes and segments that merely
 * arrive out of order. Where tshark differs by version it is tshark 4.0.
 *
 * A SYN with another initial sequence number (ports used again) begins a new connection; the counts go on. Where the
 * active timeout cuts a flow, counts and knowledge begin anew: the first segment of the new flow is never one sent again.
 *
 * DIFFERS from tshark:
 * - A flow is one VLAN's and one tunnel's. tshark 4.0 takes copies of a connection in two VLANs for one stream, and the
 *   second copy of each segment for a retransmission.
 * - Where an IP header claims more bytes than the frame had (edited captures) its word is taken, as it is for
 *   `packet.payloadSize`; tshark takes the frame's.
 * - The first fragment of a segment counts as a segment of the bytes it carries; tshark puts the segment together first.
 * - MPTCP (RFC 8684): duplicate ACKs that its options make legal count as duplicate ACKs here.
 *
 * Not analysed: segments whose header the capture cut before the end of the window field, and headers whose data offset
 * contradicts itself.
 *
 * Cost: some 200 ns for each TCP packet; a live TCP flow holds 0.5 KB.
 */
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
