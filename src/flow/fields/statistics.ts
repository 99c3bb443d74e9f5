// The 48 columns of `statistics`: packet sizes, gaps between packets and TCP flags, in both directions together and in
// each, named as NFStream 6 names them.
import * as place from '../places.ts';
import { flags, type Way } from '../read-record.ts';
import { type RecordStore, TCP_FLAGS } from '../record.ts';
import { gapStatistic, type Statistic, sizeStatistic } from '../statistics.ts';
import type { Field } from './field.ts';
import { directed, flagElement } from './ipfix.ts';

type WayName = 'bidirectional' | 'src2dst' | 'dst2src';
type FlagName = (typeof TCP_FLAGS)[number][0];
export type StatisticsName = `${WayName}_${Statistic}_${'ps' | 'piat_ms'}` | `${WayName}_${FlagName}_packets`;

const WAYS: readonly [WayName, Way, string][] = [
  ['bidirectional', 2, 'both directions'],
  ['src2dst', 0, 'src to dst'],
  ['dst2src', 1, 'dst to src'],
];

const STATISTICS: readonly [Statistic, string][] = [
  ['min', 'least'],
  ['mean', 'mean'],
  ['stddev', 'sample standard deviation (n - 1) of'],
  ['max', 'greatest'],
];

interface StatisticsField extends Field {
  readonly name: StatisticsName;
  readonly type: 'integer' | 'number';
}

const sizes: StatisticsField[] = WAYS.flatMap(([wayName, way, where]) =>
  STATISTICS.map(([what, word]) => ({
    name: `${wayName}_${what}_ps` as const,
    ...(what === 'min' || what === 'max' ? { type: 'integer' } : { type: 'number' }),
    unit: 'bytes',
    meaning: `${word} packet size, ${where}; 0 for too few packets`,
    feature: 'statistics' as const,
    ...ipfixOf(what, way),
    ...computed((store, row) => sizeStatistic(store, row, way, what)),
  })),
);

function computed(compute: (store: RecordStore, row: number) => number): Pick<Field, 'read' | 'place'> {
  return { read: compute, place: place.computed(compute) };
}

/** An element is of one direction (RFC 5103); there is none of both together. */
function ipfixOf(what: Statistic, way: Way): { ipfix?: string } {
  if (way === 2 || what === 'mean' || what === 'stddev') return {};
  return { ipfix: directed(what === 'min' ? 'minimumLayer2TotalLength' : 'maximumLayer2TotalLength', way) };
}

const gaps: StatisticsField[] = WAYS.flatMap(([wayName, way, where]) =>
  STATISTICS.map(([what, word]) => ({
    name: `${wayName}_${what}_piat_ms` as const,
    ...(what === 'min' || what === 'max' ? { type: 'integer', exactType: 'number' } : { type: 'number' }),
    unit: 'ms',
    meaning: `${word} packet inter-arrival time, ${where}; 0 for too few packets`,
    feature: 'statistics' as const,
    ...computed((store, row) => gapStatistic(store, row, way, what)),
  })),
);

function flagIpfix(flag: FlagName, way: Way): { ipfix?: string } {
  const ipfix = way === 2 ? undefined : flagElement(flag, way);
  return ipfix === undefined ? {} : { ipfix };
}

const flagCounts: StatisticsField[] = WAYS.flatMap(([wayName, way, where]) =>
  TCP_FLAGS.map(([flag], index) => ({
    name: `${wayName}_${flag}_packets` as const,
    type: 'integer' as const,
    unit: 'packets',
    meaning: `TCP packets with ${flag.toUpperCase()} set, ${where}`,
    feature: 'statistics' as const,
    ...flagIpfix(flag, way),
    read: (store, row) => flags(store, row, index, way),
    place: place.flagged(index, way),
  })),
);

export const STATISTICS_FIELDS: readonly StatisticsField[] = [...sizes, ...gaps, ...flagCounts];
