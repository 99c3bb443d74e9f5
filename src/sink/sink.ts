// The contract of a sink: finished flows in, rows out, in the order in which the flows ended.
//
// A sink knows the schema and the flows, nothing of where they came from. Where its bytes go is an Output's business
// (output.ts). Memory is bounded: a batch becomes text while `write` runs and is not kept, and text that the output
// can't take yet holds the caller up.
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Column } from '../flow/schema.ts';

/** What a run's flows have. */
export interface SinkColumns {
  /** Of a record: metrics lie in an object. */
  readonly record: readonly Column[];
  /** Of a table: metrics are columns of their own. */
  readonly table: readonly Column[];
}

/** One format's sink. */
export interface Sink {
  /** Flows written so far. */
  readonly rows: number;
  /** Bytes handed to the output so far; what is still being put together may be missing. */
  readonly bytes: number;

  /**
   * Adds a batch's flows. When it returns a promise, wait for it before the next call and before the batch changes: the
   * output is behind. Throws or rejects with OUTPUT_FAILED.
   */
  write(batch: FlowBatch): Promise<void> | void;

  /** Writes what is left and finishes the output; a file appears under its name now. Rejects with OUTPUT_FAILED. */
  close(): Promise<void>;

  /** Gives the output up instead: a file of its own is removed, a pipe or terminal gets the rows so far. */
  abandon(): Promise<void>;

  /** Removes what is not finished, at once: for a process that is about to die. */
  unlink(): void;
}

/** A sink that was opened by name (open-sink.ts): one file, or one after the other. */
export interface TargetSink extends Sink {
  /** The target as it was given. */
  readonly name: string;
  /** Paths of the files that are finished, in their order; none where the target is no file. */
  readonly files: readonly string[];
}
