// The ends of flows: onFlowTerminate of every classifier, in their order, once for each flow.
//
//   ended -> first classifier -> its promise, if any -> next classifier -> ... -> settled, the record may leave
//
// Most classifiers answer at once, and then nothing is kept here. Where one returns a promise the flow is unsettled
// until it and the classifiers behind it are through; at most `concurrency` promises of a classifier are out at a time,
// and flows beyond that queue up for their call, in the order in which they ended.
import { Flow } from '../flow/flow.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { NFStreamClassifier } from './classifier.ts';
import type { Endings } from './endings.ts';
import { classifierFailed } from './user-code-error.ts';

export class Terminations implements Endings {
  readonly #classifiers: readonly NFStreamClassifier[];
  /** By classifier: promises that are out, and the flows that wait for one of them to settle. */
  readonly #out: number[];
  readonly #queues: Queue<() => void>[];
  readonly #unsettled = new Set<Flow>();
  /**
   * In the order in which they ended, the first being unsettled. The promises never reject. Not a Map, from whose start
   * V8 walks over all that was taken out to find its first.
   */
  readonly #order = new Queue<{ readonly flow: Flow; readonly settled: Promise<void> }>();
  readonly #failed = new Set<Flow>();
  /** What was thrown first. */
  failure: { error: unknown } | undefined;

  constructor(classifiers: readonly NFStreamClassifier[]) {
    this.#classifiers = classifiers;
    this.#out = classifiers.map(() => 0);
    this.#queues = classifiers.map(() => new Queue());
  }

  /** Whether flows wait for their call: whoever makes more of them should wait too. */
  get isBehind(): boolean {
    return this.#unsettled.size > 0 && this.#queues.some((queue) => queue.length > 0);
  }

  /** Settles when the longest unsettled flow has; undefined when there is none. */
  get oldest(): Promise<void> | undefined {
    return this.#order.first?.settled;
  }

  isSettled(batch: FlowBatch): boolean {
    if (this.#unsettled.size === 0) return true;
    for (let row = 0; row < batch.count; row++) if (this.#unsettled.has(batch.flow(row))) return false;
    return true;
  }

  /** Takes the flows out whose end failed: their records are not whole. */
  complete(batch: FlowBatch): void {
    if (this.#failed.size === 0) return;
    for (let row = batch.count - 1; row >= 0; row--) if (this.#failed.delete(batch.flow(row))) batch.remove(row);
  }

  /** Asks all classifiers for their last word; each is asked even where another one fails. Throws what one threw. */
  start(flow: Flow): void {
    const rest = this.#terminate(flow, 0);
    if (rest === undefined) {
      if (this.#failed.size > 0 && this.#failed.delete(flow)) throw this.failure?.error;
      return;
    }
    this.#unsettled.add(flow);
    const settled = rest.then(() => this.#settle(flow));
    this.#order.push({ flow, settled });
  }

  #settle(flow: Flow): void {
    this.#unsettled.delete(flow);
    for (
      let { first } = this.#order;
      first !== undefined && !this.#unsettled.has(first.flow);
      first = this.#order.first
    )
      this.#order.shift();
  }

  #terminate(flow: Flow, from: number): Promise<void> | undefined {
    for (let i = from; i < this.#classifiers.length; i++) {
      if (this.#out[i] >= this.#classifiers[i].concurrency) return this.#goOnInTurn(flow, i);
      const answer = this.#call(flow, i);
      if (answer !== undefined) {
        this.#out[i]++;
        return this.#goOnAfter(flow, i, answer);
      }
    }
    Flow.release(flow);
    return undefined;
  }

  async #goOnInTurn(flow: Flow, i: number): Promise<void> {
    await new Promise<void>((go) => this.#queues[i].push(go));
    // The place of the one that settled has become this one's.
    await this.#goOnAfter(flow, i, this.#call(flow, i));
  }

  async #goOnAfter(flow: Flow, i: number, answer: Promise<void> | undefined): Promise<void> {
    try {
      await answer;
    } catch (cause) {
      this.#fail(flow, i, cause);
    }
    const next = this.#queues[i].shift();
    if (next === undefined) this.#out[i]--;
    else next();
    await this.#terminate(flow, i + 1);
  }

  #call(flow: Flow, i: number): Promise<void> | undefined {
    try {
      const answer = this.#classifiers[i].onFlowTerminate(flow) as unknown;
      return isThenable(answer) ? answer : undefined;
    } catch (cause) {
      this.#fail(flow, i, cause);
      return undefined;
    }
  }

  #fail(flow: Flow, i: number, cause: unknown): void {
    this.#failed.add(flow);
    this.failure ??= { error: classifierFailed(this.#classifiers[i], 'onFlowTerminate', flow, cause) };
  }
}

export function isThenable(value: unknown): value is Promise<void> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function';
}

/** First in, first out, without moving what is left. */
class Queue<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    if (this.length === 0) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }
}
