// When flows end without a packet of theirs: a wheel of buckets, one for each tick of the clock, that queues every live
// flow under its deadline. That is when it will have been inactive for long enough, and where time goes on by itself
// also when it will have been active for too long, whichever comes first.
//
//   bucket k of n: flows whose deadline, when they were queued, lay in [k * tick, (k + 1) * tick)
//
// A packet never touches the wheel. When the clock leaves a bucket, its flows are looked at once: those that were seen
// since go to the bucket of their new deadline, the others have ended. Each flow so moves at most once a timeout.
// Deadlines further ahead than the wheel reaches (a minute at least) are queued at its end, and again from there.
// A bucket's first and last flow have the bucket itself for their neighbour, as a number below 0 (`~bucket`).
// Whoever brings a deadline forward takes the flow out and adds it anew.
// A flow leaves at most one tick after its deadline; the meter splits flows exactly, whatever the wheel has seen.

import type { RecordStore } from './record.ts';
import * as record from './record.ts';
import type { SlotClocks } from './slot-clocks.ts';
import type { TcpEnds } from './tcp-ends.ts';

// Own constants are folded into the code (see meter.ts).
const { DOUBLE_CLOCK, RECORD_DOUBLES, RECORD_WORDS, WORD_NEXT, WORD_PREVIOUS } = record;

const MAX_TICK_MS = 200;
const TICKS_PER_TIMEOUT = 64;
/** A power of two, so that a tick finds its bucket by a mask. */
const MAX_BUCKETS = 1 << 16;

export interface Timeouts {
  readonly inactiveMs: number;
  readonly activeMs: number;
  /** By slot: the clock at the flow's start; null where the active timeout waits for the flow's next packet. */
  readonly starts: SlotClocks | null;
  /** When flows end because their connections have. Null where none does. */
  readonly ends: TcpEnds | null;
}

export class ExpiryWheel {
  readonly #store: RecordStore;
  readonly #timeouts: Timeouts;
  /** Whether any flow ends by the clock: otherwise nothing is queued. */
  readonly #isUsed: boolean;
  /** No flow is queued so many ticks ahead. */
  readonly #reach: number;
  readonly #tickMs: number;
  readonly #heads: Int32Array;
  readonly #tails: Int32Array;
  #tick = Number.NaN;
  /** The clock at which `advance` has something to look at. */
  nextTickMs: number = -Number.MAX_VALUE;

  constructor(store: RecordStore, timeouts: Timeouts) {
    this.#store = store;
    this.#timeouts = timeouts;
    const { inactiveMs, activeMs, starts, ends } = timeouts;
    const timeout = starts === null ? inactiveMs : Math.min(inactiveMs, activeMs);
    this.#isUsed = Number.isFinite(timeout) || ends !== null;
    const finite = Number.isFinite(timeout) ? timeout : TICKS_PER_TIMEOUT * MAX_TICK_MS;
    this.#tickMs = Math.max(1, Math.min(MAX_TICK_MS, finite / TICKS_PER_TIMEOUT));
    // A conversation that rests is queued until it is inactive, however short the active timeout is.
    this.#reach = this.#isUsed ? Math.min(Math.floor(inactiveMs / this.#tickMs) + 2, MAX_BUCKETS) : 1;
    const buckets = 2 ** Math.ceil(Math.log2(this.#reach));
    this.#heads = new Int32Array(buckets).fill(-1);
    this.#tails = new Int32Array(buckets).fill(-1);
    if (!this.#isUsed) this.nextTickMs = Number.POSITIVE_INFINITY;
  }

  /** When the flow ends unless a packet comes. */
  #deadlineOf(slot: number): number {
    const { inactiveMs, activeMs, starts, ends } = this.#timeouts;
    if (ends?.isClosing(slot)) return ends.get(slot);
    const inactive = this.#store.doubles[slot * RECORD_DOUBLES + DOUBLE_CLOCK] + inactiveMs;
    return starts === null ? inactive : Math.min(inactive, starts.get(slot) + activeMs);
  }

  /** Queues a flow under its deadline. */
  add(slot: number): void {
    const { words } = this.#store;
    const base = slot * RECORD_WORDS;
    // No slot, so that double 6 reads as no number that an exported flow has there.
    words[base + WORD_NEXT] = -1;
    if (!this.#isUsed) return;
    const tick = Math.floor(this.#deadlineOf(slot) / this.#tickMs);
    const bucket = this.#bucketOf(Math.min(tick, this.#tick + this.#reach - 1));
    const tail = this.#tails[bucket];
    words[base + WORD_NEXT] = ~bucket;
    words[base + WORD_PREVIOUS] = tail >= 0 ? tail : ~bucket;
    if (tail >= 0) words[tail * RECORD_WORDS + WORD_NEXT] = slot;
    else this.#heads[bucket] = slot;
    this.#tails[bucket] = slot;
  }

  /** Takes a flow out, wherever it is queued. */
  remove(slot: number): void {
    if (!this.#isUsed) return;
    const { words } = this.#store;
    const base = slot * RECORD_WORDS;
    const previous = words[base + WORD_PREVIOUS];
    const next = words[base + WORD_NEXT];
    if (previous >= 0) words[previous * RECORD_WORDS + WORD_NEXT] = next;
    else this.#heads[~previous] = next >= 0 ? next : -1;
    if (next >= 0) words[next * RECORD_WORDS + WORD_PREVIOUS] = previous;
    else this.#tails[~next] = previous >= 0 ? previous : -1;
  }

  /** Moves the wheel to `clockMs` and calls `ended` with every flow whose deadline has passed; it must `remove` none. */
  advance(clockMs: number, ended: (slot: number) => void): void {
    const now = Math.floor(clockMs / this.#tickMs);
    const from = Number.isNaN(this.#tick) ? now : this.#tick;
    const buckets = this.#heads.length;
    this.#tick = now;
    this.nextTickMs = (now + 1) * this.#tickMs;
    const walk = Math.min(now - from, buckets);
    for (let i = 0; i < walk; i++) this.#empty(this.#bucketOf(from + i), clockMs, ended);
  }

  /** The tick's low bits: true for any finite time, before 1970 too (a pcapng time offset can make such). */
  #bucketOf(tick: number): number {
    return tick & (this.#heads.length - 1);
  }

  #empty(bucket: number, clockMs: number, ended: (slot: number) => void): void {
    let slot = this.#heads[bucket];
    this.#heads[bucket] = -1;
    this.#tails[bucket] = -1;
    while (slot >= 0) {
      const next = this.#store.words[slot * RECORD_WORDS + WORD_NEXT];
      if (clockMs >= this.#deadlineOf(slot)) ended(slot);
      else this.add(slot);
      slot = next;
    }
  }
}
