// Stored bytes to capture bytes: recognises gzip, zstd and lz4 by their magic numbers and decodes them; anything else
// passes as it is. The packet source reads from here and never knows the difference.
import { NfstreamError } from '../errors.ts';
import type { ByteFeeder, ByteOrigin } from './byte-feeder.ts';
import { CompressedInput } from './compressed-input.ts';
import { type Decode, type DecodedChunks, DecodeFault } from './decoder.ts';
import { decodeGzip } from './gzip.ts';
import { decodeLz4, LZ4_LEGACY_MAGIC, LZ4_MAGIC, SKIPPABLE_MAGIC, skipFrame } from './lz4.ts';
import { decodeZstd, ZSTD_MAGIC } from './zstd.ts';

interface Compression {
  name: string;
  /** The magic number, as many bytes as are decisive. */
  magic: number[];
  decode: Decode;
}

const COMPRESSIONS: readonly Compression[] = [
  { name: 'gzip', magic: [0x1f, 0x8b], decode: decodeGzip },
  { name: 'zstd', magic: littleEndian(ZSTD_MAGIC), decode: (input) => decodeZstd(input) },
  { name: 'lz4', magic: littleEndian(LZ4_MAGIC), decode: decodeLz4 },
  { name: 'lz4', magic: littleEndian(LZ4_LEGACY_MAGIC), decode: decodeLz4 },
];

function littleEndian(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}

/** The compression whose magic number `start` begins with, or is the beginning of. */
function compressionOf(start: Uint8Array): Compression | undefined {
  if (start.length === 0) return undefined;
  return COMPRESSIONS.find(({ magic }) => magic.every((byte, at) => at >= start.length || start[at] === byte));
}

function isSkippable(start: Uint8Array): boolean {
  return (
    start.length === 4 && littleEndian(SKIPPABLE_MAGIC).every((byte, i) => (i ? start[i] : start[0] & 0xf0) === byte)
  );
}

/** The capture bytes of `origin`, decompressed where they are compressed. Made by `openBytes`. */
export class DecompressedBytes implements ByteFeeder {
  private readonly origin: ByteOrigin;
  private readonly raw: ByteFeeder;
  private input: CompressedInput | null = null;
  private compression: Compression | undefined;
  private chunks: DecodedChunks | null = null;
  private rest: Uint8Array | null = null;
  private decoded = 0;
  private isRecognised = false;
  private isOver = false;
  private isClosed = false;

  constructor(origin: ByteOrigin, raw: ByteFeeder) {
    this.origin = origin;
    this.raw = raw;
    const resident = raw.resident;
    // Only memory whose first bytes may be compressed data needs to be looked at through the decoders.
    if (resident && compressionOf(resident.subarray(0, 4)) === undefined && !isSkippable(resident.subarray(0, 4))) {
      this.isRecognised = true;
      this.resident = resident;
    }
  }

  readonly resident?: Uint8Array;

  get position(): number {
    return this.chunks === null ? this.raw.position : (this.input as CompressedInput).at;
  }

  /** Whether the stored bytes are compressed; known after the first `readInto`. */
  get isCompressed(): boolean {
    return this.chunks !== null;
  }

  async readInto(target: Uint8Array, at: number, end: number): Promise<number> {
    if (this.isClosed) return 0;
    try {
      if (!this.isRecognised) await this.recognise();
      if (this.chunks === null) return await this.readPlain(target, at, end);
      while (this.rest === null || this.rest.length === 0) {
        if (this.isOver) return 0;
        const next = await this.chunks.next();
        if (next.done) this.isOver = true;
        else this.rest = next.value;
      }
    } catch (error) {
      this.isOver = true;
      if (this.isClosed) return 0;
      throw error instanceof DecodeFault ? this.damage(error) : error;
    }
    const rest = this.rest;
    const count = Math.min(rest.length, end - at);
    target.set(count === rest.length ? rest : rest.subarray(0, count), at);
    this.rest = rest.subarray(count);
    this.decoded += count;
    return count;
  }

  private async readPlain(target: Uint8Array, at: number, end: number): Promise<number> {
    const input = this.input;
    if (input !== null && input.buffered > 0) {
      const bytes = await input.some(end - at);
      target.set(bytes, at);
      return bytes.length;
    }
    this.input = null;
    return this.raw.readInto(target, at, end);
  }

  /** Looks at the first bytes, behind any skippable frames, which zstd and lz4 share. */
  private async recognise(): Promise<void> {
    const input = new CompressedInput(this.raw);
    this.input = input;
    let start = await input.peek(4);
    while (isSkippable(start)) {
      this.compression = COMPRESSIONS[1];
      await skipFrame(input);
      start = await input.peek(4);
    }
    this.compression = compressionOf(start) ?? this.compression;
    this.isRecognised = true;
    if (this.compression === undefined) return;
    const { origin } = this;
    this.chunks = this.compression.decode(input, origin.isSeekable ? (offset) => origin.open(offset) : null);
  }

  private damage(fault: DecodeFault): NfstreamError {
    const { name } = this.origin;
    const what = `${name}: the ${this.compression?.name} data ${fault.message}`;
    const where = `near byte ${this.input?.at} of the file, byte ${this.decoded} of the capture`;
    return new NfstreamError(fault.isDamage ? 'DAMAGED_COMPRESSION' : 'SOURCE_UNREADABLE', `${what} (${where})`, {
      file: name,
      offset: this.decoded,
      cause: fault,
    });
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    // Closing the raw bytes ends a pending read below the decoder; only then it can be told to stop.
    await this.raw.close();
    await this.chunks?.return().catch(() => {});
  }
}
