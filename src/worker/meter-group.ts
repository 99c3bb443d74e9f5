// Several meters side by side, each a whole pipeline in a thread of its own, behind the interface of one.
//
//                    ┌── rows ──► meter 1 ── flows ──┐
//   source ─► reader ┤                               ├─► merge ─► whoever takes them     captures; exact numbers of packets
//                    └── rows ──► meter 2 ── flows ──┘
//
//   kernel's fanout group ──► meter 1, meter 2 ── flows, in turns ──► whoever takes them     interfaces on Linux
//
// Either way all packets of a flow are one meter's. Everything between threads is bounded, in both directions: who takes
// flows slowly makes meters wait, who meters slowly makes the reader wait, and in the end the kernel drops. No meter waits
// for another one for ever: flows that the merge holds back wait for meters that have the same rows before them, and do
// not need what is held back to read these.
import { randomInt } from 'node:crypto';
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Metering } from '../metering.ts';
import type { ResolvedOptions } from '../options.ts';
import type { PacketStage } from '../packet/packet-stage.ts';
import { recordShapeOf } from '../record-shape.ts';
import { fanoutProgram, MAX_FANOUT_GROUP } from '../source/fanout-program.ts';
import type { Fanout } from '../source/interface-capture.ts';
import type { PacketSource } from '../source/source.ts';
import { captureStatsOf, emptyStats, type StreamerStats } from '../stats.ts';
import { canFanOut } from './can-fan-out.ts';
import { FlowMerge } from './flow-merge.ts';
import { DISCARD, STOP, type WarningText } from './messages.ts';
import { MeterThread } from './meter-thread.ts';
import type { ParcelShape } from './parcel.ts';
import { RowReader } from './row-reader.ts';

export class MeterGroup implements Metering {
  readonly #options: ResolvedOptions;
  /** Used where one reader hands over rows. */
  readonly #source: PacketSource;
  readonly #packets: PacketStage;
  /** Whose columns `packets` writes. */
  readonly #kernel: Kernel;
  #threads: readonly MeterThread[] = [];
  /** Null where the kernel shares the packets out; undefined before that is known. */
  #reader: RowReader | null | undefined;
  /** Null where time goes on by itself: then nobody waits for another meter. */
  #merge: FlowMerge | null = null;
  #opening: Promise<void> | undefined;
  #isIterated = false;
  #isOver = false;
  /** Whether all meters are gone: their counters are the last. */
  #hasEnded = false;
  /** What the first meter that failed met. */
  #failure: { readonly error: unknown } | undefined;
  /** Codes of the warnings so far. */
  readonly #warnings = new Set<string>();
  /** Lets `#take` look again. */
  #changed: () => void = () => {};

  /**
   * `options` with `meters` above 1 and no functions in them. `source`, not open yet, and `packets` are what one meter
   * would have; they are used where the kernel does not share out the packets.
   */
  constructor(options: ResolvedOptions, source: PacketSource, packets: PacketStage, kernel: Kernel) {
    this.#options = options;
    this.#source = source;
    this.#packets = packets;
    this.#kernel = kernel;
  }

  open(): Promise<void> {
    this.#start();
    this.#opening ??= this.#reader === null ? this.#openInterfaces() : this.#source.open();
    return this.#opening;
  }

  /** The meters open them one after the other: that is the order in which the kernel counts them, on each interface. */
  async #openInterfaces(): Promise<void> {
    for (const thread of this.#threads) {
      thread.hold(true);
      thread.send(this.#isIterated ? { type: 'run' } : { type: 'open' });
      await thread.opened;
      if (this.#failure !== undefined) throw this.#failure.error;
    }
    for (const thread of this.#threads) {
      thread.send({ type: 'go' });
      if (!this.#isIterated) thread.hold(false);
    }
  }

  async *flows(isStopped: () => boolean): AsyncGenerator<FlowBatch, void> {
    this.#start();
    const wasOpened = this.#opening !== undefined;
    this.#isIterated = true;
    for (const thread of this.#threads) {
      thread.hold(true);
      thread.printAsHere();
    }
    let running: Promise<unknown> | undefined;
    try {
      running = this.#run(isStopped, wasOpened);
      // It is told below, after the flows.
      running.catch(() => {});
      yield* this.#take();
    } finally {
      this.#isOver = true;
      await this.#end();
      await running?.catch(() => {});
      await this.#source.close();
    }
    if (this.#failure !== undefined) throw this.#failure.error;
    await running;
    if (this.#reader?.damage !== undefined) throw this.#reader.damage.error;
    if (this.#packets.problem !== null) throw this.#packets.problem;
  }

  /** Has all meters run, and reads their rows where they get some. After that they end by themselves. */
  async #run(isStopped: () => boolean, wasOpened: boolean): Promise<void> {
    const reader = this.#reader;
    try {
      if (reader !== null || wasOpened) for (const thread of this.#threads) thread.send({ type: 'run' });
      // As one meter does it: user code starts, then the source is opened.
      if (reader !== null && this.#options.plugins.length > 0)
        await Promise.all(this.#threads.map(({ opened }) => opened));
      if (this.#failure === undefined) await this.open();
      if (isStopped()) this.wake();
      await reader?.read(() => this.#isOver || this.#failure !== undefined || isStopped());
    } catch (error) {
      this.#stop();
      throw error;
    } finally {
      reader?.end();
    }
  }

  /** What the meters give until all are done. */
  async *#take(): AsyncGenerator<FlowBatch, void> {
    const merge = this.#merge;
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
      const areDone = this.#threads.every(({ isDone }) => isDone);
      if (merge === null) yield* this.#takeInTurns();
      else for (let batch = merge.take(); batch !== undefined; batch = merge.take()) yield batch;
      if (areDone) return;
      await changed;
    }
  }

  *#takeInTurns(): Generator<FlowBatch, void> {
    const threads = this.#threads;
    let empty = 0;
    for (let i = 0; empty < threads.length; i = (i + 1) % threads.length) {
      const batch = threads[i].take();
      empty = batch === undefined ? empty + 1 : 0;
      if (batch !== undefined) yield batch;
    }
  }

  wake(): void {
    this.#stop();
    // What was opened only, nobody will end otherwise.
    if (!this.#isIterated) this.#end().catch(() => {});
  }

  /** No more packets; the meters end with their live flows handed over. */
  #stop(): void {
    this.#source.stop();
    // A reader lets them know itself, behind the last row.
    if (this.#reader === null) for (const thread of this.#threads) thread.stop(STOP);
  }

  /** Ends the meters, whose flows nobody takes any more. */
  async #end(): Promise<void> {
    this.#source.stop();
    for (const thread of this.#threads) thread.stop(DISCARD);
    await Promise.all(this.#threads.map(({ ended }) => ended));
    this.#hasEnded = true;
  }

  /** Starts the threads, which then wait for leave to run. */
  #start(): void {
    if (this.#reader !== undefined) return;
    const options = this.#options;
    const { meters, plugins, enableNdpi, systemVisibility, packets } = options;
    const group: Fanout = { group: randomInt(1, MAX_FANOUT_GROUP + 1), program: fanoutProgram() };
    const fanout = canFanOut(options, group) ? group : null;
    const shape = recordShapeOf(options);
    const readsFrames = shape.layout.macs >= 0 || options.accountingMode !== 'frame';
    const hasFrames = readsFrames || enableNdpi || systemVisibility || plugins.length > 0;
    const hasClock = this.#source.clock !== null;
    const parcels: ParcelShape = { hasFrames, hasClock };
    const { seed } = this.#kernel;
    const live = new Int32Array(new SharedArrayBuffer(4));
    this.#threads = Array.from({ length: meters }, (_, index) => {
      const setup = { options: optionsFor(options), index, meters, fanout, parcels, seed, live };
      const thread: MeterThread = new MeterThread(
        setup,
        shape,
        () => this.#onChange(thread),
        (warning) => this.#warn(warning),
      );
      return thread;
    });
    const byAddresses = enableNdpi;
    const reading = { shape: parcels, byAddresses, maxPackets: packets, kernel: this.#kernel };
    this.#reader = fanout === null ? new RowReader(this.#source, this.#packets, this.#threads, reading) : null;
    this.#merge = fanout === null && !hasClock ? new FlowMerge(this.#threads, shape) : null;
  }

  /** What every meter finds is told once. */
  #warn({ name, message, code }: WarningText): void {
    if (code !== undefined) {
      if (this.#warnings.has(code)) return;
      this.#warnings.add(code);
    }
    process.emitWarning(message, { type: name, ...(code === undefined ? {} : { code }) });
  }

  #onChange({ failure }: MeterThread): void {
    if (failure !== undefined && this.#failure === undefined) {
      this.#failure = failure;
      this.#stop();
    }
    this.#changed();
  }

  /** What the meters say; asks nobody else, least of all the kernel. */
  #metered(): StreamerStats {
    const stats = emptyStats();
    for (const thread of this.#threads) thread.addTo(stats);
    return stats;
  }

  stats(seconds: number): StreamerStats {
    const stats = this.#metered();
    const reader = this.#reader ?? null;
    if (reader !== null) {
      stats.bytes_read = this.#source.bytesRead;
      stats.capture = captureStatsOf(this.#source);
      // Until then they are on the way: not yet read, as far as the ledger goes.
      if (this.#hasEnded) {
        stats.packets_skipped.abandoned += reader.packetsRead - stats.packets_read;
        stats.packets_read = reader.packetsRead;
      }
    }
    stats.flows_capacity = this.#options.capacity;
    stats.seconds = Math.round(seconds * 1e6) / 1e6;
    return stats;
  }

  get isFull(): boolean {
    return this.#threads.some(({ isFull }) => isFull);
  }

  get progress(): { position: number; size: number | null } {
    const { position, size } = this.#source;
    return { position, size };
  }
}

/** What a thread can be given of the options: no functions, and no limits of the run. */
function optionsFor(options: ResolvedOptions): ResolvedOptions {
  return {
    ...options,
    source: [],
    signal: undefined,
    userMetrics: {},
    userClassifiers: [],
    packets: Number.POSITIVE_INFINITY,
    duration: Number.POSITIVE_INFINITY,
  };
}
