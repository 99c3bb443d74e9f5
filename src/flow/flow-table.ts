// The table of live flows: records at a fixed stride (record.ts) and an open-addressing index over them.
//
//   buckets:  [ 0 | entry | entry | 0 | ... ]     power of two, at most half full, linear probing, no tombstones
//   entry:    7 bits of the hash, 25 of slot + 1  so that a look-up rarely loads another flow's record
//                      |
//   store:    [ record 0 | record 1 | ... ]       slots are recycled through a free list in WORD_NEXT
//
// Invariant: between two calls of `recycle` no slot goes from one flow to another, so that whoever has looked a flow up can
// tell by its record whether it still lives. Hence there are more slots than there may be flows.
//
// Order of buckets never shows in results, so the hash is seeded at random for each table.
import * as packet from '../packet/packet-columns.ts';
import { matchKey } from './key.ts';
import * as record from './record.ts';
import { type RecordShape, RecordStore } from './record.ts';

// Own constants are folded into the code (see meter.ts).
const { KEY_WORDS } = packet;
const { DOUBLE_SEQUENCE, RECORD_BYTES, RECORD_DOUBLES, RECORD_WORDS, WORD_HASH, WORD_NEXT } = record;

/** The part of an entry that is slot + 1; more flows than that there can not be (MAX_CAPACITY). */
export const SLOT_MASK = 0x1ff_ffff;
/** The part of an entry, and of a hash, that tells most flows of a run of entries apart. */
export const TAG_MASK: number = ~SLOT_MASK;

const FIRST_ROWS = 8192;
/** Straight to here at the first growth: untouched pages of a fresh buffer cost no memory. */
const SECOND_ROWS = 1 << 19;
/** Unless rows are so wide (long sequences of packets) that it would take more address space than this. */
const SECOND_BYTES = 2 ** 31;

export class FlowTable {
  readonly store: RecordStore;
  readonly capacity: number;
  readonly seed: number;
  /** Slots at most. */
  readonly slots: number;
  buckets: Int32Array;
  mask: number;
  /** Flows live now. */
  live = 0;
  /** Slots ever handed out; every live slot is below it. */
  highWater = 0;
  #free = -1;
  /** Slots freed since the last `recycle`. */
  #freed = -1;
  #lastFreed = -1;
  /** 0 where the store only doubles. */
  readonly #secondRows: number;

  /** @param inserts flows that begin between two calls of `recycle`, at most */
  constructor(capacity: number, shape: RecordShape, inserts: number, seed = (Math.random() * 0x1_0000_0000) | 0) {
    this.capacity = capacity;
    this.slots = capacity + inserts;
    this.seed = seed;
    const rowBytes = RECORD_BYTES + shape.layout.doubles * 8;
    const roomy = Math.floor(SECOND_BYTES / rowBytes);
    this.#secondRows = roomy < SECOND_ROWS ? 0 : SECOND_ROWS;
    this.store = new RecordStore(Math.min(this.slots, FIRST_ROWS, roomy), shape);
    this.buckets = new Int32Array(FIRST_ROWS * 2);
    this.mask = this.buckets.length - 1;
  }

  /** Finds the flow with the key at `key[at]`, in either direction: `slot * 2 + direction`, or -1. */
  find(key: Int32Array, at: number, hash: number): number {
    const { buckets, mask } = this;
    const { words } = this.store;
    let index = hash & mask;
    for (let entry = buckets[index]; entry !== 0; entry = buckets[index]) {
      if (((entry ^ hash) & TAG_MASK) === 0) {
        const slot = (entry & SLOT_MASK) - 1;
        const direction = matchKey(words, slot * RECORD_WORDS, key, at);
        if (direction >= 0) return slot * 2 + direction;
      }
      index = (index + 1) & mask;
    }
    return -1;
  }

  /** Takes a slot for a new flow and writes its key and hash; all other words are zero. The caller made room before. */
  insert(key: Int32Array, at: number, hash: number): number {
    if (this.live * 2 >= this.buckets.length) this.#growIndex();
    let slot = this.#free;
    if (slot >= 0) {
      this.#free = this.store.words[slot * RECORD_WORDS + WORD_NEXT];
      this.store.words.fill(0, slot * RECORD_WORDS, (slot + 1) * RECORD_WORDS);
    } else {
      slot = this.highWater++;
      if (slot >= this.store.rows) {
        this.store.grow(Math.min(this.slots, Math.max(this.#secondRows, this.store.rows * 2)));
      }
    }
    const { words } = this.store;
    const base = slot * RECORD_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) words[base + i] = key[at + i];
    words[base + WORD_HASH] = hash;
    this.#place(slot, hash);
    this.live++;
    return slot;
  }

  /** What was freed may be taken again. */
  recycle(): void {
    if (this.#freed < 0) return;
    this.store.words[this.#lastFreed * RECORD_WORDS + WORD_NEXT] = this.#free;
    this.#free = this.#freed;
    this.#freed = -1;
  }

  /** Gives the slot back. Its record stays readable until the slot is taken again, but for the number of its last packet: 0. */
  remove(slot: number): void {
    const { buckets, mask } = this;
    const { words, doubles } = this.store;
    doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE] = 0;
    let hole = words[slot * RECORD_WORDS + WORD_HASH] & mask;
    while ((buckets[hole] & SLOT_MASK) !== slot + 1) hole = (hole + 1) & mask;
    // Close the gap: move up every later entry of the run that may stand in the hole.
    let index = hole;
    for (;;) {
      index = (index + 1) & mask;
      const entry = buckets[index];
      if (entry === 0) break;
      const home = words[((entry & SLOT_MASK) - 1) * RECORD_WORDS + WORD_HASH] & mask;
      if (((index - home) & mask) >= ((index - hole) & mask)) {
        buckets[hole] = entry;
        hole = index;
      }
    }
    buckets[hole] = 0;
    words[slot * RECORD_WORDS + WORD_NEXT] = this.#freed;
    if (this.#freed < 0) this.#lastFreed = slot;
    this.#freed = slot;
    this.live--;
  }

  #place(slot: number, hash: number): void {
    const { buckets, mask } = this;
    let index = hash & mask;
    while (buckets[index] !== 0) index = (index + 1) & mask;
    buckets[index] = (slot + 1) | (hash & TAG_MASK);
  }

  #growIndex(): void {
    const old = this.buckets;
    this.buckets = new Int32Array(old.length * 2);
    this.mask = this.buckets.length - 1;
    const { words } = this.store;
    for (let i = 0; i < old.length; i++) {
      const entry = old[i];
      if (entry === 0) continue;
      const slot = (entry & SLOT_MASK) - 1;
      this.#place(slot, words[slot * RECORD_WORDS + WORD_HASH]);
    }
  }
}
