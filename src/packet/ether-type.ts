// Hands a payload to the protocol that an EtherType names, after stepping over VLAN tags. Everything that carries
// EtherTypes ends here: Ethernet, SNAP, Linux cooked, Cisco HDLC, GRE, Geneve.
//
//   802.1Q / 802.1ad tag
//    0                   1                   2                   3
//   | PCP |D|      VLAN id (12)     |      EtherType that follows    |
//
// Specification: IEEE 802 EtherTypes (IANA "ieee-802-numbers"), IEEE 802.1Q. The VLAN id of the innermost tag wins;
// id 0 (priority only) is an id like others.

import type { DecodeState } from './decode-state.ts';
import { MAX_NESTING } from './decode-state.ts';
import { decodeEthernet } from './ethernet.ts';
import { decodeIeee80211, decodeSwappedIeee80211 } from './ieee80211.ts';
import { decodeIpv4 } from './ipv4.ts';
import { decodeIpv6 } from './ipv6.ts';
import { decodeLlc } from './llc.ts';
import { decodeMpls } from './mpls.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';
import { decodePpp } from './ppp.ts';
import { decodePppoe } from './pppoe.ts';

export const ETHERTYPE_IPV4 = 0x0800;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERTYPE_VLAN = 0x8100;
export const ETHERTYPE_SERVICE_VLAN = 0x88a8;
/** Tags of equipment from before 802.1ad. */
export const ETHERTYPE_QINQ_9100 = 0x9100;
export const ETHERTYPE_QINQ_9200 = 0x9200;
export const ETHERTYPE_QINQ_9300 = 0x9300;
export const ETHERTYPE_TRANSPARENT_ETHERNET = 0x6558;
export const ETHERTYPE_MPLS = 0x8847;
export const ETHERTYPE_MPLS_UPSTREAM = 0x8848;
export const ETHERTYPE_PPP = 0x880b;
export const ETHERTYPE_PPPOE_SESSION = 0x8864;
/** No EtherType: an 802.11 frame inside a tunnel (CAPWAP, TZSP). */
export const PAYLOAD_IEEE80211 = 0x10000;
/** No EtherType: the same with its fields of two bytes in network order. */
export const PAYLOAD_IEEE80211_SWAPPED = 0x10002;
/** No EtherType: not known from the outside, IPv4 or IPv6 by its first four bits. */
export const PAYLOAD_IP = 0x10001;

/** Values up to this are an 802.3 length, values from 0x600 an EtherType (IEEE 802.3 clause 3.2.6). */
export const MAX_IEEE8023_LENGTH = 1500;

const VLAN_TAG_BYTES = 4;

export function decodeEtherType(state: DecodeState, etherType: number, at: number, end: number): number {
  let type = etherType;
  let payloadAt = at;
  for (;;) {
    switch (type) {
      case ETHERTYPE_IPV4:
        return decodeIpv4(state, payloadAt, end);
      case ETHERTYPE_IPV6:
        return decodeIpv6(state, payloadAt, end);
      case ETHERTYPE_VLAN:
      case ETHERTYPE_SERVICE_VLAN:
      case ETHERTYPE_QINQ_9100:
      case ETHERTYPE_QINQ_9200:
      case ETHERTYPE_QINQ_9300:
        if (end - payloadAt < VLAN_TAG_BYTES) return SKIP_SHORT_HEADER;
        state.vlan = state.view.getUint16(payloadAt) & 0xfff;
        type = state.view.getUint16(payloadAt + 2);
        payloadAt += VLAN_TAG_BYTES;
        break;
      case ETHERTYPE_MPLS:
      case ETHERTYPE_MPLS_UPSTREAM:
        return decodeMpls(state, payloadAt, end);
      case ETHERTYPE_PPPOE_SESSION:
        return decodePppoe(state, payloadAt, end);
      case ETHERTYPE_PPP:
        return decodePpp(state, payloadAt, end);
      case ETHERTYPE_TRANSPARENT_ETHERNET:
        return decodeInnerEthernet(state, payloadAt, end);
      case PAYLOAD_IEEE80211:
        return decodeIeee80211(state, payloadAt, end);
      case PAYLOAD_IEEE80211_SWAPPED:
        return decodeSwappedIeee80211(state, payloadAt, end);
      case PAYLOAD_IP:
        return decodeIp(state, payloadAt, end);
      default:
        // DIFFERS: NFStream reads on by the first four bits, whatever the EtherType (kind not_ip).
        return type <= MAX_IEEE8023_LENGTH ? decodeLlc(state, type, payloadAt, end) : SKIP_NOT_IP;
    }
  }
}

/** Ethernet inside something else, which may again hold Ethernet: bounded. */
export function decodeInnerEthernet(state: DecodeState, at: number, end: number): number {
  if (state.depth >= MAX_NESTING) return SKIP_NOT_IP;
  const { srcMacAt, dstMacAt } = state;
  state.depth++;
  const status = decodeEthernet(state, at, end);
  state.depth--;
  // It may be no Ethernet after all.
  state.srcMacAt = srcMacAt;
  state.dstMacAt = dstMacAt;
  return status;
}

/** IPv4 or IPv6 by the version in the first four bits; anything else is no IP packet. */
export function decodeIp(state: DecodeState, at: number, end: number): number {
  if (end <= at) return SKIP_SHORT_HEADER;
  const version = state.view.getUint8(at) >> 4;
  if (version === 4) return decodeIpv4(state, at, end);
  if (version === 6) return decodeIpv6(state, at, end);
  return SKIP_NOT_IP;
}
