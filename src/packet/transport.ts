// Ports, TCP flags and the start of the payload of a row, whatever the protocol.
//
// Only TCP, UDP and SCTP have ports here; every other protocol has ports 0 and its payload begins at its header.
// Two ways a transport header may be incomplete:
//   - the IP packet's own length has no room for it: ports 0, as the bytes there are no such header;
//   - the capture cut it: before both ports, the packet is skipped, as ports 0 would make one flow of many
//     connections; behind them, the fields whose bytes are there are used, the others are 0.
import type { DecodeState } from './decode-state.ts';
import { PROTOCOL_SCTP, PROTOCOL_TCP, PROTOCOL_UDP } from './ip-protocol.ts';
import { KEY_PORTS, KEY_WORDS, METERED } from './packet-columns.ts';
import { writeSctp } from './sctp.ts';
import { writeTcp } from './tcp.ts';
import { writeUdp } from './udp.ts';

/** Captured bytes of a header of TCP, UDP or SCTP that are enough to meter the packet. */
export const PORTS_BYTES = 4;

/**
 * Writes ports, `tcpFlags` and `payloadAt` of the row and returns METERED, or returns SKIP_SHORT_HEADER. `at` is the
 * transport header, `end` the end of the captured bytes, `lengthEnd` the end of the packet by its IP header;
 * at <= end <= lengthEnd.
 */
export function writeTransport(
  state: DecodeState,
  protocol: number,
  at: number,
  end: number,
  lengthEnd: number,
): number {
  if (protocol === PROTOCOL_TCP) return writeTcp(state, at, end, lengthEnd);
  if (protocol === PROTOCOL_UDP) return writeUdp(state, at, end, lengthEnd);
  if (protocol === PROTOCOL_SCTP) return writeSctp(state, at, end, lengthEnd);
  return writePortless(state, at);
}

export function writePortless(state: DecodeState, at: number): number {
  const { columns, row } = state;
  columns.key[row * KEY_WORDS + KEY_PORTS] = 0;
  columns.tcpFlags[row] = 0;
  columns.payloadAt[row] = at;
  return METERED;
}
