// Flows that have ended, copied out of the table in the order in which they did, until somebody takes them.
import { FlowBatch } from './flow-batch.ts';
import type { FlowObserver } from './flow-observer.ts';
import {
  DOUBLE_ORDER,
  EXPORT_ACTIVE,
  EXPORT_CAPACITY,
  EXPORT_INACTIVE,
  EXPORT_TCP_END,
  EXPORT_TERMINATION,
  RECORD_DOUBLES,
  RECORD_WORDS,
  type RecordShape,
  type RecordStore,
  WORD_REASON,
} from './record.ts';

export class FinishedFlows {
  readonly #shape: RecordShape;
  readonly #observer: FlowObserver | null;
  #batches: FlowBatch[] = [];
  /** Copies for whoever holds a flow whose record goes nowhere: its slot becomes another flow's. */
  #dropped: FlowBatch;
  readonly exported = { inactive: 0, active: 0, termination: 0, user: 0, capacity: 0, tcp_end: 0 };

  constructor(shape: RecordShape, observer: FlowObserver | null) {
    this.#shape = shape;
    this.#observer = observer;
    this.#dropped = new FlowBatch(shape);
  }

  /** The flow in `slot` has ended for `reason`: user code's last word, and a copy of its record, with its DOUBLE_ORDER. */
  push(store: RecordStore, slot: number, reason: number, order: number): void {
    store.words[slot * RECORD_WORDS + WORD_REASON] = reason;
    const flow = this.#observer?.ended(slot);
    let batch = this.#batches[this.#batches.length - 1];
    if (batch === undefined || batch.isFull) {
      batch = new FlowBatch(this.#shape);
      this.#batches.push(batch);
    }
    batch.push(store, slot, flow, this.#observer?.findings(slot));
    batch.store.doubles[(batch.count - 1) * RECORD_DOUBLES + DOUBLE_ORDER] = order;
  }

  /** The flow in `slot` has ended, and nobody gets its record. */
  drop(store: RecordStore, slot: number): void {
    const flow = this.#observer?.ended(slot);
    if (flow === undefined) return;
    if (this.#dropped.isFull) this.#dropped = new FlowBatch(this.#shape);
    this.#dropped.push(store, slot, flow);
  }

  /** What has ended so far; it is forgotten here. */
  take(): FlowBatch[] {
    const batches = this.#batches;
    if (batches.length > 0) this.#batches = [];
    return batches;
  }

  /** Whether `take` has a full batch. */
  get hasFullBatch(): boolean {
    return this.#batches.length > 1 || (this.#batches.length === 1 && this.#batches[0].isFull);
  }

  /** Counts the flows of a batch as exported. */
  count({ count, store }: FlowBatch): void {
    const { exported } = this;
    for (let row = 0; row < count; row++) {
      const reason = store.words[row * RECORD_WORDS + WORD_REASON];
      if (reason === EXPORT_INACTIVE) exported.inactive++;
      else if (reason === EXPORT_ACTIVE) exported.active++;
      else if (reason === EXPORT_TERMINATION) exported.termination++;
      else if (reason === EXPORT_CAPACITY) exported.capacity++;
      else if (reason === EXPORT_TCP_END) exported.tcp_end++;
      else exported.user++;
    }
  }
}
