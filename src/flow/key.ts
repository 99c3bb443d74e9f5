// Flow keys: the symmetric hash that brings both directions to the same bucket, and the comparison that tells them
// apart. Keys are the KEY_WORDS words of src/packet/packet-columns.ts.
import * as packet from '../packet/packet-columns.ts';

// Own constants are folded into the code (see meter.ts).
const { KEY_DST, KEY_META, KEY_PORTS, KEY_TUNNEL } = packet;

/** The bit of word KEY_META that IP version 6 has and version 4 has not. */
const VERSION_6 = 2 << 8;

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

/**
 * HOT PATH: compares the flow key at `words[base]` with the packet key at `key[at]`: 0 same direction, 1 reverse, -1
 * another flow. None of these can be predicted where flows are looked up by the batch, so they are computed, not branched on.
 */
export function matchKey(words: Int32Array, base: number, key: Int32Array, at: number): number {
  const ports = key[at + KEY_PORTS];
  const flowPorts = words[base + KEY_PORTS];
  const src = words[base];
  const dst = words[base + KEY_DST];
  const meta = (words[base + KEY_META] ^ key[at + KEY_META]) | (words[base + KEY_TUNNEL] ^ key[at + KEY_TUNNEL]);
  let forward = (flowPorts ^ ports) | (src ^ key[at]) | (dst ^ key[at + KEY_DST]);
  let reverse = (flowPorts ^ ((ports << 16) | (ports >>> 16))) | (src ^ key[at + KEY_DST]) | (dst ^ key[at]);
  if ((key[at + KEY_META] & VERSION_6) !== 0) {
    for (let i = 1; i < KEY_DST; i++) {
      const flowSrc = words[base + i];
      const flowDst = words[base + KEY_DST + i];
      forward |= (flowSrc ^ key[at + i]) | (flowDst ^ key[at + KEY_DST + i]);
      reverse |= (flowSrc ^ key[at + KEY_DST + i]) | (flowDst ^ key[at + i]);
    }
  }
  const isReverse = (forward | -forward) >>> 31;
  // All bits where neither is the key, none where one is.
  const isOther = (((reverse | -reverse) >> 31) & -isReverse) | ((meta | -meta) >> 31);
  return isReverse | isOther;
}
