// Bytes that the caller holds in memory already. The packet source uses them in place (`resident`); only a
// decompressor copies them out in pieces.
import type { ByteFeeder, ByteOrigin } from './byte-feeder.ts';

class MemoryFeeder implements ByteFeeder {
  position: number;
  readonly resident: Uint8Array;

  constructor(bytes: Uint8Array, offset: number) {
    this.resident = bytes;
    this.position = offset;
  }

  async readInto(target: Uint8Array, at: number, end: number): Promise<number> {
    const count = Math.min(end - at, this.resident.length - this.position);
    target.set(this.resident.subarray(this.position, this.position + count), at);
    this.position += count;
    return count;
  }

  async close(): Promise<void> {}
}

/** A capture in memory. The bytes are not copied: they must not change while they are read. */
export class MemoryOrigin implements ByteOrigin {
  readonly name = '<bytes>';
  readonly size: number;
  readonly isSeekable = true;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.size = bytes.length;
  }

  async probe(): Promise<void> {}

  async open(offset = 0): Promise<ByteFeeder> {
    return new MemoryFeeder(this.bytes, offset);
  }
}
