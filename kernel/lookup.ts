// Hashes of the keys of a batch, and the flows that have them.
//
// Three passes, each of which loads for one row what does not depend on another row, without a branch on what was loaded:
// so many loads are under way at once, which hides the latency of memory. They change nothing. What they do not find, or what
// has ended within the batch, is looked up again when its packet is counted.
import {
  FOUND,
  HASHES,
  HASHES_IN,
  KEY_BYTES,
  KEY_DST,
  KEY_META,
  KEY_PORTS,
  KEY_TUNNEL,
  KEYS,
  OWN_ROWS,
  RECORD_SHIFT,
  SEQUENCE,
  SLOT_MASK,
} from './layout';
import { index, mask, records, seed } from './tables';

/** Murmur3's finaliser constants: https://github.com/aappleby/smhasher (public domain). */
const MIX_1: u32 = 0x85eb_ca6b;
const MIX_2: u32 = 0xc2b2_ae35;

function hashEndpoint(at: usize, port: u32): u32 {
  let h = (seed ^ load<u32>(at)) * MIX_1;
  h = (h ^ (h >>> 15) ^ port) * MIX_2;
  const w1 = load<u32>(at, 4);
  const w2 = load<u32>(at, 8);
  const w3 = load<u32>(at, 12);
  if ((w1 | w2 | w3) != 0) {
    h = (h ^ (h >>> 13) ^ w1) * MIX_1;
    h = (h ^ (h >>> 15) ^ w2) * MIX_2;
    h = (h ^ (h >>> 13) ^ w3) * MIX_1;
  }
  return h ^ (h >>> 16);
}

/** The hash of the key at `at`: that of src/flow/key.ts. */
function hashKey(at: usize): u32 {
  const ports = load<u32>(at, KEY_PORTS);
  const a = hashEndpoint(at, ports >>> 16);
  const b = hashEndpoint(at + KEY_DST, ports & 0xffff);
  let h = (((a + b) ^ ((a ^ b) * MIX_1)) * MIX_2) ^ load<u32>(at, KEY_META);
  h = ((h ^ (h >>> 16)) * MIX_1) ^ load<u32>(at, KEY_TUNNEL);
  h = (h ^ (h >>> 13)) * MIX_2;
  return h ^ (h >>> 16);
}

/** Hashes the keys of the meter's `own` rows, or takes the hashes that came with the batch. */
export function hash(own: i32, isGiven: bool): void {
  for (let i: usize = 0; i < <usize>own; i++) {
    const row = <usize>load<u32>(OWN_ROWS + (i << 2));
    const value = isGiven ? load<u32>(HASHES_IN + (row << 2)) : hashKey(KEYS + row * KEY_BYTES);
    store<u32>(HASHES + (i << 2), value);
  }
}

/** Puts into FOUND `slot * 2 + direction` of each row's flow, or -1. Returns a number of no meaning: what was loaded. */
export function find(own: i32): u32 {
  let sum: u32 = 0;
  for (let i: usize = 0; i < <usize>own; i++)
    sum ^= load<u32>(index + ((<usize>(load<u32>(HASHES + (i << 2)) & mask)) << 2));
  for (let i: usize = 0; i < <usize>own; i++) {
    const value = load<u32>(HASHES + (i << 2));
    const first = load<u32>(index + ((<usize>(value & mask)) << 2));
    const second = load<u32>(index + ((<usize>((value + 1) & mask)) << 2));
    const entry = select<u32>(first, second, ((first ^ value) & ~SLOT_MASK) == 0);
    const slot = entry & SLOT_MASK;
    // Of one without any slot does: the key says that it is not the flow's.
    const known = select<u32>(slot - 1, 0, slot != 0);
    store<u32>(FOUND + (i << 2), known);
    const at = records + ((<usize>known) << RECORD_SHIFT);
    sum ^= load<u32>(at) ^ load<u32>(at, SEQUENCE);
  }
  for (let i: usize = 0; i < <usize>own; i++) {
    const slot = load<u32>(FOUND + (i << 2));
    const key = KEYS + <usize>load<u32>(OWN_ROWS + (i << 2)) * KEY_BYTES;
    store<u32>(FOUND + (i << 2), (slot << 1) | match(records + ((<usize>slot) << RECORD_SHIFT), key));
  }
  return sum;
}

/** Compares a flow's key with a packet's: 0 same direction, 1 reverse, all bits another flow. */
function match(flow: usize, key: usize): u32 {
  const ports = load<u32>(key, KEY_PORTS);
  const flowPorts = load<u32>(flow, KEY_PORTS);
  const src = v128.load(key);
  const dst = v128.load(key, KEY_DST);
  const flowSrc = v128.load(flow);
  const flowDst = v128.load(flow, KEY_DST);
  const isForward =
    v128.any_true(v128.or(v128.xor(src, flowSrc), v128.xor(dst, flowDst))) || ports != flowPorts ? 0 : 1;
  const isReverse =
    v128.any_true(v128.or(v128.xor(src, flowDst), v128.xor(dst, flowSrc))) || rotl<u32>(ports, 16) != flowPorts ? 0 : 1;
  const isKey = (isForward | isReverse) & u32(load<u64>(key, KEY_META) == load<u64>(flow, KEY_META));
  return (isForward ^ 1) | (isKey - 1);
}

/** The same for one key, wherever in the index it stands. */
export function findOne(i: i32): i32 {
  const value = load<u32>(HASHES + ((<usize>i) << 2));
  const key = KEYS + <usize>load<u32>(OWN_ROWS + ((<usize>i) << 2)) * KEY_BYTES;
  let place = value & mask;
  let entry = load<u32>(index + ((<usize>place) << 2));
  while (entry != 0) {
    // An entry without a slot stands where one was.
    if (((entry ^ value) & ~SLOT_MASK) == 0 && (entry & SLOT_MASK) != 0) {
      const slot = (entry & SLOT_MASK) - 1;
      const direction = match(records + ((<usize>slot) << RECORD_SHIFT), key);
      if (direction <= 1) return <i32>((slot << 1) | direction);
    }
    place = (place + 1) & mask;
    entry = load<u32>(index + ((<usize>place) << 2));
  }
  return -1;
}
