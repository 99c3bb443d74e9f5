// Cisco HDLC frames of serial links (link type 104).
//
//   | address (0x0f unicast, 0x8f multicast) | control (0) | EtherType (2) | ...
//
// Specification: https://www.tcpdump.org/linktypes.html (LINKTYPE_C_HDLC) and RFC 1547 section 4.3.1. SLARP, CDP and
// OSI payloads have protocol numbers of their own and are not IP.
import type { DecodeState } from './decode-state.ts';
import { decodeEtherType, MAX_IEEE8023_LENGTH } from './ether-type.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';

const HEADER_BYTES = 4;

export function decodeCiscoHdlc(state: DecodeState, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return SKIP_SHORT_HEADER;
  const protocol = state.view.getUint16(at + 2);
  // There is no 802.3 length here.
  if (protocol <= MAX_IEEE8023_LENGTH) return SKIP_NOT_IP;
  return decodeEtherType(state, protocol, at + HEADER_BYTES, end);
}
