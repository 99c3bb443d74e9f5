// Finished flows on their way to whoever reads them: copies of their records side by side, in the order they ended.
import type { Findings } from './fields/ndpi.ts';
import { Flow } from './flow.ts';
import { DOUBLE_ID, RECORD_DOUBLES, type RecordShape, RecordStore } from './record.ts';
import type { FlowMetrics } from './schema.ts';

/** A kept Flow keeps its batch: small enough (12 KB) that this doesn't matter, big enough to be cheap. */
export const FLOW_BATCH_ROWS = 64;

export class FlowBatch {
  readonly store: RecordStore;
  /** The flows' views, where user code already had one. */
  readonly #flows: (Flow | undefined)[] = [];
  /** What nDPI found out about those without a view. */
  readonly #findings: (Findings | undefined)[] = [];
  count = 0;

  constructor(shape: RecordShape) {
    this.store = new RecordStore(FLOW_BATCH_ROWS, shape);
  }

  get isFull(): boolean {
    return this.count === FLOW_BATCH_ROWS;
  }

  /** Copies the record of a live flow and moves its view, if it has one, over to the copy. */
  push(from: RecordStore, slot: number, flow: Flow | undefined, findings?: Findings): void {
    const row = this.count++;
    this.store.copyFrom(row, from, slot);
    if (flow !== undefined) Flow.move(flow, this.store, row);
    this.#flows.push(flow);
    this.#findings.push(findings);
  }

  /** Copies a flow of another batch, whose view, if it has one, moves over. */
  take(from: FlowBatch, row: number): void {
    this.push(from.store, row, from.#flows[row], from.#findings[row]);
  }

  /** Holds `count` flows whose records came from elsewhere: with what nDPI found out about each, or metrics of its own. */
  adopt(
    count: number,
    records: ArrayBuffer,
    extra: ArrayBuffer,
    findings: readonly Findings[] = [],
    metrics: readonly FlowMetrics[] = [],
  ): void {
    const { store } = this;
    store.adopt(records, extra);
    this.count = count;
    for (let row = 0; row < count; row++) {
      this.#findings.push(findings[row]);
      this.#flows.push(metrics[row] === undefined ? undefined : new Flow<FlowMetrics>(store, row, metrics[row]));
    }
  }

  /** What nDPI found out about a flow without a view, where that comes later. */
  label(row: number, findings: Findings): void {
    this.#findings[row] = findings;
  }

  /** Takes a row out; those behind it move up, with their views. */
  remove(row: number): void {
    this.#flows.splice(row, 1);
    this.#findings.splice(row, 1);
    this.count--;
    for (let to = row; to < this.count; to++) {
      this.store.copyFrom(to, this.store, to + 1);
      const flow = this.#flows[to];
      if (flow !== undefined) Flow.move(flow, this.store, to);
    }
  }

  /** The flow of row `row`, for `0 <= row < count`; stays valid for as long as it is kept. */
  flow(row: number): Flow {
    this.#flows[row] ??= new Flow<FlowMetrics>(this.store, row, undefined, this.#findings[row]);
    return this.#flows[row];
  }

  /** Gives the flows their places in the order of export, the first of them `from`. */
  number(from: number): void {
    const { doubles } = this.store;
    for (let row = 0; row < this.count; row++) doubles[row * RECORD_DOUBLES + DOUBLE_ID] = from + row;
  }

  /** What `flow(row).metrics` is, without a view where there is none yet: for reading only. */
  metrics(row: number): FlowMetrics {
    const flow = this.#flows[row];
    return flow === undefined ? (this.#findings[row] ?? NONE) : Flow.metricsOf(flow);
  }

  /** What `metrics(row)` is where nobody can have changed it: there is no view yet. */
  findings(row: number): Findings | undefined {
    return this.#flows[row] === undefined ? this.#findings[row] : undefined;
  }
}

const NONE: FlowMetrics = {};
