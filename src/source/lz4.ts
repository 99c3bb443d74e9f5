// LZ4 frames to capture bytes (github.com/lz4/lz4, doc/lz4_Frame_format.md): frames one after the other, skippable
// frames, linked and independent blocks, legacy frames.
//
//   04 22 4d 18 | FLG | BD | content size 8? | dictionary id 4? | HC | block ... | 00 00 00 00 | content checksum 4?
//                                                   block: size 4 (top bit: stored) | data | checksum 4?
//
// Frames and blocks are walked here, each block is decoded by lz4-napi with the 64 KiB before it as its dictionary.
// Memory is bounded by one block (4 MiB, legacy 8 MiB). Of a block that is cut off, the part that is there is decoded.
import type { CompressedInput } from './compressed-input.ts';
import { cutFault, type DecodedChunks, DecodeFault } from './decoder.ts';

export const LZ4_MAGIC = 0x184d2204;
export const LZ4_LEGACY_MAGIC = 0x184c2102;
/** The first of 16 magic numbers of frames that are skipped; zstd has the same. */
export const SKIPPABLE_MAGIC = 0x184d2a50;

const FLAG_INDEPENDENT = 0x20;
const FLAG_BLOCK_CHECKSUM = 0x10;
const FLAG_CONTENT_SIZE = 0x08;
const FLAG_CONTENT_CHECKSUM = 0x04;
const FLAG_RESERVED = 0x02;
const FLAG_DICTIONARY = 0x01;
const STORED = 0x80000000;
const HISTORY_BYTES = 1 << 16;
const LEGACY_BLOCK_BYTES = 1 << 23;

const NO_HISTORY = new Uint8Array(0);

type Lz4Library = typeof import('lz4-napi');

async function loadLibrary(): Promise<Lz4Library> {
  try {
    return await import('lz4-napi');
  } catch (cause) {
    throw new DecodeFault('needs the package lz4-napi, which does not load here', { cause, isDamage: false });
  }
}

function uint32(bytes: Uint8Array, at = 0): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** Decodes every frame. */
export async function* decodeLz4(input: CompressedInput): DecodedChunks {
  const decoder = new BlockDecoder(await loadLibrary());
  const { default: xxhash } = await import('xxhash-wasm');
  const hashes = await xxhash();
  for (let isFirst = true; ; isFirst = false) {
    const magic = await input.peek(4);
    if (magic.length === 0 && !isFirst) return;
    if (magic.length < 4) throw cutFault();
    const value = uint32(magic);
    if (value === LZ4_MAGIC) {
      yield* decodeFrame(input, decoder, hashes);
    } else if (value === LZ4_LEGACY_MAGIC) {
      await input.skip(4);
      yield* decodeLegacyFrame(input, decoder);
    } else if ((value & 0xfffffff0) === SKIPPABLE_MAGIC) {
      await skipFrame(input);
    } else {
      throw new DecodeFault('is followed by something that is no lz4 frame');
    }
  }
}

/** Skips a skippable frame, of lz4 or zstd. */
export async function skipFrame(input: CompressedInput): Promise<void> {
  const header = await input.take(8);
  if (header === null || !(await input.skip(uint32(header, 4)))) throw cutFault();
}

async function* decodeFrame(
  input: CompressedInput,
  decoder: BlockDecoder,
  hashes: Awaited<ReturnType<typeof import('xxhash-wasm').default>>,
): DecodedChunks {
  const flags = (await input.peek(5))[4];
  const headerBytes = 7 + (flags & FLAG_CONTENT_SIZE ? 8 : 0) + (flags & FLAG_DICTIONARY ? 4 : 0);
  const header = await input.take(headerBytes);
  if (header === null) throw cutFault();
  const sizeClass = (header[5] >> 4) & 7;
  if (flags >> 6 !== 1 || flags & FLAG_RESERVED || header[5] & 0x8f || sizeClass < 4) {
    throw new DecodeFault('has a frame header that lz4 does not know');
  }
  if (((hashes.h32Raw(header.subarray(4, headerBytes - 1)) >>> 8) & 0xff) !== header[headerBytes - 1]) {
    throw new DecodeFault('has a frame header that does not match its checksum');
  }
  if (flags & FLAG_DICTIONARY) throw new DecodeFault('needs a dictionary', { isDamage: false });

  const blockBytes = 1 << (8 + 2 * sizeClass);
  const contentHash = flags & FLAG_CONTENT_CHECKSUM ? hashes.create32() : null;
  decoder.forget();
  for (;;) {
    const size = await input.take(4);
    if (size === null) throw cutFault();
    const word = uint32(size);
    if (word === 0) break;
    const length = word & ~STORED;
    if (length > blockBytes) throw new DecodeFault('has a block larger than its frame allows');
    const isStored = word >= STORED;
    const checksumBytes = flags & FLAG_BLOCK_CHECKSUM ? 4 : 0;
    const block = await input.peek(length + checksumBytes);
    if (block.length < length + checksumBytes) {
      const part = decoder.decodeCut(block.subarray(0, Math.min(length, block.length)), blockBytes, isStored);
      if (part.length > 0) yield part;
      throw cutFault();
    }
    const data = block.subarray(0, length);
    if (checksumBytes && hashes.h32Raw(data) >>> 0 !== uint32(block, length)) {
      throw new DecodeFault('has a block that does not match its checksum');
    }
    const decoded = isStored ? data : decoder.decode(data, blockBytes);
    contentHash?.update(decoded);
    if (flags & FLAG_INDEPENDENT) decoder.forget();
    else decoder.remember(decoded);
    yield decoded;
    await input.take(length + checksumBytes);
  }
  if (contentHash === null) return;
  const checksum = await input.take(4);
  if (checksum === null) throw cutFault();
  if (contentHash.digest() >>> 0 !== uint32(checksum)) throw new DecodeFault('does not match its checksum');
}

/** Blocks without end mark: the frame ends with the input or with what can only be the next frame's magic number. */
async function* decodeLegacyFrame(input: CompressedInput, decoder: BlockDecoder): DecodedChunks {
  const longest = LEGACY_BLOCK_BYTES + Math.ceil(LEGACY_BLOCK_BYTES / 255) + 16;
  decoder.forget();
  for (;;) {
    const size = await input.peek(4);
    if (size.length === 0) return;
    if (size.length < 4) throw cutFault();
    const length = uint32(size);
    if (length > longest) return;
    const block = await input.peek(4 + length);
    if (block.length < 4 + length) {
      const part = decoder.decodeCut(block.subarray(4), LEGACY_BLOCK_BYTES, false);
      if (part.length > 0) yield part;
      throw cutFault();
    }
    yield decoder.decode(block.subarray(4), LEGACY_BLOCK_BYTES);
    await input.take(4 + length);
  }
}

class BlockDecoder {
  private readonly library: Lz4Library;
  private history: Uint8Array = NO_HISTORY;

  constructor(library: Lz4Library) {
    this.library = library;
  }

  /** Decodes a block of at most `mostBytes` decoded bytes. */
  decode(block: Uint8Array, mostBytes: number): Uint8Array {
    // The library wants the decoded size, or more, in front.
    const framed = new Uint8Array(4 + block.length);
    new DataView(framed.buffer).setUint32(0, mostBytes, true);
    framed.set(block, 4);
    try {
      return this.library.uncompressSync(framed, this.history.length > 0 ? this.history : null);
    } catch (cause) {
      throw new DecodeFault('has a block that does not decode', { cause });
    }
  }

  /** Decodes as much as there is of a block that the input's end cut off. */
  decodeCut(part: Uint8Array, mostBytes: number, isStored: boolean): Uint8Array {
    if (isStored) return part;
    const whole = lengthOfWholeSequences(part);
    if (whole === 0) return NO_HISTORY;
    // A block ends with a sequence of literals alone; one without literals makes the rest a block.
    const block = new Uint8Array(whole + 1);
    block.set(part.subarray(0, whole));
    return this.decode(block, mostBytes);
  }

  /** Keeps the last 64 KiB, which the next block may refer to. */
  remember(decoded: Uint8Array): void {
    if (decoded.length >= HISTORY_BYTES) {
      this.history = decoded.slice(decoded.length - HISTORY_BYTES);
      return;
    }
    const kept = this.history.subarray(Math.max(0, this.history.length + decoded.length - HISTORY_BYTES));
    const history = new Uint8Array(kept.length + decoded.length);
    history.set(kept);
    history.set(decoded, kept.length);
    this.history = history;
  }

  forget(): void {
    this.history = NO_HISTORY;
  }
}

/** Where the last whole sequence (token, literals, match) of the cut block `part` ends. */
function lengthOfWholeSequences(part: Uint8Array): number {
  let whole = 0;
  for (let at = 0; at < part.length; ) {
    const token = part[at++];
    let literals = token >> 4;
    if (literals === 15) {
      let more = 255;
      while (more === 255 && at < part.length) {
        more = part[at++];
        literals += more;
      }
    }
    at += literals + 2;
    if ((token & 15) === 15) {
      while (at < part.length && part[at] === 255) at++;
      at++;
    }
    if (at > part.length) break;
    whole = at;
  }
  return whole;
}
