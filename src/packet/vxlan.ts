// VXLAN: Ethernet over UDP (ports 4789 and 8472).
//
//    0                   1                   2                   3
//   |G|R|R|R|I|R|R|R|  reserved     |  group policy id (if G)       |
//   |        VXLAN network identifier (24)          |   reserved    |
//
// Specification: RFC 7348 section 5; G is the group policy extension (draft-smith-vxlan-group-policy). Receivers must
// ignore the reserved bits, but senders must clear them, and as evidence that this is VXLAN at all they count here.
import type { DecodeState } from './decode-state.ts';
import { ETHERTYPE_TRANSPARENT_ETHERNET } from './ether-type.ts';
import { decodeInside } from './ip-tunnel.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER, TUNNEL_VXLAN } from './packet-columns.ts';

const HEADER_BYTES = 8;
const FLAG_VNI = 0x08;
const FLAG_GROUP_POLICY = 0x80;

export function decodeVxlan(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < HEADER_BYTES) return SKIP_SHORT_HEADER;
  if ((view.getUint8(at) & ~FLAG_GROUP_POLICY) !== FLAG_VNI || view.getUint8(at + 7) !== 0) return SKIP_NOT_IP;
  const tunnel = (TUNNEL_VXLAN << 24) | (view.getUint32(at + 4) >>> 8);
  return decodeInside(state, tunnel, ETHERTYPE_TRANSPARENT_ETHERNET, at + HEADER_BYTES, end);
}
