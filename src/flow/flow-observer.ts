// Whoever sees flows while they live.
import type { Findings } from './fields/ndpi.ts';
import type { Flow } from './flow.ts';
import type { RecordStore } from './record.ts';

/** Whoever wants to see flows while they live: the one place through which user code is called. */
export interface FlowObserver {
  /** Rows of a batch belong to these flows (`slot * 2 + direction`; below 0: none): time to load what is known of them. */
  touch(found: Int32Array, count: number): void;
  /** A flow began in `slot`; its first packet follows. */
  started(slot: number, store: RecordStore): void;
  /** Row `row` was counted in the flow. Returns false when it is not interested, so that nothing needs to be looked up. */
  updated(row: number, slot: number, direction: 0 | 1): boolean;
  /** The flow ended; its record is final. Returns the view that leaves with the record, if there is one. */
  ended(slot: number): Flow | undefined;
  /** What was found out about a flow that ended, and that has no view. */
  findings(slot: number): Findings | undefined;
}
