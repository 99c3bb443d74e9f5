// UDP: ports and where the data begins.
//
//    0                   1                   2                   3
//   |          source port          |       destination port        |
//   |            length             |           checksum            |
//
// Specification: RFC 768. The length is not believed over the IP header's (it is 0 in jumbograms, and wrong in practice).
import type { DecodeState } from './decode-state.ts';
import { KEY_PORTS, KEY_WORDS, METERED, SKIP_SHORT_HEADER } from './packet-columns.ts';
import { PORTS_BYTES, writePortless } from './transport.ts';

export const UDP_HEADER_BYTES = 8;

export function writeUdp(state: DecodeState, at: number, end: number, lengthEnd: number): number {
  if (lengthEnd - at < UDP_HEADER_BYTES) return writePortless(state, at);
  if (end - at < PORTS_BYTES) return SKIP_SHORT_HEADER;
  const { columns, row } = state;
  columns.key[row * KEY_WORDS + KEY_PORTS] = state.view.getInt32(at);
  columns.tcpFlags[row] = 0;
  columns.payloadAt[row] = end - at < UDP_HEADER_BYTES ? end : at + UDP_HEADER_BYTES;
  return METERED;
}
