// Linux "cooked" captures: the `any` device, with a header made up by libpcap in place of the link layer's.
//
//   SLL  (113): | packet type 2 | ARPHRD 2 | address length 2 | address 8 | protocol 2 | ...
//   SLL2 (276): | protocol 2 | reserved 2 | interface 4 | ARPHRD 2 | packet type 1 | address length 1 | address 8 | ...
//
// Specification: https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL.html and LINKTYPE_LINUX_SLL2.html. The protocol
// is an EtherType, except for some device types (netlink) and for values below 0x600.
import type { DecodeState } from './decode-state.ts';
import { decodeEtherType } from './ether-type.ts';
import { decodeLlc } from './llc.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';

const SLL_BYTES = 16;
const SLL2_BYTES = 20;
const ARPHRD_NETLINK = 824;
/** Linux' ETH_P_802_2: an LLC header follows. */
const PROTOCOL_LLC = 0x0004;
const MIN_ETHERTYPE = 0x600;

export function decodeLinuxCooked(state: DecodeState, at: number, end: number): number {
  if (end - at < SLL_BYTES) return SKIP_SHORT_HEADER;
  const view = state.view;
  return decodeCookedPayload(state, view.getUint16(at + 2), view.getUint16(at + 14), at + SLL_BYTES, end);
}

export function decodeLinuxCooked2(state: DecodeState, at: number, end: number): number {
  if (end - at < SLL2_BYTES) return SKIP_SHORT_HEADER;
  const view = state.view;
  return decodeCookedPayload(state, view.getUint16(at + 8), view.getUint16(at), at + SLL2_BYTES, end);
}

function decodeCookedPayload(state: DecodeState, device: number, protocol: number, at: number, end: number): number {
  if (device === ARPHRD_NETLINK) return SKIP_NOT_IP;
  if (protocol === PROTOCOL_LLC) return decodeLlc(state, end - at, at, end);
  if (protocol < MIN_ETHERTYPE) return SKIP_NOT_IP;
  return decodeEtherType(state, protocol, at, end);
}
