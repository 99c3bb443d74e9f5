// The order of live flows by their last packet, least recently used first, without a write per packet to keep it.
//
// Each record carries the number of its last packet. When a victim is needed, all live flows are sorted by that number
// once; `next` walks the sorted list and passes over what was seen or freed since. Whatever was seen since is newer
// than all that stand behind it in the list, so the order is exact. A sort of n flows is paid for by n later steps,
// each of which is an eviction or was caused by at least one packet.
import type { FlowTable } from './flow-table.ts';
import * as record from './record.ts';

// Own constants are folded into the code (see meter.ts).
const { DOUBLE_SEQUENCE, RECORD_DOUBLES, RECORD_WORDS, WORD_PACKETS } = record;

/** A number and a slot share a double: this is how far they reach exactly. */
const EXACT = Number.MAX_SAFE_INTEGER;

export class Recency {
  readonly #table: FlowTable;
  readonly #slots: number;
  #sorted: Float64Array = new Float64Array(0);
  #at = 0;
  #oldest = 0;
  /** Where the end of the run sorts: nothing is looked up any more, so the index's memory is free. */
  #memory: Int32Array | null = null;

  constructor(table: FlowTable) {
    this.#table = table;
    this.#slots = table.slots;
  }

  /** From now on no flow begins and none is looked up. */
  end(): void {
    this.#memory = this.#table.kernel.index;
  }

  /** The least recently used live flow, or -1 when none is live. The caller removes it before it asks again. */
  next(): number {
    const { doubles } = this.#table.store;
    for (;;) {
      if (this.#at >= this.#sorted.length) {
        if (this.#table.live === 0) return -1;
        this.#sort();
      }
      const packed = this.#sorted[this.#at++];
      const slot = packed % this.#slots;
      const sequence = (packed - slot) / this.#slots + this.#oldest;
      if (doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE] === sequence) return slot;
    }
  }

  /**
   * Loads the records of the next `count` flows that `next` will most likely give: the loads do not wait for each other, as
   * they would where each flow is dealt with before the next one is looked for. Returns a number of no meaning.
   */
  touch(count: number): number {
    if (this.#at >= this.#sorted.length && this.#table.live > 0) this.#sort();
    const { words, extraWords, layout } = this.#table.store;
    const width = layout.doubles * 2;
    const to = Math.min(this.#at + count, this.#sorted.length);
    let sum = 0;
    for (let i = this.#at; i < to; i++) {
      const slot = this.#sorted[i] % this.#slots;
      sum ^= words[slot * RECORD_WORDS] ^ words[slot * RECORD_WORDS + WORD_PACKETS] ^ extraWords[slot * width];
    }
    return sum;
  }

  /** Sorts the live flows. A freed slot has the number 0, no packet has. */
  #sort(): void {
    const { highWater, live, store } = this.#table;
    const { doubles } = store;
    let oldest = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < highWater; slot++) {
      const sequence = doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE];
      if (sequence !== 0 && sequence < oldest) oldest = sequence;
    }
    // An index has two words a flow at least.
    const memory = this.#memory;
    const sorted = memory === null ? new Float64Array(live) : new Float64Array(memory.buffer, memory.byteOffset, live);
    let count = 0;
    for (let slot = 0; slot < highWater; slot++) {
      const sequence = doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE];
      if (sequence === 0) continue;
      // Beyond what a double holds exactly only newer flows are left out; the next sort takes them.
      const packed = (sequence - oldest) * this.#slots + slot;
      if (packed <= EXACT) sorted[count++] = packed;
    }
    this.#sorted = sorted.subarray(0, count).sort();
    this.#oldest = oldest;
    this.#at = 0;
  }
}
