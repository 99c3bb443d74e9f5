// What should be measured of a flow, computed from all of its packets in the plainest way: sums in exact arithmetic, one
// pass for the mean and one for the deviations from it.

import { type RecordShape, TCP_FLAGS } from '../../src/flow/record.ts';
import { type Column, FIELDS, shapeOf } from '../../src/flow/schema.ts';
import type { FlowPacket } from './model.ts';

export interface MeasuredOptions {
  readonly splt: number;
  readonly exactTimes: boolean;
}

export type Measures = Record<string, number | readonly number[]>;

const WAYS = [
  ['bidirectional', [0, 1]],
  ['src2dst', [0]],
  ['dst2src', [1]],
] as const;

/** All that a packet changes, whether counted always or when asked for. */
export function measuresOf(packets: readonly FlowPacket[], { splt, exactTimes }: MeasuredOptions): Measures {
  const cut = (time: number) => (exactTimes ? time : Math.floor(time));
  const measures: Measures = {};
  for (const [name, directions] of WAYS) {
    const own = packets.filter(({ direction }) => (directions as readonly number[]).includes(direction));
    const times = own.map(({ time }) => cut(time));
    const sizes = own.map(({ size }) => size);
    const first = own.length === 0 ? 0 : times.reduce((a, b) => Math.min(a, b));
    const last = own.length === 0 ? 0 : times.reduce((a, b) => Math.max(a, b));
    measures[`${name}_first_seen_ms`] = first;
    measures[`${name}_last_seen_ms`] = last;
    measures[`${name}_duration_ms`] = last - first;
    measures[`${name}_packets`] = own.length;
    measures[`${name}_bytes`] = sizes.reduce((sum, size) => sum + size, 0);
    for (const [what, value] of Object.entries(statisticsOf(sizes))) measures[`${name}_${what}_ps`] = value;
    const gaps = gapsOf(times).slice(1);
    for (const [what, value] of Object.entries(statisticsOf(gaps))) measures[`${name}_${what}_piat_ms`] = value;
    for (const [flag, bit] of TCP_FLAGS) {
      measures[`${name}_${flag}_packets`] = own.filter(({ flags }) => (flags & bit) !== 0).length;
    }
  }
  if (splt > 0) {
    const padded = (values: readonly number[]) => Array.from({ length: splt }, (_, i) => values[i] ?? -1);
    measures['splt_direction'] = padded(packets.map(({ direction }) => direction));
    measures['splt_ps'] = padded(packets.map(({ size }) => Math.min(size, 2 ** 31 - 1)));
    measures['splt_piat_ms'] = padded(gapsOf(packets.map(({ time }) => cut(time))));
  }
  return measures;
}

/** From the latest packet so far to each one, 0 for the first; never below 0. */
function gapsOf(times: readonly number[]): number[] {
  let latest = Number.NEGATIVE_INFINITY;
  return times.map((time, i) => {
    const gap = i === 0 ? 0 : Math.max(0, time - latest);
    latest = Math.max(latest, time);
    return gap;
  });
}

/** Numbers as whole multiples of this are exact; all that doubles of everyday size can hold. */
const UNIT_BITS = 80;

function exact(value: number): bigint {
  const scaled = value * 2 ** UNIT_BITS;
  if (!Number.isInteger(scaled)) throw new RangeError(`${value} has too small a part`);
  return BigInt(scaled);
}

export function statisticsOf(values: readonly number[]): Record<'min' | 'mean' | 'stddev' | 'max', number> {
  if (values.length === 0) return { min: 0, mean: 0, stddev: 0, max: 0 };
  const n = BigInt(values.length);
  const sum = values.reduce((total, value) => total + exact(value), 0n);
  // Each deviation from the mean times n, which is whole.
  const squares = values.reduce((total, value) => total + (n * exact(value) - sum) ** 2n, 0n);
  const variance = n < 2n ? 0 : quotient(squares, n * n * (n - 1n)) / 2 ** UNIT_BITS;
  return {
    min: values.reduce((a, b) => Math.min(a, b)),
    mean: quotient(sum, n),
    stddev: Math.sqrt(variance),
    max: values.reduce((a, b) => Math.max(a, b)),
  };
}

/** In units, as a double. */
function quotient(dividend: bigint, divisor: bigint): number {
  return Number((dividend << 100n) / divisor) / 2 ** (100 + UNIT_BITS);
}

/** The shape of records with every column of `measuresOf`, and what tells flows apart. */
export function measuredShape({ splt, exactTimes }: MeasuredOptions): RecordShape {
  const measures = Object.keys(measuresOf([], { splt, exactTimes }));
  return shapeOf({
    schema: 'classic',
    fields: ['flow_id', 'segment', 'export_reason', ...measures],
    statistics: true,
    splt,
    exactTimes,
    enableNdpi: false,
    systemVisibility: false,
    decodeTunnels: true,
    hasUserCode: false,
    isMetric: () => false,
  });
}

/** Names of columns whose values are not whole numbers of their own, so that rounding shows. */
const ROUNDED: ReadonlySet<string> = new Set(
  [...FIELDS.values()].filter(({ name }) => /_(mean|stddev)_/.test(name)).map(({ name }: Column) => name),
);

/** What differs: integers, times and gaps at all, means and deviations by more than `tolerance`, relative. */
export function differences(record: Record<string, unknown>, expected: Measures, tolerance: number): string[] {
  return Object.entries(expected).flatMap(([name, value]) => {
    const own = record[name];
    const isEqual =
      ROUNDED.has(name) && typeof own === 'number' && typeof value === 'number'
        ? Math.abs(own - value) <= tolerance * Math.abs(value)
        : JSON.stringify(own) === JSON.stringify(value);
    return isEqual ? [] : [`${name}: ${JSON.stringify(own)}, not ${JSON.stringify(value)}`];
  });
}
