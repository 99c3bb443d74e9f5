// The table of live flows: records at a fixed stride (record.ts) and an open-addressing index over them.
//
//   index:  [ 0 0 | slot+1 hash | slot+1 hash | 0 0 | ... ]   power of two, at most half full, linear probing
//                      |
//   store:  [ record 0 | record 1 | ... ]                     slots are recycled through a free list in WORD_NEXT
//
// The hash stands beside the slot, so that probing, closing gaps and growing never load a record of another flow.
// The order of the index never shows in results, so the hash is seeded at random for each table.
import { KEY_WORDS } from '../packet/packet-columns.ts';
import { matchKey } from './key.ts';
import { RECORD_WORDS, RecordStore, WORD_HASH, WORD_NEXT } from './record.ts';

const FIRST_ROWS = 8192;
/** Straight to here at the first growth: untouched pages of a fresh buffer cost no memory. */
const SECOND_ROWS = 1 << 19;

export class FlowTable {
  readonly store: RecordStore;
  readonly capacity: number;
  readonly seed: number = (Math.random() * 0x1_0000_0000) | 0;
  /** Pairs of slot + 1 and hash; 0 for an empty place. */
  index: Int32Array;
  /** Of a hash: the word of `index` at which probing begins. */
  mask: number;
  /** Flows live now. */
  live = 0;
  /** Slots ever handed out; every live slot is below it. */
  highWater = 0;
  #free = -1;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.store = new RecordStore(Math.min(capacity, FIRST_ROWS));
    this.index = new Int32Array(FIRST_ROWS * 2 * 2);
    this.mask = this.index.length - 2;
  }

  /** Finds the flow with the key at `key[at]`, in either direction: `slot * 2 + direction`, or -1. */
  find(key: Int32Array, at: number, hash: number): number {
    const { index, mask } = this;
    const { words } = this.store;
    let place = (hash << 1) & mask;
    for (let entry = index[place]; entry !== 0; entry = index[place]) {
      if (index[place + 1] === hash) {
        const direction = matchKey(words, (entry - 1) * RECORD_WORDS, key, at);
        if (direction >= 0) return (entry - 1) * 2 + direction;
      }
      place = (place + 2) & mask;
    }
    return -1;
  }

  /**
   * Takes a slot for a new flow and writes its key and hash; what else a record needs is the caller's. The caller made
   * room before.
   */
  insert(key: Int32Array, at: number, hash: number): number {
    if (this.live * 4 >= this.index.length) this.#growIndex();
    let slot = this.#free;
    if (slot >= 0) {
      this.#free = this.store.words[slot * RECORD_WORDS + WORD_NEXT];
    } else {
      slot = this.highWater++;
      if (slot >= this.store.rows) {
        this.store.grow(Math.min(this.capacity, this.store.rows < SECOND_ROWS ? SECOND_ROWS : this.store.rows * 2));
      }
    }
    const { words } = this.store;
    const base = slot * RECORD_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) words[base + i] = key[at + i];
    words[base + WORD_HASH] = hash;
    for (let i = WORD_HASH + 1; i < RECORD_WORDS; i++) words[base + i] = 0;
    this.#place(slot, hash);
    this.live++;
    return slot;
  }

  /** Gives the slot back. Its record stays readable until the slot is taken again. */
  remove(slot: number): void {
    const { index, mask } = this;
    const { words } = this.store;
    let hole = (words[slot * RECORD_WORDS + WORD_HASH] << 1) & mask;
    while (index[hole] !== slot + 1) hole = (hole + 2) & mask;
    // Close the gap: move up every later entry of the run that may stand in the hole.
    let place = hole;
    for (;;) {
      place = (place + 2) & mask;
      const entry = index[place];
      if (entry === 0) break;
      const hash = index[place + 1];
      if (((place - (hash << 1)) & mask) >= ((place - hole) & mask)) {
        index[hole] = entry;
        index[hole + 1] = hash;
        hole = place;
      }
    }
    index[hole] = 0;
    words[slot * RECORD_WORDS + WORD_NEXT] = this.#free;
    this.#free = slot;
    this.live--;
  }

  #place(slot: number, hash: number): void {
    const { index, mask } = this;
    let place = (hash << 1) & mask;
    while (index[place] !== 0) place = (place + 2) & mask;
    index[place] = slot + 1;
    index[place + 1] = hash;
  }

  #growIndex(): void {
    const old = this.index;
    this.index = new Int32Array(old.length * 2);
    this.mask = this.index.length - 2;
    for (let place = 0; place < old.length; place += 2) {
      if (old[place] !== 0) this.#place(old[place] - 1, old[place + 1]);
    }
  }
}
