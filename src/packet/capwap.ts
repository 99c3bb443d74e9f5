// CAPWAP data: frames between wireless access points and their controller (UDP port 5247).
//
//    0                   1                   2                   3
//   | ver 0 | type 0| HLEN  (5)| RID (5) | WBID (5) |T|F|L|W|M|K|rsvd|
//   |          fragment id          |     fragment offset     |rsvd |
//   | radio MAC address (if M) ... | wireless specific information (if W) ...
//
// Specification: RFC 5415 section 4.3. HLEN counts words of 4 bytes. T: the payload is a native frame of the wireless
// binding (WBID 1: 802.11), otherwise 802.3. Not decoded: DTLS (type 1), keep-alives (K), later fragments (F).
// Some equipment sends 802.11's fields of two bytes in network order: what isn't a data frame is tried that way.
import type { DecodeState } from './decode-state.ts';
import { NO_LENGTH_END } from './decode-state.ts';
import { ETHERTYPE_TRANSPARENT_ETHERNET, PAYLOAD_IEEE80211, PAYLOAD_IEEE80211_SWAPPED } from './ether-type.ts';
import { isDataFrame } from './ieee80211.ts';
import { decodeInside } from './ip-tunnel.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER, TUNNEL_CAPWAP } from './packet-columns.ts';

const HEADER_BYTES = 8;
const FLAG_NATIVE = 0x100;
const FLAG_FRAGMENT = 0x080;
const FLAG_KEEP_ALIVE = 0x008;
const BINDING_IEEE80211 = 1;

export function decodeCapwap(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < HEADER_BYTES) return SKIP_SHORT_HEADER;
  const word = view.getUint32(at);
  if (word >>> 24 !== 0 || (word & FLAG_KEEP_ALIVE) !== 0) return SKIP_NOT_IP;
  const headerBytes = ((word >>> 19) & 0x1f) * 4;
  if (headerBytes < HEADER_BYTES) return SKIP_NOT_IP;
  if (end - at < headerBytes) return SKIP_SHORT_HEADER;
  if ((word & FLAG_FRAGMENT) !== 0) {
    if (view.getUint16(at + 6) >> 3 !== 0) return SKIP_NOT_IP;
    // The inner packet goes on in other CAPWAP packets. The IP layer below restores it.
    state.lengthEnd = NO_LENGTH_END;
  }
  if ((word & FLAG_NATIVE) === 0) {
    return decodeInside(state, TUNNEL_CAPWAP << 24, ETHERTYPE_TRANSPARENT_ETHERNET, at + headerBytes, end);
  }
  if (((word >>> 9) & 0x1f) !== BINDING_IEEE80211) return SKIP_NOT_IP;
  const frameAt = at + headerBytes;
  if (end - frameAt < 2) return SKIP_SHORT_HEADER;
  const payload = isDataFrame(view.getUint8(frameAt)) ? PAYLOAD_IEEE80211 : PAYLOAD_IEEE80211_SWAPPED;
  return decodeInside(state, TUNNEL_CAPWAP << 24, payload, frameAt, end);
}
