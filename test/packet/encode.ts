// Test encoders: headers written from the specifications, so that tests build frames layer by layer:
//
//   ethernet({ etherType: 0x0800 }, ipv4({ protocol: 17 }, udp({ dstPort: 53 }, payload)))
//
// Every function takes the fields that matter (with sensible defaults) and the payload, and returns the bytes.
// Lengths are computed, and may be overridden to build contradictions. Checksums are left 0: nothing here reads them.

export type Bytes = Uint8Array;

export const EMPTY: Bytes = new Uint8Array(0);

/** 16-bit and other big-endian numbers, arrays of bytes and byte strings, one after the other. */
export function concat(...parts: Bytes[]): Bytes {
  return Uint8Array.from(Buffer.concat(parts));
}

/** Bytes from hexadecimal text; white space is ignored. */
export function hex(text: string): Bytes {
  return Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
}

export function u8(...values: number[]): Bytes {
  return Uint8Array.from(values);
}

export function u16(...values: number[]): Bytes {
  return Uint8Array.from(values.flatMap((value) => [(value >> 8) & 0xff, value & 0xff]));
}

export function u16le(...values: number[]): Bytes {
  return Uint8Array.from(values.flatMap((value) => [value & 0xff, (value >> 8) & 0xff]));
}

export function u24(value: number): Bytes {
  return u8((value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff);
}

export function u32(...values: number[]): Bytes {
  return concat(...values.map((value) => u16(value >>> 16, value & 0xffff)));
}

const MAC_SRC = hex('02 00 00 00 00 01');
const MAC_DST = hex('02 00 00 00 00 02');

// Link layers

export function ethernet(fields: { etherType: number }, payload: Bytes): Bytes {
  return concat(MAC_DST, MAC_SRC, u16(fields.etherType), payload);
}

/** Ethernet that carries an IP packet: the EtherType by its version. */
export function ethernetIp(packet: Bytes): Bytes {
  return ethernet({ etherType: etherTypeOf(packet) }, packet);
}

function etherTypeOf(packet: Bytes): number {
  return packet[0] >> 4 === 6 ? 0x86dd : 0x0800;
}

/** The four bytes after an EtherType 0x8100: tag control, then the EtherType that follows. */
export function vlanTag(fields: { id: number; priority?: number; etherType: number }, payload: Bytes): Bytes {
  return concat(u16(((fields.priority ?? 0) << 13) | fields.id, fields.etherType), payload);
}

export function llcSnap(fields: { etherType: number; oui?: number }, payload: Bytes): Bytes {
  return concat(hex('aa aa 03'), u24(fields.oui ?? 0), u16(fields.etherType), payload);
}

/** 802.3: a length in place of the EtherType. */
export function ieee8023(payload: Bytes, length = payload.length): Bytes {
  return ethernet({ etherType: length }, payload);
}

/** A label stack; the last one is marked as the bottom. */
export function mpls(labels: readonly number[], payload: Bytes): Bytes {
  const stack = labels.map((label, index) => (label << 12) | (index === labels.length - 1 ? 0x100 : 0) | 64);
  return concat(u32(...stack), payload);
}

export function pppoe(fields: { code?: number; length?: number }, payload: Bytes): Bytes {
  return concat(u8(0x11, fields.code ?? 0), u16(7, fields.length ?? payload.length), payload);
}

export function ppp(fields: { protocol: number; isCompressed?: boolean; hasAddress?: boolean }, payload: Bytes): Bytes {
  const protocol = fields.isCompressed ? u8(fields.protocol) : u16(fields.protocol);
  return concat(fields.hasAddress ? hex('ff 03') : EMPTY, protocol, payload);
}

export function ciscoHdlc(fields: { protocol: number; address?: number }, payload: Bytes): Bytes {
  return concat(u8(fields.address ?? 0x0f, 0), u16(fields.protocol), payload);
}

export function linuxCooked(fields: { protocol: number; device?: number }, payload: Bytes): Bytes {
  return concat(u16(0, fields.device ?? 1, 6), MAC_SRC, u16(0, fields.protocol), payload);
}

export function linuxCooked2(fields: { protocol: number; device?: number }, payload: Bytes): Bytes {
  return concat(u16(fields.protocol, 0), u32(3), u16(fields.device ?? 1), u8(0, 6), MAC_SRC, u16(0), payload);
}

export function nullLoopback(fields: { family: number; isLittle?: boolean }, payload: Bytes): Bytes {
  const family = u32(fields.family);
  return concat(fields.isLittle ? family.reverse() : family, payload);
}

/** With the flags field when `flags` is given, after a timestamp when `tsft`, after more present words when `words`. */
export function radiotap(fields: { flags?: number; tsft?: boolean; words?: number }, frame: Bytes): Bytes {
  const words = fields.words ?? 1;
  const present: Bytes[] = [];
  const first = (fields.tsft ? 1 : 0) | (fields.flags === undefined ? 0 : 2);
  for (let word = 0; word < words; word++) {
    const value = (word === 0 ? first : 0) | (word < words - 1 ? 0x80000000 : 0);
    present.push(u32(value >>> 0).reverse());
  }
  let body = concat(...present);
  if (fields.tsft) body = concat(body, new Uint8Array((4 + body.length) % 8 === 0 ? 0 : 4), new Uint8Array(8));
  if (fields.flags !== undefined) body = concat(body, u8(fields.flags));
  return concat(u8(0, 0), u16le(4 + body.length), body, frame);
}

export interface Ieee80211Fields {
  /** 2 is data. */
  type?: number;
  subtype?: number;
  /** Second byte of frame control: toDS 1, fromDS 2, protected 0x40, order 0x80. */
  flags?: number;
  fragmentNumber?: number;
  qosControl?: number;
  /** Pad the header to a multiple of this. */
  alignment?: number;
  /** Fields of two bytes in network order. */
  isSwapped?: boolean;
}

export function ieee80211(fields: Ieee80211Fields, payload: Bytes): Bytes {
  const field = fields.isSwapped ? u16 : u16le;
  const flags = fields.flags ?? 1;
  const subtype = fields.subtype ?? 0;
  const header = [field(((fields.type ?? 2) << 2) | (subtype << 4) | (flags << 8)), field(0)];
  header.push(MAC_DST, MAC_SRC, MAC_DST, field(0x120 | (fields.fragmentNumber ?? 0)));
  if ((flags & 3) === 3) header.push(MAC_SRC);
  if ((subtype & 8) !== 0) {
    header.push(field(fields.qosControl ?? 0));
    if ((flags & 0x80) !== 0) header.push(u32(0));
  }
  const bytes = concat(...header);
  const alignment = fields.alignment ?? 1;
  return concat(bytes, new Uint8Array(Math.ceil(bytes.length / alignment) * alignment - bytes.length), payload);
}

/** First subframe of an A-MSDU. */
export function amsduSubframe(payload: Bytes): Bytes {
  return concat(MAC_DST, MAC_SRC, u16(payload.length), payload);
}

// Network layer

/** Dotted IPv4 text to bytes. */
export function ipv4Address(text: string): Bytes {
  return Uint8Array.from(text.split('.').map(Number));
}

/** IPv6 text (one `::` at most, no dotted tail) to bytes. */
export function ipv6Address(text: string): Bytes {
  const [head, tail] = text.split('::').map((part) => (part === '' ? [] : part.split(':')));
  const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  return u16(...groups.map((group) => Number.parseInt(group, 16)));
}

export interface Ipv4Fields {
  protocol?: number;
  src?: string;
  dst?: string;
  id?: number;
  /** In bytes, a multiple of 8. */
  fragmentOffset?: number;
  hasMoreFragments?: boolean;
  options?: Bytes;
  totalLength?: number;
  version?: number;
  /** In words of 4 bytes. */
  headerWords?: number;
}

export function ipv4(fields: Ipv4Fields, payload: Bytes): Bytes {
  const options = fields.options ?? EMPTY;
  const headerBytes = 20 + options.length;
  return concat(
    u8(((fields.version ?? 4) << 4) | (fields.headerWords ?? headerBytes / 4), 0),
    u16(fields.totalLength ?? headerBytes + payload.length, fields.id ?? 1),
    u16((fields.hasMoreFragments ? 0x2000 : 0) | ((fields.fragmentOffset ?? 0) / 8)),
    u8(64, fields.protocol ?? 6, 0, 0),
    ipv4Address(fields.src ?? '10.0.0.1'),
    ipv4Address(fields.dst ?? '10.0.0.2'),
    options,
    payload,
  );
}

export interface Ipv6Fields {
  nextHeader?: number;
  src?: string;
  dst?: string;
  payloadLength?: number;
  version?: number;
}

export function ipv6(fields: Ipv6Fields, payload: Bytes): Bytes {
  return concat(
    u8((fields.version ?? 6) << 4, 0, 0, 0),
    u16(fields.payloadLength ?? payload.length),
    u8(fields.nextHeader ?? 6, 64),
    ipv6Address(fields.src ?? '2001:db8::1'),
    ipv6Address(fields.dst ?? '2001:db8::2'),
    payload,
  );
}

/** Hop-by-hop, routing, destination options and the like: `bytes` in all, a multiple of 8. */
export function extension(fields: { nextHeader: number; bytes?: number; length?: number }, payload: Bytes): Bytes {
  const bytes = fields.bytes ?? 8;
  return concat(u8(fields.nextHeader, fields.length ?? bytes / 8 - 1), new Uint8Array(bytes - 2), payload);
}

/** Authentication header with `bytes` in all, a multiple of 4. */
export function authentication(fields: { nextHeader: number; bytes?: number }, payload: Bytes): Bytes {
  const bytes = fields.bytes ?? 24;
  return concat(u8(fields.nextHeader, bytes / 4 - 2), new Uint8Array(bytes - 2), payload);
}

export interface FragmentFields {
  nextHeader?: number;
  /** In bytes, a multiple of 8. */
  offset?: number;
  hasMore?: boolean;
  id?: number;
}

export function ipv6Fragment(fields: FragmentFields, payload: Bytes): Bytes {
  const offsetAndMore = (fields.offset ?? 0) | (fields.hasMore ? 1 : 0);
  return concat(u8(fields.nextHeader ?? 17, 0), u16(offsetAndMore), u32(fields.id ?? 1), payload);
}

// Transport

export interface TcpFields {
  srcPort?: number;
  dstPort?: number;
  flags?: number;
  options?: Bytes;
  /** In words of 4 bytes. */
  offsetWords?: number;
}

export function tcp(fields: TcpFields = {}, payload: Bytes = EMPTY): Bytes {
  const options = fields.options ?? EMPTY;
  return concat(
    u16(fields.srcPort ?? 40000, fields.dstPort ?? 443),
    u32(1, 2),
    u8((fields.offsetWords ?? 5 + options.length / 4) << 4, fields.flags ?? 0x18),
    u16(1024, 0, 0),
    options,
    payload,
  );
}

export function udp(fields: { srcPort?: number; dstPort?: number; length?: number } = {}, payload = EMPTY): Bytes {
  return concat(u16(fields.srcPort ?? 40000, fields.dstPort ?? 53, fields.length ?? 8 + payload.length, 0), payload);
}

export function sctp(fields: { srcPort?: number; dstPort?: number } = {}, payload: Bytes = EMPTY): Bytes {
  return concat(u16(fields.srcPort ?? 40000, fields.dstPort ?? 36412), u32(1, 0), payload);
}

export function icmpEcho(payload: Bytes = EMPTY): Bytes {
  return concat(u8(8, 0), u16(0, 0x1234, 1), payload);
}

// Tunnels

export interface GreFields {
  type: number;
  version?: number;
  hasChecksum?: boolean;
  key?: number;
  sequence?: number;
  /** Version 1 only. */
  acknowledgement?: number;
  hasRouting?: boolean;
}

export function gre(fields: GreFields, payload: Bytes): Bytes {
  const flags =
    (fields.hasChecksum ? 0x8000 : 0) |
    (fields.hasRouting ? 0x4000 : 0) |
    (fields.key === undefined ? 0 : 0x2000) |
    (fields.sequence === undefined ? 0 : 0x1000) |
    (fields.acknowledgement === undefined ? 0 : 0x0080) |
    (fields.version ?? 0);
  const words: number[] = [];
  if (fields.hasChecksum || fields.hasRouting) words.push(0);
  if (fields.key !== undefined) words.push(fields.key);
  if (fields.sequence !== undefined) words.push(fields.sequence);
  if (fields.acknowledgement !== undefined) words.push(fields.acknowledgement);
  return concat(u16(flags, fields.type), u32(...words), payload);
}

export interface GtpUFields {
  messageType?: number;
  version?: number;
  sequence?: number;
  /** Extension headers: type and content of 4n - 2 bytes each. */
  extensions?: readonly { type: number; content: Bytes }[];
  length?: number;
}

export function gtpU(fields: GtpUFields, payload: Bytes): Bytes {
  const extensions = fields.extensions ?? [];
  const hasOptional = fields.sequence !== undefined || extensions.length > 0;
  const parts: Bytes[] = [];
  if (hasOptional) parts.push(u16(fields.sequence ?? 0), u8(0, extensions[0]?.type ?? 0));
  for (const [index, { content }] of extensions.entries()) {
    parts.push(u8((content.length + 2) / 4), content, u8(extensions[index + 1]?.type ?? 0));
  }
  const body = concat(...parts, payload);
  const flags =
    ((fields.version ?? 1) << 5) | 0x10 | (extensions.length > 0 ? 4 : 0) | (fields.sequence === undefined ? 0 : 2);
  return concat(u8(flags, fields.messageType ?? 255), u16(fields.length ?? body.length), u32(0x1234), body);
}

export function vxlan(fields: { vni: number; flags?: number; reserved?: number }, frame: Bytes): Bytes {
  return concat(u8(fields.flags ?? 0x08, 0, 0, 0), u24(fields.vni), u8(fields.reserved ?? 0), frame);
}

export function geneve(
  fields: { vni: number; type?: number; options?: Bytes; version?: number },
  payload: Bytes,
): Bytes {
  const options = fields.options ?? EMPTY;
  return concat(
    u8(((fields.version ?? 0) << 6) | (options.length / 4), 0),
    u16(fields.type ?? 0x6558),
    u24(fields.vni),
    u8(0),
    options,
    payload,
  );
}

export interface CapwapFields {
  /** 0 CAPWAP header, 1 DTLS. */
  preamble?: number;
  isNative?: boolean;
  binding?: number;
  isKeepAlive?: boolean;
  isFragment?: boolean;
  fragmentOffset?: number;
  /** Optional headers after the fixed 8 bytes, a multiple of 4. */
  optional?: Bytes;
  headerWords?: number;
}

export function capwap(fields: CapwapFields, payload: Bytes): Bytes {
  const optional = fields.optional ?? EMPTY;
  const word =
    ((fields.preamble ?? 0) << 24) |
    ((fields.headerWords ?? 2 + optional.length / 4) << 19) |
    ((fields.binding ?? 1) << 9) |
    (fields.isNative ? 0x100 : 0) |
    (fields.isFragment ? 0x80 : 0) |
    (fields.isKeepAlive ? 0x08 : 0);
  return concat(u32(word >>> 0), u16(1, (fields.fragmentOffset ?? 0) << 3), optional, payload);
}

export function tzsp(
  fields: { type?: number; encapsulated?: number; tags?: Bytes; version?: number },
  frame: Bytes,
): Bytes {
  const head = concat(u8(fields.version ?? 1, fields.type ?? 0), u16(fields.encapsulated ?? 1));
  return concat(head, fields.tags ?? u8(1), frame);
}

// Files

/** A little-endian microsecond pcap file of frames of one link type, cut or not. */
export function encodePcap(linkType: number, frames: readonly { bytes: Bytes; wireLength?: number }[]): Bytes {
  const parts = [hex('d4c3b2a1 0200 0400 00000000 00000000 ffff0000'), u32(linkType).reverse()];
  for (const [index, { bytes, wireLength }] of frames.entries()) {
    for (const value of [1_600_000_000, index, bytes.length, wireLength ?? bytes.length])
      parts.push(u32(value).reverse());
    parts.push(bytes);
  }
  return concat(...parts);
}
