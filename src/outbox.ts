// Finished flows on their way out, in the order in which they ended. Most leave at once; those whose classifiers still
// work (a promise of onFlowTerminate) wait here, and so do the flows behind them. What waits is bounded: beyond that
// the outbox wants to be emptied before more flows end.
import type { Endings } from './classifier/endings.ts';
import type { FlowBatch } from './flow/flow-batch.ts';
import type { FlowMeter } from './flow/meter.ts';

/** Batches (of 64 flows each) that may wait behind an unsettled one while packets are read. */
const MAX_WAITING = 64;

export class Outbox {
  readonly #meter: FlowMeter;
  readonly #endings: Endings | undefined;
  readonly #waiting: FlowBatch[] = [];

  constructor(meter: FlowMeter, endings: Endings | undefined) {
    this.#meter = meter;
    this.#endings = endings;
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Whether it is time for `empty`. */
  get wantsEmptying(): boolean {
    return this.#meter.hasFullBatch || this.#isFull || this.#endings?.isBehind === true;
  }

  get #isFull(): boolean {
    return this.#waiting.length > MAX_WAITING;
  }

  /** What has ended and settled. */
  *takeReady(): Generator<FlowBatch, void> {
    this.#takeFinished();
    while (this.#waiting.length > 0 && this.#endings?.isSettled(this.#waiting[0]) !== false) {
      const batch = this.#waiting.shift() as FlowBatch;
      this.#endings?.complete(batch);
      this.#meter.countExported(batch);
      if (batch.count > 0) yield batch;
      this.#takeFinished();
    }
  }

  /** What could not leave yet anyway gathers to full batches first: one takes its memory however few flows are in it. */
  #takeFinished(): void {
    if (this.#waiting.length > 0 && !this.#meter.hasFullBatch) return;
    for (const batch of this.#meter.takeFinished()) this.#waiting.push(batch);
  }

  /** As `takeReady`, and waits until what is left is within bounds. */
  async *empty(): AsyncGenerator<FlowBatch, void> {
    yield* this.takeReady();
    while (this.#isFull || this.#endings?.isBehind === true) {
      await this.#endings?.oldest;
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
      await Promise.race([ended, this.#endings?.oldest]);
      yield* this.takeReady();
    }
  }

  /** Everything that has ended. */
  async *takeAll(): AsyncGenerator<FlowBatch, void> {
    yield* this.takeReady();
    // Flows can settle between the end of `yield*` and the next line: what waits then is still to be taken.
    while (this.#endings?.oldest !== undefined || !this.isEmpty) {
      await this.#endings?.oldest;
      yield* this.takeReady();
    }
  }

  /** Waits for everything that has ended, and forgets it: nobody reads it any more. */
  async discard(): Promise<void> {
    for await (const _ of this.takeAll());
  }
}
