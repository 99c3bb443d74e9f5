// One meter's thread, as the main thread sees it: started, told what to do, heard, and ended whatever happens to it.
import { Worker } from 'node:worker_threads';
import { NfstreamError } from '../errors.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { RecordShape } from '../flow/record.ts';
import type { StreamerStats } from '../stats.ts';
import { FlowReceiver, type HandedFlows } from './handed-flows.ts';
import { FLOWS_TAKEN, type FromMeter, type MeterSetup, type ToMeter, type WarningText } from './messages.ts';
import { Parcel } from './parcel.ts';
import { errorOf } from './remote-error.ts';
import { COUNTER_BYTES, SharedCounters } from './shared-counters.ts';

/** Source files run where Node.js, or what it runs under, takes TypeScript; compiled ones everywhere. */
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './meter-worker.ts' : './meter-worker.js', import.meta.url);

/** Parcels of a meter: filled, on their way, read and on their way back. What is on the way is bounded by them. */
const PARCELS = 4;

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
  readonly #spare: ArrayBuffer[] = [];
  #parcelsMade = 0;
  #awaitParcel: (() => void) | null = null;
  #isDone = false;
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
    this.#worker = new Worker(ENTRY, {
      workerData,
      stdout: true,
      name: `nfstream meter ${setup.index + 1}`,
      // What belongs to `node --eval` is no option of a thread that runs a file.
      ...(process.execArgv.some((option) => option.startsWith('--input-type')) ? { execArgv: [] } : {}),
    });
    this.#worker.on('message', (message: FromMeter) => this.#receive(message));
    this.#worker.on('error', (error) => this.#fail(this.#crashed(error)));
    this.ended = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        if (!this.#isDone) this.#fail(this.#vanished(code));
        resolve();
      });
    });
    this.#worker.unref();
  }

  /** Whether the meter gives no more flows than those that wait here. */
  get isDone(): boolean {
    return this.#isDone;
  }

  send(message: ToMeter, transfer: ArrayBuffer[] = []): void {
    if (!this.#isDone) this.#worker.postMessage(message, transfer);
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

  /** A parcel to be filled: one that came back, or another one while there are few. Null when all are on their way. */
  takeParcel(bytes: number, rows: number): Parcel | null {
    let buffer = this.#spare.pop();
    if (buffer === undefined) {
      if (this.#parcelsMade === PARCELS) return null;
      this.#parcelsMade++;
      buffer = new ArrayBuffer(bytes);
    }
    // One that was made for a huge frame, or is too small for one.
    if (buffer.byteLength !== bytes) buffer = new ArrayBuffer(bytes);
    return new Parcel(buffer, rows, this.#setup.hasFrames);
  }

  /** A parcel that was not sent after all. */
  takeBack({ buffer }: Parcel): void {
    this.#spare.push(buffer);
  }

  /** Waits for a parcel to come back, or for the end of the meter. */
  parcelReturned(): Promise<void> {
    if (this.#spare.length > 0 || this.#isDone) return Promise.resolve();
    return new Promise((resolve) => {
      this.#awaitParcel = resolve;
    });
  }

  sendParcel({ buffer, capacity, count }: Parcel): void {
    this.send({ type: 'rows', buffer, capacity, count }, [buffer]);
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
      case 'rows':
        this.#spare.push(message.buffer);
        this.#wakeReader();
        break;
      case 'flows':
        this.#flows.push(message.flows);
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

  #fail(error: unknown): void {
    if (this.#isDone) return;
    this.failure ??= { error };
    this.#end();
  }

  #end(): void {
    this.#isDone = true;
    this.#setOpened();
    this.#wakeReader();
    this.#changed();
  }

  #wakeReader(): void {
    this.#awaitParcel?.();
    this.#awaitParcel = null;
  }

  get #name(): string {
    return `meter ${this.#setup.index + 1} of ${this.#setup.meters}`;
  }

  #crashed(error: Error): NfstreamError {
    const isOutOfMemory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
    const what = isOutOfMemory
      ? 'ran out of memory; lower capacity, or give Node.js more with --max-old-space-size'
      : `left an error uncaught: ${String(error)}`;
    return new NfstreamError('METER_FAILED', `${this.#name} ${what}`, { cause: error });
  }

  #vanished(code: number): NfstreamError {
    // Node.js' code for a module whose top-level await nothing can settle any more.
    const what =
      code === 13 ? 'awaits a promise that nothing settles any more' : `ended by itself, with exit code ${code}`;
    return new NfstreamError('METER_FAILED', `${this.#name} ${what}`);
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
