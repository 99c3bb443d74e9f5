// The first two passes over a batch: all keys hashed, then all records loaded that the batch will most likely need.
//
// They change nothing but the cache: their loads are independent of each other, so many are under way at once, which
// hides the latency of memory.
import type { PacketColumns } from '../packet/packet-columns.ts';
import * as packet from '../packet/packet-columns.ts';
import type { FlowTable } from './flow-table.ts';
import * as table from './flow-table.ts';
import { hashKey } from './key.ts';
import * as record from './record.ts';

// Own constants are folded into the code (see meter.ts).
const { KEY_WORDS, METERED } = packet;
const { SLOT_MASK, TAG_MASK } = table;
const { DOUBLE_PACKETS, RECORD_WORDS, WORD_FLAGS, WORD_HASH } = record;

export class BatchLookup {
  readonly #table: FlowTable;
  readonly #columns: PacketColumns;
  /** By row; valid where its status is METERED. */
  readonly hashes: Int32Array;
  /** By row, where the index says that its flow is; a flow with the same tag may be there instead. Below 0: nowhere. */
  readonly slots: Int32Array;
  /** Where the passes leave what they loaded, so that it is loaded; read by nobody. */
  warmed = 0;

  constructor(flows: FlowTable, columns: PacketColumns, rows: number) {
    this.#table = flows;
    this.#columns = columns;
    this.hashes = new Int32Array(rows);
    this.slots = new Int32Array(rows);
  }

  warm(count: number): void {
    this.#hash(count);
    this.#touch(count);
    // What is kept beside the records: two doubles that packets do not touch, or measurements, which they do.
    if (this.#table.store.layout.directions >= 0) this.#touchMeasurements(count);
  }

  /** HOT PATH: hashes all keys and loads the index entry of each. */
  #hash(count: number): void {
    const { key, status } = this.#columns;
    const { hashes } = this;
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

  /** HOT PATH: loads all cache lines of the records. */
  #touch(count: number): void {
    const { status } = this.#columns;
    const { hashes, slots } = this;
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

  /** HOT PATH: the same for what is measured, of the direction that the packet most likely has: told without a branch. */
  #touchMeasurements(count: number): void {
    const { slots } = this;
    const { key } = this.#columns;
    const { words, extraWords, layout } = this.#table.store;
    const width = layout.doubles * 2;
    const gaps = Math.max(layout.statistics, 0) * 2;
    const directions = layout.directions * 2;
    const wayWords = layout.wayDoubles * 2;
    let sum = 0;
    for (let row = 0; row < count; row++) {
      const slot = Math.max(slots[row], 0);
      const base = slot * width;
      const difference = words[slot * RECORD_WORDS] ^ key[row * KEY_WORDS];
      const way = ((difference | -difference) >> 31) & wayWords;
      sum ^= extraWords[base + gaps] ^ extraWords[base + directions + way];
    }
    this.warmed ^= sum;
  }
}
