// What runs in a meter's thread: a whole pipeline of its own. Its packets are rows that the main thread hands over, or
// come from the interfaces directly; its flows go to the main thread.
//
// The thread lives for as long as it waits for something: with user code that awaits what nothing can settle it ends, and
// the main thread says so.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { buildPipeline } from '../build-pipeline.ts';
import { builtInClassifiers, refuseNamesOf } from '../classifier/built-in.ts';
import { NfstreamError } from '../errors.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { kernelFor } from '../flow/flow-table.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { PacketStage } from '../packet/packet-stage.ts';
import { meterFlows, type Pipeline } from '../pipeline.ts';
import type { UserCode } from '../plugin/plugin.ts';
import type * as PluginErrors from '../plugin/plugin-error.ts';
import { recordShapeOf } from '../record-shape.ts';
import type { InterfaceSource } from '../source/interface-source.ts';
import { FlowOutlet } from './flow-outlet.ts';
import type { InterfaceShare } from './interface-share.ts';
import { DISCARD, type FromMeter, GO_ON, type MeterSetup, type ToMeter } from './messages.ts';
import { textOf } from './remote-error.ts';
import { RowSource } from './row-source.ts';
import { SharedCounters } from './shared-counters.ts';

/** How often the counters are told: it takes a system call where interfaces are captured from. */
const COUNT_MS = 50;

/** A promise that somebody else settles. */
class Signal {
  readonly promise: Promise<void>;
  resolve: () => void = () => {};

  constructor() {
    this.promise = new Promise((resolve) => {
      this.resolve = resolve;
    });
  }
}

class MeterWorker {
  readonly #setup: MeterSetup;
  readonly #kernel: Kernel;
  readonly #port: MessagePort;
  readonly #counters: SharedCounters;
  /** One of them is the source. */
  readonly #share: InterfaceShare | null;
  readonly #rows: RowSource | null;
  readonly #mayRun = new Signal();
  readonly #mayCapture = new Signal();
  #isRun = false;
  #taken = new Signal();
  #opening: Promise<void> | undefined;
  #pipeline: Pipeline | undefined;
  readonly #outlet: FlowOutlet;
  #holds = 0;
  #countedMs = 0;
  #countLater: NodeJS.Timeout | undefined;
  /** An error of a plugin that nobody caught. */
  #stray: NfstreamError | undefined;

  /** @param kernel for the options' flows; `share` of the interfaces, where the setup has a fanout; `pluginErrors` where there are plugins */
  constructor(
    setup: MeterSetup,
    port: MessagePort,
    kernel: Kernel,
    share: InterfaceShare | null,
    pluginErrors: typeof PluginErrors | null,
  ) {
    this.#kernel = kernel;
    this.#setup = setup;
    this.#port = port;
    this.#counters = new SharedCounters(setup.counters);
    this.#share = share;
    this.#outlet = new FlowOutlet({
      send: (message, transfer) => this.#send(message, transfer),
      areKept: setup.options.plugins.length > 0,
    });
    this.#rows =
      share !== null
        ? null
        : new RowSource(
            setup.parcels,
            {
              opened: () => this.#send({ type: 'opened' }),
              read: (parcel) => this.#outlet.read(parcel, this.#pipeline!),
              hold: (promise) => this.#hold(promise),
            },
            kernel,
          );
    port.on('message', (message: ToMeter) => this.#receive(message));
    // They are the run's, not this thread's: whoever listens for warnings does so in the main one.
    process.removeAllListeners('warning');
    process.on('warning', ({ name, message, code }: NodeJS.ErrnoException) =>
      this.#send({ type: 'warning', warning: { name, message, code } }),
    );
    if (pluginErrors !== null) {
      process.on('uncaughtException', (cause) => this.#fail(cause, pluginErrors.thrownText(cause)));
    }
  }

  /** The thread's whole life. */
  async live(): Promise<void> {
    let failure: unknown;
    try {
      await this.#hold(this.#mayRun.promise);
      if (this.#opening !== undefined) await this.#opening;
      if (this.#isRun) await this.#meter();
    } catch (error) {
      failure = error;
    } finally {
      await this.#interfaces?.close();
      const error = failure ?? this.#stray;
      this.#send({ type: 'done', error: error === undefined ? undefined : textOf(error) });
    }
  }

  async #meter(): Promise<void> {
    const { options } = this.#setup;
    const builtIn = builtInClassifiers(options);
    const { userMetrics, userClassifiers } = await this.#userCode();
    refuseNamesOf(builtIn, userClassifiers);
    const { index, meters, live } = this.#setup;
    const pipeline = buildPipeline(options, {
      ...this.#stages(),
      builtIn,
      userClassifiers,
      userMetrics,
      kernel: this.#kernel,
      sharing: { owner: index, live },
      numbering: this.#share === null ? undefined : { index, meters },
    });
    this.#pipeline = pipeline;
    try {
      const flows = meterFlows(
        pipeline,
        () => this.#open(),
        () => this.#between(pipeline),
      );
      for await (const batch of flows) {
        this.#count(pipeline, COUNT_MS);
        if (this.#control < DISCARD) await this.#hand(batch, pipeline);
        if (this.#control === DISCARD) break;
      }
    } finally {
      this.#outlet.flush();
      this.#count(pipeline, 0);
    }
  }

  async #userCode(): Promise<UserCode> {
    const { options } = this.#setup;
    if (options.plugins.length === 0) return options;
    const { loadUserCode } = await import('../plugin/user-code.ts');
    return loadUserCode(options);
  }

  #stages(): { source: InterfaceSource | RowSource; packets: PacketStage } {
    return this.#share ?? { source: this.#rows!, packets: this.#rows! };
  }

  get #interfaces(): InterfaceSource | undefined {
    return this.#share?.source;
  }

  /** Opens the source, and waits until all meters have opened theirs. */
  #open(): Promise<void> {
    this.#opening ??= this.#openOnce();
    return this.#opening;
  }

  async #openOnce(): Promise<void> {
    if (this.#rows !== null) return this.#rows.open();
    await this.#interfaces?.open();
    this.#send({ type: 'opened' });
    await this.#hold(this.#mayCapture.promise);
  }

  #receive(message: ToMeter): void {
    switch (message.type) {
      case 'open':
        // Without it the meter would wait for leave to run.
        this.#open().catch(() => this.#mayRun.resolve());
        break;
      case 'run':
        this.#isRun = true;
        this.#mayRun.resolve();
        break;
      case 'go':
        if (!this.#isStopped) this.#interfaces?.release();
        this.#mayCapture.resolve();
        break;
      case 'rows':
        this.#rows?.add(message.parcel);
        break;
      case 'clock':
        this.#rows?.tell(message.clockMs);
        break;
      case 'end':
        this.#rows?.end();
        break;
      case 'taken':
        this.#outlet.taken(message.batches);
        this.#taken.resolve();
        break;
      case 'stop':
        this.#stop();
        break;
    }
  }

  #stop(): void {
    (this.#rows ?? this.#interfaces)?.stop();
    this.#mayRun.resolve();
    this.#mayCapture.resolve();
    this.#taken.resolve();
  }

  get #control(): number {
    return Atomics.load(this.#setup.control, 0);
  }

  get #isStopped(): boolean {
    return this.#stray !== undefined || this.#control !== GO_ON;
  }

  /** Between two batches of packets. */
  #between(pipeline: Pipeline): boolean {
    this.#count(pipeline, COUNT_MS);
    if (!this.#isStopped) return false;
    // The message that says so may be yet to come: what waits in the kernel's buffer is still to be read.
    this.#interfaces?.stop();
    return true;
  }

  /** Tells the counters; where that was done less than so many ms ago, that much later. */
  #count(pipeline: Pipeline, afterMs: number): void {
    const now = performance.now();
    if (now - this.#countedMs < afterMs) {
      this.#countLater ??= setTimeout(() => this.#count(pipeline, 0), afterMs).unref();
      return;
    }
    clearTimeout(this.#countLater);
    this.#countLater = undefined;
    this.#countedMs = now;
    this.#counters.write(pipeline, this.#share !== null);
  }

  /** Hands flows over, and waits where those before are not taken. */
  async #hand(batch: FlowBatch, pipeline: Pipeline): Promise<void> {
    // Where rows are waited for, others wait for this meter's flows.
    this.#outlet.add(batch, pipeline, this.#rows?.isReading !== true);
    while (this.#outlet.isFull && this.#control < DISCARD) {
      this.#taken = new Signal();
      await this.#hold(this.#taken.promise);
    }
  }

  #fail(cause: unknown, text: string): void {
    const names = this.#setup.options.plugins.map((file) => JSON.stringify(file));
    const subject = names.length === 1 ? names[0] : `One of ${names.join(', ')}`;
    const message = `${subject} left an error uncaught: ${text}`;
    this.#stray ??= new NfstreamError('PLUGIN_FAILED', message, { cause });
    this.#stop();
  }

  #send(message: FromMeter, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  /** Messages keep the thread alive only while somebody waits for one. */
  async #hold<T>(promise: Promise<T>): Promise<T> {
    if (this.#holds++ === 0) this.#port.ref();
    try {
      return await promise;
    } finally {
      if (--this.#holds === 0) this.#port.unref();
    }
  }
}

// A thread loads what it needs: that is most of the time that it takes to start.
const setup = workerData as MeterSetup;
const { options, fanout } = setup;
const kernel = kernelFor(options.capacity, recordShapeOf(options), setup.seed);
const share = fanout === null ? null : (await import('./interface-share.ts')).interfaceShareOf(options, kernel, fanout);
const pluginErrors = options.plugins.length === 0 ? null : await import('../plugin/plugin-error.ts');
const worker = new MeterWorker(setup, parentPort as MessagePort, kernel, share, pluginErrors);
await worker.live();
// Timers that user code left must not keep the thread.
process.exit();
