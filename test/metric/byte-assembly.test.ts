import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteAssembly } from '../../src/metric/byte-assembly.ts';

const LIMIT = 3000;

describe('ByteAssembly', () => {
  it('agrees with a map from offset to the first byte that came for it', () => {
    const pieces = fc.array(fc.record({ offset: fc.integer({ min: -50, max: LIMIT }), size: fc.nat(400) }), {
      maxLength: 16,
    });
    fc.assert(
      fc.property(pieces, (list) => {
        const assembly = new ByteAssembly(LIMIT);
        const model = new Map<number, number>();
        for (const [index, { offset, size }] of list.entries()) {
          const source = new Uint8Array(size + 7).fill(index + 1);
          assembly.put(offset, source, 3, 3 + size);
          for (let at = Math.max(0, offset); at < Math.min(LIMIT, offset + size); at++) {
            if (!model.has(at)) model.set(at, index + 1);
          }
          let end = 0;
          while (model.has(end)) end++;
          expect(assembly.end).toBe(end);
        }
        expect(Array.from(assembly.bytes.subarray(0, assembly.end))).toEqual(
          Array.from({ length: assembly.end }, (_, at) => model.get(at)),
        );
        expect(assembly.bytes.length).toBeLessThanOrEqual(LIMIT);
      }),
    );
  });

  it('keeps 16 ranges at most, but goes on filling holes between those', () => {
    const assembly = new ByteAssembly(LIMIT);
    const one = new Uint8Array(1);
    for (let i = 1; i <= 17; i++) assembly.put(2 * i, one, 0, 1);
    for (let at = 1; at < 34; at += 2) assembly.put(at, one, 0, 1);
    assembly.put(0, one, 0, 1);
    // The 17th, at 34, was dropped.
    expect(assembly.end).toBe(34);
  });
});
