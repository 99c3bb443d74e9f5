// Geneve: anything with an EtherType over UDP (port 6081).
//
//    0                   1                   2                   3
//   |ver|  opt len  |O|C|  reserved |         protocol type         |
//   |       virtual network identifier (24)         |   reserved    |
//   |                options (opt len * 4 bytes) ...                |
//
// Specification: RFC 8926 section 3.4.
import type { DecodeState } from './decode-state.ts';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_TRANSPARENT_ETHERNET } from './ether-type.ts';
import { decodeInside } from './ip-tunnel.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER, TUNNEL_GENEVE } from './packet-columns.ts';

const HEADER_BYTES = 8;
const RESERVED_FLAGS = 0x3f;

export function decodeGeneve(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < HEADER_BYTES) return SKIP_SHORT_HEADER;
  const versionAndLength = view.getUint8(at);
  if (versionAndLength >> 6 !== 0) return SKIP_NOT_IP;
  if ((view.getUint8(at + 1) & RESERVED_FLAGS) !== 0 || view.getUint8(at + 7) !== 0) return SKIP_NOT_IP;
  const type = view.getUint16(at + 2);
  if (type !== ETHERTYPE_TRANSPARENT_ETHERNET && type !== ETHERTYPE_IPV4 && type !== ETHERTYPE_IPV6) return SKIP_NOT_IP;
  const headerBytes = HEADER_BYTES + versionAndLength * 4;
  if (end - at < headerBytes) return SKIP_SHORT_HEADER;
  const tunnel = (TUNNEL_GENEVE << 24) | (view.getUint32(at + 4) >>> 8);
  return decodeInside(state, tunnel, type, at + headerBytes, end);
}
