// Flow keys: the symmetric hash that brings both directions to the same bucket, and the comparison that tells them
// apart. Keys are the KEY_WORDS words of src/packet/packet-columns.ts.
import { KEY_DST, KEY_META, KEY_PORTS, KEY_TUNNEL, KEY_WORDS, METERED } from '../packet/packet-columns.ts';

/** Murmur3's finaliser constants: https://github.com/aappleby/smhasher (public domain). */
const MIX_1 = 0x85ebca6b;
const MIX_2 = 0xc2b2ae35;

function hashEndpoint(seed: number, w0: number, w1: number, w2: number, w3: number, port: number): number {
  let h = Math.imul(seed ^ w0, MIX_1);
  h = Math.imul(h ^ (h >>> 15) ^ port, MIX_2);
  if ((w1 | w2 | w3) !== 0) {
    h = Math.imul(h ^ (h >>> 13) ^ w1, MIX_1);
    h = Math.imul(h ^ (h >>> 15) ^ w2, MIX_2);
    h = Math.imul(h ^ (h >>> 13) ^ w3, MIX_1);
  }
  return h ^ (h >>> 16);
}

/** The hash of the key at `at`: equal for both directions of a flow. `seed` keeps bucket attacks from being precomputed. */
export function hashKey(key: Int32Array, at: number, seed: number): number {
  const ports = key[at + KEY_PORTS];
  const a = hashEndpoint(seed, key[at], key[at + 1], key[at + 2], key[at + 3], ports >>> 16);
  const b = hashEndpoint(
    seed,
    key[at + KEY_DST],
    key[at + KEY_DST + 1],
    key[at + KEY_DST + 2],
    key[at + KEY_DST + 3],
    ports & 0xffff,
  );
  let h = Math.imul((a + b) ^ Math.imul(a ^ b, MIX_1), MIX_2) ^ key[at + KEY_META];
  h = Math.imul(h ^ (h >>> 16), MIX_1) ^ key[at + KEY_TUNNEL];
  h = Math.imul(h ^ (h >>> 13), MIX_2);
  return h ^ (h >>> 16);
}

/** HOT PATH: hashes the keys of all metered rows of a batch; one pass, so that its multiplications overlap. */
export function hashKeys(key: Int32Array, status: Uint8Array, count: number, seed: number, hashes: Int32Array): void {
  for (let row = 0; row < count; row++) {
    if (status[row] === METERED) hashes[row] = hashKey(key, row * KEY_WORDS, seed);
  }
}

/** Compares the flow key at `words[base]` with the packet key at `key[at]`: 0 same direction, 1 reverse, -1 another flow. */
export function matchKey(words: Int32Array, base: number, key: Int32Array, at: number): 0 | 1 | -1 {
  if (words[base + KEY_META] !== key[at + KEY_META] || words[base + KEY_TUNNEL] !== key[at + KEY_TUNNEL]) return -1;
  const ports = words[base + KEY_PORTS];
  if (
    ports === key[at + KEY_PORTS] &&
    words[base] === key[at] &&
    words[base + 4] === key[at + 4] &&
    words[base + 1] === key[at + 1] &&
    words[base + 2] === key[at + 2] &&
    words[base + 3] === key[at + 3] &&
    words[base + 5] === key[at + 5] &&
    words[base + 6] === key[at + 6] &&
    words[base + 7] === key[at + 7]
  ) {
    return 0;
  }
  if (
    ((ports << 16) | (ports >>> 16)) === key[at + KEY_PORTS] &&
    words[base] === key[at + 4] &&
    words[base + 4] === key[at] &&
    words[base + 1] === key[at + 5] &&
    words[base + 2] === key[at + 6] &&
    words[base + 3] === key[at + 7] &&
    words[base + 5] === key[at + 1] &&
    words[base + 6] === key[at + 2] &&
    words[base + 7] === key[at + 3]
  ) {
    return 1;
  }
  return -1;
}
