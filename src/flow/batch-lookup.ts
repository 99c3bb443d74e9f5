// The first passes over a batch: which rows are the meter's and what the clock is at each, the hashes of their keys, and the
// slots of their flows.
//
// They change nothing. Loads of one row do not wait for those of another, and no branch depends on what was loaded: so many
// loads are under way at once, which hides the latency of memory. What they do not find, or what has ended within the
// batch, the meter looks up again.
import type { PacketColumns } from '../packet/packet-columns.ts';
import * as packet from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';
import type { FlowTable } from './flow-table.ts';
import * as table from './flow-table.ts';
import { hashKey, matchKey } from './key.ts';
import * as record from './record.ts';

// Own constants are folded into the code (see meter.ts).
const { KEY_WORDS, METERED } = packet;
const { SLOT_MASK, TAG_MASK } = table;
const { DOUBLE_PACKETS, RECORD_WORDS, WORD_FLAGS } = record;

export class BatchLookup {
  readonly #table: FlowTable;
  readonly #columns: PacketColumns;
  readonly #owner: number;
  /** By row: the latest clock of all metered rows up to it. */
  readonly clocks: Float64Array;
  /** Rows that are the meter's, and their number. */
  readonly rows: Int32Array;
  count = 0;
  /** Of each of `rows`, its key's hash. */
  readonly hashes: Int32Array;
  /** Of each of `rows`: `slot * 2 + direction` of its flow when the batch began, or -1 where it was not found. */
  readonly found: Int32Array;
  /** Where the passes leave what they loaded, so that it is loaded; read by nobody. */
  warmed = 0;

  constructor(flows: FlowTable, columns: PacketColumns, rows: number, owner: number) {
    this.#table = flows;
    this.#columns = columns;
    this.#owner = owner;
    this.clocks = new Float64Array(rows);
    this.rows = new Int32Array(rows);
    this.hashes = new Int32Array(rows);
    this.found = new Int32Array(rows);
  }

  /** `clockMs` is the clock before the batch. Rows that are not metered are counted in `skipped`, by status. */
  find(batch: PacketBatch, clockMs: number, skipped: Float64Array): void {
    if (batch.owners === null) this.#takeAll(batch, clockMs, skipped);
    else this.#takeOwn(batch, batch.owners, clockMs, skipped);
    if (batch.hashes === null) this.#hash();
    else this.#takeHashes(batch.hashes);
    this.#find();
    // What is kept beside the records: two doubles that packets do not touch, or measurements, which they do.
    if (this.#table.store.layout.directions >= 0) this.#touchMeasurements();
  }

  /** HOT PATH. */
  #takeAll({ count, clockMs }: PacketBatch, before: number, skipped: Float64Array): void {
    const { status } = this.#columns;
    const { rows, clocks } = this;
    let clock = before;
    let own = 0;
    for (let row = 0; row < count; row++) {
      if (status[row] === METERED) {
        if (clockMs[row] > clock) clock = clockMs[row];
        rows[own++] = row;
      } else skipped[status[row]]++;
      clocks[row] = clock;
    }
    this.count = own;
  }

  /** HOT PATH: whose a row is can't be predicted, so nothing branches on it. */
  #takeOwn({ count, clockMs }: PacketBatch, owners: Uint8Array, before: number, skipped: Float64Array): void {
    const { status } = this.#columns;
    const { rows, clocks } = this;
    const owner = this.#owner;
    let clock = before;
    let own = 0;
    for (let row = 0; row < count; row++) {
      const other = owners[row] ^ owner;
      if (status[row] === METERED) {
        if (clockMs[row] > clock) clock = clockMs[row];
        rows[own] = row;
        own += (other - 1) >>> 31;
      } else if (other === 0) skipped[status[row]]++;
      clocks[row] = clock;
    }
    this.count = own;
  }

  #takeHashes(byRow: Int32Array): void {
    const { rows, hashes, count } = this;
    const { buckets, mask } = this.#table;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const hash = byRow[rows[i]];
      hashes[i] = hash;
      sum ^= buckets[hash & mask];
    }
    this.warmed = sum;
  }

  /** HOT PATH: hashes all keys and loads the index entry of each. */
  #hash(): void {
    const { key } = this.#columns;
    const { rows, hashes, count } = this;
    const { buckets, mask, seed } = this.#table;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const hash = hashKey(key, rows[i] * KEY_WORDS, seed);
      hashes[i] = hash;
      sum ^= buckets[hash & mask];
    }
    this.warmed = sum;
  }

  /** HOT PATH: tries the first two entries of each key, by masks, and loads all cache lines of the record. */
  #find(): void {
    const { key } = this.#columns;
    const { rows, hashes, found, count } = this;
    const { buckets, mask } = this.#table;
    const { words } = this.#table.store;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const hash = hashes[i];
      const index = hash & mask;
      const first = buckets[index];
      const second = buckets[(index + 1) & mask];
      const difference = (first ^ hash) & TAG_MASK;
      const isSecond = (difference | -difference) >> 31;
      const entry = (first & ~isSecond) | (second & isSecond);
      // Of an empty one any slot does: the key says that it is not the flow's.
      const slot = Math.max((entry & SLOT_MASK) - 1, 0);
      const base = slot * RECORD_WORDS;
      const direction = matchKey(words, base, key, rows[i] * KEY_WORDS);
      found[i] = (slot * 2) | direction;
      sum ^= words[base + 2 * DOUBLE_PACKETS] ^ words[base + WORD_FLAGS + 8];
    }
    this.warmed ^= sum;
  }

  /** HOT PATH: the same for what is measured, of the direction that the packet has. */
  #touchMeasurements(): void {
    const { found, count } = this;
    const { extraWords, layout } = this.#table.store;
    const width = layout.doubles * 2;
    const gaps = Math.max(layout.statistics, 0) * 2;
    const directions = layout.directions * 2;
    const wayWords = layout.wayDoubles * 2;
    let sum = 0;
    for (let i = 0; i < count; i++) {
      const flow = Math.max(found[i], 0);
      const base = (flow >> 1) * width;
      sum ^= extraWords[base + gaps] ^ extraWords[base + directions + (flow & 1) * wayWords];
    }
    this.warmed ^= sum;
  }
}
