// IPv6: the row's addresses, upper-layer protocol and lengths, then transport or tunnel.
//
//    0                   1                   2                   3
//   | ver 6 | traffic class |              flow label               |
//   |        payload length         |  next header  |   hop limit   |
//   |                     source address (16)                       |
//   |                  destination address (16)                     |
//   extension headers: | next header | length | ... |, one naming the next
//
// Specification: RFC 8200 sections 3 and 4; RFC 4302 (AH), 6275 (mobility), 7401 (HIP), 5533 (shim6). Payload length 0
// with anything but "no next header" is a jumbogram (RFC 2675) or a packet that the network card will segment: it
// reaches to the end of what encloses it. A length beyond the frame is believed, as with IPv4.
import type { DecodeState } from './decode-state.ts';
import { isSettled, NO_LENGTH_END } from './decode-state.ts';
import { joinFirstFragment, rememberFirstFragment, writeLaterFragment } from './fragment.ts';
import {
  PROTOCOL_AUTHENTICATION,
  PROTOCOL_DESTINATION_OPTIONS,
  PROTOCOL_FRAGMENT,
  PROTOCOL_HIP,
  PROTOCOL_HOP_BY_HOP,
  PROTOCOL_MOBILITY,
  PROTOCOL_NO_NEXT_HEADER,
  PROTOCOL_ROUTING,
  PROTOCOL_SHIM6,
} from './ip-protocol.ts';
import { decodeIpTunnel, mayBeTunnel } from './ip-tunnel.ts';
import { KEY_META, KEY_TUNNEL, KEY_WORDS, METERED, SKIP_MALFORMED_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';
import { writeTransport } from './transport.ts';

export const IPV6_HEADER_BYTES = 40;
const MIN_EXTENSION_BYTES = 8;
/** RFC 8200 has each header once, destination options twice; a chain beyond this is an attack. */
const MAX_EXTENSION_HEADERS = 16;
const VERSION_BITS = 6 << 8;
const FRAGMENT_OFFSET = 0xfff8;
const FRAGMENT_MORE = 0x0001;

export function decodeIpv6(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < IPV6_HEADER_BYTES) return SKIP_SHORT_HEADER;
  if (view.getUint8(at) >> 4 !== 6) return SKIP_MALFORMED_IP;
  const payloadBytes = view.getUint16(at + 4);
  let protocol = view.getUint8(at + 6);
  let size = IPV6_HEADER_BYTES + payloadBytes;
  if (payloadBytes === 0 && protocol !== PROTOCOL_NO_NEXT_HEADER) {
    size = (state.lengthEnd === NO_LENGTH_END ? end : state.lengthEnd) - at;
  }
  if (state.depth > 0 && size > state.lengthEnd - at) return SKIP_MALFORMED_IP;
  const lengthEnd = at + size;
  // DIFFERS: NFStream drops packets that were not captured whole (kind ipv6_cut).
  const ipEnd = Math.min(lengthEnd, end);

  let transportAt = at + IPV6_HEADER_BYTES;
  let fragmentAt = -1;
  for (let header = 0; isExtensionHeader(protocol); header++) {
    if (header === MAX_EXTENSION_HEADERS) return SKIP_MALFORMED_IP;
    if (lengthEnd - transportAt < MIN_EXTENSION_BYTES) return SKIP_MALFORMED_IP;
    if (ipEnd - transportAt < MIN_EXTENSION_BYTES) return SKIP_SHORT_HEADER;
    const lengthField = view.getUint8(transportAt + 1);
    let extensionBytes = (lengthField + 1) * 8;
    if (protocol === PROTOCOL_FRAGMENT) {
      extensionBytes = MIN_EXTENSION_BYTES;
      const offsetAndMore = view.getUint16(transportAt + 2);
      if ((offsetAndMore & FRAGMENT_OFFSET) !== 0) {
        const status = joinFirstFragment(state, at, transportAt);
        if (status === METERED) writeLaterFragment(state, at, size, transportAt + extensionBytes, ipEnd);
        return status;
      }
      // Offset 0 without more to come is a whole packet (RFC 6946).
      if ((offsetAndMore & FRAGMENT_MORE) !== 0) fragmentAt = transportAt;
    } else if (protocol === PROTOCOL_AUTHENTICATION) {
      extensionBytes = (lengthField + 2) * 4;
      if (extensionBytes < MIN_EXTENSION_BYTES) return SKIP_MALFORMED_IP;
    }
    if (lengthEnd - transportAt < extensionBytes) return SKIP_MALFORMED_IP;
    if (ipEnd - transportAt < extensionBytes) return SKIP_SHORT_HEADER;
    protocol = view.getUint8(transportAt);
    transportAt += extensionBytes;
  }

  if (state.decodeTunnels && mayBeTunnel(state, protocol, transportAt, ipEnd)) {
    const innerLengthEnd = fragmentAt < 0 ? lengthEnd : NO_LENGTH_END;
    const status = decodeIpTunnel(state, protocol, transportAt, ipEnd, innerLengthEnd);
    if (isSettled(status)) {
      if (fragmentAt >= 0 && status === METERED) rememberFirstFragment(state, at, fragmentAt);
      return status;
    }
  }

  const { columns, row } = state;
  const key = columns.key;
  const keyAt = row * KEY_WORDS;
  for (let word = 0; word < 8; word++) key[keyAt + word] = view.getInt32(at + 8 + word * 4);
  key[keyAt + KEY_META] = protocol | VERSION_BITS | (state.vlan << 16);
  key[keyAt + KEY_TUNNEL] = state.tunnel;
  columns.isLaterFragment[row] = 0;
  columns.srcMacAt[row] = state.srcMacAt;
  columns.dstMacAt[row] = state.dstMacAt;
  columns.ipAt[row] = at;
  columns.ipSize[row] = size;
  columns.transportAt[row] = transportAt;
  columns.ipEnd[row] = ipEnd;
  // Last: what depends on the protocol is hard to predict, and nothing above it should wait for that.
  const status = writeTransport(state, protocol, transportAt, ipEnd, lengthEnd);
  if (status === METERED && fragmentAt >= 0) rememberFirstFragment(state, at, fragmentAt);
  return status;
}

function isExtensionHeader(protocol: number): boolean {
  switch (protocol) {
    case PROTOCOL_HOP_BY_HOP:
    case PROTOCOL_ROUTING:
    case PROTOCOL_FRAGMENT:
    case PROTOCOL_AUTHENTICATION:
    case PROTOCOL_DESTINATION_OPTIONS:
    case PROTOCOL_MOBILITY:
    case PROTOCOL_HIP:
    case PROTOCOL_SHIM6:
      return true;
    default:
      return false;
  }
}
