// Test support: builds captures byte by byte, from the format documents and independently of the parsers.

export interface MadePacket {
  seconds: number;
  /** In the file's unit: microseconds or nanoseconds. */
  fraction: number;
  data: Uint8Array;
  wireLength?: number | undefined;
}

export interface PcapShape {
  magic?: number;
  isLittleEndian?: boolean;
  snaplen?: number;
  /** The whole 32-bit field. */
  linkType?: number;
  version?: [major: number, minor: number];
}

/** A growing byte buffer with a byte order. */
export class ByteWriter {
  private bytes = new Uint8Array(256);
  private view = new DataView(this.bytes.buffer);
  length = 0;
  isLittleEndian: boolean;

  constructor(isLittleEndian = true) {
    this.isLittleEndian = isLittleEndian;
  }

  private room(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const larger = new Uint8Array(this.length * 2);
      larger.set(this.bytes);
      this.bytes = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }

  u8(...values: number[]): this {
    for (const value of values) {
      const at = this.room(1);
      this.view.setUint8(at, value);
    }
    return this;
  }

  u16(...values: number[]): this {
    for (const value of values) {
      const at = this.room(2);
      this.view.setUint16(at, value, this.isLittleEndian);
    }
    return this;
  }

  u32(...values: number[]): this {
    for (const value of values) {
      const at = this.room(4);
      this.view.setUint32(at, value, this.isLittleEndian);
    }
    return this;
  }

  u64(value: bigint): this {
    const at = this.room(8);
    this.view.setBigUint64(at, BigInt.asUintN(64, value), this.isLittleEndian);
    return this;
  }

  raw(bytes: Uint8Array): this {
    const at = this.room(bytes.length);
    this.bytes.set(bytes, at);
    return this;
  }

  pad4(): this {
    while (this.length % 4 !== 0) this.u8(0);
    return this;
  }

  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }
}

export function makePcap(packets: readonly MadePacket[], shape: PcapShape = {}): Uint8Array {
  const magic = shape.magic ?? 0xa1b2c3d4;
  const [major, minor] = shape.version ?? [2, 4];
  const out = new ByteWriter(shape.isLittleEndian ?? true);
  out
    .u32(magic)
    .u16(major, minor)
    .u32(0, 0, shape.snaplen ?? 65535, shape.linkType ?? 1);
  for (const { seconds, fraction, data, wireLength } of packets) {
    out.u32(seconds, fraction, data.length, wireLength ?? data.length);
    if (magic === 0xa1b2cd34) out.u32(7).u16(0x0800).u8(1, 0);
    out.raw(data);
  }
  return out.take();
}

/** One pcapng block around a body, padded, with both lengths. */
export function makeBlock(type: number, body: Uint8Array, isLittleEndian = true): Uint8Array {
  const padded = new ByteWriter(isLittleEndian).raw(body).pad4().take();
  const length = padded.length + 12;
  return new ByteWriter(isLittleEndian).u32(type, length).raw(padded).u32(length).take();
}

export function sectionHeader(isLittleEndian = true, version: [number, number] = [1, 0]): Uint8Array {
  const body = new ByteWriter(isLittleEndian)
    .u32(0x1a2b3c4d)
    .u16(...version)
    .u64(-1n);
  return makeBlock(0x0a0d0d0a, body.take(), isLittleEndian);
}

export interface MadeInterface {
  linkType?: number;
  snaplen?: number;
  /** The option's byte. */
  resolution?: number;
  offsetSeconds?: bigint;
}

export function interfaceBlock(made: MadeInterface = {}, isLittleEndian = true): Uint8Array {
  const body = new ByteWriter(isLittleEndian).u16(made.linkType ?? 1, 0).u32(made.snaplen ?? 0);
  // An option to be skipped in front: if_name.
  body.u16(2, 3).raw(Buffer.from('eth')).pad4();
  if (made.resolution !== undefined) body.u16(9, 1).u8(made.resolution).pad4();
  if (made.offsetSeconds !== undefined) body.u16(14, 8).u64(made.offsetSeconds);
  body.u16(0, 0);
  return makeBlock(1, body.take(), isLittleEndian);
}

export interface MadeNgPacket {
  interfaceId?: number;
  units: bigint;
  data: Uint8Array;
  wireLength?: number | undefined;
  isLittleEndian?: boolean;
}

export function enhancedPacket({ interfaceId, units, data, wireLength, isLittleEndian }: MadeNgPacket): Uint8Array {
  const body = new ByteWriter(isLittleEndian ?? true)
    .u32(interfaceId ?? 0, Number(units >> 32n), Number(units & 0xffffffffn), data.length, wireLength ?? data.length)
    .raw(data)
    .pad4();
  // opt_comment, opt_endofopt
  body.u16(1, 5).raw(Buffer.from('hello')).pad4().u16(0, 0);
  return makeBlock(6, body.take(), isLittleEndian ?? true);
}

export function obsoletePacket({ interfaceId, units, data, wireLength, isLittleEndian }: MadeNgPacket): Uint8Array {
  const body = new ByteWriter(isLittleEndian ?? true)
    .u16(interfaceId ?? 0, 3)
    .u32(Number(units >> 32n), Number(units & 0xffffffffn), data.length, wireLength ?? data.length)
    .raw(data);
  return makeBlock(2, body.take(), isLittleEndian ?? true);
}

export function simplePacket(data: Uint8Array, wireLength = data.length, isLittleEndian = true): Uint8Array {
  return makeBlock(3, new ByteWriter(isLittleEndian).u32(wireLength).raw(data).take(), isLittleEndian);
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

/** Bytes that are the same for the same arguments and differ between packets. */
export function payload(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed * 2654435761;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Ethernet + IPv4 + UDP, good enough for other tools to read without complaint. */
export function udpFrame(length: number, seed = 1): Uint8Array {
  const out = new ByteWriter(false).raw(payload(12, seed)).u16(0x0800);
  out
    .u8(0x45, 0)
    .u16(length - 14, seed & 0xffff, 0x4000)
    .u8(64, 17)
    .u16(0);
  out.u32(0x0a000001, 0x0a000002).u16(1024 + (seed % 60000), 9, length - 34, 0);
  return out.raw(payload(length - 42, seed)).take();
}

/** `count` packets with lengths from 60 up, a few microseconds apart. */
export function somePackets(count: number, unitsPerSecond = 1e6): MadePacket[] {
  return Array.from({ length: count }, (_, i) => {
    const data = udpFrame(60 + ((i * 37) % 1400), i + 1);
    return {
      seconds: 1700000000 + Math.floor(i / 3),
      fraction: (i * 123457) % unitsPerSecond,
      data,
      wireLength: data.length + (i % 5),
    };
  });
}
