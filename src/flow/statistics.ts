// Statistics of a flow's packet sizes and of the gaps between its packets, from the sums that its record keeps.
//
// Sizes, and gaps in whole milliseconds, are whole numbers, whose sums and sums of squares doubles hold exactly up to
// 2^53. The difference that makes the variance is taken with the products' rounding errors, so that it is as exact.
import * as layouts from './feature-layout.ts';
import { BOTH_WAYS, bytes, packets, type Way } from './read-record.ts';
import type { RecordStore } from './record.ts';

const { GAP_MAX, GAP_MIN, GAP_SQUARES, GAP_SUM } = layouts;
const { WAY_GAPS, WAY_SIZE_MAX_WORD, WAY_SIZE_MIN_WORD, WAY_SIZE_SQUARES } = layouts;

export type Statistic = 'min' | 'mean' | 'stddev' | 'max';

/** Of packet sizes, in bytes as `accountingMode` counts them. 0 where there are too few packets. */
export function sizeStatistic(store: RecordStore, row: number, way: Way, what: Statistic): number {
  const n = packets(store, row, way);
  if (n === 0) return 0;
  switch (what) {
    case 'mean':
      return bytes(store, row, way) / n;
    case 'stddev':
      return sampleDeviation(n, bytes(store, row, way), sizeSquares(store, row, way));
    case 'min':
      return extremeSize(store, row, way, WAY_SIZE_MIN_WORD, Math.min);
    case 'max':
      return extremeSize(store, row, way, WAY_SIZE_MAX_WORD, Math.max);
  }
}

/** Of the gaps between a packet and the one before it, in ms. 0 where there are too few packets. */
export function gapStatistic(store: RecordStore, row: number, way: Way, what: Statistic): number {
  const n = packets(store, row, way) - 1;
  if (n < 1) return 0;
  const { extra, layout } = store;
  const at = way === BOTH_WAYS ? row * layout.doubles + layout.statistics : wayAt(store, row, way) + WAY_GAPS;
  switch (what) {
    case 'mean':
      return (n * extra[at + GAP_MIN] + extra[at + GAP_SUM]) / n;
    case 'stddev':
      return sampleDeviation(n, extra[at + GAP_SUM], extra[at + GAP_SQUARES]);
    case 'min':
      return extra[at + GAP_MIN];
    case 'max':
      return extra[at + GAP_MAX];
  }
}

function wayAt({ layout }: RecordStore, row: number, way: 0 | 1): number {
  return row * layout.doubles + layout.directions + way * layout.wayDoubles;
}

function sizeSquares(store: RecordStore, row: number, way: Way): number {
  const { extra } = store;
  if (way !== BOTH_WAYS) return extra[wayAt(store, row, way) + WAY_SIZE_SQUARES];
  return extra[wayAt(store, row, 0) + WAY_SIZE_SQUARES] + extra[wayAt(store, row, 1) + WAY_SIZE_SQUARES];
}

function extremeSize(
  store: RecordStore,
  row: number,
  way: Way,
  word: number,
  best: (a: number, b: number) => number,
): number {
  const sizeOf = (one: 0 | 1) => store.extraWords[wayAt(store, row, one) * 2 + word] >>> 0;
  if (way !== BOTH_WAYS) return sizeOf(way);
  if (packets(store, row, 0) === 0) return sizeOf(1);
  return packets(store, row, 1) === 0 ? sizeOf(0) : best(sizeOf(0), sizeOf(1));
}

/**
 * Of a sample of n numbers, with n - 1: sqrt((n * squares - sum^2) / (n * (n - 1))). 0 for fewer than 2.
 * Exported for its test.
 */
export function sampleDeviation(n: number, sum: number, squares: number): number {
  if (n < 2) return 0;
  const a = n * squares;
  const b = sum * sum;
  const difference = a - b + (productError(n, squares, a) - productError(sum, sum, b));
  return difference > 0 ? Math.sqrt(difference / n / (n - 1)) : 0;
}

/** 2^27 + 1 */
const SPLITTER = 134217729;

/** x * y - product, exactly (Dekker 1971): each factor in halves whose products have no rounding error. */
function productError(x: number, y: number, product: number): number {
  const cx = SPLITTER * x;
  const xHigh = cx - (cx - x);
  const xLow = x - xHigh;
  const cy = SPLITTER * y;
  const yHigh = cy - (cy - y);
  const yLow = y - yHigh;
  return xLow * yLow - (product - xHigh * yHigh - xLow * yHigh - xHigh * yLow);
}
