// How flows become typed columns: what holds for Parquet, Arrow files and tables alike. Seen through a table in memory.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { NfstreamError } from '../../src/errors.ts';
import type { Column } from '../../src/flow/schema.ts';
import { ArrowTableBuilder } from '../../src/sink/arrow-table.ts';
import { FlowColumns } from '../../src/sink/columnar/flow-columns.ts';
import { batchOf, classicColumns, hostileText, metricValue } from './flows.ts';
import { arrowCells, batchesOf, type Cells, cellColumn, expectedCells, inUtf8, TYPED, tableOf } from './typed-cells.ts';

/** A column's Arrow type and its cells. */
function columnOf(column: Column, rows: readonly Cells[]) {
  const builder = new ArrowTableBuilder(tableOf([column]));
  for (const batch of batchesOf(rows)) builder.add(batch);
  const vector = builder.finish().getChildAt(0)!;
  return { type: String(vector.type), cells: arrowCells(vector) };
}

const metric = cellColumn('metric', 'any');
const metricRows = (...values: unknown[]) => values.map((value) => ({ metric: value }));
const typeOf = (...values: unknown[]) => columnOf(metric, metricRows(...values));

function failure(run: () => unknown): NfstreamError {
  try {
    run();
  } catch (error) {
    return error as NfstreamError;
  }
  throw new Error('it did not fail');
}

/** A list that has no item between two others. */
function withHole(first: number, last: number): number[] {
  const list = [first];
  list[2] = last;
  return list;
}

describe('a metric', () => {
  it.each([
    ['numbers', [1, 2.5, null, Number.NaN], 'Float64', [1, 2.5, null, Number.NaN]],
    ['booleans', [true, null, false], 'Bool', [true, null, false]],
    ['texts', ['a', null, ''], 'Utf8', ['a', null, '']],
    ['lists of numbers', [[], [1, 2.5], null], 'List<Float64>', [[], [1, 2.5], null]],
    ['lists of texts', [['a'], []], 'List<Utf8>', [['a'], []]],
    ['several kinds', [1, 'a', null, [1], [], true], 'Utf8', ['1', '"a"', null, '[1]', '[]', 'true']],
    ['objects', [{ a: [1] }, null], 'Utf8', ['{"a":[1]}', null]],
    ['lists of several kinds', [[1], [1, 'a']], 'Utf8', ['[1]', '[1,"a"]']],
    ['a list with null', [[1, null]], 'Utf8', ['[1,null]']],
    ['a list with a hole', [[1], withHole(1, 2)], 'Utf8', ['[1]', '[1,null,2]']],
    ['nothing that tells', [null, []], 'Utf8', [null, '[]']],
  ])('has the type that all of its values have: %s', (_, values, type, cells) => {
    expect(typeOf(...values)).toEqual({ type, cells });
  });

  it('is JSON text where its first values said nothing, whatever comes', () => {
    const rows = metricRows(...Array.from({ length: 70_000 }, () => null), 0.5, 'a', { b: 1 });
    expect(columnOf(metric, rows).cells.slice(70_000)).toEqual(['0.5', '"a"', '{"b":1}']);
  });

  it('keeps the type that its first values had', () => {
    const builder = new FlowColumns([metric], { mostRows: 10, hasDictionaries: false });
    const full: unknown[] = [];
    const add = (value: unknown) => {
      for (const batch of batchesOf(metricRows(...Array.from({ length: 10 }, () => value)))) {
        builder.add(batch, (batch) => full.push(batch));
      }
    };
    add(5);
    add(null);
    add(7);
    expect(full).toHaveLength(3);
    expect(failure(() => add('seven'))).toMatchObject({
      code: 'USER_METRIC_FAILED',
      message:
        'Expected a number, as the first flows have it, for the column "metric" but received "seven", ' +
        'for the flow 10.0.0.1:40000 -> 10.0.0.2:443 (protocol 6)',
    });
  });

  it('is refused where it is no JSON', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    for (const value of [circle, 1n, { deep: 1n }]) {
      expect(failure(() => typeOf(null, value))).toMatchObject({
        code: 'USER_METRIC_FAILED',
        message: expect.stringContaining('"metric"'),
      });
    }
  });

  it('holds what it was when the flow ended', () => {
    const list = [1];
    const builder = new ArrowTableBuilder(tableOf([metric]));
    for (const batch of batchesOf(metricRows(list))) builder.add(batch);
    list.push(2);
    expect(arrowCells(builder.finish().getChildAt(0)!)).toEqual([[1]]);
  });

  it('of any values is never lost', () => {
    fc.assert(
      fc.property(fc.array(metricValue(), { minLength: 1, maxLength: 120 }), (values) => {
        const { type, cells } = typeOf(...values);
        const isJson = type === 'Utf8' && !values.every((value) => value === null || typeof value === 'string');
        const isAllNull = values.every((value) => value === null);
        expect(cells).toEqual(values.map((value) => cellText(value, isJson || isAllNull)));
      }),
    );
  });

  const cellText = (value: unknown, isJson: boolean): unknown => {
    if (value === null) return null;
    if (isJson) return JSON.stringify(value);
    if (Array.isArray(value)) return value.map((item) => (typeof item === 'string' ? inUtf8(item) : item));
    return typeof value === 'string' ? inUtf8(value) : value;
  };
});

describe('a cell that its column does not hold', () => {
  const named = (name: string) => TYPED.find((column) => column.name === name) as Column;

  it.each([
    ['text', 5, 'a text'],
    ['repeated', 5, 'a text'],
    ['uint8', 256, 'an integer (uint8)'],
    ['uint8', -1, 'an integer (uint8)'],
    ['uint16', '443', 'an integer (uint16)'],
    ['int32', 2 ** 31, 'an integer (int32)'],
    ['int32', 0.5, 'an integer (int32)'],
    ['int64', 0.5, 'an integer (int64)'],
    ['int64', 2 ** 63, 'an integer (int64)'],
    ['int64', Number.NaN, 'an integer (int64)'],
    ['number', '1', 'a number'],
    ['time', 'now', 'a time in ms'],
    ['pair', [1], 'two integers'],
    ['pair', [1, 0.5], 'two integers'],
    ['integers', 5, 'a list of integers'],
    ['numbers', ['1'], 'a list of numbers'],
    ['texts', [5], 'a list of texts'],
  ])('is refused, never changed: %s %j', (name, value, expected) => {
    expect(failure(() => columnOf(named(name), [{ [name]: value }]))).toMatchObject({
      code: 'USER_METRIC_FAILED',
      message: `Expected ${expected} for the column "${name}" but received ${JSON.stringify(value)}, for the flow 10.0.0.1:40000 -> 10.0.0.2:443 (protocol 6)`,
    });
  });
});

describe('columns of which one refused a cell', () => {
  it('have the rows before it, and take none behind it', () => {
    const columns = new FlowColumns(TYPED, { mostRows: 10, hasDictionaries: false });
    const add = (...sizes: number[]) =>
      columns.add(batchOf(...sizes.map((uint8) => ({ metrics: { text: 'a', uint8 } }))), () => {});
    const refusal = failure(() => add(1, 2, 300, 4));
    expect(refusal.code).toBe('USER_METRIC_FAILED');
    expect(columns.total).toBe(2);
    expect(
      columns
        .take()
        .toArray()
        .map(({ text, uint8 }) => [text, uint8]),
    ).toEqual([
      ['a', 1],
      ['a', 2],
    ]);
    expect(failure(() => add(1))).toBe(refusal);
    expect(columns.take().numRows).toBe(0);
  });
});

describe('a time', () => {
  it.each([
    [1472393122365.661, 1472393122365661n],
    [0.0005, 1n],
    [-0.25, -250n],
    [Number.POSITIVE_INFINITY, 2n ** 63n - 1024n],
    [-1e300, -(2n ** 63n)],
  ])('%d ms is rounded to microseconds, and bounded by what int64 has', (ms, micros) => {
    const { type, cells } = columnOf(cellColumn('time', 'timestamp'), [{ time: ms }]);
    expect({ type, cells }).toEqual({ type: 'Timestamp<MICROSECOND, UTC>', cells: [micros] });
  });
});

describe('texts', () => {
  it('of any content and length are UTF-8', () => {
    const text = fc.oneof(hostileText(), fc.string({ unit: 'binary', minLength: 30, maxLength: 200 }));
    fc.assert(
      fc.property(fc.array(text, { maxLength: 100 }), (texts) => {
        const rows = texts.map((text) => ({ text }));
        for (const repeats of [true, false]) {
          expect(columnOf(cellColumn('text', 'string', { repeats }), rows).cells).toEqual(texts.map(inUtf8));
        }
      }),
    );
  });

  it('that repeat are a dictionary of the different ones', () => {
    const builder = new ArrowTableBuilder(tableOf([cellColumn('app', 'string', { repeats: true })]));
    const rows = Array.from({ length: 70_000 }, (_, i) => ({ app: `app ${i % 7}` }));
    for (const batch of batchesOf(rows)) builder.add(batch);
    const table = builder.finish();
    expect(table.batches).toHaveLength(2);
    for (const batch of table.batches) expect(batch.data.children[0]?.dictionary?.length).toBe(7);
    expect(arrowCells(table.getChildAt(0)!)).toEqual(rows.map(({ app }) => app));
  });
});

describe('record batches', () => {
  it('end at their rows, or where their texts are too much', () => {
    const long = 'x'.repeat(1 << 20);
    const sizes: number[] = [];
    const columns = new FlowColumns([cellColumn('text', 'string')], { mostRows: 1000, hasDictionaries: false });
    for (const batch of batchesOf(Array.from({ length: 200 }, () => ({ text: long })))) {
      columns.add(batch, ({ numRows }) => sizes.push(numRows));
    }
    expect(sizes).toEqual([100, 100]);
    for (const batch of batchesOf(Array.from({ length: 2300 }, () => ({ text: 'a' })))) {
      columns.add(batch, ({ numRows }) => sizes.push(numRows));
    }
    expect(sizes.slice(2)).toEqual([1000, 1000]);
    expect(columns.rows).toBe(300);
  });
});

describe('a table in memory', () => {
  it('has no rows but its columns where there were no flows', () => {
    const table = new ArrowTableBuilder(tableOf(TYPED)).finish();
    expect(table.numRows).toBe(0);
    expect(table.schema.fields.map(({ name }) => name)).toEqual(TYPED.map(({ name }) => name));
  });

  it('has what flows say', () => {
    const columns = classicColumns(['seen']);
    const builder = new ArrowTableBuilder(columns);
    builder.add(batchOf({ metrics: { seen: 3 } }));
    const [row] = builder.finish().toArray();
    expect(row).toMatchObject({ ip_src: '10.0.0.1', dst_port: 443, src_to_dst_bytes: 300n, seen: 3 });
    expect([...row.ack_count]).toEqual([3n, 2n]);
  });

  it('has nulls where cells are null, from any row on', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 1, maxLength: 3000 }), (isThere) => {
        const rows = isThere.map((there, i) =>
          there ? { text: `${i}`, pair: [i, i], uint8: i % 256, texts: ['a'] } : {},
        );
        for (const column of TYPED) expect(columnOf(column, rows).cells).toEqual(expectedCells(column, rows));
      }),
      { numRuns: 10 },
    );
  });
});
