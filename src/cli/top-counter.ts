// Counts by key, in bounded memory: exact while there are at most `capacity` different keys, and beyond that the
// Misra-Gries sketch with weights (J. Misra and D. Gries, 1982; in batches as in Anderson et al., IMC 2017).
//
// When the table is full, the median m of its weights is taken off every weight and those that are left with nothing
// go. The sum of all m so far is `missed`: a key that is not in the table has had at most that many bytes, and the
// counts of one that is are short by at most that many.

export interface Tally {
  readonly key: string;
  flows: number;
  packets: number;
  sentBytes: number;
  receivedBytes: number;
}

interface Entry extends Tally {
  /** `missed` when the entry was made. */
  readonly missedBefore: number;
}

export class TopCounter {
  readonly #capacity: number;
  readonly #entries = new Map<string, Entry>();
  #missed = 0;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  /** Bytes that a count may lack; 0 while all are exact. */
  get missed(): number {
    return this.#missed;
  }

  /** Keys counted now: all of them while `missed` is 0. */
  get size(): number {
    return this.#entries.size;
  }

  /** Counts one flow. */
  add(key: string, packets: number, sentBytes: number, receivedBytes: number): void {
    let entry = this.#entries.get(key);
    if (entry === undefined) {
      if (this.#entries.size >= this.#capacity) this.#prune();
      entry = { key, flows: 0, packets: 0, sentBytes: 0, receivedBytes: 0, missedBefore: this.#missed };
      this.#entries.set(key, entry);
    }
    entry.flows++;
    entry.packets += packets;
    entry.sentBytes += sentBytes;
    entry.receivedBytes += receivedBytes;
  }

  /** The keys with the most bytes, most first; of equals the one that sorts first. */
  top(count: number): readonly Tally[] {
    const entries = [...this.#entries.values()];
    entries.sort((a, b) => bytesOf(b) - bytesOf(a) || (a.key < b.key ? -1 : 1));
    return entries.slice(0, count);
  }

  #prune(): void {
    const weights = Float64Array.from(this.#entries.values(), (entry) => this.#weight(entry)).sort();
    this.#missed += weights[weights.length >> 1];
    for (const entry of this.#entries.values()) {
      if (this.#weight(entry) <= 0) this.#entries.delete(entry.key);
    }
  }

  #weight(entry: Entry): number {
    return bytesOf(entry) - (this.#missed - entry.missedBefore);
  }
}

export function bytesOf({ sentBytes, receivedBytes }: Tally): number {
  return sentBytes + receivedBytes;
}
