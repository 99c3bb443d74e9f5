// The table of live flows: records at a fixed stride (record.ts) and an open-addressing index over them, both in the kernel's
// memory, which looks flows up by the batch.
//
//   index:    [ 0 | entry | gone | entry | 0 ]    power of two, linear probing, at most half full, with what is gone 3/4
//   entry:    7 bits of the hash, 25 of slot + 1  so that a look-up rarely loads another flow's record
//                      |
//   store:    [ record 0 | record 1 | ... ]       slots are recycled through a free list in WORD_NEXT
//
// Invariant: between two calls of `recycle` no slot goes from one flow to another, so that whoever has looked a flow up can
// tell by its record whether it still lives. Hence there are more slots than there may be flows.
//
// Order of entries never shows in results, so the hash is seeded at random for each table.
import { NfstreamError } from '../errors.ts';
import { Kernel } from '../kernel/kernel.ts';
import * as packet from '../packet/packet-columns.ts';
import { BATCH_CAPACITY } from '../source/source.ts';
import { hashKey } from './key.ts';
import * as record from './record.ts';
import { type RecordShape, RecordStore } from './record.ts';

// Own constants are folded into the code (see meter.ts).
const { KEY_META, KEY_WORDS } = packet;
const { DOUBLE_SEQUENCE, RECORD_BYTES, RECORD_DOUBLES, RECORD_WORDS, WORD_NEXT, WORD_PACKETS } = record;

/** The part of an entry that is slot + 1; more flows than that there can not be (MAX_CAPACITY). */
const SLOT_MASK = 0x1ff_ffff;
/** The part of an entry, and of a hash, that tells most flows of a run of entries apart. */
const TAG_MASK = ~SLOT_MASK;

/**
 * Stands where an entry was, so that those behind it are found. To move them up instead takes their hashes, each of which is
 * another flow's record to load.
 */
const GONE = TAG_MASK;

/** Flows that begin between two calls of `recycle`, at most: each in a row of one batch. */
const INSERTS = BATCH_CAPACITY;
/** All records at most: a kernel's memory ends at 4 GB, which the index, the batch and bytes of captures are in, too. */
const MAX_BYTES = 3.5 * 2 ** 30;
/** Entries of the index at first. */
const FIRST_ENTRIES = 1 << 14;

/**
 * A kernel with room for `capacity` live flows.
 * @throws NfstreamError OUT_OF_MEMORY
 */
export function kernelFor(capacity: number, { layout }: RecordShape, seed?: number): Kernel {
  const extraBytes = layout.doubles * 8;
  const slots = Math.min(capacity + INSERTS, Math.floor(MAX_BYTES / (RECORD_BYTES + extraBytes)));
  const indexEntries = Math.max(FIRST_ENTRIES, 2 ** Math.ceil(Math.log2(Math.min(capacity, slots) * 2)));
  return new Kernel({ slots, recordBytes: RECORD_BYTES, extraBytes, indexEntries }, seed);
}

export class FlowTable {
  readonly kernel: Kernel;
  readonly store: RecordStore;
  readonly capacity: number;
  /** Slots at most. */
  readonly slots: number;
  /** Flows live now. */
  live = 0;
  /** Slots ever handed out; every live slot is below it. */
  highWater = 0;
  #entries = 0;
  /** Entries that are GONE. */
  #gone = 0;
  #free = -1;
  /** Slots freed since the last `recycle`. */
  #freed = -1;
  #lastFreed = -1;

  /** `kernel` is one that `kernelFor` made for the same capacity and shape. */
  constructor(capacity: number, shape: RecordShape, kernel: Kernel, entries: number = FIRST_ENTRIES) {
    this.capacity = capacity;
    this.slots = kernel.slots;
    this.kernel = kernel;
    this.store = new RecordStore(this.slots, shape, kernel);
    this.#setEntries(entries);
  }

  /**
   * Takes a slot for a new flow and writes its key; all other words are zero. The caller made room before, and has the number
   * of the flow's first packet written before the next call.
   * @throws NfstreamError OUT_OF_MEMORY: records are so wide that not all of `capacity` have room
   */
  insert(key: Int32Array, at: number, hash: number): number {
    if (this.live * 2 >= this.#entries) this.#makeIndex(this.#entries * 2);
    else if ((this.live + this.#gone) * 4 >= this.#entries * 3) this.#makeIndex(this.#entries);
    const { words } = this.store;
    let slot = this.#free;
    if (slot >= 0) this.#free = words[slot * RECORD_WORDS + WORD_NEXT];
    else slot = this.#newSlot();
    const base = slot * RECORD_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) words[base + i] = key[at + i];
    for (let i = KEY_WORDS; i < RECORD_WORDS; i++) words[base + i] = 0;
    this.#place(slot, hash);
    this.live++;
    return slot;
  }

  #newSlot(): number {
    if (this.highWater < this.slots) return this.highWater++;
    const most = this.slots - INSERTS;
    throw new NfstreamError(
      'OUT_OF_MEMORY',
      `No room for more than ${most} live flows; lower capacity, or measure less`,
    );
  }

  /** What was freed may be taken again. */
  recycle(): void {
    if (this.#freed < 0) return;
    this.store.words[this.#lastFreed * RECORD_WORDS + WORD_NEXT] = this.#free;
    this.#free = this.#freed;
    this.#freed = -1;
  }

  /** Gives the slot back. Its record says so: 0 is the number of its last packet. */
  remove(slot: number): void {
    const { index } = this.kernel;
    const { words, doubles } = this.store;
    const mask = this.#entries - 1;
    doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE] = 0;
    let place = this.#homeOf(slot) & mask;
    while ((index[place] & SLOT_MASK) !== slot + 1) place = (place + 1) & mask;
    if (index[(place + 1) & mask] !== 0) {
      index[place] = GONE;
      this.#gone++;
    } else {
      index[place] = 0;
      // Nothing is behind those either.
      for (place = (place - 1) & mask; index[place] === GONE; place = (place - 1) & mask) {
        index[place] = 0;
        this.#gone--;
      }
    }
    // No packet has such a key: what a look-up takes for the slot of a key that is in no entry, may soon be another flow's.
    words[slot * RECORD_WORDS + KEY_META] = 0;
    words[slot * RECORD_WORDS + WORD_NEXT] = this.#freed;
    if (this.#freed < 0) this.#lastFreed = slot;
    this.#freed = slot;
    this.live--;
  }

  /**
   * Loads what ending the flows in `slots[from]` to `slots[to - 1]` will read: the loads do not wait for each other, as they
   * would where each flow is dealt with before the next one is looked at. Returns a number of no meaning.
   */
  touch(slots: Int32Array, from: number, to: number): number {
    const { index } = this.kernel;
    const { words, extraWords, layout } = this.store;
    const mask = this.#entries - 1;
    const width = layout.doubles * 2;
    let sum = 0;
    for (let i = from; i < to; i++) {
      const slot = slots[i];
      sum ^= words[slot * RECORD_WORDS + WORD_PACKETS] ^ extraWords[slot * width] ^ index[this.#homeOf(slot) & mask];
    }
    return sum;
  }

  /** Counts a flow as gone and leaves its slot to nobody: for the end of the run, after which nothing is looked up. */
  abandon(slot: number): void {
    this.store.doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE] = 0;
    this.live--;
  }

  #homeOf(slot: number): number {
    return hashKey(this.store.words, slot * RECORD_WORDS, this.kernel.seed);
  }

  #place(slot: number, hash: number): void {
    const { index } = this.kernel;
    const mask = this.#entries - 1;
    let place = hash & mask;
    while (index[place] !== 0 && index[place] !== GONE) place = (place + 1) & mask;
    if (index[place] === GONE) this.#gone--;
    index[place] = (slot + 1) | (hash & TAG_MASK);
  }

  #makeIndex(entries: number): void {
    const { index } = this.kernel;
    const { doubles } = this.store;
    index.fill(0, 0, this.#entries);
    this.#gone = 0;
    this.#setEntries(entries);
    for (let slot = 0; slot < this.highWater; slot++) {
      // A slot that no flow has shows it by this.
      if (doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE] !== 0) this.#place(slot, this.#homeOf(slot));
    }
  }

  #setEntries(entries: number): void {
    this.#entries = entries;
    this.kernel.passes.setIndexSize(entries);
  }
}
