// Test support: ClientHellos and what carries them, from RFC 8446, RFC 6347 and RFC 9293, for the metrics that read them.
import { type Bytes, concat, EMPTY, encodePcap, hex, ipv4, u8, u16, u24, u32, udp } from '../packet/encode.ts';

export interface HelloFields {
  legacyVersion?: number;
  cipherSuites?: readonly number[];
  /** In order; data by `extensionData` where it has the type. */
  extensions?: readonly number[];
  extensionData?: Readonly<Record<number, Bytes>>;
  sessionId?: Bytes;
  /** DTLS: also makes the header DTLS's. */
  cookie?: Bytes;
}

/** The body of the message. */
export function clientHelloBody(fields: HelloFields): Bytes {
  const { legacyVersion = 0x0303, cipherSuites = [], sessionId = EMPTY, extensions, cookie } = fields;
  const suites = u16(...cipherSuites);
  const list = (extensions ?? []).map((type) => {
    const data = fields.extensionData?.[type] ?? EMPTY;
    return concat(u16(type, data.length), data);
  });
  const block = concat(...list);
  return concat(
    u16(legacyVersion),
    new Uint8Array(32).fill(7),
    u8(sessionId.length),
    sessionId,
    cookie === undefined ? EMPTY : concat(u8(cookie.length), cookie),
    u16(suites.length),
    suites,
    hex('0100'),
    extensions === undefined ? EMPTY : concat(u16(block.length), block),
  );
}

export const serverName = (name: string): Bytes => {
  const bytes = Buffer.from(name);
  return concat(u16(bytes.length + 3), u8(0), u16(bytes.length), bytes);
};

export const alpn = (...names: (string | Bytes)[]): Bytes => {
  const list = concat(
    ...names.map((name) => {
      const bytes = Buffer.from(name);
      return concat(u8(bytes.length), bytes);
    }),
  );
  return concat(u16(list.length), list);
};

export const algorithms = (...values: number[]): Bytes => concat(u16(values.length * 2), u16(...values));
export const versions = (...values: number[]): Bytes => concat(u8(values.length * 2), u16(...values));

export const handshake = (body: Bytes): Bytes => concat(u8(1), u24(body.length), body);

/** The message in records of at most `size` bytes each. */
export function tlsRecords(message: Bytes, size = message.length): Bytes {
  const records: Bytes[] = [];
  for (let at = 0; at < message.length; at += size) {
    const part = message.subarray(at, at + size);
    records.push(concat(hex('160301'), u16(part.length), part));
  }
  return concat(...records);
}

/** A DTLS record with bytes [from, to) of the message's body. */
export function dtlsRecord(body: Bytes, messageSeq = 0, from = 0, to = body.length): Bytes {
  const part = body.subarray(from, to);
  const fragment = concat(u8(1), u24(body.length), u16(messageSeq), u24(from), u24(part.length), part);
  return concat(hex('16fefd 0000 000000000000'), u16(fragment.length), fragment);
}

export interface Segment {
  seq: number;
  data?: Bytes;
  flags?: number;
  isReverse?: boolean;
}

/** A TCP segment as a raw IP packet. */
export function segment({ seq, data = EMPTY, flags = 0x18, isReverse = false }: Segment): Bytes {
  const [src, dst] = ['10.0.0.1', '10.0.0.2'];
  const ports = isReverse ? u16(443, 40000) : u16(40000, 443);
  const header = concat(ports, u32(seq >>> 0, 0), u8(0x50, flags), u16(1024, 0, 0));
  return ipv4(isReverse ? { src: dst, dst: src } : { src, dst }, concat(header, data));
}

export const datagram = (data: Bytes, srcPort = 40000, dstPort = 443): Bytes =>
  ipv4({ protocol: 17 }, udp({ srcPort, dstPort }, data));

/** A capture of raw IP packets. */
export const capture = (packets: readonly Bytes[]): Bytes =>
  encodePcap(
    101,
    packets.map((bytes) => ({ bytes })),
  );
