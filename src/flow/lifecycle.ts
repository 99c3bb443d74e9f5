// How flows begin, go on and end, in one meter: the table, the queues of those that will end, and the flows that have.
//
//   start ──► live ──► due (a timeout's tick) ──► finished
//              │ ▲  └► split (a packet of its own, user code, lack of room) ──► finished
//              ▼ │
//              cut by its active timeout: its record is finished, its conversation rests in the slot
//
// What ends flows, and in which order, depends on the packets of the source alone: `arrive` says which one it is now.
import type { PacketColumns } from '../packet/packet-columns.ts';
import * as packet from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';
import { DueFlows } from './due-flows.ts';
import { ExpiryWheel } from './expiry-wheel.ts';
import type { FlowFeatures } from './features.ts';
import { FinishedFlows } from './finished-flows.ts';
import type { FlowObserver } from './flow-observer.ts';
import type { FlowTable } from './flow-table.ts';
import type { MeterOptions } from './meter-options.ts';
import { Recency } from './recency.ts';
import * as record from './record.ts';
import { SlotClocks } from './slot-clocks.ts';
import { TcpEnds } from './tcp-ends.ts';

// Own constants are folded into the code (see meter.ts).
const { KEY_WORDS } = packet;
const {
  DOUBLE_CLOCK,
  DOUBLE_END,
  DOUBLE_START,
  EXPORT_ACTIVE,
  EXPORT_CAPACITY,
  EXPORT_INACTIVE,
  EXPORT_TCP_END,
  EXPORT_TERMINATION,
  RECORD_DOUBLES,
  RECORD_WORDS,
  WORD_BYTES,
  WORD_BYTES_HIGH,
  WORD_PACKETS,
  WORD_REASON,
} = record;

/** Packets that a flow can count each way. */
const MOST_PACKETS = 0xffff_ffff;
/** Flows whose records are loaded before the first of them is ended. */
const AHEAD = 64;
/** A clock reading that no clock reaches. */
const NEVER = Number.POSITIVE_INFINITY;

export class FlowLifecycle {
  readonly #table: FlowTable;
  readonly #features: FlowFeatures;
  readonly #columns: PacketColumns;
  readonly #observer: FlowObserver | null;
  readonly #options: MeterOptions;
  readonly #wheel: ExpiryWheel;
  readonly #recency: Recency;
  readonly #due = new DueFlows();
  readonly #addDue: (slot: number) => void;
  readonly finished: FinishedFlows;
  /** Null unless `expiresActive`. */
  readonly #starts: SlotClocks | null;
  /** Null unless `tcpEnd`. */
  readonly #ends: TcpEnds | null;
  /** Null where this meter is the only one. */
  readonly #live: Int32Array | null;
  /** The latest time seen: packets out of order never move it back. */
  clockMs = Number.NEGATIVE_INFINITY;
  /** Of the latest packet. */
  #number = 0;
  /** DOUBLE_ORDER of the flows that end now. */
  #order = 0;
  /** Slots of conversations that the active timeout cut, and that no packet has come for since. */
  #resting = 0;
  flowsStarted = 0;
  flowsEvicted = 0;
  /** Where passes leave what they loaded, so that it is loaded; read by nobody. */
  warmed = 0;

  constructor(
    options: MeterOptions,
    table: FlowTable,
    features: FlowFeatures,
    columns: PacketColumns,
    observer: FlowObserver | null,
  ) {
    this.#options = options;
    this.#table = table;
    this.#features = features;
    this.#columns = columns;
    this.#observer = observer;
    this.#live = options.live ?? null;
    this.finished = new FinishedFlows(options.shape, observer);
    this.#starts = options.expiresActive ? new SlotClocks() : null;
    this.#ends = options.tcpEnd ? new TcpEnds(options.inactiveTimeoutMs) : null;
    this.#wheel = new ExpiryWheel(table.store, {
      inactiveMs: options.inactiveTimeoutMs,
      activeMs: options.activeTimeoutMs,
      starts: this.#starts,
      ends: this.#ends,
    });
    this.#recency = new Recency(table);
    this.#addDue = (slot) => this.#due.add(slot);
  }

  /** Flows live now. */
  get live(): number {
    return this.#table.live - this.#resting;
  }

  /** Whether more than the times in a flow's record decides whether its next packet is the same flow's. */
  get needsEachPacket(): boolean {
    return this.#starts !== null || this.#ends !== null;
  }

  /** The clock at which `tick` has something to look at. */
  get nextTickMs(): number {
    return this.#wheel.nextTickMs;
  }

  /** Every packet up to number `number` was metered, and it is `clockMs`. */
  pass(clockMs: number, number: number): void {
    this.clockMs = clockMs;
    this.#number = number;
  }

  /** It is `clockMs`, and no packet of this meter's did it. */
  advance(clockMs: number): void {
    if (!(clockMs > this.clockMs)) return;
    if (clockMs >= this.nextTickMs) this.tick(clockMs, this.#number + 1);
    this.clockMs = clockMs;
  }

  /** With packet `number` it is `clockMs`: ends the flows whose deadlines have passed, in the order of their last packets. */
  tick(clockMs: number, number: number): void {
    this.clockMs = clockMs;
    this.#order = 2 * number;
    const due = this.#due;
    due.count = 0;
    this.#wheel.advance(clockMs, this.#addDue);
    due.sort(this.#table.store.doubles);
    for (let i = 0; i < due.count; i++) {
      if (i % AHEAD === 0) this.warmed = this.#table.touch(due.slots, i, Math.min(i + AHEAD, due.count));
      this.#onDeadline(due.slots[i]);
    }
  }

  /**
   * Ends up to `limit` of the live flows, the least recently used first: as inactive those that are, the others by
   * termination, or the end of TCP. Returns whether any are left. No packets may be metered from then on.
   */
  terminate(limit: number): boolean {
    this.#order = Number.POSITIVE_INFINITY;
    this.#recency.end();
    for (let i = 0; i < limit; i++) {
      if (i % AHEAD === 0) this.warmed = this.#recency.touch(AHEAD);
      const slot = this.#recency.next();
      if (slot < 0) return false;
      if (!this.#isResting(slot)) {
        this.finished.push(this.#table.store, slot, this.#reasonOf(slot, EXPORT_TERMINATION), this.#order);
      } else this.#resting--;
      this.#table.abandon(slot);
      if (this.#live !== null) Atomics.sub(this.#live, 0, 1);
    }
    return this.#table.live > 0;
  }

  /**
   * Packet `number` comes at `time` for the flow in `slot`, with these TCP flags. Returns whether it is still that flow's: one
   * that is too late ends it, one that is late for its active timeout begins the conversation's next segment.
   */
  goesOn(slot: number, direction: number, time: number, clockMs: number, number: number, flags: number): boolean {
    const { words, doubles } = this.#table.store;
    const { activeTimeoutMs, inactiveTimeoutMs } = this.#options;
    const starts = this.#starts;
    const ends = this.#ends;
    const double = slot * RECORD_DOUBLES;
    if (ends?.isClosing(slot)) {
      if (!ends.isOver(slot, clockMs, flags)) return true;
      this.split(slot, clockMs, number, EXPORT_TCP_END);
      return false;
    }
    if (clockMs >= doubles[double + DOUBLE_CLOCK] + inactiveTimeoutMs) {
      this.split(slot, clockMs, number, EXPORT_INACTIVE);
      return false;
    }
    if (starts !== null && starts.get(slot) === NEVER) {
      this.#arrive(clockMs, number);
      this.#goOn(slot, time);
      // It was queued to rest for longer than it may be active.
      this.#queueAnew(slot);
      return true;
    }
    const isTooOld =
      starts === null
        ? time - doubles[double + DOUBLE_START] >= activeTimeoutMs
        : clockMs >= starts.get(slot) + activeTimeoutMs;
    if (isTooOld || words[slot * RECORD_WORDS + WORD_PACKETS + direction] >>> 0 === MOST_PACKETS) {
      this.#arrive(clockMs, number);
      this.#cut(slot);
      this.#goOn(slot, time);
    }
    return true;
  }

  /** A packet with these TCP flags was counted: its connection may have ended with it. */
  sawFlags(slot: number, direction: number, flags: number, clockMs: number): void {
    if (this.#ends?.see(slot, direction, flags, clockMs)) this.#queueAnew(slot);
  }

  /** What follows is what packet `number` does, and when. */
  #arrive(clockMs: number, number: number): void {
    this.clockMs = clockMs;
    this.#number = number;
    this.#order = 2 * number + 1;
  }

  /** Packet `number` ends the flow. */
  split(slot: number, clockMs: number, number: number, reason: number): void {
    this.#arrive(clockMs, number);
    this.#wheel.remove(slot);
    this.#finish(slot, reason === EXPORT_INACTIVE ? this.#reasonOf(slot, reason) : reason);
  }

  /** A conversation begins with row `row`, whose key has this hash. Returns its slot. */
  start(batch: PacketBatch, row: number, clockMs: number, hash: number): number {
    const table = this.#table;
    this.#arrive(clockMs, batch.first + row);
    if (this.#isFull) this.#evict();
    const slot = table.insert(table.kernel.key, row * KEY_WORDS, hash);
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
    doubles[double + DOUBLE_CLOCK] = this.clockMs;
    words[slot * RECORD_WORDS + WORD_REASON] = EXPORT_CAPACITY;
    this.#starts?.set(slot, this.clockMs);
    this.flowsStarted++;
  }

  /** Ends a flow for its active timeout; its conversation rests in the slot until its next packet, or until it is inactive. */
  #cut(slot: number): void {
    const { words } = this.#table.store;
    this.finished.push(this.#table.store, slot, EXPORT_ACTIVE, this.#order);
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

  #queueAnew(slot: number): void {
    this.#wheel.remove(slot);
    this.#wheel.add(slot);
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
      this.finished.drop(this.#table.store, slot);
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
    if (this.clockMs >= activeAt && activeAt < inactiveAt) return EXPORT_ACTIVE;
    return this.clockMs >= inactiveAt ? EXPORT_INACTIVE : otherwise;
  }

  #isResting(slot: number): boolean {
    return this.#resting > 0 && this.#starts?.get(slot) === NEVER;
  }

  #isClosing(slot: number): boolean {
    return this.#ends?.isClosing(slot) === true;
  }

  #isInactive(slot: number): boolean {
    return this.clockMs >= this.#inactiveAt(slot);
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
    this.finished.push(this.#table.store, slot, reason, this.#order);
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
