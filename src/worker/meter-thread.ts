// One meter's thread, as the main thread sees it: started, told what to do, heard, and ended whatever happens to it.
import type { Worker } from 'node:worker_threads';
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { RecordShape } from '../flow/record.ts';
import type { StreamerStats } from '../stats.ts';
import { FlowReceiver, type HandedFlows } from './handed-flows.ts';
import { FLOWS_TAKEN, type FromMeter, type MeterSetup, type ToMeter, type WarningText } from './messages.ts';
import type { Parcel } from './parcel.ts';
import { errorOf } from './remote-error.ts';
import { COUNTER_BYTES, SharedCounters } from './shared-counters.ts';
import { crashOf, exitOf } from './thread-failure.ts';
import { startThread } from './thread-start.ts';

/** What the thread is started with, but for the memory that it shares. */
type ThreadSetup = Omit<MeterSetup, 'control' | 'counters'>;

export class MeterThread {
  readonly #setup: ThreadSetup;
  readonly #receiver: FlowReceiver;
  readonly #worker: Worker;
  readonly #control = new Int32Array(new SharedArrayBuffer(4));
  readonly #counters: SharedCounters;
  readonly #changed: () => void;
  readonly #warned: (warning: WarningText) => void;
  readonly #flows: HandedFlows[] = [];
  #taken = 0;
  /** By id: those that it has not read yet, with what to do then. */
  readonly #parcels = new Map<number, { readonly parcel: Parcel; readonly release: (parcel: Parcel) => void }>();
  #isDone = false;
  #order = Number.NEGATIVE_INFINITY;
  /** What ended the thread before its time. */
  failure: { readonly error: unknown } | undefined;
  /** Settles when the interfaces are open or user code has started, or when that will never be. */
  readonly opened: Promise<void>;
  /** Settles when the thread is gone. */
  readonly ended: Promise<void>;
  #setOpened: () => void = () => {};

  /** `changed` is called when there are flows to take, and when the meter is done; `warned` when it warns. */
  constructor(setup: ThreadSetup, shape: RecordShape, changed: () => void, warned: (warning: WarningText) => void) {
    this.#setup = setup;
    this.#receiver = new FlowReceiver(shape);
    this.#changed = changed;
    this.#warned = warned;
    const counters = new SharedArrayBuffer(COUNTER_BYTES);
    this.#counters = new SharedCounters(counters);
    this.opened = new Promise((resolve) => {
      this.#setOpened = resolve;
    });
    const workerData: MeterSetup = { ...setup, control: this.#control, counters };
    this.#worker = startThread('meter-worker', { workerData, stdout: true, name: `nfstream meter ${setup.index + 1}` });
    this.#worker.on('message', (message: FromMeter) => this.#receive(message));
    // What it sent before comes until it has exited.
    this.#worker.on('error', (error) => {
      this.failure ??= { error: crashOf(this.#name, error) };
      this.#changed();
    });
    this.ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        if (!this.#isDone) this.#vanish(code);
        resolve();
      });
    });
    this.#worker.unref();
  }

  /** Whether the meter gives no more flows than those that wait here. */
  get isDone(): boolean {
    return this.#isDone;
  }

  /** All flows whose DOUBLE_ORDER is up to this one have come. */
  get order(): number {
    return this.#order;
  }

  send(message: ToMeter): void {
    if (!this.#isDone) this.#worker.postMessage(message);
  }

  /** Has the meter stop (STOP), or give up (DISCARD); it does so between two batches. */
  stop(how: number): void {
    if (Atomics.load(this.#control, 0) >= how) return;
    Atomics.store(this.#control, 0, how);
    this.send({ type: 'stop' });
  }

  /** Whether the thread keeps the process alive. */
  hold(isHeld: boolean): void {
    if (isHeld) this.#worker.ref();
    else this.#worker.unref();
  }

  /** The next flows, if any are here. */
  take(): FlowBatch | undefined {
    const flows = this.#flows.shift();
    if (flows === undefined) return undefined;
    if (++this.#taken === FLOWS_TAKEN) {
      this.#taken = 0;
      this.send({ type: 'taken', batches: FLOWS_TAKEN });
    }
    return this.#receiver.receive(flows);
  }

  /** Sends it, unless the meter is gone; returns whether. `release` is called when it was read, or never will be. */
  sendParcel(parcel: Parcel, release: (parcel: Parcel) => void): boolean {
    if (this.#isDone) return false;
    this.#parcels.set(parcel.id, { parcel, release });
    this.send({ type: 'rows', parcel: parcel.text });
    return true;
  }

  /** Whether flows had to go because the table was full. */
  get isFull(): boolean {
    return this.#counters.isFull;
  }

  /** Adds the meter's counters to `sum`. */
  addTo(sum: StreamerStats): void {
    this.#counters.addTo(sum);
  }

  #receive(message: FromMeter): void {
    switch (message.type) {
      case 'opened':
        this.#setOpened();
        break;
      case 'flows':
        this.#flows.push(...message.flows);
        this.#order = message.order;
        if (message.parcel !== undefined) this.#release(message.parcel);
        this.#changed();
        break;
      case 'warning':
        this.#warned(message.warning);
        break;
      case 'done':
        if (message.error !== undefined) this.failure ??= { error: errorOf(message.error) };
        this.#end();
        break;
    }
  }

  #vanish(code: number): void {
    this.failure ??= { error: exitOf(this.#name, code) };
    this.#end();
  }

  #end(): void {
    this.#isDone = true;
    this.#setOpened();
    for (const id of [...this.#parcels.keys()]) this.#release(id);
    this.#changed();
  }

  #release(id: number): void {
    const held = this.#parcels.get(id);
    this.#parcels.delete(id);
    held?.release(held.parcel);
  }

  get #name(): string {
    return `meter ${this.#setup.index + 1} of ${this.#setup.meters}`;
  }

  /**
   * From now on what user code prints goes the way that it would go from this thread: whoever has replaced `console` gets
   * it. Listening for it keeps the process alive, too.
   */
  printAsHere(): void {
    let rest = '';
    const { stdout } = this.#worker;
    stdout.setEncoding('utf8');
    stdout.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) console.log(line);
    });
    stdout.on('end', () => {
      if (rest !== '') console.log(rest);
    });
  }
}
