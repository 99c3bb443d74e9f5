// Flows of several meters in the order in which one meter would have given them: by what ended them (DOUBLE_ORDER), then by
// the numbers of their last packets. Each meter gives its own in that order.
//
// The smallest of the meters' next flows is the next one of all, as soon as no meter can give a smaller one: each has one
// here, or is done, or has said up to where it has given all of its flows.
import { FlowBatch } from '../flow/flow-batch.ts';
import * as record from '../flow/record.ts';

// Own constants are folded into the code, imported ones are not.
const { DOUBLE_ORDER, DOUBLE_SEQUENCE, RECORD_DOUBLES } = record;

/** Where flows of one meter come from. */
export interface FlowLane {
  /** The next flows, if any are here. */
  take(): FlowBatch | undefined;
  /** Whether it gives no more flows than those that wait here. */
  readonly isDone: boolean;
  /** All flows whose DOUBLE_ORDER is up to this one have come. */
  readonly order: number;
}

export class FlowMerge {
  readonly #shape: record.RecordShape;
  readonly #lanes: readonly Lane[];

  constructor(lanes: readonly FlowLane[], shape: record.RecordShape) {
    this.#shape = shape;
    this.#lanes = lanes.map((lane) => new Lane(lane));
  }

  /** The next flows, up to a batch of them; undefined where the next one can not be told yet. */
  take(): FlowBatch | undefined {
    for (const lane of this.#lanes) lane.refill();
    let batch: FlowBatch | undefined;
    while (batch?.isFull !== true) {
      const lane = this.#next();
      if (lane === null) break;
      batch ??= new FlowBatch(this.#shape);
      lane.moveTo(batch);
    }
    return batch;
  }

  /** HOT PATH: the lane with the next flow of all. */
  #next(): Lane | null {
    const lanes = this.#lanes;
    let next = lanes[0];
    for (let i = 1; i < lanes.length; i++) if (lanes[i].isBefore(next)) next = lanes[i];
    return next.hasFlow ? next : null;
  }
}

/** One meter's flows, and the key of the next one: of one that is yet to come at least what it can be. */
class Lane {
  readonly #lane: FlowLane;
  #batch: FlowBatch | undefined;
  #row = 0;
  #order = Number.NEGATIVE_INFINITY;
  #sequence = 0;
  hasFlow = false;

  constructor(lane: FlowLane) {
    this.#lane = lane;
  }

  isBefore(other: Lane): boolean {
    if (this.#order !== other.#order) return this.#order < other.#order;
    if (this.#sequence !== other.#sequence) return this.#sequence < other.#sequence;
    // Done, both of them, or one has flows behind the last of the other.
    return this.hasFlow && !other.hasFlow;
  }

  /** Looks for the next flow where there was none. */
  refill(): void {
    if (this.hasFlow) return;
    // Asked before flows are looked for: those that came before it was so are here.
    const { isDone, order } = this.#lane;
    this.#batch = this.#lane.take();
    this.#row = 0;
    if (this.#batch !== undefined) {
      this.#load(this.#batch);
    } else if (isDone) {
      this.#order = Number.POSITIVE_INFINITY;
      this.#sequence = Number.POSITIVE_INFINITY;
    } else if (order >= this.#order) {
      this.#order = order;
      this.#sequence = Number.POSITIVE_INFINITY;
    }
  }

  /** Moves the flow on into `to`. */
  moveTo(to: FlowBatch): void {
    const batch = this.#batch as FlowBatch;
    to.take(batch, this.#row++);
    if (this.#row < batch.count) {
      this.#load(batch);
      return;
    }
    this.hasFlow = false;
    this.refill();
  }

  #load({ store }: FlowBatch): void {
    const at = this.#row * RECORD_DOUBLES;
    this.#order = store.doubles[at + DOUBLE_ORDER];
    this.#sequence = store.doubles[at + DOUBLE_SEQUENCE];
    this.hasFlow = true;
  }
}
