// Finished flows on their way out, in the order in which they ended. Most leave at once; those whose classifiers still
// work (a promise of onFlowTerminate) wait here, and so do the flows behind them. What waits is bounded: beyond that
// the outbox wants to be emptied before more flows end.
import type { Labeller } from './classifier/labeller.ts';
import type { FlowBatch } from './flow/flow-batch.ts';
import type { FlowMeter } from './flow/meter.ts';

/** Batches (of 64 flows each) that may wait behind an unsettled one while packets are read. */
const MAX_WAITING = 64;

export class Outbox {
  readonly #meter: FlowMeter;
  readonly #labeller: Labeller | null;
  readonly #waiting: FlowBatch[] = [];

  constructor(meter: FlowMeter, labeller: Labeller | null) {
    this.#meter = meter;
    this.#labeller = labeller;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Whether it is time for `empty`. */
  get wantsEmptying(): boolean {
    return this.#meter.hasFullBatch || this.#labeller?.isBehind === true;
  }

  /** What has ended and settled. */
  *takeReady(): Generator<FlowBatch, void> {
    for (const batch of this.#meter.takeFinished()) this.#waiting.push(batch);
    while (this.#waiting.length > 0 && this.#labeller?.isSettled(this.#waiting[0]) !== false) {
      const batch = this.#waiting.shift() as FlowBatch;
      this.#labeller?.removeFailed(batch);
      this.#meter.countExported(batch);
      if (batch.count > 0) yield batch;
    }
  }

  /** The same, and waits until what is left is within bounds. */
  async *empty(): AsyncGenerator<FlowBatch, void> {
    yield* this.takeReady();
    while (this.#waiting.length > MAX_WAITING || this.#labeller?.isBehind === true) {
      await this.#labeller?.oldestUnsettled;
      yield* this.takeReady();
    }
  }

  /** What settles before `end` does. */
  async *takeReadyWhile(end: Promise<void>): AsyncGenerator<FlowBatch, void> {
    let hasEnded = false;
    const ended = end.then(
      () => {
        hasEnded = true;
      },
      () => {
        hasEnded = true;
      },
    );
    while (!hasEnded && !this.isEmpty) {
      await Promise.race([ended, this.#labeller?.oldestUnsettled]);
      yield* this.takeReady();
    }
  }

  /** Everything that has ended. */
  async *takeAll(): AsyncGenerator<FlowBatch, void> {
    yield* this.takeReady();
    // Flows can settle between the end of `yield*` and the next line: what waits then is still to be taken.
    while (this.#labeller?.oldestUnsettled !== undefined || !this.isEmpty) {
      await this.#labeller?.oldestUnsettled;
      yield* this.takeReady();
    }
  }

  /** Waits for everything that has ended, and forgets it: nobody reads it any more. */
  async discard(): Promise<void> {
    for await (const _ of this.takeAll());
  }
}
