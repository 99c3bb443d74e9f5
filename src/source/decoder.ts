// The contract of a decompressor: stored bytes in, capture bytes out, as an async generator that pulls its input.
// Whatever was decoded before damage is yielded before the fault is thrown.
import type { ByteFeeder } from './byte-feeder.ts';
import type { CompressedInput } from './compressed-input.ts';

/** A yielded chunk is the consumer's until it asks for the next one. */
export type DecodedChunks = AsyncGenerator<Uint8Array, void>;

/** Opens the stored bytes a second time, at an offset; null where they can be read only once. */
export type Reopen = ((offset: number) => Promise<ByteFeeder>) | null;

export type Decode = (input: CompressedInput, reopen: Reopen) => DecodedChunks;

/** Why decoding stopped; becomes an NfstreamError that names file and offset where the file's name is known. */
export class DecodeFault extends Error {
  /** False where the data may be sound but this program can't decode it. */
  readonly isDamage: boolean;

  constructor(problem: string, options: { cause?: unknown; isDamage?: boolean } = {}) {
    super(problem, options.cause === undefined ? undefined : { cause: options.cause });
    this.isDamage = options.isDamage ?? true;
  }
}

/** What every decoder says when its input ends too early. */
export function cutFault(): DecodeFault {
  return new DecodeFault('is cut off');
}
