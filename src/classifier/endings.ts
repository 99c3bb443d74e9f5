// What ended flows still wait for before their records can leave: classifiers that work on, findings that are on the way.
import type { FlowBatch } from '../flow/flow-batch.ts';

export interface Endings {
  /** Whether the flows of a batch wait for nothing any more. */
  isSettled(batch: FlowBatch): boolean;
  /** Completes the flows of a settled batch, once for each batch in their order, and takes out those that can not be. */
  complete(batch: FlowBatch): void;
  /** Whether so much waits that whoever makes more of it should wait too. */
  readonly isBehind: boolean;
  /** Settles when something has that waits longest; undefined when nothing waits. Never rejects. */
  readonly oldest: Promise<void> | undefined;
  /** What went wrong first. */
  readonly failure: { readonly error: unknown } | undefined;
}
