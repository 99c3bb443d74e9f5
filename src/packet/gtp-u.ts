// GTP-U, the user plane of mobile networks (UDP port 2152).
//
//    0                   1                   2                   3
//   | ver 1 |1|0|E|S|P| message type  |            length            |
//   |                  tunnel endpoint identifier                    |
//   | sequence (2) | N-PDU (1) | next extension type (1) |   if E, S or P
//   extension: | length in 4 bytes | content ... | next extension type |
//
// Specification: 3GPP TS 29.281 section 5. Only T-PDU messages (255) carry a user packet; echo and error messages are
// UDP packets like others. The length counts from after the first 8 bytes.
import type { DecodeState } from './decode-state.ts';
import { PAYLOAD_IP } from './ether-type.ts';
import { decodeInside } from './ip-tunnel.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER, TUNNEL_GTP_U } from './packet-columns.ts';

const HEADER_BYTES = 8;
const OPTIONAL_BYTES = 4;
/** Version 1, protocol type GTP, spare bit 0. */
const FIXED_BITS = 0xf8;
const VERSION_1_GTP = 0x30;
const HAS_EXTENSION = 0x04;
const HAS_OPTIONAL = 0x07;
const MESSAGE_T_PDU = 255;
const MAX_EXTENSIONS = 8;

export function decodeGtpU(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < HEADER_BYTES) return SKIP_SHORT_HEADER;
  const flags = view.getUint8(at);
  if ((flags & FIXED_BITS) !== VERSION_1_GTP || view.getUint8(at + 1) !== MESSAGE_T_PDU) return SKIP_NOT_IP;
  if (HEADER_BYTES + view.getUint16(at + 2) > state.lengthEnd - at) return SKIP_NOT_IP;
  let payloadAt = at + HEADER_BYTES;
  if ((flags & HAS_OPTIONAL) !== 0) {
    if (end - payloadAt < OPTIONAL_BYTES) return SKIP_SHORT_HEADER;
    let next = (flags & HAS_EXTENSION) !== 0 ? view.getUint8(payloadAt + 3) : 0;
    payloadAt += OPTIONAL_BYTES;
    for (let extension = 0; next !== 0; extension++) {
      if (extension === MAX_EXTENSIONS || end <= payloadAt) return SKIP_NOT_IP;
      const extensionBytes = view.getUint8(payloadAt) * 4;
      if (extensionBytes === 0) return SKIP_NOT_IP;
      if (end - payloadAt < extensionBytes) return SKIP_SHORT_HEADER;
      payloadAt += extensionBytes;
      next = view.getUint8(payloadAt - 1);
    }
  }
  return decodeInside(state, TUNNEL_GTP_U << 24, PAYLOAD_IP, payloadAt, end);
}
