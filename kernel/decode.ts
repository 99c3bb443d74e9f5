// Plain frames to columns, in one loop.
//
//   Ethernet [802.1Q tag] ──► IPv4 without options, no fragment ──► TCP | UDP, header captured whole
//                         └─► IPv6 without extension headers    ──► (and no port of a tunnel)
//
// That is nearly all of most traffic. Rows of any other frame get the status NOT_PLAIN and are left to the functions of
// the layers (src/packet/packet-decoder.ts), which alone say what a frame means: whatever is decoded here, they decode to
// the very same columns, and test/packet/plain-frame.test.ts holds the two together.
import {
  CAPTURED,
  DST_MACS,
  FRAMES,
  IP_ENDS,
  IP_SIZES,
  IPS,
  KEY_BYTES,
  KEY_DST,
  KEY_META,
  KEY_PORTS,
  KEY_TUNNEL,
  KEYS,
  LATER_FRAGMENT,
  LINK_TYPES,
  PAYLOADS,
  SRC_MACS,
  STATUS,
  TCP_FLAGS,
  TRANSPORTS,
} from './layout';

/** Status, between the two passes of a decode only, of rows that are not plain. Far above any index of SKIP_REASONS. */
export const NOT_PLAIN: u8 = 255;
const METERED: u8 = 0;

export const LINKTYPE_ETHERNET: i32 = 1;
export const ETHERTYPE_IPV4: i32 = 0x0800;
export const ETHERTYPE_IPV6: i32 = 0x86dd;
export const ETHERTYPE_VLAN: i32 = 0x8100;
export const PROTOCOL_TCP: u32 = 6;
export const PROTOCOL_UDP: u32 = 17;
export const PORT_GTP_U: u32 = 2152;
export const PORT_VXLAN: u32 = 4789;
export const PORT_VXLAN_LINUX: u32 = 8472;
export const PORT_GENEVE: u32 = 6081;
export const PORT_CAPWAP_DATA: u32 = 5247;
export const PORT_TZSP: u32 = 37008;

export const ETHERNET_HEADER_BYTES: i32 = 14;
export const ETHERNET_SRC: i32 = 6;
const VLAN_TAG_BYTES: i32 = 4;
const IPV4_HEADER_BYTES: i32 = 20;
const IPV6_HEADER_BYTES: i32 = 40;
const TCP_HEADER_BYTES: i32 = 20;
const UDP_HEADER_BYTES: i32 = 8;
/** Least bytes of a plain frame. */
const MIN_FRAME_BYTES: i32 = ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + UDP_HEADER_BYTES;
/** Version 4, header of five words. */
const IPV4_PLAIN_HEADER: u32 = 0x45;
/** More fragments, and the offset. */
const IPV4_FRAGMENT: i32 = 0x3fff;
const IPV4_VERSION_BITS: u32 = 4 << 8;
const IPV6_VERSION_BITS: u32 = 6 << 8;

function read16(at: usize): i32 {
  return bswap<u16>(load<u16>(at));
}

function read32(at: usize): u32 {
  return bswap<u32>(load<u32>(at));
}

function isTunnel(ports: u32): bool {
  const dst = ports & 0xffff;
  return (
    dst == PORT_GTP_U ||
    dst == PORT_VXLAN ||
    dst == PORT_VXLAN_LINUX ||
    dst == PORT_GENEVE ||
    dst == PORT_CAPWAP_DATA ||
    dst == PORT_TZSP ||
    ports >>> 16 == PORT_CAPWAP_DATA
  );
}

/**
 * Decodes those of `count` rows that have the status METERED and are plain, and gives the others of them NOT_PLAIN. Returns
 * how many those are. Places in columns count from `bytes`, where the batch's bytes begin.
 */
export function decode(count: i32, bytes: usize, snaplen: i32, followsTunnels: bool): i32 {
  let others = 0;
  for (let row: usize = 0; row < <usize>count; row++) {
    if (load<u8>(STATUS + row) != METERED) continue;
    // Until the end of this turn, so that whatever is not plain needs only `continue`.
    store<u8>(STATUS + row, NOT_PLAIN);
    others++;
    const word = row << 2;
    const frame = load<i32>(FRAMES + word);
    const frameEnd = frame + min<i32>(load<i32>(CAPTURED + word), snaplen);
    if (load<i32>(LINK_TYPES + word) != LINKTYPE_ETHERNET || frameEnd - frame < MIN_FRAME_BYTES) continue;

    let ip = frame + ETHERNET_HEADER_BYTES;
    let etherType = read16(bytes + frame + 12);
    let vlan: u32 = 0;
    if (etherType == ETHERTYPE_VLAN) {
      vlan = read16(bytes + ip) & 0xfff;
      etherType = read16(bytes + ip + 2);
      ip += VLAN_TAG_BYTES;
    }

    const key = KEYS + row * KEY_BYTES;
    const header = bytes + ip;
    let transport: i32;
    let size: i32;
    let protocol: u32;
    let version: u32;
    if (etherType == ETHERTYPE_IPV4) {
      transport = ip + IPV4_HEADER_BYTES;
      if (transport + UDP_HEADER_BYTES > frameEnd) continue;
      const first = read32(header);
      if (first >>> 24 != IPV4_PLAIN_HEADER || (read16(header + 6) & IPV4_FRAGMENT) != 0) continue;
      size = first & 0xffff;
      protocol = load<u8>(header, 9);
      version = IPV4_VERSION_BITS;
      v128.store(key, v128.splat<u32>(0));
      v128.store(key, v128.splat<u32>(0), KEY_DST);
      store<u32>(key, read32(header + 12));
      store<u32>(key, read32(header + 16), KEY_DST);
    } else if (etherType == ETHERTYPE_IPV6) {
      transport = ip + IPV6_HEADER_BYTES;
      if (transport + UDP_HEADER_BYTES > frameEnd || load<u8>(header) >> 4 != 6) continue;
      const second = read32(header + 4);
      // Payload length 0 gives a size without room for a transport header: not plain, as it must be.
      size = IPV6_HEADER_BYTES + (second >>> 16);
      protocol = (second >>> 8) & 0xff;
      version = IPV6_VERSION_BITS;
      for (let i: usize = 0; i < 32; i += 4) store<u32>(key + i, read32(header + 8 + i));
    } else {
      continue;
    }

    const end = min<i32>(ip + size, frameEnd);
    const ports = read32(bytes + transport);
    if (protocol == PROTOCOL_TCP) {
      if (end - transport < TCP_HEADER_BYTES) continue;
      const offsetAndFlags = read16(bytes + transport + 12);
      const headerBytes = max<i32>((offsetAndFlags >> 12) * 4, TCP_HEADER_BYTES);
      store<u8>(TCP_FLAGS + row, offsetAndFlags);
      store<i32>(PAYLOADS + word, min<i32>(transport + headerBytes, end));
    } else if (protocol == PROTOCOL_UDP) {
      if (end - transport < UDP_HEADER_BYTES || (followsTunnels && isTunnel(ports))) continue;
      store<u8>(TCP_FLAGS + row, 0);
      store<i32>(PAYLOADS + word, transport + UDP_HEADER_BYTES);
    } else {
      continue;
    }

    store<u32>(key, ports, KEY_PORTS);
    store<u32>(key, protocol | version | (vlan << 16), KEY_META);
    store<u32>(key, 0, KEY_TUNNEL);
    store<u8>(LATER_FRAGMENT + row, 0);
    store<i32>(SRC_MACS + word, frame + ETHERNET_SRC);
    store<i32>(DST_MACS + word, frame);
    store<i32>(IPS + word, ip);
    store<i32>(IP_SIZES + word, size);
    store<i32>(TRANSPORTS + word, transport);
    store<i32>(IP_ENDS + word, end);
    store<u8>(STATUS + row, METERED);
    others--;
  }
  return others;
}

/** Moves the places of `count` rows by so many bytes: the frames were copied. */
export function move(count: i32, by: i32): void {
  for (let word: usize = 0; word < (<usize>count) << 2; word += 4) {
    shift(FRAMES + word, by);
    shift(IPS + word, by);
    shift(TRANSPORTS + word, by);
    shift(PAYLOADS + word, by);
    shift(IP_ENDS + word, by);
    // Below 0: none.
    if (load<i32>(SRC_MACS + word) >= 0) shift(SRC_MACS + word, by);
    if (load<i32>(DST_MACS + word) >= 0) shift(DST_MACS + word, by);
  }
}

function shift(at: usize, by: i32): void {
  store<i32>(at, load<i32>(at) + by);
}
