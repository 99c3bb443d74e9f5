// Numbers and texts as bytes are what JavaScript and Node.js make of them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TextWriter } from '../../src/sink/text-writer.ts';

const written = (write: (writer: TextWriter) => void) => {
  const writer = new TextWriter();
  write(writer);
  return Buffer.from(writer.take()).toString('utf8');
};

describe('numbers', () => {
  const edges = [0, -0, 1, -1, 9, 10, 99, 9_999_999, 10_000_000, 2 ** 31, 2 ** 32, 1e15, Number.MAX_SAFE_INTEGER];
  const halves = [
    0.5,
    0.001,
    0.0005,
    0.1 + 0.2,
    1.005,
    1472393122365.661,
    4398046511103.999,
    2 ** 42 + 0.001,
    1e21,
    5e-324,
    // Times of nanosecond captures, of which two texts are as near.
    1700000000000 + 1 / 32,
    1700000000000.0002,
    1700000000000.9998,
    2 ** 40 + 0.0001,
    2 ** 41 - 0.0001,
    99_999_999.5,
    100_000_000.25,
  ];

  it.each([...edges, ...halves, ...edges.map((n) => -n), ...halves.map((n) => -n)])(
    '%d is written as String does',
    (n) => expect(written((writer) => writer.number(n))).toBe(String(n)),
  );

  it('are written as String does, whatever they are', () => {
    const decimals = fc.tuple(fc.maxSafeInteger(), fc.constantFrom(1, 10, 100, 1000, 10_000)).map(([n, by]) => n / by);
    const times = fc.integer({ min: 0, max: 2 ** 43 }).map((n) => n + 0.001);
    const nanoseconds = fc
      .tuple(fc.integer({ min: 2 ** 40, max: 2 ** 41 }), fc.nat(4095))
      .map(([n, parts]) => n + parts / 4096);
    const doubles = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer(), decimals, times, nanoseconds, doubles), (n) => {
        expect(written((writer) => writer.number(n))).toBe(String(n));
      }),
      { numRuns: 20_000 },
    );
  });
});

describe('pieces', () => {
  it('stay as they are while more is written, across buffers', () => {
    const writer = new TextWriter();
    const pieces: Uint8Array[] = [];
    const expected: string[] = [];
    for (let i = 0; i < 3000; i++) {
      writer.text(`${i} é `);
      writer.number(i * 1e6);
      writer.copy(Buffer.from('x'.repeat(i % 300)));
      pieces.push(writer.take());
      expected.push(`${i} é ${i * 1e6}${'x'.repeat(i % 300)}`);
    }
    expect(pieces.map((piece) => Buffer.from(piece).toString('utf8'))).toEqual(expected);
  });

  it('can be longer than any buffer', () => {
    const long = 'é'.repeat(1 << 20);
    expect(written((writer) => writer.text(long)) === long).toBe(true);
  });

  it('are empty where nothing was written', () => expect(new TextWriter().take()).toHaveLength(0));
});

it('a text with a character that is not plain is not written at all', () => {
  const classes = new Uint8Array(128).fill(1);
  classes[0x2c] = 0;
  const writer = new TextWriter();
  expect(['a,b', 'é', '\u{1f600}'].map((text) => writer.plainText(text, classes, 1))).toEqual([false, false, false]);
  expect(writer.plainText('ab', classes, 1)).toBe(true);
  expect(Buffer.from(writer.take()).toString()).toBe('ab');
});
