// Flows that wait for a model, in batches: the one being filled, and the full ones, which run one after the other.
//
// A full batch runs at the next turn of the event loop, and the reader of packets waits for it (`runFull`). A part of
// one runs when nothing was added and nothing was metered for IDLE_MS, or MAX_WAIT_MS after its first flow, so that
// nobody waits for ever at the end of the input or on a quiet interface. After a failed prediction no more are made:
// all that wait fail with it.
import type { Flow } from '../flow/flow.ts';
import type { FeatureRows } from './onnx-inputs.ts';
import type { OnnxModel } from './onnx-model.ts';

const IDLE_MS = 2;
const MAX_WAIT_MS = 20;

export interface PredictionBatch {
  readonly rows: FeatureRows;
  readonly flows: Flow[];
  /** The promise of all its flows; undefined once they were predicted. */
  settled: Promise<void> | undefined;
}

interface WaitingBatch extends PredictionBatch {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class PredictionQueue {
  readonly #name: string;
  readonly #model: OnnxModel;
  readonly #batchSize: number;
  #open: WaitingBatch;
  readonly #full: WaitingBatch[] = [];
  /** Rows of batches that ran, to be filled again. */
  readonly #spare: FeatureRows[] = [];
  #running: Promise<void> | undefined;
  #failure: { error: unknown } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waitingSince = 0;
  /** Whether anything happened since the timer was set. */
  #isBusy = false;

  constructor(name: string, model: OnnxModel, batchSize: number) {
    this.#name = name;
    this.#model = model;
    this.#batchSize = batchSize;
    this.#open = this.#batch();
  }

  /** The batch that the next flow goes to. */
  get open(): PredictionBatch {
    return this.#open;
  }

  /** The flow whose features were set in the open batch's next row. */
  add(flow: Flow): void {
    this.#open.flows.push(flow);
    this.#isBusy = true;
    if (this.#open.flows.length === this.#batchSize) {
      this.#close();
      this.#run().catch(ignore);
    } else if (this.#timer === undefined) {
      this.#waitingSince = performance.now();
      this.#timer = setTimeout(this.#look, IDLE_MS);
    }
  }

  /** Settles when the full batches were predicted; undefined when there are none. Fails when a prediction has failed. */
  runFull(): Promise<void> | undefined {
    this.#isBusy = true;
    if (this.#failure !== undefined) throw this.#failure.error;
    return this.#running;
  }

  /** Predicts what waits. Rejects when a prediction failed, now or before. */
  async runAll(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#close();
    await this.#run();
  }

  readonly #look = (): void => {
    const isWorking = this.#isBusy || this.#running !== undefined;
    this.#isBusy = false;
    if (isWorking && performance.now() - this.#waitingSince < MAX_WAIT_MS) {
      this.#timer = setTimeout(this.#look, IDLE_MS);
    } else {
      // Whoever waits for the flows gets the failure.
      this.runAll().catch(ignore);
    }
  };

  #close(): void {
    if (this.#open.flows.length === 0) return;
    this.#full.push(this.#open);
    this.#open = this.#batch();
  }

  #run(): Promise<void> {
    if (this.#running === undefined && this.#full.length > 0) this.#running = this.#runFull();
    if (this.#running !== undefined) return this.#running;
    return this.#failure === undefined ? Promise.resolve() : Promise.reject(this.#failure.error);
  }

  async #runFull(): Promise<void> {
    for (let batch = this.#full.shift(); batch !== undefined; batch = this.#full.shift()) await this.#predict(batch);
    // At once, before anything else can happen: a batch that gets full from here on needs another run.
    this.#running = undefined;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #predict(batch: WaitingBatch): Promise<void> {
    const { rows, flows } = batch;
    try {
      if (this.#failure !== undefined) throw this.#failure.error;
      const predictions = await this.#model.predict(rows, flows.length);
      for (const [i, flow] of flows.entries()) flow.metrics[this.#name] = predictions[i];
      batch.settled = undefined;
      batch.resolve();
      // A live flow keeps its batch: not the others' records.
      flows.length = 0;
    } catch (error) {
      this.#failure ??= { error };
      batch.reject(error);
    }
    this.#spare.push(rows);
  }

  #batch(): WaitingBatch {
    const { promise, resolve, reject } = newPromise();
    // An early prediction may fail before anybody waits for it.
    promise.catch(ignore);
    const rows = this.#spare.pop() ?? this.#model.inputs.createRows(this.#batchSize);
    return { rows, flows: [], settled: promise, resolve, reject };
  }
}

function ignore(): void {}

function newPromise(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
