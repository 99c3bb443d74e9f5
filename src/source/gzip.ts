// gzip (RFC 1952) to capture bytes: any number of members, one after the other, as one stream.
//
//   +---+---+---+---+---+---+---+---+---+---+ - - - - - - - - - - - - - - +=========+---+---+---+---+---+---+---+---+
//   |1f |8b |08 |FLG|     MTIME     |XFL|OS | EXTRA, NAME, COMMENT, CRC16 | deflate |     CRC32     |     ISIZE     |
//   +---+---+---+---+---+---+---+---+---+---+ - - - - - - - - - - - - - - +=========+---+---+---+---+---+---+---+---+
//
// Members are split here and node:zlib inflates each: its own gunzip drops decoded data when something else than a
// member follows. Like gzip(1), bytes after the last member that don't start another one are ignored.
import { crc32, createInflateRaw } from 'node:zlib';
import { CompressedInput } from './compressed-input.ts';
import { cutFault, type DecodedChunks, DecodeFault, type Reopen } from './decoder.ts';
import { ZlibPump } from './zlib-pump.ts';

const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
const METHOD_DEFLATE = 8;
const FLAG_HEADER_CRC = 0x02;
const FLAG_EXTRA = 0x04;
const FLAG_NAME = 0x08;
const FLAG_COMMENT = 0x10;
const FLAGS_RESERVED = 0xe0;

/** Compressed bytes inflated at once: at deflate's best ratio (1032) they make 33 MB. */
const PIECE_BYTES = 1 << 15;
const CHUNK_BYTES = 1 << 16;
/** Bytes written at once where damage is near; the last one decides how close to it we get. */
const RESCUE_STEPS = [256, 1] as const;

/** Decodes every member. `reopen` serves to get out all that can be had of a damaged one. */
export async function* decodeGzip(input: CompressedInput, reopen: Reopen): DecodedChunks {
  for (let isFirst = true; ; isFirst = false) {
    const magic = await input.peek(2);
    if (magic[0] !== 0x1f || magic[1] !== 0x8b) {
      if (isFirst) throw cutFault();
      return;
    }
    await skipMemberHeader(input);
    const sum = { crc: 0, bytes: 0 };
    yield* inflateMember(input, reopen, sum);
    const trailer = await input.take(TRAILER_BYTES);
    if (trailer === null) throw cutFault();
    const view = new DataView(trailer.buffer, trailer.byteOffset, TRAILER_BYTES);
    if (view.getUint32(0, true) !== sum.crc || view.getUint32(4, true) !== sum.bytes % 2 ** 32) {
      throw new DecodeFault('does not match its checksum');
    }
  }
}

async function skipMemberHeader(input: CompressedInput): Promise<void> {
  const header = await input.take(HEADER_BYTES);
  if (header === null) throw cutFault();
  const flags = header[3];
  if (header[2] !== METHOD_DEFLATE || (flags & FLAGS_RESERVED) !== 0) {
    throw new DecodeFault('has a member header that gzip does not know');
  }
  if (flags & FLAG_EXTRA) {
    const length = await input.take(2);
    if (length === null || !(await input.skip(length[0] | (length[1] << 8)))) throw cutFault();
  }
  if (flags & FLAG_NAME) await skipText(input);
  if (flags & FLAG_COMMENT) await skipText(input);
  if (flags & FLAG_HEADER_CRC && !(await input.skip(2))) throw cutFault();
}

/** Skips bytes up to a zero and the zero. */
async function skipText(input: CompressedInput): Promise<void> {
  for (;;) {
    const bytes = await input.some(PIECE_BYTES);
    if (bytes.length === 0) throw cutFault();
    const zeroAt = bytes.indexOf(0);
    if (zeroAt < 0) continue;
    input.unread(bytes.length - zeroAt - 1);
    return;
  }
}

async function* inflateMember(
  input: CompressedInput,
  reopen: Reopen,
  sum: { crc: number; bytes: number },
): DecodedChunks {
  const startAt = input.at;
  const pump = new ZlibPump(createInflateRaw({ chunkSize: CHUNK_BYTES }) as never);
  try {
    for (let written = 0; ; ) {
      const piece = await input.some(PIECE_BYTES);
      const chunks = piece.length > 0 ? await pump.write(piece) : await pump.finish();
      for (const chunk of chunks) {
        sum.crc = crc32(chunk, sum.crc);
        sum.bytes += chunk.length;
        yield chunk;
      }
      if (pump.failure) {
        if (piece.length === 0) throw cutFault();
        if (reopen) yield* rescue(reopen, startAt, written, sum.bytes);
        throw new DecodeFault('does not inflate', { cause: pump.failure });
      }
      written += piece.length;
      if (pump.isEnded) {
        input.unread(written - pump.consumed);
        return;
      }
    }
  } finally {
    pump.close();
  }
}

/**
 * Yields what a failed write had decoded before it met the damage: zlib keeps that to itself. So the member is
 * inflated again up to the piece that failed, and that piece in ever smaller steps. `goodBytes` of the member are
 * known to inflate, to `known` bytes that were yielded before.
 */
async function* rescue(reopen: NonNullable<Reopen>, startAt: number, goodBytes: number, known: number): DecodedChunks {
  let good = goodBytes;
  let yielded = known;
  for (const step of RESCUE_STEPS) {
    const feeder = await reopen(startAt);
    const pump = new ZlibPump(createInflateRaw({ chunkSize: CHUNK_BYTES }) as never);
    try {
      const input = new CompressedInput(feeder);
      const limit = good;
      for (let decoded = 0; ; ) {
        const left = limit - (input.at - startAt);
        const piece = await input.some(left > 0 ? Math.min(left, PIECE_BYTES) : step);
        if (piece.length === 0) return;
        for (const chunk of await pump.write(piece)) {
          decoded += chunk.length;
          if (decoded <= yielded) continue;
          yield chunk.subarray(chunk.length - (decoded - yielded));
          yielded = decoded;
        }
        if (pump.failure || pump.isEnded) break;
        good = input.at - startAt;
      }
    } finally {
      pump.close();
      await feeder.close();
    }
  }
}
