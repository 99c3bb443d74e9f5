// The comparison itself: it must see what differs, or the conformance test proves nothing.
import { beforeAll, describe, expect, it } from 'vitest';
import { comparedColumns, compareFlows, type Row } from '../../conformance/compare.mjs';
import { countBy } from '../../conformance/conformance.mjs';
import { classOf, splitLine } from '../../conformance/expected.mjs';
import { type Frame, writeCapture } from '../../conformance/frames.mjs';
import { SCHEMAS } from '../../src/flow/schema.ts';
import * as encode from '../packet/encode.ts';
import { frame, report, rowsOf } from './made.ts';

const COLUMNS = comparedColumns(SCHEMAS.nfstream6).filter((name) => !/^(udps|system_)/.test(name));
/** TCP both ways: sizes and gaps whose means and deviations are no whole numbers. */
const CAPTURE = writeCapture([
  segment(1_000_000, '10.0.0.1', 2, 0),
  segment(1_000_010, '10.0.0.2', 18, 0),
  segment(1_000_031, '10.0.0.1', 16, 5),
  segment(1_000_100, '10.0.0.1', 24, 100),
  segment(1_000_107, '10.0.0.2', 25, 33),
  segment(1_000_150, '10.0.0.2', 17, 8),
  segment(1_000_151, '10.0.0.1', 17, 0),
]);

function segment(timeMs: number, src: string, flags: number, payloadBytes: number): Frame {
  const isFirst = src === '10.0.0.1';
  const ports = isFirst ? { srcPort: 1000, dstPort: 80 } : { srcPort: 80, dstPort: 1000 };
  const segmentBytes = encode.tcp({ ...ports, flags }, new Uint8Array(payloadBytes));
  const dst = isFirst ? '10.0.0.2' : '10.0.0.1';
  return frame(timeMs, encode.ethernetIp(encode.ipv4({ protocol: 6, src, dst }, segmentBytes)));
}

let row: Row;
beforeAll(async () => {
  const rows = await rowsOf(CAPTURE);
  expect(rows).toHaveLength(1);
  row = rows[0] as Row;
});

/** A value of a column next to the given one. */
function another(column: string, value: unknown): Row[string] {
  switch (classOf(column)) {
    case 'float':
      // Twice what rounding may take.
      return (value as number) * (1 + 2e-9);
    case 'list':
      return (value as number[]).with(-1, 5);
    case 'text':
      return `${value}0`;
    default:
      return (value as number) + 1;
  }
}

describe('the columns', () => {
  it('are all that a record has but its place in the order and what nDPI found', () => {
    const left = Object.keys(row).filter((column) => !COLUMNS.includes(column));
    expect(left).toEqual(['id']);
    expect(COLUMNS).toHaveLength(Object.keys(row).length - 1);
    const counts = countBy(COLUMNS.map(classOf));
    expect(counts).toEqual({ float: 12, list: 3, text: 6, integer: COLUMNS.length - 21 });
  });

  it('have the types that their classes are compared by', () => {
    for (const column of COLUMNS) {
      const value = row[column];
      const expected = { float: 'number', integer: 'number', text: 'string', list: 'object' }[
        classOf(column) as 'list'
      ];
      expect(typeof value, column).toBe(expected);
    }
  });
});

describe('compareFlows', () => {
  const compare = (expected: Row[], ours: Row[]) => compareFlows(expected, ours, COLUMNS);

  it('pairs equal flows off in any order', () => {
    const other = { ...row, vlan_id: 7 };
    const { pairs, differences } = compare([row, other], [other, { ...row, id: 99 }]);
    expect(differences).toEqual([]);
    expect(pairs).toHaveLength(2);
  });

  it('sees another value in any column, and only there', () => {
    for (const column of COLUMNS) {
      const ours = { ...row, [column]: another(column, row[column]) };
      const { pairs, differences } = compare([row], [ours]);
      expect(pairs, column).toEqual([]);
      // Another key is another flow: one is missing, one too much.
      const isKey = ['src_ip', 'dst_ip', 'src_port', 'dst_port', 'protocol', 'vlan_id'].includes(column);
      const expected = isKey
        ? [
            { columns: [], expected: row },
            { columns: [], ours },
          ]
        : [{ columns: [column], expected: row, ours }];
      expect(differences, column).toEqual(expected);
    }
  });

  it.each([
    ['a number as text', 'src_port', () => '1000'],
    ['a fraction', 'bidirectional_bytes', (value: unknown) => (value as number) + 1e-9],
    ['nothing', 'src_mac', () => undefined],
    ['no list', 'splt_ps', () => '1'],
    ['a longer list', 'splt_ps', (value: unknown) => [...(value as number[]), -1]],
    ['a shorter list', 'splt_piat_ms', (value: unknown) => (value as number[]).slice(1)],
    ['not a number', 'src2dst_mean_ps', () => Number.NaN],
    ['no mean', 'src2dst_mean_ps', () => undefined],
    ['another sign', 'bidirectional_stddev_piat_ms', (value: unknown) => -(value as number)],
  ])('sees %s', (_, column, change: (value: unknown) => unknown) => {
    const ours = { ...row, [column]: change(row[column]) } as Row;
    expect(compare([row], [ours]).pairs).toEqual([]);
  });

  it('takes sums in another order for the same', () => {
    const mean = row.bidirectional_mean_ps as number;
    const near = { ...row, bidirectional_mean_ps: mean * (1 + 1e-10) };
    expect(compare([row], [near]).differences).toEqual([]);
  });

  it('names all columns that differ', () => {
    const ours = { ...row, src2dst_packets: 9, splt_ps: [1], dst_mac: 'x' };
    expect(compare([row], [ours]).differences[0]?.columns).toEqual(['dst_mac', 'src2dst_packets', 'splt_ps']);
  });

  it('counts flows of one key one by one', () => {
    const later = { ...row, bidirectional_first_seen_ms: 5_000_000 };
    expect(compare([row, later], [later]).differences).toEqual([{ columns: [], expected: row }]);
    expect(compare([later], [row, later]).differences).toEqual([{ columns: [], ours: row }]);
    expect(compare([row], [row, row]).differences).toEqual([{ columns: [], ours: row }]);
  });
});

describe('an expected file', () => {
  it('is compared in every column, each value of which can fail', async () => {
    const whole = await report(CAPTURE, [row]);
    expect(whole).toMatchObject({ equal: 1, differences: [], columns: COLUMNS });
    for (const column of COLUMNS) {
      const { equal, unexplained } = await report(CAPTURE, [{ ...row, [column]: another(column, row[column]) }]);
      expect({ column, equal, isUnexplained: unexplained.length > 0 }).toEqual({
        column,
        equal: 0,
        isUnexplained: true,
      });
    }
  });
});

describe('splitLine', () => {
  it('reads quotes, commas and empty cells', () => {
    expect(splitLine('1,"a,b","say ""x""",,')).toEqual(['1', 'a,b', 'say "x"', '', '']);
    expect(splitLine('one')).toEqual(['one']);
    expect(splitLine('a,"b"')).toEqual(['a', 'b']);
  });
});
