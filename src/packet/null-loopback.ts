// BSD loopback frames (link types 0 and 108): a 4-byte address family, then the packet.
//
//   | address family (4) | IPv4 or IPv6 header ...
//
// Specification: https://www.tcpdump.org/linktypes.html. LINKTYPE_NULL is in the byte order of the machine that wrote
// it, LINKTYPE_LOOP in network order; families are small, so either order is recognised for both. AF_INET is 2
// everywhere, AF_INET6 differs by system.
import type { DecodeState } from './decode-state.ts';
import { decodeIpv4 } from './ipv4.ts';
import { decodeIpv6 } from './ipv6.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';

const HEADER_BYTES = 4;
const AF_INET = 2;
const AF_INET6_LINUX = 10;
const AF_INET6_WINDOWS = 23;
const AF_INET6_BSD = 24;
const AF_INET6_FREEBSD = 28;
const AF_INET6_DARWIN = 30;

export function decodeNullLoopback(state: DecodeState, at: number, end: number): number {
  if (end - at < HEADER_BYTES) return SKIP_SHORT_HEADER;
  let family = state.view.getUint32(at);
  if (family > 0xffff) family = state.view.getUint32(at, true);
  switch (family) {
    case AF_INET:
      return decodeIpv4(state, at + HEADER_BYTES, end);
    case AF_INET6_LINUX:
    case AF_INET6_WINDOWS:
    case AF_INET6_BSD:
    case AF_INET6_FREEBSD:
    case AF_INET6_DARWIN:
      return decodeIpv6(state, at + HEADER_BYTES, end);
    default:
      // DIFFERS: NFStream reads on by the first four bits, whatever the family (kind not_ip).
      return SKIP_NOT_IP;
  }
}
