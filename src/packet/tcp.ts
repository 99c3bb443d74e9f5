// TCP: ports, flags and where the data begins.
//
//    0                   1                   2                   3
//   |          source port          |       destination port        |
//   |                        sequence number                        |
//   |                     acknowledgement number                    |
//   | offset| resvd |C|E|U|A|P|R|S|F|            window             |
//   |           checksum            |         urgent pointer        |
//   |                     options (offset - 5 words)                |
//
// Specification: RFC 9293 section 3.1.
import type { DecodeState } from './decode-state.ts';
import { KEY_PORTS, KEY_WORDS, METERED, SKIP_SHORT_HEADER } from './packet-columns.ts';
import { PORTS_BYTES, writePortless } from './transport.ts';

const HEADER_BYTES = 20;

export function writeTcp(state: DecodeState, at: number, end: number, lengthEnd: number): number {
  if (lengthEnd - at < HEADER_BYTES) return writePortless(state, at);
  if (end - at < PORTS_BYTES) return SKIP_SHORT_HEADER;
  const { columns, row, view } = state;
  columns.key[row * KEY_WORDS + KEY_PORTS] = view.getInt32(at);
  if (end - at < HEADER_BYTES) {
    columns.tcpFlags[row] = end - at > 13 ? view.getUint8(at + 13) : 0;
    columns.payloadAt[row] = end;
    return METERED;
  }
  const offsetAndFlags = view.getUint16(at + 12);
  columns.tcpFlags[row] = offsetAndFlags & 0xff;
  // An offset that points into the fixed header contradicts itself: the data begins after the fixed header then.
  const dataOffset = (offsetAndFlags >> 12) * 4;
  const payloadAt = at + Math.max(dataOffset, HEADER_BYTES);
  columns.payloadAt[row] = Math.min(payloadAt, end);
  return METERED;
}
