// Packets inside IP packets: which protocol numbers and UDP ports may hold one, and how a decode goes inside.
//
// A tunnel is taken only when what it claims to carry decodes to an IP packet that fits into the enclosing one;
// otherwise the outer packet is metered as what it is. UDP ports are weak evidence (a client may use any), so:
//
//   port              matched as              further evidence asked for
//   2152  GTP-U       destination             version 1, T-PDU, length fits
//   4789, 8472 VXLAN  destination             flags, reserved bits
//   6081  Geneve      destination             version 0, options fit, known protocol type
//   5247  CAPWAP      destination or source   version 0, neither DTLS nor keep-alive, header fits
//   37008 TZSP        destination             version 1, packet type, known encapsulation, tags fit
//
// CAPWAP controllers answer from their port, the others always send to it. DIFFERS: NFStream goes by either port
// for each, which takes a DNS query from source port 37008 for TZSP (kind tunnel_port).
// DIFFERS: NFStream does not look into GRE, VXLAN and Geneve (kind tunnel).
// DIFFERS: NFStream gives packets in IP in IP no tunnel number (kind ip_in_ip).
import { decodeCapwap } from './capwap.ts';
import type { DecodeState } from './decode-state.ts';
import { MAX_NESTING } from './decode-state.ts';
import { decodeEtherType, ETHERTYPE_IPV4, ETHERTYPE_IPV6 } from './ether-type.ts';
import { decodeGeneve } from './geneve.ts';
import { decodeGre } from './gre.ts';
import { decodeGtpU } from './gtp-u.ts';
import { PROTOCOL_GRE, PROTOCOL_IPV4, PROTOCOL_IPV6, PROTOCOL_UDP } from './ip-protocol.ts';
import { SKIP_NOT_IP, TUNNEL_IP_IN_IP } from './packet-columns.ts';
import { decodeTzsp } from './tzsp.ts';
import { UDP_HEADER_BYTES } from './udp.ts';
import { decodeVxlan } from './vxlan.ts';

export const PORT_GTP_U = 2152;
export const PORT_VXLAN = 4789;
/** What Linux used before IANA assigned 4789. */
export const PORT_VXLAN_LINUX = 8472;
export const PORT_GENEVE = 6081;
export const PORT_CAPWAP_DATA = 5247;
export const PORT_TZSP = 37008;

/** Quick look whether `decodeIpTunnel` is worth a call. */
export function mayBeTunnel(state: DecodeState, protocol: number, at: number, end: number): boolean {
  if (protocol === PROTOCOL_UDP) {
    if (end - at <= UDP_HEADER_BYTES) return false;
    return isTunnelPort(state.view.getUint16(at + 2)) || state.view.getUint16(at) === PORT_CAPWAP_DATA;
  }
  return protocol === PROTOCOL_IPV4 || protocol === PROTOCOL_IPV6 || protocol === PROTOCOL_GRE;
}

function isTunnelPort(port: number): boolean {
  return (
    port === PORT_GTP_U ||
    port === PORT_VXLAN ||
    port === PORT_VXLAN_LINUX ||
    port === PORT_GENEVE ||
    port === PORT_CAPWAP_DATA ||
    port === PORT_TZSP
  );
}

/**
 * Decodes the packet inside, whose enclosing header ends it at `lengthEnd`. Anything but a settled status (see
 * isSettled) means that the outer packet counts.
 */
export function decodeIpTunnel(
  state: DecodeState,
  protocol: number,
  at: number,
  end: number,
  lengthEnd: number,
): number {
  const outerLengthEnd = state.lengthEnd;
  const { srcMacAt, dstMacAt } = state;
  state.lengthEnd = lengthEnd;
  const status = decodeByProtocol(state, protocol, at, end);
  state.lengthEnd = outerLengthEnd;
  state.srcMacAt = srcMacAt;
  state.dstMacAt = dstMacAt;
  return status;
}

function decodeByProtocol(state: DecodeState, protocol: number, at: number, end: number): number {
  switch (protocol) {
    case PROTOCOL_IPV4:
      return decodeInside(state, TUNNEL_IP_IN_IP << 24, ETHERTYPE_IPV4, at, end);
    case PROTOCOL_IPV6:
      return decodeInside(state, TUNNEL_IP_IN_IP << 24, ETHERTYPE_IPV6, at, end);
    case PROTOCOL_GRE:
      return decodeGre(state, at, end);
    case PROTOCOL_UDP:
      return decodeUdpTunnel(state, at, end);
    default:
      return SKIP_NOT_IP;
  }
}

function decodeUdpTunnel(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  const udpBytes = view.getUint16(at + 4);
  if (udpBytes !== 0) {
    if (udpBytes < UDP_HEADER_BYTES || udpBytes > state.lengthEnd - at) return SKIP_NOT_IP;
    // decodeIpTunnel restores it. In a first fragment this is what bounds the inner packet.
    state.lengthEnd = at + udpBytes;
  }
  const payloadEnd = Math.min(state.lengthEnd, end);
  const payloadAt = at + UDP_HEADER_BYTES;
  switch (view.getUint16(at + 2)) {
    case PORT_GTP_U:
      return decodeGtpU(state, payloadAt, payloadEnd);
    case PORT_VXLAN:
    case PORT_VXLAN_LINUX:
      return decodeVxlan(state, payloadAt, payloadEnd);
    case PORT_GENEVE:
      return decodeGeneve(state, payloadAt, payloadEnd);
    case PORT_CAPWAP_DATA:
      return decodeCapwap(state, payloadAt, payloadEnd);
    case PORT_TZSP:
      return decodeTzsp(state, payloadAt, payloadEnd);
    default:
      return view.getUint16(at) === PORT_CAPWAP_DATA ? decodeCapwap(state, payloadAt, payloadEnd) : SKIP_NOT_IP;
  }
}

/**
 * Decodes the payload of a tunnel: `tunnel` is word KEY_TUNNEL of the key, `etherType` what the payload is. Leaves
 * the state as it was, so that the outer packet can be metered if this one does not decode.
 */
export function decodeInside(state: DecodeState, tunnel: number, etherType: number, at: number, end: number): number {
  if (state.depth >= MAX_NESTING) return SKIP_NOT_IP;
  const outerTunnel = state.tunnel;
  const outerVlan = state.vlan;
  state.tunnel = tunnel;
  state.depth++;
  const status = decodeEtherType(state, etherType, at, end);
  state.depth--;
  state.tunnel = outerTunnel;
  state.vlan = outerVlan;
  return status;
}
