// Ethernet II and IEEE 802.3 frames.
//
//    0             6             12
//   | destination | source      | EtherType, or length of an LLC payload | ...
//
// Specification: IEEE 802.3 clause 3. The preamble and the frame check sequence are not part of a captured frame; a
// trailing check sequence or padding is left out by the length in the IP header.
import type { DecodeState } from './decode-state.ts';
import { decodeEtherType, ETHERTYPE_IPV4 } from './ether-type.ts';
import { decodeIpv4 } from './ipv4.ts';
import { SKIP_SHORT_HEADER } from './packet-columns.ts';

export const ETHERNET_HEADER_BYTES = 14;
/** Where the sender's address stands; the receiver's is the first. */
export const ETHERNET_SRC = 6;

export function decodeEthernet(state: DecodeState, at: number, end: number): number {
  if (end - at < ETHERNET_HEADER_BYTES) return SKIP_SHORT_HEADER;
  const type = state.view.getUint16(at + 12);
  state.dstMacAt = at;
  state.srcMacAt = at + ETHERNET_SRC;
  const payloadAt = at + ETHERNET_HEADER_BYTES;
  // The way of most packets, without the call that stands between.
  if (type === ETHERTYPE_IPV4) return decodeIpv4(state, payloadAt, end);
  return decodeEtherType(state, type, payloadAt, end);
}
