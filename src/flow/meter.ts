// The meter: batches of decoded packets in, finished flows out.
//
//   take (which rows) -> hash all keys -> find all flows -> count, packet by packet: expire, create, measure, user code
//
// The kernel (src/kernel) makes these passes. The first three change nothing; `count` goes on to the first packet that takes
// more than counting, which is dealt with here, and then from there: so results do not depend on the batch size.

import type { Kernel } from '../kernel/kernel.ts';
import type { PacketColumns } from '../packet/packet-columns.ts';
import * as packet from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';
import { Accounting } from './accounting.ts';
import { DueFlows } from './due-flows.ts';
import { ExpiryWheel } from './expiry-wheel.ts';
import { FlowFeatures } from './features.ts';
import { FinishedFlows } from './finished-flows.ts';
import type { FlowBatch } from './flow-batch.ts';
import type { FlowObserver } from './flow-observer.ts';
import { FlowTable, kernelFor } from './flow-table.ts';
import type { MeterOptions } from './meter-options.ts';
import { Recency } from './recency.ts';
import * as record from './record.ts';
import { SlotClocks } from './slot-clocks.ts';
import { TcpEnds } from './tcp-ends.ts';

// V8 folds a module's own constants into the code, imported ones it loads each time: a seventh of the meter's time.
const { KEY_WORDS, SKIP_REASONS } = packet;
const {
  DOUBLE_CLOCK,
  DOUBLE_END,
  DOUBLE_START,
  EXPORT_ACTIVE,
  EXPORT_CAPACITY,
  EXPORT_INACTIVE,
  EXPORT_TCP_END,
  EXPORT_TERMINATION,
  DOUBLE_SEQUENCE,
  RECORD_DOUBLES,
  RECORD_WORDS,
  WORD_BYTES,
  WORD_BYTES_HIGH,
  WORD_PACKETS,
  WORD_REASON,
} = record;

/** Packets that a flow can count each way. */
const MOST_PACKETS = 0xffff_ffff;
/** Of `Passes.take`: whatever there is, is the meter's. */
const ALL_ROWS = -1;
/** Of `Passes.count`: no row is settled yet. */
const NONE_SETTLED = -1;

/** Flows whose records are loaded before the first of them is ended. */
const AHEAD = 64;

/** A clock reading that no clock reaches. */
const NEVER = Number.POSITIVE_INFINITY;

export class FlowMeter {
  readonly #table: FlowTable;
  readonly #wheel: ExpiryWheel;
  readonly #recency: Recency;
  readonly #options: MeterOptions;
  readonly #columns: PacketColumns;
  readonly #observer: FlowObserver | null;
  readonly #kernel: Kernel;
  readonly #owner: number;
  /** Whether each packet takes more than counting. */
  readonly #isStepped: boolean;
  readonly #due = new DueFlows();
  readonly #addDue: (slot: number) => void;
  readonly #accounting: Accounting;
  readonly #features: FlowFeatures;
  /** Null unless `expiresActive`. */
  readonly #starts: SlotClocks | null;
  /** Null unless `tcpEnd`. */
  readonly #ends: TcpEnds | null;
  /** The latest time seen: packets out of order never move it back. */
  #clockMs = Number.NEGATIVE_INFINITY;
  /** Of the latest packet. */
  #number = 0;
  /** DOUBLE_ORDER of the flows that end now. */
  #order = 0;
  /** Null where this meter is the only one. */
  readonly #live: Int32Array | null;
  readonly #finished: FinishedFlows;
  /** Slots of conversations that the active timeout cut, and that no packet has come for since. */
  #resting = 0;
  packetsMetered = 0;
  /** Where passes leave what they loaded, so that it is loaded; read by nobody. */
  warmed = 0;
  /** By status (index into SKIP_REASONS). */
  readonly packetsSkipped: Float64Array;
  flowsStarted = 0;
  flowsEvicted = 0;

  constructor(options: MeterOptions, columns: PacketColumns, observer: FlowObserver | null) {
    this.#options = options;
    this.#columns = columns;
    this.#observer = observer;
    this.#kernel = options.kernel ?? kernelFor(options.capacity, options.shape);
    this.#table = new FlowTable(options.capacity, options.shape, this.#kernel);
    this.#kernel.passes.setTimeouts(
      options.inactiveTimeoutMs,
      options.expiresActive ? Number.POSITIVE_INFINITY : options.activeTimeoutMs,
    );
    this.#owner = options.owner ?? 0;
    this.packetsSkipped = this.#kernel.skipped.subarray(0, SKIP_REASONS.length);
    this.#live = options.live ?? null;
    this.#finished = new FinishedFlows(options.shape, observer);
    this.#accounting = new Accounting(options.accountingMode, this.#kernel.sizes);
    this.#features = new FlowFeatures(this.#table.store);
    this.#starts = options.expiresActive ? new SlotClocks() : null;
    this.#ends = options.tcpEnd ? new TcpEnds(options.inactiveTimeoutMs) : null;
    this.#wheel = new ExpiryWheel(this.#table.store, {
      inactiveMs: options.inactiveTimeoutMs,
      activeMs: options.activeTimeoutMs,
      starts: this.#starts,
      ends: this.#ends,
    });
    this.#recency = new Recency(this.#table);
    this.#isStepped =
      [this.#starts, this.#ends, observer].some((one) => one !== null) || this.#features.measuresPackets;
    this.#addDue = (slot) => this.#due.add(slot);
  }

  /** Rows that `meter` has dealt with: metered, or skipped for a reason. */
  get packetsProcessed(): number {
    let skipped = 0;
    for (const count of this.packetsSkipped) skipped += count;
    return this.packetsMetered + skipped;
  }

  /** Live flows at most. */
  get capacity(): number {
    return this.#table.capacity;
  }

  /** Flows live now. */
  get flowsLive(): number {
    return this.#table.live - this.#resting;
  }

  /** Meters the rows of `batch` that the columns say are METERED. */
  meter(batch: PacketBatch): void {
    const { passes, found } = this.#kernel;
    this.#load(batch);
    this.#table.recycle();
    const hasClocks = batch.clockMs === batch.timeMs ? 0 : 1;
    const own = passes.take(batch.count, batch.owners === null ? ALL_ROWS : this.#owner, this.#clockMs, hasClocks);
    passes.hash(own, batch.hashes === null ? 0 : 1);
    passes.find(own);
    this.#observer?.touch(found, own);
    this.#passTime(batch, own);
  }

  /** It is `clockMs` and every packet before that was metered: ends the flows whose timeouts have passed. */
  advance(clockMs: number): void {
    if (!(clockMs > this.#clockMs)) return;
    this.#clockMs = clockMs;
    if (clockMs < this.#wheel.nextTickMs) return;
    this.#order = 2 * (this.#number + 1);
    this.#tick();
  }

  /** Finished flows so far, in the order they ended; they are forgotten here. */
  takeFinished(): FlowBatch[] {
    return this.#finished.take();
  }

  /** Counts the flows of a batch as exported: user code, which may set their reasons, has had its last word. */
  countExported(batch: FlowBatch): void {
    this.#finished.count(batch);
  }

  /** Flows exported so far, by what ended them. */
  get exported(): Readonly<FinishedFlows['exported']> {
    return this.#finished.exported;
  }

  /** Whether `takeFinished` has a full batch. */
  get hasFullBatch(): boolean {
    return this.#finished.hasFullBatch;
  }

  /**
   * Ends up to `limit` of the live flows, the least recently used first: as inactive those that are, the others by
   * termination, or the end of TCP. Returns whether any are left. No packets may be metered from then on.
   */
  terminate(limit: number): boolean {
    this.#order = Number.POSITIVE_INFINITY;
    for (let i = 0; i < limit; i++) {
      if (i % AHEAD === 0) this.warmed = this.#recency.touch(AHEAD);
      const slot = this.#recency.next();
      if (slot < 0) return false;
      if (!this.#isResting(slot)) {
        this.#finished.push(this.#table.store, slot, this.#reasonOf(slot, EXPORT_TERMINATION), this.#order);
      } else this.#resting--;
      this.#table.abandon(slot);
      if (this.#live !== null) Atomics.sub(this.#live, 0, 1);
    }
    return this.#table.live > 0;
  }

  /** Brings the columns into the kernel's memory, those that do not lie there. */
  #load(batch: PacketBatch): void {
    const kernel = this.#kernel;
    const { status, key, tcpFlags } = this.#columns;
    const { count, timeMs, clockMs, wireLength, owners, hashes } = batch;
    if (timeMs !== kernel.timeMs) kernel.timeMs.set(timeMs.subarray(0, count));
    if (clockMs !== timeMs && clockMs !== kernel.clockMs) kernel.clockMs.set(clockMs.subarray(0, count));
    if (wireLength !== kernel.wireLength) kernel.wireLength.set(wireLength.subarray(0, count));
    if (status !== kernel.status) kernel.status.set(status.subarray(0, count));
    if (tcpFlags !== kernel.tcpFlags) kernel.tcpFlags.set(tcpFlags.subarray(0, count));
    if (key !== kernel.key) kernel.key.set(key.subarray(0, count * KEY_WORDS));
    if (owners !== null && owners !== kernel.owners) kernel.owners.set(owners.subarray(0, count));
    if (hashes !== null && hashes !== kernel.givenHashes) kernel.givenHashes.set(hashes.subarray(0, count));
    this.#accounting.measure(batch, this.#columns);
  }

  /** Counts the `own` rows, and has time pass with all, whoever meters them. */
  #passTime(batch: PacketBatch, own: number): void {
    const { count, first } = batch;
    if (count === 0) return;
    const { clocks, rows } = this.#kernel;
    const wheel = this.#wheel;
    const latest = clocks[count - 1];
    let from = 0;
    let row = 0;
    while (latest >= wheel.nextTickMs) {
      while (clocks[row] < wheel.nextTickMs) row++;
      let to = from;
      while (to < own && rows[to] < row) to++;
      this.#count(batch, from, to);
      from = to;
      this.#clockMs = clocks[row];
      this.#order = 2 * (first + row);
      this.#tick();
    }
    this.#count(batch, from, own);
    this.#clockMs = latest;
    this.#number = first + count - 1;
  }

  /** Ends the flows whose deadlines have passed, in the order of their last packets. */
  #tick(): void {
    const due = this.#due;
    due.count = 0;
    this.#wheel.advance(this.#clockMs, this.#addDue);
    due.sort(this.#table.store.doubles);
    for (let i = 0; i < due.count; i++) this.#onDeadline(due.slots[i]);
  }

  /** HOT PATH: no allocation for a packet of a known flow. Meters the rows at `[from, to)` of the kernel's. */
  #count(batch: PacketBatch, from: number, to: number): void {
    const { passes } = this.#kernel;
    const { first } = batch;
    const hasSizes = this.#accounting.isFrame ? 0 : 1;
    let at = from;
    try {
      if (this.#isStepped) while (at < to) this.#step(batch, at++, hasSizes);
      else {
        at = passes.count(at, to, NONE_SETTLED, first, hasSizes);
        while (at < to) {
          this.#settle(batch, at);
          at = passes.count(at, to, at, first, hasSizes);
        }
      }
    } finally {
      this.packetsMetered += at - from;
    }
  }

  /** As `#count` for the kernel's row `i`, with what else wants to see the packet. */
  #step(batch: PacketBatch, i: number, hasSizes: number): void {
    const { passes, rows, found, timeMs, clocks, tcpFlags } = this.#kernel;
    const { words } = this.#table.store;
    const observer = this.#observer;
    const ends = this.#ends;
    const row = rows[i];
    const number = batch.first + row;
    this.#settle(batch, i);
    const slot = found[i] >> 1;
    const direction = found[i] & 1;
    if (this.#features.measuresPackets) {
      this.#features.measure(slot, direction, timeMs[row], this.#accounting.sizes(batch)[row]);
    }
    passes.count(i, i + 1, i, batch.first, hasSizes);
    if (ends?.see(slot, direction, tcpFlags[row], clocks[row])) {
      this.#wheel.remove(slot);
      this.#wheel.add(slot);
    }
    if (observer?.updated(row, slot, direction as 0 | 1)) {
      const reason = words[slot * RECORD_WORDS + WORD_REASON];
      if (reason > EXPORT_TERMINATION) this.#split(slot, clocks[row], number, reason);
    }
  }

  /** Sees to it that the flow of the kernel's row `i` is there to count its packet, and that it is not over. */
  #settle(batch: PacketBatch, i: number): void {
    const { passes, rows, found, timeMs, clocks, tcpFlags, hashes } = this.#kernel;
    const { words, doubles } = this.#table.store;
    const { activeTimeoutMs, inactiveTimeoutMs } = this.#options;
    const starts = this.#starts;
    const ends = this.#ends;
    const row = rows[i];
    const time = timeMs[row];
    const clock = clocks[row];
    const number = batch.first + row;
    // Not found, or ended since: it may have begun since.
    if (found[i] < 0 || doubles[(found[i] >> 1) * RECORD_DOUBLES + DOUBLE_SEQUENCE] === 0) found[i] = passes.findOne(i);
    const flow = found[i];
    let slot = flow >> 1;
    if (slot >= 0) {
      const double = slot * RECORD_DOUBLES;
      if (ends?.isClosing(slot)) {
        if (ends.isOver(slot, clock, tcpFlags[row])) {
          this.#split(slot, clock, number, EXPORT_TCP_END);
          slot = -1;
        }
      } else if (clock >= doubles[double + DOUBLE_CLOCK] + inactiveTimeoutMs) {
        this.#split(slot, clock, number, EXPORT_INACTIVE);
        slot = -1;
      } else if (starts !== null && starts.get(slot) === NEVER) {
        this.#arrive(clock, number);
        this.#goOn(slot, time);
        // It was queued to rest for longer than it may be active.
        this.#wheel.remove(slot);
        this.#wheel.add(slot);
      } else if (
        (starts === null
          ? time - doubles[double + DOUBLE_START] >= activeTimeoutMs
          : clock >= starts.get(slot) + activeTimeoutMs) ||
        words[slot * RECORD_WORDS + WORD_PACKETS + (flow & 1)] >>> 0 === MOST_PACKETS
      ) {
        this.#arrive(clock, number);
        this.#cut(slot);
        this.#goOn(slot, time);
      }
    }
    if (slot >= 0) return;
    this.#arrive(clock, number);
    found[i] = this.#start(batch, row, hashes[i]) * 2;
  }

  /** What follows is what packet `number` does, and when. */
  #arrive(clockMs: number, number: number): void {
    this.#clockMs = clockMs;
    this.#number = number;
    this.#order = 2 * number + 1;
  }

  /** Packet `number` ends the flow. */
  #split(slot: number, clockMs: number, number: number, reason: number): void {
    this.#arrive(clockMs, number);
    this.#wheel.remove(slot);
    this.#finish(slot, reason === EXPORT_INACTIVE ? this.#reasonOf(slot, reason) : reason);
  }

  /** A conversation begins with row `row`. */
  #start(batch: PacketBatch, row: number, hash: number): number {
    const table = this.#table;
    if (this.#isFull) this.#evict();
    const slot = table.insert(this.#kernel.key, row * KEY_WORDS, hash);
    if (this.#live !== null) Atomics.add(this.#live, 0, 1);
    this.#features.begin(slot, this.#flowId(batch.first + row), batch, this.#columns, row);
    this.#ends?.begin(slot);
    this.#begin(slot, batch.timeMs[row]);
    this.#wheel.add(slot);
    this.#observer?.started(slot, table.store);
    return slot;
  }

  /** Whether a flow must go before another one begins. At least one of each meter's own may live. */
  get #isFull(): boolean {
    const { live, capacity } = this.#table;
    return this.#live === null ? live === capacity : live > 0 && Atomics.load(this.#live, 0) >= capacity;
  }

  #flowId(number: number): number {
    const { numbering } = this.#options;
    return numbering === undefined ? number : (number - 1) * numbering.meters + numbering.index + 1;
  }

  /** A flow begins at `time` in a slot whose counters are 0. */
  #begin(slot: number, time: number): void {
    const { words, doubles } = this.#table.store;
    const double = slot * RECORD_DOUBLES;
    doubles[double + DOUBLE_START] = time;
    doubles[double + DOUBLE_END] = time;
    doubles[double + DOUBLE_CLOCK] = this.#clockMs;
    words[slot * RECORD_WORDS + WORD_REASON] = EXPORT_CAPACITY;
    this.#starts?.set(slot, this.#clockMs);
    this.flowsStarted++;
  }

  /** Ends a flow for its active timeout; its conversation rests in the slot until its next packet, or until it is inactive. */
  #cut(slot: number): void {
    const { words } = this.#table.store;
    this.#finished.push(this.#table.store, slot, EXPORT_ACTIVE, this.#order);
    const word = slot * RECORD_WORDS;
    words.fill(0, word + WORD_BYTES, word + RECORD_WORDS);
    words[word + WORD_BYTES_HIGH] = 0;
    words[word + WORD_REASON] = EXPORT_CAPACITY;
    this.#features.nextSegment(slot);
    this.#starts?.set(slot, NEVER);
    this.#resting++;
  }

  /** A packet comes at `time` for a conversation that rests. */
  #goOn(slot: number, time: number): void {
    this.#resting--;
    this.#begin(slot, time);
    this.#observer?.started(slot, this.#table.store);
  }

  /** The wheel has taken the flow out: one of its deadlines has passed. */
  #onDeadline(slot: number): void {
    if (this.#isClosing(slot) || this.#isInactive(slot)) {
      this.#finish(slot, this.#reasonOf(slot, EXPORT_INACTIVE));
    } else {
      this.#cut(slot);
      this.#wheel.add(slot);
    }
  }

  /** Makes room: the least recently used flow goes. If it has ended, unseen so far, it just does so. */
  #evict(): void {
    const slot = this.#recency.next();
    this.#wheel.remove(slot);
    const reason = this.#reasonOf(slot, EXPORT_CAPACITY);
    if (reason === EXPORT_CAPACITY && this.#options.onCapacity === 'drop' && !this.#isResting(slot)) {
      this.flowsEvicted++;
      this.#finished.drop(this.#table.store, slot);
      this.#free(slot);
    } else this.#finish(slot, reason);
  }

  /**
   * What has ended a flow, or will have when it lingers: of its timeouts the one that passed first, whenever somebody looks.
   * `otherwise` where nothing has.
   */
  #reasonOf(slot: number, otherwise: number): number {
    if (this.#isClosing(slot)) return EXPORT_TCP_END;
    const activeAt = (this.#starts?.get(slot) ?? NEVER) + this.#options.activeTimeoutMs;
    const inactiveAt = this.#inactiveAt(slot);
    if (this.#clockMs >= activeAt && activeAt < inactiveAt) return EXPORT_ACTIVE;
    return this.#clockMs >= inactiveAt ? EXPORT_INACTIVE : otherwise;
  }

  #isResting(slot: number): boolean {
    return this.#resting > 0 && this.#starts?.get(slot) === NEVER;
  }

  #isClosing(slot: number): boolean {
    return this.#ends?.isClosing(slot) === true;
  }

  #isInactive(slot: number): boolean {
    return this.#clockMs >= this.#inactiveAt(slot);
  }

  #inactiveAt(slot: number): number {
    return this.#table.store.doubles[slot * RECORD_DOUBLES + DOUBLE_CLOCK] + this.#options.inactiveTimeoutMs;
  }

  /** Ends a flow that is in no queue any more, and gives its slot back. */
  #finish(slot: number, reason: number): void {
    if (this.#isResting(slot)) {
      this.#forget(slot);
      return;
    }
    this.#finished.push(this.#table.store, slot, reason, this.#order);
    this.#free(slot);
  }

  /** A conversation that rests is over: all of it was exported. */
  #forget(slot: number): void {
    this.#resting--;
    this.#free(slot);
  }

  #free(slot: number): void {
    this.#table.remove(slot);
    if (this.#live !== null) Atomics.sub(this.#live, 0, 1);
  }
}
