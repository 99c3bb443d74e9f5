// GRE, version 0 (anything with an EtherType) and version 1 (PPP, for PPTP).
//
//    0                   1                   2                   3
//   |C|R|K|S|s|recur|A| flags | ver |         protocol type         |
//   |      checksum (if C)          |       reserved (if C)         |
//   |      key (if K; version 1: payload length, call id)           |
//   |      sequence number (if S)                                   |
//   |      acknowledgement number (version 1, if A)                 |
//
// Specification: RFC 2784, RFC 2890, RFC 2637 section 4.1. Source routing (R, RFC 1701) is not followed. Also: ERSPAN
// types I, II and III (mirrored Ethernet frames) and WCCP (four bytes before the IP packet).
import type { DecodeState } from './decode-state.ts';
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  ETHERTYPE_MPLS,
  ETHERTYPE_MPLS_UPSTREAM,
  ETHERTYPE_PPP,
  ETHERTYPE_TRANSPARENT_ETHERNET,
} from './ether-type.ts';
import { decodeInside } from './ip-tunnel.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER, TUNNEL_GRE } from './packet-columns.ts';

const BASE_BYTES = 4;
const FLAG_CHECKSUM = 0x8000;
const FLAG_ROUTING = 0x4000;
const FLAG_KEY = 0x2000;
const FLAG_SEQUENCE = 0x1000;
const FLAG_ACKNOWLEDGEMENT = 0x0080;
const VERSION = 0x0007;

const TYPE_WCCP = 0x883e;
const TYPE_ERSPAN_1_2 = 0x88be;
const TYPE_ERSPAN_3 = 0x22eb;
const WCCP_BYTES = 4;
const ERSPAN_2_BYTES = 8;
const ERSPAN_3_BYTES = 12;
const ERSPAN_3_SUBHEADER_BYTES = 8;
const ERSPAN_3_HAS_SUBHEADER = 0x01;

const TUNNEL_WORD = TUNNEL_GRE << 24;

export function decodeGre(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < BASE_BYTES) return SKIP_SHORT_HEADER;
  const flags = view.getUint16(at);
  const type = view.getUint16(at + 2);
  if ((flags & FLAG_ROUTING) !== 0) return SKIP_NOT_IP;
  let payloadAt = at + BASE_BYTES;
  if ((flags & FLAG_CHECKSUM) !== 0) payloadAt += 4;
  if ((flags & FLAG_KEY) !== 0) payloadAt += 4;
  if ((flags & FLAG_SEQUENCE) !== 0) payloadAt += 4;

  const version = flags & VERSION;
  if (version === 1) {
    if (type !== ETHERTYPE_PPP || (flags & FLAG_KEY) === 0) return SKIP_NOT_IP;
    // Without a sequence number it is a bare acknowledgement.
    if ((flags & FLAG_SEQUENCE) === 0) return SKIP_NOT_IP;
    if ((flags & FLAG_ACKNOWLEDGEMENT) !== 0) payloadAt += 4;
    if (end <= payloadAt) return SKIP_SHORT_HEADER;
    return decodeInside(state, TUNNEL_WORD, ETHERTYPE_PPP, payloadAt, end);
  }
  if (version !== 0) return SKIP_NOT_IP;
  if (end <= payloadAt) return SKIP_SHORT_HEADER;

  switch (type) {
    case ETHERTYPE_IPV4:
    case ETHERTYPE_IPV6:
    case ETHERTYPE_MPLS:
    case ETHERTYPE_MPLS_UPSTREAM:
    case ETHERTYPE_TRANSPARENT_ETHERNET:
      return decodeInside(state, TUNNEL_WORD, type, payloadAt, end);
    case TYPE_WCCP:
      // Version 2 of the protocol puts four bytes first, version 1 none: an IPv4 header tells.
      if (view.getUint8(payloadAt) >> 4 !== 4) payloadAt += WCCP_BYTES;
      return decodeInside(state, TUNNEL_WORD, ETHERTYPE_IPV4, payloadAt, end);
    case TYPE_ERSPAN_1_2:
      // Type I has no header and no sequence number.
      if ((flags & FLAG_SEQUENCE) !== 0) payloadAt += ERSPAN_2_BYTES;
      return decodeInside(state, TUNNEL_WORD, ETHERTYPE_TRANSPARENT_ETHERNET, payloadAt, end);
    case TYPE_ERSPAN_3:
      if (end - payloadAt < ERSPAN_3_BYTES) return SKIP_SHORT_HEADER;
      if ((view.getUint8(payloadAt + ERSPAN_3_BYTES - 1) & ERSPAN_3_HAS_SUBHEADER) !== 0) {
        payloadAt += ERSPAN_3_SUBHEADER_BYTES;
      }
      return decodeInside(state, TUNNEL_WORD, ETHERTYPE_TRANSPARENT_ETHERNET, payloadAt + ERSPAN_3_BYTES, end);
    default:
      return SKIP_NOT_IP;
  }
}
