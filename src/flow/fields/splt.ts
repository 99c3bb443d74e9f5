// The sequence of packet lengths and times (SPLT): what the first packets of a flow looked like, as NFStream 6 has it.
import { packets } from '../read-record.ts';
import type { RecordStore } from '../record.ts';
import type { Field } from './field.ts';

/** What stands for packets that did not come. */
const MISSING = -1;

/** Calls `cellOf` for each packet that came, of the first n. */
function sequence(store: RecordStore, row: number, cellOf: (base: number, i: number) => number): number[] {
  const { layout } = store;
  const { splt } = layout.options;
  const base = row * layout.doubles + layout.splt;
  const came = packets(store, row, 2);
  const cells: number[] = [];
  for (let i = 0; i < splt; i++) cells.push(i < came ? cellOf(base, i) : MISSING);
  return cells;
}

/** The word of packet i: its size, and the sign bit for dst to src. */
function word(store: RecordStore, base: number, i: number): number {
  return store.extraWords[(base + store.layout.options.splt) * 2 + i];
}

export const SPLT_FIELDS = [
  {
    name: 'splt_direction',
    type: 'integer-list',
    size: 'int32',
    meaning: 'direction of each of the first n packets: 0 src to dst, 1 dst to src, -1 where there is none',
    feature: 'splt',
    read: (store, row) => sequence(store, row, (base, i) => word(store, base, i) >>> 31),
  },
  {
    name: 'splt_ps',
    type: 'integer-list',
    size: 'int32',
    unit: 'bytes',
    meaning: 'size of each of the first n packets, as accountingMode counts; -1 where there is none',
    feature: 'splt',
    read: (store, row) => sequence(store, row, (base, i) => word(store, base, i) & 0x7fff_ffff),
  },
  {
    name: 'splt_piat_ms',
    type: 'integer-list',
    exactType: 'number-list',
    unit: 'ms',
    meaning: 'time between each of the first n packets and the one before it, 0 for the first; -1 where there is none',
    feature: 'splt',
    read: (store, row) => sequence(store, row, (base, i) => store.extra[base + i]),
  },
] as const satisfies readonly Field[];
