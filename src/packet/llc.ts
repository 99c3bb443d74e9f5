// Logical link control, with or without SNAP: what follows an 802.3 length field or an 802.11 header.
//
//   | DSAP | SSAP | control (1, U-frames) |               LLC, IEEE 802.2
//   | 0xaa | 0xaa | 0x03 | OUI (3) | EtherType (2) |      SNAP, RFC 1042
//   | 0x06 | 0x06 | 0x03 | IPv4 header ...                RFC 948, seen rarely
//
// Only OUI 0 (RFC 1042) and 0x0000f8 (802.1H bridge tunnel) carry EtherTypes.
import type { DecodeState } from './decode-state.ts';
import { decodeEtherType } from './ether-type.ts';
import { decodeIpv4 } from './ipv4.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';

const LLC_BYTES = 3;
const SNAP_BYTES = 8;
const LLC_SNAP = 0xaaaa;
const LLC_IP = 0x0606;
const CONTROL_UNNUMBERED_INFORMATION = 0x03;
const OUI_RFC1042 = 0x000000;
const OUI_BRIDGE_TUNNEL = 0x0000f8;
/** Values below are no EtherType (IEEE 802.3), so SNAP can't nest in itself. */
const MIN_ETHERTYPE = 0x600;

/** @param length payload bytes by the 802.3 length field */
export function decodeLlc(state: DecodeState, length: number, at: number, end: number): number {
  const view = state.view;
  const llcEnd = end - at > length ? at + length : end;
  if (llcEnd - at < LLC_BYTES) return SKIP_SHORT_HEADER;
  const serviceAccessPoints = view.getUint16(at);
  if (view.getUint8(at + 2) !== CONTROL_UNNUMBERED_INFORMATION) return SKIP_NOT_IP;
  if (serviceAccessPoints === LLC_IP) return decodeIpv4(state, at + LLC_BYTES, llcEnd);
  if (serviceAccessPoints !== LLC_SNAP) return SKIP_NOT_IP;
  if (llcEnd - at < SNAP_BYTES) return SKIP_SHORT_HEADER;
  const oui = view.getUint16(at + 3) * 256 + view.getUint8(at + 5);
  const etherType = view.getUint16(at + 6);
  if (oui !== OUI_RFC1042 && oui !== OUI_BRIDGE_TUNNEL) return SKIP_NOT_IP;
  if (etherType < MIN_ETHERTYPE) return SKIP_NOT_IP;
  return decodeEtherType(state, etherType, at + SNAP_BYTES, llcEnd);
}
