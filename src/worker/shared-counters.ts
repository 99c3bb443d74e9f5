// The counters of one meter where the main thread can read them at any time, without asking.
//
//   [ version | set 0 | set 1 ]      set `version % 2` is the one to read; the meter writes the other, then counts up
//
// Invariant: what `read` gives was written at one time, so the ledger closes. It is read again where the meter has
// written twice meanwhile, which takes it two batches of packets.
import type { Pipeline } from '../pipeline.ts';
import { emptyStats, type StreamerStats, statsOf } from '../stats.ts';

const SKIP_NAMES = Object.keys(emptyStats().packets_skipped) as (keyof StreamerStats['packets_skipped'])[];
const EXPORT_NAMES = Object.keys(emptyStats().flows_exported) as (keyof StreamerStats['flows_exported'])[];
const HEAD_BYTES = 8;
/** Single numbers of the ledger, before those of the two lists. */
const SINGLES = ['packets_read', 'packets_metered', 'flows_live', 'flows_evicted', 'bytes_read'] as const;
const CAPTURE_NAMES = [
  'packets_received',
  'packets_dropped_by_kernel',
  'packets_dropped_by_interface',
  'queue_high_water',
  'interfaces_down',
] as const;
/** The last one says whether there is a capture. */
const COUNT = SINGLES.length + SKIP_NAMES.length + EXPORT_NAMES.length + CAPTURE_NAMES.length + 1;
/** Places of two. */
const EVICTED = SINGLES.indexOf('flows_evicted');
const FULL = SINGLES.length + SKIP_NAMES.length + EXPORT_NAMES.indexOf('capacity');

export const COUNTER_BYTES = HEAD_BYTES + 2 * COUNT * 8;

export class SharedCounters {
  readonly #version: Int32Array;
  readonly #sets: readonly Float64Array[];

  /** @param buffer COUNTER_BYTES of zeros at first */
  constructor(buffer: SharedArrayBuffer) {
    this.#version = new Int32Array(buffer, 0, 1);
    this.#sets = [0, 1].map((i) => new Float64Array(buffer, HEAD_BYTES + i * COUNT * 8, COUNT));
  }

  /**
   * Only the meter itself calls this, between two batches. Of rows that all meters read, `hasOwnRows` being false, it has read
   * those that it dealt with; what nobody did the reader knows.
   */
  write(pipeline: Pipeline, hasOwnRows: boolean): void {
    const stats = statsOf(pipeline, 0);
    if (!hasOwnRows) {
      stats.packets_skipped.abandoned = 0;
      stats.packets_read = stats.packets_metered;
      for (const name of SKIP_NAMES) stats.packets_read += stats.packets_skipped[name];
    }
    const version = this.#version[0] + 1;
    const set = this.#sets[version & 1];
    let at = 0;
    for (const name of SINGLES) set[at++] = stats[name];
    for (const name of SKIP_NAMES) set[at++] = stats.packets_skipped[name];
    for (const name of EXPORT_NAMES) set[at++] = stats.flows_exported[name];
    for (const name of CAPTURE_NAMES) set[at++] = stats.capture?.[name] ?? 0;
    set[at] = stats.capture === null ? 0 : 1;
    Atomics.store(this.#version, 0, version);
  }

  /** Whether flows had to go because the table was full. */
  get isFull(): boolean {
    const set = this.#sets[Atomics.load(this.#version, 0) & 1];
    return set[EVICTED] + set[FULL] > 0;
  }

  /** Adds these counters to `sum`. */
  addTo(sum: StreamerStats): void {
    const values = this.#read();
    let at = 0;
    for (const name of SINGLES) sum[name] += values[at++];
    for (const name of SKIP_NAMES) sum.packets_skipped[name] += values[at++];
    for (const name of EXPORT_NAMES) sum.flows_exported[name] += values[at++];
    if (values[COUNT - 1] === 0) return;
    sum.capture ??= {
      packets_received: 0,
      packets_dropped_by_kernel: 0,
      packets_dropped_by_interface: 0,
      queue_high_water: 0,
      interfaces_down: 0,
    };
    for (const name of CAPTURE_NAMES) {
      const value = values[at++];
      // All meters have the same interfaces.
      if (name === 'interfaces_down') sum.capture[name] = Math.max(sum.capture[name], value);
      else sum.capture[name] += value;
    }
  }

  #read(): Float64Array {
    for (;;) {
      const version = Atomics.load(this.#version, 0);
      const values = this.#sets[version & 1].slice();
      // The set is written anew only after the version has gone on, to the other one.
      if (Atomics.load(this.#version, 0) === version) return values;
    }
  }
}
