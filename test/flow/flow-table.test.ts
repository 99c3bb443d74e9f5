import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowTable, kernelFor } from '../../src/flow/flow-table.ts';
import { hashKey } from '../../src/flow/key.ts';
import { DOUBLE_SEQUENCE, RECORD_DOUBLES } from '../../src/flow/record.ts';
import { CLASSIC_SHAPE } from '../../src/flow/schema.ts';
import { KEY_WORDS } from '../../src/packet/packet-columns.ts';

/** A key whose endpoints are `a` and `b`. */
function keyOf(a: number, b: number): Int32Array {
  const key = new Int32Array(KEY_WORDS);
  key[0] = a;
  key[4] = b;
  key[8] = (a << 16) | b;
  key[9] = 17 | (4 << 8);
  return key;
}

/** What the kernel finds: `slot * 2 + direction`, or -1. */
function find({ kernel }: FlowTable, key: Int32Array, hash: number): number {
  kernel.key.set(key);
  kernel.rows[0] = 0;
  kernel.hashes[0] = hash;
  kernel.passes.find(1);
  const found = kernel.passes.findOne(0);
  // The pass over a batch may miss a flow; it takes no other one for it.
  expect([found, -1]).toContain(kernel.found[0]);
  return found;
}

describe('the flow table', () => {
  it('agrees with a Map under any sequence of insert, find, remove and recycle, while its index grows', () => {
    const step = fc.record({
      insert: fc.boolean(),
      recycle: fc.boolean(),
      a: fc.integer({ min: 1, max: 12 }),
      b: fc.integer({ min: 1, max: 12 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), fc.integer(), (steps, seed) => {
        // So small an index has runs that touch and wrap around.
        const table = new FlowTable(100, CLASSIC_SHAPE, kernelFor(100, CLASSIC_SHAPE, seed), 8);
        const model = new Map<string, number>();
        const freed = new Set<number>();
        for (const { insert, recycle, a, b } of steps) {
          const key = keyOf(a, b);
          const hash = hashKey(key, 0, seed);
          const name = a < b ? `${a} ${b}` : `${b} ${a}`;
          const found = find(table, key, hash);
          expect(found >> 1).toBe(model.get(name) ?? -1);
          if (recycle) {
            table.recycle();
            freed.clear();
          }
          if (insert && found < 0) {
            const slot = table.insert(key, 0, hash);
            // What the meter does with the flow's first packet.
            table.store.doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE] = 1;
            expect([...model.values(), ...freed]).not.toContain(slot);
            model.set(name, slot);
          } else if (!insert && found >= 0) {
            table.remove(found >> 1);
            expect(table.store.doubles[(found >> 1) * RECORD_DOUBLES + DOUBLE_SEQUENCE]).toBe(0);
            model.delete(name);
            freed.add(found >> 1);
          }
          expect(table.live).toBe(model.size);
        }
        for (const [name, slot] of model) {
          const [a, b] = name.split(' ').map(Number);
          const key = keyOf(a, b);
          expect(find(table, key, hashKey(key, 0, seed)) >> 1).toBe(slot);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('says so where it has no slot for one more flow', () => {
    const full = new FlowTable(300, CLASSIC_SHAPE, kernelFor(1, CLASSIC_SHAPE));
    const insert = (i: number) => full.insert(keyOf(i, i + 1), 0, hashKey(keyOf(i, i + 1), 0, full.kernel.seed));
    for (let i = 0; i < full.slots; i++) insert(i);
    expect(() => insert(full.slots)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
    expect(full.live).toBe(full.slots);
  });
});

describe('the hash of a key', () => {
  const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

  it('is the same for both directions', () => {
    fc.assert(
      fc.property(fc.array(word, { minLength: KEY_WORDS, maxLength: KEY_WORDS }), word, (words, seed) => {
        const key = Int32Array.from(words);
        const reverse = Int32Array.from([...words.slice(4, 8), ...words.slice(0, 4), 0, words[9], words[10]]);
        reverse[8] = (words[8] << 16) | (words[8] >>> 16);
        expect(hashKey(reverse, 0, seed)).toBe(hashKey(key, 0, seed));
      }),
    );
  });

  it('spreads neighbouring addresses and ports evenly', () => {
    const buckets = new Uint32Array(1024);
    for (let host = 0; host < 64; host++) {
      for (let port = 0; port < 1024; port++) {
        const key = Int32Array.from([
          0x0a000000 + host,
          0,
          0,
          0,
          0x0a010001,
          0,
          0,
          0,
          ((1024 + port) << 16) | 443,
          0,
          0,
        ]);
        buckets[hashKey(key, 0, 1) & 1023]++;
      }
    }
    // 64 expected in each; the standard deviation of a fair throw is 8.
    expect(Math.max(...buckets)).toBeLessThan(64 + 8 * 6);
    expect(Math.min(...buckets)).toBeGreaterThan(64 - 8 * 6);
  });
});
