// Flows that wait for a model, in batches: the one being filled, and the full ones, which run one after the other.
//
// Who runs a batch: `runFull`, which the reader of packets waits for; and a turn of the event loop in which nothing was
// added and nothing was metered, or MAX_WAIT_MS after a batch's first flow, so that nobody waits for ever at the end of
// the input or on a quiet interface. After a failed prediction no more are made: all that wait fail with it.
import type { Flow } from '../flow/flow.ts';
import type { FeatureRows } from './onnx-inputs.ts';
import type { OnnxModel } from './onnx-model.ts';

/** On a busy capture a part of a batch waits this long to become a full one. */
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
  /** Whether a turn of the event loop is asked for, since when, and whether anything happened since the last one. */
  #isWaiting = false;
  #waitingSince = 0;
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
    if (this.#open.flows.length === this.#batchSize) this.#close();
    if (!this.#isWaiting) {
      this.#isWaiting = true;
      this.#waitingSince = performance.now();
      setImmediate(this.#turn);
    }
  }

  /** Predicts the full batches. Rejects when a prediction failed, now or before. */
  runFull(): Promise<void> | void {
    this.#isBusy = true;
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#full.length > 0) return this.#run();
  }

  /** Predicts what waits. Rejects when a prediction failed, now or before. */
  async runAll(): Promise<void> {
    this.#close();
    await this.#run();
  }

  readonly #turn = (): void => {
    const isPatient = this.#isBusy && performance.now() - this.#waitingSince < MAX_WAIT_MS;
    if (isPatient && this.#open.flows.length > 0) setImmediate(this.#turn);
    else {
      this.#isWaiting = false;
      this.#close();
    }
    this.#isBusy = false;
    // Whoever waits for the flows gets the failure.
    if (this.#full.length > 0) this.#run().catch(() => {});
  };

  #close(): void {
    if (this.#open.flows.length === 0) return;
    this.#full.push(this.#open);
    this.#open = this.#batch();
  }

  #run(): Promise<void> {
    this.#running ??= this.#runFull().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #runFull(): Promise<void> {
    for (let batch = this.#full.shift(); batch !== undefined; batch = this.#full.shift()) await this.#predict(batch);
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
    promise.catch(() => {});
    const rows = this.#spare.pop() ?? this.#model.inputs.createRows(this.#batchSize);
    return { rows, flows: [], settled: promise, resolve, reject };
  }
}

function newPromise(): { promise: Promise<void>; resolve: () => void; reject: (error: unknown) => void } {
  let resolve = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
