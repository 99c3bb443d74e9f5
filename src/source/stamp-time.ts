// Times as numbers: milliseconds since the epoch with a fraction.
//
// A double has a quarter of a microsecond there, and what a capture states in nanoseconds is rounded to it. A time shortly
// before a whole millisecond must not be rounded to that: whoever cuts times to whole milliseconds, as the schema nfstream6
// does, gets the one that was stated.

/** Times this number, a double is the next smaller one. */
const PREDECESSOR = 1 - Number.EPSILON / 2;

/** The time of `seconds` and a `fraction`, of which `perSecond` make a second. */
export function stampTime(seconds: number, fraction: number, perSecond: number): number {
  // The product is exact, so that the quotient is whole where it should be.
  const ms = (fraction * 1000) / perSecond;
  const time = seconds * 1000 + ms;
  const next = seconds * 1000 + Math.floor(ms) + 1;
  return time < next ? time : next * PREDECESSOR;
}
