// Flows whose deadlines have passed at one tick of the clock, brought into the order in which they are exported: that of
// their last packets. The wheel finds them in an order that depends on which other flows there are.
import * as record from './record.ts';

// Own constants are folded into the code (see meter.ts).
const { DOUBLE_SEQUENCE, RECORD_DOUBLES } = record;

/** Fewer than these are sorted by moving each to its place. */
const FEW = 48;

export class DueFlows {
  slots: Int32Array = new Int32Array(1024);
  count = 0;
  #sequences = new Float64Array(1024);

  add(slot: number): void {
    if (this.count === this.slots.length) {
      const longer = new Int32Array(this.count * 2);
      longer.set(this.slots);
      this.slots = longer;
    }
    this.slots[this.count++] = slot;
  }

  /** Sorts the slots by the numbers of their flows' last packets, no two of which are the same. */
  sort(doubles: Float64Array): void {
    const { slots, count } = this;
    if (count < 2) return;
    if (this.#sequences.length < count) this.#sequences = new Float64Array(slots.length);
    const sequences = this.#sequences;
    for (let i = 0; i < count; i++) sequences[i] = doubles[slots[i] * RECORD_DOUBLES + DOUBLE_SEQUENCE];
    if (count < FEW) insertionSort(sequences, slots, count);
    else sortMany(sequences, slots, count);
  }
}

/** Sorts both by the first. */
function insertionSort(sequences: Float64Array, slots: Int32Array, count: number): void {
  for (let i = 1; i < count; i++) {
    const sequence = sequences[i];
    const slot = slots[i];
    let to = i;
    for (; to > 0 && sequences[to - 1] > sequence; to--) {
      sequences[to] = sequences[to - 1];
      slots[to] = slots[to - 1];
    }
    sequences[to] = sequence;
    slots[to] = slot;
  }
}

/** Number and place share a double, unless that would not be exact. */
function sortMany(sequences: Float64Array, slots: Int32Array, count: number): void {
  let oldest = sequences[0];
  let latest = sequences[0];
  for (let i = 1; i < count; i++) {
    oldest = Math.min(oldest, sequences[i]);
    latest = Math.max(latest, sequences[i]);
  }
  const before = slots.slice(0, count);
  if ((latest - oldest + 1) * count > Number.MAX_SAFE_INTEGER) {
    const order = Array.from(before.keys()).sort((a, b) => sequences[a] - sequences[b]);
    for (let i = 0; i < count; i++) slots[i] = before[order[i]];
    return;
  }
  for (let i = 0; i < count; i++) sequences[i] = (sequences[i] - oldest) * count + i;
  const packed = sequences.subarray(0, count).sort();
  for (let i = 0; i < count; i++) slots[i] = before[packed[i] % count];
}
