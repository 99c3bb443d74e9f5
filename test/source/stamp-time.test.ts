import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stampTime } from '../../src/source/stamp-time.ts';

const NANOSECONDS = 1e9;
const seconds = fc.nat(0xffffffff);

describe('stampTime', () => {
  it('is the nearest double', () => {
    expect(stampTime(1472393122, 365661, 1e6)).toBe(1472393122365.661);
    expect(stampTime(1676659995, 577999878, NANOSECONDS)).toBe(1676659995577.9998);
    expect(stampTime(1, 0, 1)).toBe(1000);
  });

  it('never is of the next millisecond', () => {
    // The nearest double of this one is 1676659995578.
    expect(stampTime(1676659995, 577999958, NANOSECONDS)).toBe(1676659995577.9998);
    fc.assert(
      fc.property(
        seconds,
        fc.nat(999),
        fc.oneof(fc.nat(999999), fc.integer({ min: 999000, max: 999999 })),
        (s, ms, ns) => {
          const time = stampTime(s, ms * 1e6 + ns, NANOSECONDS);
          expect(Math.floor(time)).toBe(s * 1000 + ms);
          expect(Math.abs(time - (s * 1000 + ms) - ns / 1e6)).toBeLessThan(0.0005);
        },
      ),
    );
  });

  it('keeps what was stated in microseconds, and the order', () => {
    fc.assert(
      fc.property(seconds, fc.nat(999999), (s, micros) => {
        expect(stampTime(s, micros, 1e6)).toBe(s * 1000 + micros / 1000);
      }),
    );
    fc.assert(
      fc.property(seconds, fc.nat(999999998), (s, nanos) => {
        expect(stampTime(s, nanos + 1, NANOSECONDS)).toBeGreaterThanOrEqual(stampTime(s, nanos, NANOSECONDS));
      }),
    );
  });

  it('takes units of powers of two', () => {
    fc.assert(
      fc.property(
        seconds,
        fc.integer({ min: 0, max: 30 }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (s, bits, part) => {
          const units = 2 ** bits;
          const fraction = Math.floor(part * units);
          const wholeMs = Number((BigInt(fraction) * 1000n) / BigInt(units));
          expect(Math.floor(stampTime(s, fraction, units))).toBe(s * 1000 + wholeMs);
        },
      ),
    );
  });
});
