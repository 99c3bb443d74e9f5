// Where cells lie in a record is what their columns read there, and addresses are the same texts in a buffer.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ADDRESS_BYTES, putAddress, putMac, putOui } from '../../src/flow/address-bytes.ts';
import { addressText, macText, ouiText } from '../../src/flow/address-text.ts';
import { FlowBatch } from '../../src/flow/flow-batch.ts';
import { gather } from '../../src/flow/places.ts';
import { flags, putAddressOf, putMacOf, putOuiOf } from '../../src/flow/read-record.ts';
import { type Column, type ColumnOptions, FIELDS, shapeOf } from '../../src/flow/schema.ts';

const word = () => fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const zeroish = () => fc.oneof(word(), fc.constantFrom(0, 1, 0x10000, 0xffff, -65536));

const written = (put: (view: DataView, at: number) => number) => {
  const bytes = Buffer.alloc(100);
  const end = put(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 10);
  return bytes.toString('latin1', 10, end);
};

describe('addresses in a buffer', () => {
  it.each([4, 6])('are those of version %i as text', (version) => {
    const words = fc.tuple(zeroish(), zeroish(), fc.oneof(zeroish(), fc.constant(0xffff)), zeroish());
    fc.assert(
      fc.property(words, (list) => {
        const array = Int32Array.from([7, ...list]);
        const text = written((view, at) => putAddress(view, at, version, array, 1));
        expect(text).toBe(addressText(version, array, 1));
        expect(text.length + 3).toBeLessThanOrEqual(ADDRESS_BYTES);
      }),
      { numRuns: 5000 },
    );
  });

  it('are those of cards as text', () => {
    fc.assert(
      fc.property(word(), fc.nat(0xffff), (high, low) => {
        expect(written((view, at) => putMac(view, at, high, low))).toBe(macText(high, low));
        expect(written((view, at) => putOui(view, at, high))).toBe(ouiText(high, low));
      }),
    );
  });
});

describe.each([true, false])('with exact times %s', (exactTimes) => {
  const options: ColumnOptions = {
    schema: 'nfstream6',
    fields: undefined,
    statistics: true,
    splt: 2,
    exactTimes,
    enableNdpi: false,
    systemVisibility: false,
    decodeTunnels: true,
    hasUserCode: false,
    isMetric: () => false,
  };
  const shape = shapeOf(options);
  const rows = 5;
  const numbers = fc.oneof(fc.nat(9), fc.maxSafeNat(), fc.double({ noNaN: true }), fc.constant(1472393122365.661));

  /** Records of any bits: words where they are words, numbers where they are doubles. */
  const batches = fc
    .tuple(fc.infiniteStream(word()), fc.infiniteStream(numbers), fc.constantFrom(4, 6))
    .map(([words, doubles]) => {
      const { store } = new FlowBatch(shape);
      for (let i = 0; i < store.words.length; i++) store.words[i] = words.next().value as number;
      for (let i = 0; i < store.extra.length; i++) store.extra[i] = doubles.next().value as number;
      return store;
    });

  const placed = [...FIELDS.values()].filter(({ place }) => place !== undefined);

  it('has them for all that flows always have, but for lists', () => {
    const others = shape.columns.filter(({ place }) => place === undefined).map(({ name }) => name);
    expect(others).toEqual(['splt_direction', 'splt_ps', 'splt_piat_ms']);
  });

  it.each(placed.map((column): [string, Column] => [column.name, column]))('%s', (_name, { place, read }) => {
    fc.assert(
      fc.property(batches, (store) => {
        const cells = Array.from({ length: rows }, (_, row) => read(store, row, {}));
        if (place?.holds === 'number') {
          const to = new Float64Array(rows + 2).fill(-7);
          gather(place, store, rows, to, 1);
          expect([...to]).toEqual([-7, ...cells, -7]);
        } else if (place?.holds === 'flags') {
          expect(cells.map((_, row) => [flags(store, row, place.flag, 0), flags(store, row, place.flag, 1)])).toEqual(
            cells,
          );
        } else if (place?.holds === 'text') {
          const put = { address: putAddressOf, mac: putMacOf, oui: putOuiOf }[place.what];
          expect(cells.map((_, row) => written((view, at) => put(view, at, store, row, place.way)))).toEqual(cells);
        }
      }),
      { numRuns: 20 },
    );
  });
});
