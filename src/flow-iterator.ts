// Flows one by one out of batches of them: what an async generator with a loop in it does, without what that costs. A flow that is
// there comes as a promise that is settled already; an async generator would put several turns of the microtask queue before
// each. Measured with a million flows: 0.17 instead of 0.27 microseconds a flow.
import type { Flow } from './flow/flow.ts';
import type { FlowBatch } from './flow/flow-batch.ts';

export class FlowIterator<F> implements AsyncGenerator<F, void> {
  readonly #batches: AsyncGenerator<FlowBatch, void>;
  #batch: FlowBatch | undefined;
  /** The next flow's, in the batch. */
  #row = 0;
  #isDone = false;
  /** Calls that are not answered yet, and the last of them: answers come in the order of the calls. */
  #waiting = 0;
  #last: Promise<unknown> = Promise.resolve();

  constructor(batches: AsyncGenerator<FlowBatch, void>) {
    this.#batches = batches;
  }

  // HOT PATH: a call for each flow.
  next(): Promise<IteratorResult<F, void>> {
    const batch = this.#batch;
    if (this.#waiting > 0 || batch === undefined || this.#row >= batch.count) return this.#inTurn(() => this.#fetch());
    return Promise.resolve({ value: this.#flow(batch), done: false });
  }

  return(value?: void | PromiseLike<void>): Promise<IteratorResult<F, void>> {
    return this.#inTurn(async () => {
      await this.#end();
      return { value: await value, done: true };
    });
  }

  throw(error: unknown): Promise<IteratorResult<F, void>> {
    return this.#inTurn(async () => {
      // As with a loop that is left by an exception: what else goes wrong is not heard of.
      await this.#end().catch(() => {});
      throw error;
    });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  #flow(batch: FlowBatch): F {
    return batch.flow(this.#row++) as Flow as F;
  }

  #inTurn<T>(answer: () => Promise<T>): Promise<T> {
    const answered = this.#waiting === 0 ? answer() : this.#last.then(answer);
    this.#waiting++;
    const settled = () => {
      this.#waiting--;
    };
    this.#last = answered.then(settled, settled);
    return answered;
  }

  async #fetch(): Promise<IteratorResult<F, void>> {
    while (!this.#isDone) {
      if (this.#batch !== undefined && this.#row < this.#batch.count) {
        return { value: this.#flow(this.#batch), done: false };
      }
      const { value, done } = await this.#nextBatch();
      if (done) break;
      this.#batch = value;
      this.#row = 0;
    }
    return { value: undefined, done: true };
  }

  async #nextBatch(): Promise<IteratorResult<FlowBatch, void>> {
    try {
      const next = await this.#batches.next();
      if (next.done) this.#finish();
      return next;
    } catch (error) {
      this.#finish();
      throw error;
    }
  }

  async #end(): Promise<void> {
    if (this.#isDone) return;
    this.#finish();
    await this.#batches.return();
  }

  #finish(): void {
    this.#isDone = true;
    this.#batch = undefined;
  }
}
