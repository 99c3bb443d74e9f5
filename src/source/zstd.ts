// Zstandard frames (RFC 8878) to capture bytes: frames one after the other, skippable frames.
//
//   28 b5 2f fd | descriptor | window? | dictionary id? | content size? | block ... | checksum 4?
//                             block header, 3 bytes little-endian: size 21 bits, type 2 bits, last 1 bit
//
// Frames and blocks are walked here and decoded a block at a time, by Node's own zstd where it has one (22.15, 23.8)
// and else by fzstd. So every whole block before damage is delivered; memory is bounded by the frame's window (128 MiB).
import * as zlib from 'node:zlib';
import type { Decompress } from 'fzstd';
import type { CompressedInput } from './compressed-input.ts';
import { cutFault, type DecodedChunks, DecodeFault } from './decoder.ts';
import { SKIPPABLE_MAGIC, skipFrame } from './lz4.ts';
import { ZlibPump, type ZlibStream } from './zlib-pump.ts';

export const ZSTD_MAGIC = 0xfd2fb528;

const BLOCK_HEADER_BYTES = 3;
const BLOCK_RLE = 1;
const BLOCK_RESERVED = 3;
/** fzstd decides on a frame's header only when it has seen this many bytes. */
const FZSTD_HEADER_BYTES = 18;
/** fzstd gets references further back wrong. */
const FZSTD_WINDOW_BYTES = 2 ** 25;
/** The window descriptor of exactly that. */
const FZSTD_WINDOW_DESCRIPTOR = 15 << 3;
/** zstd's own limit where no larger one is asked for. */
const MAX_WINDOW_BYTES = 2 ** 27;

interface Frame {
  headerBytes: number;
  windowBytes: number;
  /** Whether the header has a window descriptor; else the window is the whole content. */
  hasWindow: boolean;
  hasChecksum: boolean;
}

/** Decodes one frame, given its header, then block after block, then its checksum if it has one. */
interface FrameDecoder {
  /** Chunks that came out; throws what it has to complain about. `isLast` marks the last write of the frame. */
  write(bytes: Uint8Array, isLast: boolean): Promise<Uint8Array[]>;
  close(): void;
}

/** Missing before Node 22.15. */
const createZstdDecompress = (zlib as { createZstdDecompress?: () => ZlibStream }).createZstdDecompress;

/** Decodes every frame, with Node's decoder or (`useFallback`) with fzstd. */
export async function* decodeZstd(
  input: CompressedInput,
  useFallback: boolean = createZstdDecompress === undefined,
): DecodedChunks {
  for (let isFirst = true; ; isFirst = false) {
    const magic = await input.peek(4);
    if (magic.length === 0 && !isFirst) return;
    if (magic.length < 4) throw cutFault();
    const value = new DataView(magic.buffer, magic.byteOffset).getUint32(0, true);
    if (value === ZSTD_MAGIC) yield* decodeFrame(input, useFallback);
    else if ((value & 0xfffffff0) === SKIPPABLE_MAGIC) await skipFrame(input);
    else throw new DecodeFault('is followed by something that is no zstd frame');
  }
}

async function* decodeFrame(input: CompressedInput, useFallback: boolean): DecodedChunks {
  const frame = await readFrameHeader(input);
  if (frame.windowBytes > MAX_WINDOW_BYTES) {
    throw new DecodeFault(`needs a window of ${frame.windowBytes} bytes, more than ${MAX_WINDOW_BYTES}`, {
      isDamage: false,
    });
  }
  const decoder = useFallback ? await FallbackFrame.create(frame) : new NodeFrame();
  try {
    const header = await input.take(frame.headerBytes);
    yield* await decoder.write(header as Uint8Array, false);
    for (let isLastBlock = false; !isLastBlock; ) {
      const word = await input.peek(BLOCK_HEADER_BYTES);
      if (word.length < BLOCK_HEADER_BYTES) throw cutFault();
      const value = word[0] | (word[1] << 8) | (word[2] << 16);
      isLastBlock = (value & 1) === 1;
      const type = (value >> 1) & 3;
      if (type === BLOCK_RESERVED) throw new DecodeFault('has a block of unknown type');
      const block = await input.take(BLOCK_HEADER_BYTES + (type === BLOCK_RLE ? 1 : value >> 3));
      if (block === null) throw cutFault();
      yield* await decoder.write(block, isLastBlock && !frame.hasChecksum);
    }
    if (!frame.hasChecksum) return;
    const checksum = await input.take(4);
    if (checksum === null) throw cutFault();
    yield* await decoder.write(checksum, true);
  } finally {
    decoder.close();
  }
}

async function readFrameHeader(input: CompressedInput): Promise<Frame> {
  const start = await input.peek(5);
  if (start.length < 5) throw cutFault();
  const descriptor = start[4];
  if (descriptor & 0x08) throw new DecodeFault('has a frame header that zstd does not know');
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const windowAt = 5;
  const dictionaryAt = windowAt + (isSingleSegment ? 0 : 1);
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3];
  const sizeAt = dictionaryAt + dictionaryBytes;
  const sizeBytes = [isSingleSegment ? 1 : 0, 2, 4, 8][descriptor >> 6];
  const headerBytes = sizeAt + sizeBytes;
  const header = await input.peek(headerBytes);
  if (header.length < headerBytes) throw cutFault();
  if (header.subarray(dictionaryAt, sizeAt).some((byte) => byte !== 0)) {
    throw new DecodeFault('needs a dictionary', { isDamage: false });
  }
  let windowBytes = 0;
  if (isSingleSegment) {
    for (let at = headerBytes - 1; at >= sizeAt; at--) windowBytes = windowBytes * 256 + header[at];
    if (sizeBytes === 2) windowBytes += 256;
  } else {
    const base = 2 ** (10 + (header[windowAt] >> 3));
    windowBytes = base + (base / 8) * (header[windowAt] & 7);
  }
  return { headerBytes, windowBytes, hasWindow: !isSingleSegment, hasChecksum: (descriptor & 0x04) !== 0 };
}

class NodeFrame implements FrameDecoder {
  private readonly pump = new ZlibPump((createZstdDecompress as () => ZlibStream)());

  async write(bytes: Uint8Array): Promise<Uint8Array[]> {
    const chunks = await this.pump.write(bytes);
    if (this.pump.failure) throw new DecodeFault('does not decode', { cause: this.pump.failure });
    return chunks;
  }

  close(): void {
    this.pump.close();
  }
}

type Hash64 = ReturnType<Awaited<ReturnType<typeof import('xxhash-wasm').default>>['create64']>;

/** fzstd, and the check of the frame's checksum, which fzstd leaves out. */
class FallbackFrame implements FrameDecoder {
  private readonly hash: Hash64 | null;
  private chunks: Uint8Array[] = [];
  private readonly decompress: Decompress;
  /** The frame's first bytes, until they are enough for fzstd to begin. */
  private first: Uint8Array | null = new Uint8Array(0);
  private readonly frame: Frame;
  private decoded = 0;

  private constructor(frame: Frame, library: typeof import('fzstd'), hash: Hash64 | null) {
    this.frame = frame;
    this.hash = hash;
    this.decompress = new library.Decompress((chunk) => {
      this.hash?.update(chunk);
      this.chunks.push(chunk);
    });
  }

  /** Loads what it takes: most captures, and newer Nodes, need none of it. */
  static async create(frame: Frame): Promise<FallbackFrame> {
    const library = await import('fzstd');
    if (!frame.hasChecksum) return new FallbackFrame(frame, library, null);
    const { default: xxhash } = await import('xxhash-wasm');
    return new FallbackFrame(frame, library, (await xxhash()).create64());
  }

  async write(bytes: Uint8Array, isLast: boolean): Promise<Uint8Array[]> {
    // fzstd keeps parts of what it is given.
    let piece: Uint8Array = bytes.slice();
    if (this.first !== null) {
      piece = Buffer.concat([this.first, bytes]);
      // Its buffer has the size of the window: no more of that than is used.
      if (this.frame.hasWindow && this.frame.windowBytes > FZSTD_WINDOW_BYTES) piece[5] = FZSTD_WINDOW_DESCRIPTOR;
      const isEnough = piece.length >= FZSTD_HEADER_BYTES || isLast;
      this.first = isEnough ? null : piece;
      if (!isEnough) return [];
    }
    try {
      this.decompress.push(piece, isLast);
    } catch (cause) {
      throw new DecodeFault('does not decode', { cause });
    }
    if (isLast && this.hash !== null && Number(this.hash.digest() & 0xffffffffn) !== checksumAtEndOf(bytes)) {
      throw new DecodeFault('does not match its checksum');
    }
    const chunks = this.chunks;
    this.chunks = [];
    for (const chunk of chunks) this.decoded += chunk.length;
    // A large window does no harm while no reference can reach back too far.
    if (this.frame.windowBytes > FZSTD_WINDOW_BYTES && this.decoded > FZSTD_WINDOW_BYTES) {
      const problem = `uses a window of ${this.frame.windowBytes} bytes, which takes Node.js 22.15 or later`;
      throw new DecodeFault(problem, { isDamage: false });
    }
    return chunks;
  }

  close(): void {}
}

function checksumAtEndOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset + bytes.length - 4, 4).getUint32(0, true);
}
