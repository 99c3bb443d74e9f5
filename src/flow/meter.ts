// The meter: batches of decoded packets in, finished flows out.
//
//   hash all keys -> touch all records -> for each packet in order: expire, find or create, update, user code
//
// The first two passes change nothing but the cache: their loads are independent of each other, so many are under way
// at once, which hides the latency of memory. The last pass goes packet by packet, so that results do not depend on the
// batch size.

import type { PacketColumns } from '../packet/packet-columns.ts';
import * as packet from '../packet/packet-columns.ts';
import { BATCH_CAPACITY, type PacketBatch } from '../source/source.ts';
import { ExpiryWheel, StartClocks } from './expiry-wheel.ts';
import type { Flow } from './flow.ts';
import { FlowBatch } from './flow-batch.ts';
import * as table from './flow-table.ts';
import { FlowTable } from './flow-table.ts';
import { hashKey } from './key.ts';
import { Recency } from './recency.ts';
import type { RecordStore } from './record.ts';
import * as record from './record.ts';

// V8 folds a module's own constants into the code, imported ones it loads each time: a seventh of the meter's time.
const { KEY_WORDS, METERED, SKIP_REASONS } = packet;
const { SLOT_MASK, TAG_MASK } = table;
const {
  DOUBLE_BYTES,
  DOUBLE_CLOCK,
  DOUBLE_END,
  DOUBLE_PACKETS,
  DOUBLE_SEQUENCE,
  DOUBLE_START,
  EXPORT_ACTIVE,
  EXPORT_CAPACITY,
  EXPORT_INACTIVE,
  EXPORT_TERMINATION,
  RECORD_DOUBLES,
  RECORD_WORDS,
  TCP_FLAGS,
  WORD_FLAGS,
  WORD_HASH,
  WORD_REASON,
} = record;

export interface MeterOptions {
  /** Live flows at most. */
  capacity: number;
  activeTimeoutMs: number;
  inactiveTimeoutMs: number;
  /**
   * End a flow that has been active for too long without waiting for its next packet, and measure that by the clock
   * instead of time stamps: for sources whose time goes on by itself.
   */
  expiresActive: boolean;
  /** What happens to the least recently used flow when one more than `capacity` arrives. */
  onCapacity: 'drop' | 'export';
}

/** Whoever wants to see flows while they live: the one place through which user code is called. */
export interface FlowObserver {
  /** The rows of a batch most likely belong to the flows in these slots (below 0: none): time to load what is known of them. */
  touch(slots: Int32Array, count: number): void;
  /** A flow began in `slot`; its first packet follows. */
  started(slot: number, store: RecordStore): void;
  /** Row `row` was counted in the flow. Returns false when it is not interested, so that nothing needs to be looked up. */
  updated(row: number, slot: number, direction: 0 | 1): boolean;
  /** The flow ended; its record is final. Returns the view that leaves with the record. */
  ended(slot: number): Flow;
}

export class FlowMeter {
  readonly #table: FlowTable;
  readonly #wheel: ExpiryWheel;
  readonly #recency: Recency;
  readonly #options: MeterOptions;
  readonly #columns: PacketColumns;
  readonly #observer: FlowObserver | null;
  readonly #hashes: Int32Array;
  /** Where the index says that each row's flow is; a flow with the same tag may be there instead. */
  readonly #slots: Int32Array;
  readonly #expire: (slot: number) => void;
  /** Null unless `expiresActive`. */
  readonly #starts: StartClocks | null;
  /** The latest time seen: packets out of order never move it back. */
  #clockMs = Number.NEGATIVE_INFINITY;
  #sequence = 0;
  /** Where the first passes leave what they loaded, so that it is loaded; read by nobody. */
  warmed = 0;
  #finished: FlowBatch[] = [];
  /** Copies for whoever holds a flow whose record goes nowhere: its slot becomes another flow's. */
  #dropped = new FlowBatch();
  packetsMetered = 0;
  /** By status (index into SKIP_REASONS). */
  readonly packetsSkipped = new Float64Array(SKIP_REASONS.length);
  flowsStarted = 0;
  flowsEvicted = 0;
  readonly exported = { inactive: 0, active: 0, termination: 0, user: 0, capacity: 0 };

  constructor(options: MeterOptions, columns: PacketColumns, observer: FlowObserver | null, rows = BATCH_CAPACITY) {
    this.#options = options;
    this.#columns = columns;
    this.#observer = observer;
    this.#table = new FlowTable(options.capacity);
    this.#starts = options.expiresActive ? new StartClocks() : null;
    this.#wheel = new ExpiryWheel(this.#table.store, {
      inactiveMs: options.inactiveTimeoutMs,
      activeMs: options.activeTimeoutMs,
      starts: this.#starts,
    });
    this.#recency = new Recency(this.#table);
    this.#hashes = new Int32Array(rows);
    this.#slots = new Int32Array(rows);
    this.#expire = (slot) => this.#finish(slot, this.#isInactive(slot) ? EXPORT_INACTIVE : EXPORT_ACTIVE);
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
    return this.#table.live;
  }

  /** Meters the rows of `batch` that the columns say are METERED. */
  meter(batch: PacketBatch): void {
    this.#hash(batch.count);
    this.#touch(batch.count);
    this.#observer?.touch(this.#slots, batch.count);
    this.#update(batch);
  }

  /** It is `clockMs` and every packet before that was metered: ends the flows whose timeouts have passed. */
  advance(clockMs: number): void {
    if (!(clockMs > this.#clockMs)) return;
    this.#clockMs = clockMs;
    if (clockMs >= this.#wheel.nextTickMs) this.#wheel.advance(clockMs, this.#expire);
  }

  /** Finished flows so far, in the order they ended; they are forgotten here. */
  takeFinished(): FlowBatch[] {
    const finished = this.#finished;
    if (finished.length > 0) this.#finished = [];
    return finished;
  }

  /** Counts the flows of a batch as exported: user code, which may set their reasons, has had its last word. */
  countExported({ count, store }: FlowBatch): void {
    const { exported } = this;
    for (let row = 0; row < count; row++) {
      const reason = store.words[row * RECORD_WORDS + WORD_REASON];
      if (reason === EXPORT_INACTIVE) exported.inactive++;
      else if (reason === EXPORT_ACTIVE) exported.active++;
      else if (reason === EXPORT_TERMINATION) exported.termination++;
      else if (reason === EXPORT_CAPACITY) exported.capacity++;
      else exported.user++;
    }
  }

  /** Whether `takeFinished` has a full batch. */
  get hasFullBatch(): boolean {
    return this.#finished.length > 1 || (this.#finished.length === 1 && this.#finished[0].isFull);
  }

  /**
   * Ends up to `limit` of the live flows, the least recently used first: as inactive those that are, the others by
   * termination. Returns whether any are left.
   */
  terminate(limit: number): boolean {
    for (let i = 0; i < limit; i++) {
      const slot = this.#recency.next();
      if (slot < 0) return false;
      this.#wheel.remove(slot);
      this.#finish(slot, this.#isInactive(slot) ? EXPORT_INACTIVE : EXPORT_TERMINATION);
    }
    return this.#table.live > 0;
  }

  /** HOT PATH: hashes all keys and loads the index entry of each. */
  #hash(count: number): void {
    const { key, status } = this.#columns;
    const hashes = this.#hashes;
    const { buckets, mask, seed } = this.#table;
    let sum = 0;
    for (let row = 0; row < count; row++) {
      if (status[row] !== METERED) continue;
      const hash = hashKey(key, row * KEY_WORDS, seed);
      hashes[row] = hash;
      sum ^= buckets[hash & mask];
    }
    this.warmed = sum;
  }

  /** HOT PATH: loads all cache lines of the records that the batch will most likely need. */
  #touch(count: number): void {
    const { status } = this.#columns;
    const hashes = this.#hashes;
    const slots = this.#slots;
    const { buckets, mask } = this.#table;
    const { words } = this.#table.store;
    let sum = 0;
    for (let row = 0; row < count; row++) {
      if (status[row] !== METERED) {
        slots[row] = -1;
        continue;
      }
      const hash = hashes[row];
      let index = hash & mask;
      let entry = buckets[index];
      while (entry !== 0 && ((entry ^ hash) & TAG_MASK) !== 0) {
        index = (index + 1) & mask;
        entry = buckets[index];
      }
      const slot = (entry & SLOT_MASK) - 1;
      slots[row] = slot;
      const base = Math.max(slot, 0) * RECORD_WORDS;
      sum ^= words[base] ^ words[base + WORD_HASH] ^ words[base + 2 * DOUBLE_PACKETS] ^ words[base + WORD_FLAGS + 8];
    }
    this.warmed ^= sum;
  }

  /** HOT PATH: no allocation for a packet of a known flow. */
  #update(batch: PacketBatch): void {
    const { count, timeMs, clockMs, wireLength } = batch;
    const { status, key, tcpFlags } = this.#columns;
    const { activeTimeoutMs, inactiveTimeoutMs } = this.#options;
    const hashes = this.#hashes;
    const table = this.#table;
    const wheel = this.#wheel;
    const starts = this.#starts;
    const store = table.store;
    const observer = this.#observer;
    const skipped = this.packetsSkipped;
    let { words, doubles } = store;
    let clock = this.#clockMs;
    let sequence = this.#sequence;
    try {
      for (let row = 0; row < count; row++) {
        if (status[row] !== METERED) {
          skipped[status[row]]++;
          continue;
        }
        const time = timeMs[row];
        const now = clockMs[row];
        if (now > clock) {
          clock = now;
          this.#clockMs = now;
          if (now >= wheel.nextTickMs) wheel.advance(now, this.#expire);
        }
        const at = row * KEY_WORDS;
        const flow = table.find(key, at, hashes[row]);
        let slot = flow >> 1;
        let double = slot * RECORD_DOUBLES;
        if (slot >= 0) {
          if (clock - doubles[double + DOUBLE_CLOCK] >= inactiveTimeoutMs) {
            wheel.remove(slot);
            this.#finish(slot, EXPORT_INACTIVE);
            slot = -1;
          } else if (
            (starts === null ? time - doubles[double + DOUBLE_START] : clock - starts.get(slot)) >= activeTimeoutMs
          ) {
            wheel.remove(slot);
            this.#finish(slot, EXPORT_ACTIVE);
            slot = -1;
          }
        }
        let direction = flow & 1;
        if (slot < 0) {
          direction = 0;
          slot = this.#start(key, at, hashes[row], time);
          double = slot * RECORD_DOUBLES;
          words = store.words;
          doubles = store.doubles;
        }
        sequence++;
        // DIFFERS: NFStream moves a packet out of order forward to the newest time seen (kind clock) and cuts times to
        // whole milliseconds (kind whole_ms); start and end are true times here.
        if (time < doubles[double + DOUBLE_START]) doubles[double + DOUBLE_START] = time;
        if (time > doubles[double + DOUBLE_END]) doubles[double + DOUBLE_END] = time;
        doubles[double + DOUBLE_CLOCK] = clock;
        doubles[double + DOUBLE_SEQUENCE] = sequence;
        doubles[double + DOUBLE_PACKETS + direction] += 1;
        doubles[double + DOUBLE_BYTES + direction] += wireLength[row];
        const flags = tcpFlags[row];
        const word = slot * RECORD_WORDS;
        if (flags !== 0) countFlags(words, word + WORD_FLAGS + direction, flags);
        if (observer?.updated(row, slot, direction as 0 | 1) && words[word + WORD_REASON] > EXPORT_TERMINATION) {
          wheel.remove(slot);
          this.#finish(slot, words[word + WORD_REASON]);
        }
      }
    } finally {
      this.packetsMetered += sequence - this.#sequence;
      this.#sequence = sequence;
    }
  }

  #start(key: Int32Array, at: number, hash: number, time: number): number {
    const table = this.#table;
    if (table.live === table.capacity) this.#evict();
    const slot = table.insert(key, at, hash);
    const { words, doubles } = table.store;
    const double = slot * RECORD_DOUBLES;
    doubles[double + DOUBLE_START] = time;
    doubles[double + DOUBLE_END] = time;
    doubles[double + DOUBLE_CLOCK] = this.#clockMs;
    words[slot * RECORD_WORDS + WORD_REASON] = EXPORT_CAPACITY;
    this.#starts?.set(slot, this.#clockMs);
    this.#wheel.add(slot);
    this.flowsStarted++;
    this.#observer?.started(slot, table.store);
    return slot;
  }

  /** Makes room: the least recently used flow goes. If it has been inactive long enough, it just ends as such. */
  #evict(): void {
    const slot = this.#recency.next();
    this.#wheel.remove(slot);
    if (this.#isInactive(slot)) this.#finish(slot, EXPORT_INACTIVE);
    else if (this.#options.onCapacity === 'export') this.#finish(slot, EXPORT_CAPACITY);
    else {
      this.flowsEvicted++;
      const flow = this.#observer?.ended(slot);
      if (flow !== undefined) {
        if (this.#dropped.isFull) this.#dropped = new FlowBatch();
        this.#dropped.push(this.#table.store, slot, flow);
      }
      this.#free(slot);
    }
  }

  #isInactive(slot: number): boolean {
    const lastMs = this.#table.store.doubles[slot * RECORD_DOUBLES + DOUBLE_CLOCK];
    return this.#clockMs - lastMs >= this.#options.inactiveTimeoutMs;
  }

  /** Ends a flow that is in no queue any more: user code's last word, a copy of its record, the slot back. */
  #finish(slot: number, reason: number): void {
    const { store } = this.#table;
    store.words[slot * RECORD_WORDS + WORD_REASON] = reason;
    const flow = this.#observer?.ended(slot);
    let batch = this.#finished[this.#finished.length - 1];
    if (batch === undefined || batch.isFull) {
      batch = new FlowBatch();
      this.#finished.push(batch);
    }
    batch.push(store, slot, flow);
    this.#free(slot);
  }

  #free(slot: number): void {
    this.#table.remove(slot);
    this.#table.store.doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE] = 0;
  }
}

const [[, SYN], [, CWR], [, ECE], [, URG], , , [, RST], [, FIN]] = TCP_FLAGS;
const ACK_SHIFT = 4;
const PSH_SHIFT = 3;

/** `at` is the counter of SYN in the packet's direction; the others follow two words apart, in the order of TCP_FLAGS. */
function countFlags(words: Int32Array, at: number, flags: number): void {
  // ACK and PSH are too common and too mixed to branch on.
  words[at + 8] += (flags >> ACK_SHIFT) & 1;
  words[at + 10] += (flags >> PSH_SHIFT) & 1;
  if ((flags & (SYN | CWR | ECE | URG | RST | FIN)) === 0) return;
  if ((flags & SYN) !== 0) words[at]++;
  if ((flags & CWR) !== 0) words[at + 2]++;
  if ((flags & ECE) !== 0) words[at + 4]++;
  if ((flags & URG) !== 0) words[at + 6]++;
  if ((flags & RST) !== 0) words[at + 12]++;
  if ((flags & FIN) !== 0) words[at + 14]++;
}
