// The hash of flow keys, symmetric, so that it brings both directions to the same bucket; the kernel (kernel/lookup.ts) has the
// same, and the comparison that tells them apart. Keys are the KEY_WORDS words of src/packet/packet-columns.ts.
import * as packet from '../packet/packet-columns.ts';

// Own constants are folded into the code (see meter.ts).
const { KEY_DST, KEY_META, KEY_PORTS, KEY_TUNNEL } = packet;

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
