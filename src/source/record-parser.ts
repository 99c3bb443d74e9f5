// The contract of a capture format: a synchronous state machine from bytes to batch rows that never waits, never
// throws and never reads outside `[at, end)`. The packet source owns the bytes and the waiting; so a parser can be
// run over any bytes, cut anywhere.
import type { NfstreamErrorCode } from '../errors.ts';
import type { PacketBatch } from './source.ts';

/** Records larger than this are taken for damage. libpcap's limit for a pcapng block is the same. */
export const MAX_RECORD_BYTES = 1 << 24;

/** What is wrong with the record at `next`; nothing can be read after it. */
export interface Damage {
  code: NfstreamErrorCode;
  /** Completes the sentence "FILE: ... at byte N". */
  problem: string;
}

export interface RecordParser {
  /** After `parse`: where the first record begins that is not in the batch. */
  next: number;
  /** After `parse` stopped short of a full batch: bytes from `next` on that are needed to go on. At least 1. */
  need: number;
  /** After `parse`: why it will never go on from `next`. */
  damage: Damage | null;
  /** What the bytes at `next` are: "a record", "the file header". */
  inside: string;

  /**
   * Reads the records in `view`'s `[at, end)` into `batch` and returns how many rows it filled; `at` is where the
   * previous call's `next` came to lie. Sets no more of the batch than its columns.
   */
  parse(batch: PacketBatch, view: DataView, at: number, end: number): number;
}
