// Remembers the key of first fragments, so that later fragments of the same packet, which carry no ports, join the
// same flow. RFC 791 section 3.2 and RFC 8200 section 4.5 say what identifies a packet; a VLAN or tunnel separates
// equal addresses.
//
// Bounded and allocation-free: a set-associative cache of WAYS entries a bucket. When a bucket is full, its oldest
// entry is overwritten. An entry is dead LIFETIME_MS of packet time after its first fragment.
//
//   bucket = hash(identity) ──► [ entry | entry | entry | entry ]
//   entry  = identity (IDENTITY_WORDS) ; key of the first fragment (KEY_WORDS) ; time
import { KEY_WORDS } from './packet-columns.ts';

/** src 4, dst 4, identification, protocol | version << 8 | vlan << 16, tunnel. */
export const IDENTITY_WORDS = 11;
export const IDENTITY_ID = 8;
export const IDENTITY_META = 9;
export const IDENTITY_TUNNEL = 10;

const WAYS = 4;

/** Entries when the caller says nothing: about 400 kB. */
export const DEFAULT_FRAGMENT_TABLE_SIZE = 4096;

/** Linux' reassembly time for IPv4 (ipfrag_time); RFC 8200 has 60 s, RFC 791 suggests 15 s. */
export const FRAGMENT_LIFETIME_MS = 30_000;

export class FragmentTable {
  /** Fill it before `put` and `find`. */
  readonly identity: Int32Array = new Int32Array(IDENTITY_WORDS);
  readonly #bucketMask: number;
  readonly #identities: Int32Array;
  readonly #keys: Int32Array;
  /** Packet time of the first fragment in ms, NaN for a free entry. */
  readonly #timeMs: Float64Array;

  /** @param size entries, rounded up to a power of two, at least WAYS */
  constructor(size: number = DEFAULT_FRAGMENT_TABLE_SIZE) {
    let entries = WAYS;
    while (entries < size) entries *= 2;
    this.#bucketMask = entries / WAYS - 1;
    this.#identities = new Int32Array(entries * IDENTITY_WORDS);
    this.#keys = new Int32Array(entries * KEY_WORDS);
    this.#timeMs = new Float64Array(entries).fill(Number.NaN);
  }

  /** Remembers the key words of `row` for `identity`, in place of an older packet of the same identity. */
  put(keys: Int32Array, row: number, timeMs: number): void {
    const first = this.#bucket();
    let entry = this.#match(first);
    if (entry < 0) {
      entry = first;
      for (let candidate = first; candidate < first + WAYS; candidate++) {
        const candidateTime = this.#timeMs[candidate];
        if (Number.isNaN(candidateTime)) {
          entry = candidate;
          break;
        }
        if (candidateTime < this.#timeMs[entry]) entry = candidate;
      }
      for (let word = 0; word < IDENTITY_WORDS; word++) {
        this.#identities[entry * IDENTITY_WORDS + word] = this.identity[word];
      }
    }
    this.#timeMs[entry] = timeMs;
    for (let word = 0; word < KEY_WORDS; word++) {
      this.#keys[entry * KEY_WORDS + word] = keys[row * KEY_WORDS + word];
    }
  }

  /** Copies the key remembered for `identity` into the key words of `row`; false when there is none alive. */
  find(keys: Int32Array, row: number, timeMs: number): boolean {
    const entry = this.#match(this.#bucket());
    // The difference either way: a capture's clock may step back, an entry from far ahead is another packet's.
    if (entry < 0 || Math.abs(timeMs - this.#timeMs[entry]) > FRAGMENT_LIFETIME_MS) return false;
    for (let word = 0; word < KEY_WORDS; word++) {
      keys[row * KEY_WORDS + word] = this.#keys[entry * KEY_WORDS + word];
    }
    return true;
  }

  /** First entry of the bucket of `identity`. */
  #bucket(): number {
    let hash = 0;
    for (let word = 0; word < IDENTITY_WORDS; word++) {
      hash = Math.imul(hash ^ this.identity[word], 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return (hash & this.#bucketMask) * WAYS;
  }

  #match(first: number): number {
    for (let entry = first; entry < first + WAYS; entry++) {
      if (Number.isNaN(this.#timeMs[entry])) continue;
      const at = entry * IDENTITY_WORDS;
      let word = 0;
      while (word < IDENTITY_WORDS && this.#identities[at + word] === this.identity[word]) word++;
      if (word === IDENTITY_WORDS) return entry;
    }
    return -1;
  }
}
