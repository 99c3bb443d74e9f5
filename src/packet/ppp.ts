// PPP frames, as captured from PPP links (link types 9 and 50) and inside PPPoE and GRE version 1.
//
//   | 0xff | 0x03 | protocol (1 or 2) | information ...     HDLC-like framing, RFC 1662
//   | protocol (1 or 2) | information ...                   address and control field compressed away
//   | 0x0f or 0x8f | 0x00 | EtherType (2) | ...             Cisco HDLC on link types 9 and 50
//
// Specification: RFC 1661 section 2 and 6.5: a protocol number has an even first and an odd second byte; with protocol
// field compression a single odd byte stands alone. Compressed or encrypted payloads (CCP, VJ) carry no IP header.
import { decodeCiscoHdlc } from './cisco-hdlc.ts';
import type { DecodeState } from './decode-state.ts';
import { decodeIpv4 } from './ipv4.ts';
import { decodeIpv6 } from './ipv6.ts';
import { decodeMpls } from './mpls.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';

const ADDRESS_ALL_STATIONS = 0xff;
const CONTROL_UNNUMBERED_INFORMATION = 0x03;
const CISCO_UNICAST = 0x0f;
const CISCO_MULTICAST = 0x8f;

const PROTOCOL_IPV4 = 0x0021;
const PROTOCOL_IPV6 = 0x0057;
const PROTOCOL_MPLS_UNICAST = 0x0281;
const PROTOCOL_MPLS_MULTICAST = 0x0283;

/** A PPP frame from its optional address and control fields on. */
export function decodePpp(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  let protocolAt = at;
  if (end - at >= 2 && view.getUint8(at) === ADDRESS_ALL_STATIONS) {
    if (view.getUint8(at + 1) !== CONTROL_UNNUMBERED_INFORMATION) return SKIP_NOT_IP;
    protocolAt += 2;
  }
  if (end <= protocolAt) return SKIP_SHORT_HEADER;
  let protocol = view.getUint8(protocolAt);
  let payloadAt = protocolAt + 1;
  if ((protocol & 1) === 0) {
    if (end <= payloadAt) return SKIP_SHORT_HEADER;
    protocol = (protocol << 8) | view.getUint8(payloadAt);
    payloadAt++;
  }
  switch (protocol) {
    case PROTOCOL_IPV4:
      return decodeIpv4(state, payloadAt, end);
    case PROTOCOL_IPV6:
      return decodeIpv6(state, payloadAt, end);
    case PROTOCOL_MPLS_UNICAST:
    case PROTOCOL_MPLS_MULTICAST:
      return decodeMpls(state, payloadAt, end);
    default:
      return SKIP_NOT_IP;
  }
}

/** A frame of a serial link: PPP, or Cisco HDLC by its first two bytes, which no PPP frame begins with. */
export function decodePppSerial(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at >= 2 && view.getUint8(at + 1) === 0) {
    const address = view.getUint8(at);
    if (address === CISCO_UNICAST || address === CISCO_MULTICAST) return decodeCiscoHdlc(state, at, end);
  }
  return decodePpp(state, at, end);
}
