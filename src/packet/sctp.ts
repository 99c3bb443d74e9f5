// SCTP: ports and where the chunks begin.
//
//    0                   1                   2                   3
//   |          source port          |       destination port        |
//   |                       verification tag                        |
//   |                           checksum                            |
//
// Specification: RFC 9260 section 3.1. DIFFERS: NFStream gives SCTP port 0 (kind sctp_ports).
import type { DecodeState } from './decode-state.ts';
import { KEY_PORTS, KEY_WORDS, METERED, SKIP_SHORT_HEADER } from './packet-columns.ts';
import { PORTS_BYTES, writePortless } from './transport.ts';

const COMMON_HEADER_BYTES = 12;

export function writeSctp(state: DecodeState, at: number, end: number, lengthEnd: number): number {
  if (lengthEnd - at < COMMON_HEADER_BYTES) return writePortless(state, at);
  if (end - at < PORTS_BYTES) return SKIP_SHORT_HEADER;
  const { columns, row } = state;
  columns.key[row * KEY_WORDS + KEY_PORTS] = state.view.getInt32(at);
  columns.tcpFlags[row] = 0;
  columns.payloadAt[row] = end - at < COMMON_HEADER_BYTES ? end : at + COMMON_HEADER_BYTES;
  return METERED;
}
