// Numbers as ASCII in a buffer, as JavaScript writes them.
//
// HOT PATH: most cells of most rows. Digits come out of tables, up to four by one store; a number that is no integer of 31 bits
// and no time goes through String. Each function writes at `at`, returns where the text ends, and may use up to three bytes
// behind it.
import { packed } from '../flow/packed-text.ts';

/** What any number takes, with room to spare. */
export const NUMBER_BYTES = 32;

const MINUS = 0x2d;
const POINT = 0x2e;

const TEN_4 = 10_000;
const TEN_8 = 100_000_000;

/** 0 to 999 as they are, and 0 to 9999 in four digits. */
const SHORT = Int32Array.from({ length: 1000 }, (_, n) => packed(String(n)));
const FOUR_DIGITS = Int32Array.from({ length: TEN_4 }, (_, n) => packed(String(n).padStart(4, '0')));

/** Up to here two numbers of three decimals are never the same double, so such a text reads back as the number. */
const MOST_WITH_THREE = 2 ** 42;
/** From the first to below the second, times of 2004 to 2039, doubles are 1/4096 apart: four decimals tell all of them. */
const LEAST_WITH_FOUR = 2 ** 40;
const MOST_WITH_FOUR = 2 ** 41;

/** An integer of 32 bits, not negative. */
export function putSmall(view: DataView, at: number, value: number): number {
  if (value < 1000) {
    view.setInt32(at, SHORT[value], true);
    return at + (value < 10 ? 1 : value < 100 ? 2 : 3);
  }
  if (value < TEN_4) return putFour(view, at, value);
  const high = (value / TEN_4) | 0;
  return putFour(view, putSmall(view, at, high), value - high * TEN_4);
}

function putFour(view: DataView, at: number, value: number): number {
  view.setInt32(at, FOUR_DIGITS[value], true);
  return at + 4;
}

/**
 * The number at `from[i]`, a finite one, as JavaScript writes it; -0 is 0. (As an argument a number that is no small integer
 * would be put on the heap.)
 */
export function putNumber(view: DataView, at: number, from: Float64Array, i: number): number {
  const value = from[i];
  const small = value | 0;
  if (small === value && small >= 0) return putSmall(view, at, small);
  const whole = Math.trunc(value);
  if (whole === value) {
    if (value > 0 && value <= Number.MAX_SAFE_INTEGER) return putWhole(view, at, value);
    return putInteger(view, at, value);
  }
  if (value > 0 && value < MOST_WITH_THREE) {
    // Times have microseconds: three decimals of a millisecond.
    const thousandths = Math.round(value * 1000);
    if (thousandths / 1000 === value)
      return putThousandths(view, putWhole(view, at, whole), thousandths - whole * 1000);
    if (value >= LEAST_WITH_FOUR && value < MOST_WITH_FOUR) return putNanoseconds(view, at, value, whole);
  }
  return putText(view, at, String(value));
}

/** What is negative, or no safe integer. */
function putInteger(view: DataView, at: number, value: number): number {
  if (!Number.isSafeInteger(value)) return putText(view, at, String(value));
  view.setUint8(at, MINUS);
  return putWhole(view, at + 1, -value);
}

/** A safe integer, not negative. */
function putWhole(view: DataView, at: number, value: number): number {
  if (value < TEN_8) return putSmall(view, at, value);
  const high = Math.floor(value / TEN_8) | 0;
  const low = (value - high * TEN_8) | 0;
  const middle = (low / TEN_4) | 0;
  // What is left is below 10^8, as safe integers are below 10^16.
  return putFour(view, putFour(view, putSmall(view, at, high), middle), low - middle * TEN_4);
}

/** `.5` for 500, `.25` for 250, `.001` for 1. */
function putThousandths(view: DataView, at: number, value: number): number {
  putFour(view, at, value);
  view.setUint8(at, POINT);
  return at + (value % 10 > 0 ? 4 : value % 100 > 0 ? 3 : 2);
}

/** A time whose shortest text has four decimals. Of two that are as near, String knows which. */
function putNanoseconds(view: DataView, at: number, value: number, whole: number): number {
  // Exact: 12 bits times 14 bits.
  const exact = (value - whole) * TEN_4;
  const decimals = Math.round(exact);
  if (decimals - exact === 0.5) return putText(view, at, String(value));
  const end = putWhole(view, at, whole);
  view.setUint8(end, POINT);
  return putFour(view, end + 1, decimals);
}

function putText(view: DataView, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) view.setUint8(at + i, text.charCodeAt(i));
  return at + text.length;
}
