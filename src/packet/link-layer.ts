// Which protocol a frame begins with, by its link type.
//
// Specification: https://www.tcpdump.org/linktypes.html; the numbers are those of capture files.
import { decodeCiscoHdlc } from './cisco-hdlc.ts';
import type { DecodeState } from './decode-state.ts';
import { decodeIp } from './ether-type.ts';
import { decodeEthernet } from './ethernet.ts';
import { decodeIeee80211 } from './ieee80211.ts';
import { decodeIpv4 } from './ipv4.ts';
import { decodeIpv6 } from './ipv6.ts';
import { decodeLinuxCooked, decodeLinuxCooked2 } from './linux-cooked.ts';
import { decodeNullLoopback } from './null-loopback.ts';
import { SKIP_UNKNOWN_LINK_TYPE } from './packet-columns.ts';
import { decodePppSerial } from './ppp.ts';
import { decodePppoe } from './pppoe.ts';
import { decodeRadiotap } from './radiotap.ts';

export const LINKTYPE_NULL = 0;
export const LINKTYPE_ETHERNET = 1;
export const LINKTYPE_PPP = 9;
/** DLT_RAW of most systems and of OpenBSD, written by tools that did not map it to LINKTYPE_RAW. */
export const LINKTYPE_RAW_12 = 12;
export const LINKTYPE_RAW_14 = 14;
export const LINKTYPE_PPP_HDLC = 50;
export const LINKTYPE_PPP_ETHER = 51;
export const LINKTYPE_RAW = 101;
export const LINKTYPE_C_HDLC = 104;
export const LINKTYPE_IEEE802_11 = 105;
export const LINKTYPE_LOOP = 108;
export const LINKTYPE_LINUX_SLL = 113;
export const LINKTYPE_IEEE802_11_RADIOTAP = 127;
export const LINKTYPE_IPV4 = 228;
export const LINKTYPE_IPV6 = 229;
export const LINKTYPE_LINUX_SLL2 = 276;

export function decodeLinkLayer(state: DecodeState, linkType: number, at: number, end: number): number {
  switch (linkType) {
    case LINKTYPE_ETHERNET:
      return decodeEthernet(state, at, end);
    case LINKTYPE_LINUX_SLL:
      return decodeLinuxCooked(state, at, end);
    // DIFFERS: NFStream does not know this type, nor some others below (kind link_type).
    case LINKTYPE_LINUX_SLL2:
      return decodeLinuxCooked2(state, at, end);
    case LINKTYPE_NULL:
    case LINKTYPE_LOOP:
      return decodeNullLoopback(state, at, end);
    case LINKTYPE_RAW:
    case LINKTYPE_RAW_12:
    case LINKTYPE_RAW_14:
      return decodeIp(state, at, end);
    case LINKTYPE_IPV4:
      return decodeIpv4(state, at, end);
    case LINKTYPE_IPV6:
      return decodeIpv6(state, at, end);
    case LINKTYPE_PPP:
    case LINKTYPE_PPP_HDLC:
      return decodePppSerial(state, at, end);
    case LINKTYPE_PPP_ETHER:
      return decodePppoe(state, at, end);
    case LINKTYPE_C_HDLC:
      return decodeCiscoHdlc(state, at, end);
    case LINKTYPE_IEEE802_11_RADIOTAP:
      return decodeRadiotap(state, at, end);
    case LINKTYPE_IEEE802_11:
      return decodeIeee80211(state, at, end);
    default:
      return SKIP_UNKNOWN_LINK_TYPE;
  }
}
