// PPP over Ethernet, session stage (EtherType 0x8864, link type 51).
//
//   |ver 1|type 1| code 0 | session id (2) | length (2) | PPP protocol (2) ...
//
// Specification: RFC 2516 section 4. Discovery packets (other codes) carry no IP. The length leaves out padding.
import type { DecodeState } from './decode-state.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';
import { decodePpp } from './ppp.ts';

const HEADER_BYTES = 6;
const VERSION_1_TYPE_1 = 0x11;
const CODE_SESSION = 0;

export function decodePppoe(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < HEADER_BYTES) return SKIP_SHORT_HEADER;
  if (view.getUint8(at) !== VERSION_1_TYPE_1 || view.getUint8(at + 1) !== CODE_SESSION) return SKIP_NOT_IP;
  return decodePpp(state, at + HEADER_BYTES, end);
}
