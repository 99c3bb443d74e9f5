// IPv4: the row's addresses, protocol and lengths, then transport or tunnel.
//
//    0                   1                   2                   3
//   | ver 4 |  IHL  |      TOS      |         total length          |
//   |        identification         | |D|M|     fragment offset     |
//   |      TTL      |   protocol    |        header checksum        |
//   |                        source address                         |
//   |                      destination address                      |
//   |                     options (IHL - 5 words)                   |
//
// Specification: RFC 791 section 3.1. Total length 0 is written by senders that leave segmentation to the network
// card: the packet then reaches to the end of what encloses it. A total length beyond the frame is believed (frames are
// cut in more ways than captures tell), beyond an enclosing tunnel packet it is not. The checksum is not verified
// (offloading again). The authentication header (51) is a protocol of its own over IPv4, as in NFStream; over IPv6 it
// is an extension header.
import type { DecodeState } from './decode-state.ts';
import { isSettled, NO_LENGTH_END } from './decode-state.ts';
import { joinFirstFragment, rememberFirstFragment, writeLaterFragment } from './fragment.ts';
import { decodeIpTunnel, mayBeTunnel } from './ip-tunnel.ts';
import {
  KEY_DST,
  KEY_META,
  KEY_TUNNEL,
  KEY_WORDS,
  METERED,
  SKIP_MALFORMED_IP,
  SKIP_SHORT_HEADER,
} from './packet-columns.ts';
import { writeTransport } from './transport.ts';

export const IPV4_MIN_HEADER_BYTES = 20;
const VERSION_BITS = 4 << 8;
const FRAGMENT_OFFSET = 0x1fff;
const FRAGMENT_OFFSET_OR_MORE = 0x3fff;

export function decodeIpv4(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < IPV4_MIN_HEADER_BYTES) return SKIP_SHORT_HEADER;
  const versionAndLength = view.getUint8(at);
  const headerBytes = (versionAndLength & 0x0f) * 4;
  // DIFFERS: NFStream reads a transport header inside an IPv4 header that is too short (kind not_ip).
  if (versionAndLength >> 4 !== 4 || headerBytes < IPV4_MIN_HEADER_BYTES) return SKIP_MALFORMED_IP;
  let size = view.getUint16(at + 2);
  // DIFFERS: NFStream drops these (kind total_length_0).
  if (size === 0) size = (state.lengthEnd === NO_LENGTH_END ? end : state.lengthEnd) - at;
  if (size < headerBytes || (state.depth > 0 && size > state.lengthEnd - at)) return SKIP_MALFORMED_IP;
  if (end - at < headerBytes) return SKIP_SHORT_HEADER;

  const lengthEnd = at + size;
  const ipEnd = Math.min(lengthEnd, end);
  const transportAt = at + headerBytes;
  const fragment = view.getUint16(at + 6) & FRAGMENT_OFFSET_OR_MORE;
  const protocol = view.getUint8(at + 9);

  if ((fragment & FRAGMENT_OFFSET) !== 0) {
    const status = joinFirstFragment(state, at, at);
    if (status === METERED) writeLaterFragment(state, at, size, transportAt, ipEnd);
    return status;
  }

  if (state.decodeTunnels && mayBeTunnel(state, protocol, transportAt, ipEnd)) {
    const innerLengthEnd = fragment === 0 ? lengthEnd : NO_LENGTH_END;
    const status = decodeIpTunnel(state, protocol, transportAt, ipEnd, innerLengthEnd);
    if (isSettled(status)) {
      if (fragment !== 0 && status === METERED) rememberFirstFragment(state, at, at);
      return status;
    }
  }

  const { columns, row } = state;
  const key = columns.key;
  const keyAt = row * KEY_WORDS;
  key[keyAt] = view.getInt32(at + 12);
  key[keyAt + 1] = 0;
  key[keyAt + 2] = 0;
  key[keyAt + 3] = 0;
  key[keyAt + KEY_DST] = view.getInt32(at + 16);
  key[keyAt + KEY_DST + 1] = 0;
  key[keyAt + KEY_DST + 2] = 0;
  key[keyAt + KEY_DST + 3] = 0;
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
  if (status === METERED && fragment !== 0) rememberFirstFragment(state, at, at);
  return status;
}
