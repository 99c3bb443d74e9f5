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
import type { PacketStage } from '../packet/packet-stage.ts';
import { meterFlows, type Pipeline } from '../pipeline.ts';
import type { UserCode } from '../plugin/plugin.ts';
import type * as PluginErrors from '../plugin/plugin-error.ts';
import type { InterfaceSource } from '../source/interface-source.ts';
import { FlowSender, unsendable } from './handed-flows.ts';
import type { InterfaceShare } from './interface-share.ts';
import { DISCARD, FLOWS_AHEAD, type FromMeter, GO_ON, type MeterSetup, type ToMeter } from './messages.ts';
import type { Parcel } from './parcel.ts';
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
  /** DOUBLE_ORDER of the last flows that the rows of the parcels so far can have ended, and the one that was told. */
  #readOrder = Number.NEGATIVE_INFINITY;
  #settledOrder = Number.NEGATIVE_INFINITY;
  readonly #sender = new FlowSender();
  #batchesAhead = 0;
  #holds = 0;
  #countedMs = 0;
  #countLater: NodeJS.Timeout | undefined;
  /** An error of a plugin that nobody caught. */
  #stray: NfstreamError | undefined;

  /** @param share of the interfaces, where the setup has a fanout; `pluginErrors` where there are plugins */
  constructor(
    setup: MeterSetup,
    port: MessagePort,
    share: InterfaceShare | null,
    pluginErrors: typeof PluginErrors | null,
  ) {
    this.#setup = setup;
    this.#port = port;
    this.#counters = new SharedCounters(setup.counters);
    this.#share = share;
    this.#rows =
      share !== null
        ? null
        : new RowSource(setup.parcels, {
            opened: () => this.#send({ type: 'opened' }),
            read: (parcel) => this.#onRead(parcel),
            hold: (promise) => this.#hold(promise),
          });
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
    const { index, meters, seed, live } = this.#setup;
    const pipeline = buildPipeline(options, {
      ...this.#stages(),
      builtIn,
      userClassifiers,
      userMetrics,
      sharing: { owner: index, seed, live },
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
        // Rows may be waited for: others wait for this meter's flows.
        this.#settle(pipeline);
        if (this.#control === DISCARD) break;
      }
    } finally {
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
        this.#batchesAhead -= message.batches;
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

  /** A parcel goes back. */
  #onRead(parcel: Parcel): void {
    this.#readOrder = 2 * parcel.last + 1;
    if (this.#pipeline !== undefined) this.#settle(this.#pipeline);
    this.#send({ type: 'read', parcel: parcel.id });
  }

  /** Tells that all flows that ended with the rows of the parcels so far have been sent, if they have. */
  #settle(pipeline: Pipeline): void {
    if (this.#readOrder === this.#settledOrder || flowsWaiting(pipeline) > 0) return;
    this.#settledOrder = this.#readOrder;
    this.#send({ type: 'settled', order: this.#readOrder });
  }

  /** Sends flows, and waits where those before are not taken. */
  async #hand(batch: FlowBatch, { labeller }: Pipeline): Promise<void> {
    const flows = this.#sender.hand(batch, labeller !== null);
    try {
      // User code may keep its flows, and then needs their records.
      this.#send({ type: 'flows', flows }, this.#setup.options.plugins.length > 0 ? [] : [flows.records, flows.extra]);
    } catch (error) {
      throw unsendable(batch, error);
    }
    this.#batchesAhead++;
    while (this.#batchesAhead >= FLOWS_AHEAD && this.#control < DISCARD) {
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

/** Flows that have ended and still wait for their classifiers, or for flows before them that do. */
function flowsWaiting({ meter }: Pipeline): number {
  const { inactive, active, termination, user, capacity, tcp_end } = meter.exported;
  const sent = inactive + active + termination + user + capacity + tcp_end;
  return meter.flowsStarted - meter.flowsLive - meter.flowsEvicted - sent;
}

// A thread loads what it needs: that is most of the time that it takes to start.
const setup = workerData as MeterSetup;
const { options, fanout } = setup;
const share = fanout === null ? null : (await import('./interface-share.ts')).interfaceShareOf(options, fanout);
const pluginErrors = options.plugins.length === 0 ? null : await import('../plugin/plugin-error.ts');
const worker = new MeterWorker(setup, parentPort as MessagePort, share, pluginErrors);
await worker.live();
// Timers that user code left must not keep the thread.
process.exit();
