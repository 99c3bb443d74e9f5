// Which of several meters a flow is for: the same for all of its packets, in both directions.
import * as packet from '../packet/packet-columns.ts';

// Own constants are folded into the code, imported ones are not.
const { KEY_DST, KEY_WORDS } = packet;

/** Knuth's multiplicative hashing: https://en.wikipedia.org/wiki/Hash_function#Fibonacci_hashing */
const GOLDEN = 0x9e3779b1;
/** Murmur3's finaliser: see flow/key.ts. */
const MIX_1 = 0x85ebca6b;
const MIX_2 = 0xc2b2ae35;

/** The meter of a key with this hash. The meter's table goes by the hash as well: all of its bits stay as good as random. */
export function ownerOf(hash: number, meters: number): number {
  return (((Math.imul(hash, GOLDEN) >>> 16) * meters) >>> 16) | 0;
}

/**
 * The hash of the two addresses of the key of row `row`, equal for both directions. Without ports: nDPI knows some flows
 * (STUN, Zoom, TINC) by what it saw between the same hosts before, and each meter has an nDPI of its own.
 */
export function hashAddresses(key: Int32Array, row: number, seed: number): number {
  const at = row * KEY_WORDS;
  let src = key[at];
  let dst = key[at + KEY_DST];
  for (let i = 1; i < KEY_DST; i++) {
    src = (Math.imul(src, MIX_1) + key[at + i]) | 0;
    dst = (Math.imul(dst, MIX_1) + key[at + KEY_DST + i]) | 0;
  }
  src = Math.imul(src ^ seed, MIX_2);
  dst = Math.imul(dst ^ seed, MIX_2);
  src ^= src >>> 15;
  dst ^= dst >>> 15;
  const hash = Math.imul((src + dst) ^ Math.imul(src ^ dst, MIX_1), MIX_2);
  return hash ^ (hash >>> 16);
}
