// Columns of what user code measured, in a DuckDB database.
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FIELDS } from '../../src/flow/schema.ts';
import { DuckdbSink } from '../../src/sink/duckdb.ts';
import { query } from './duckdb-reader.ts';
import { failure, write, writeAll } from './duckdb-writer.ts';
import { batchOf, classicColumns, type FlowParts, hostileText, metricValue } from './flows.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-duckdb-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

describe('what user code measured', () => {
  const cells = async (values: readonly FlowParts['metrics'][string][]) => {
    await writeAll(
      at('m.duckdb'),
      values.map((m) => ({ metrics: { m } })),
      ['m'],
      { overwrite: true },
    );
    const [described] = (await query('DESCRIBE flows', at('m.duckdb'))).slice(-1);
    const rows = await query('SELECT m FROM flows', at('m.duckdb'));
    return [described?.['column_type'], ...rows.map(({ m }) => m)];
  };

  it('gets the type that all values have, otherwise JSON', async () => {
    expect(await cells([1, null, 2.5])).toEqual(['DOUBLE', 1, null, 2.5]);
    expect(await cells([true, null])).toEqual(['BOOLEAN', true, null]);
    expect(await cells(['a', null, ''])).toEqual(['VARCHAR', 'a', null, '']);
    expect(await cells([[], [1]])).toEqual(['DOUBLE[]', [], [1]]);
    expect(await cells([[1, null] as never, []])).toEqual(['VARCHAR', '[1,null]', '[]']);
    // What the first rows don't tell may be anything.
    const late = Array(3000).fill(null).concat('late', 1);
    expect((await cells(late)).slice(-2)).toEqual(['"late"', '1']);
    expect(await cells([[1, 2], [3], null])).toEqual(['DOUBLE[]', [1, 2], [3], null]);
    expect(await cells([['a', '\0'], ['b']])).toEqual(['VARCHAR[]', ['a', '\0'], ['b']]);
    expect(await cells([{ a: [1] }, null])).toEqual(['VARCHAR', '{"a":[1]}', null]);
    expect(await cells([1, 'a', [1], true])).toEqual(['VARCHAR', '1', '"a"', '[1]', 'true']);
    expect(await cells([[], []])).toEqual(['VARCHAR', '[]', '[]']);
  });

  it('is text or JSON in a column for texts that is there, whatever else it would be', async () => {
    const added = async (...values: FlowParts['metrics'][string][]) => {
      await query('CREATE OR REPLACE TABLE flows AS FROM flows WHERE false', at('m.duckdb'));
      await writeAll(
        at('m.duckdb'),
        values.map((m) => ({ metrics: { m } })),
        ['m'],
      );
      return (await query('SELECT m FROM flows', at('m.duckdb'))).map(({ m }) => m);
    };
    await writeAll(at('m.duckdb'), [{ metrics: { m: null } }], ['m']);
    expect(await added(1, 2.5)).toEqual(['1', '2.5']);
    expect(await added('a', null)).toEqual(['a', null]);
    expect(await added([1], [])).toEqual(['[1]', '[]']);
    expect(await added(true, 'a')).toEqual(['true', '"a"']);
  });

  it('is read at once: user code may change its lists and objects later', async () => {
    const list = [1];
    const sink = await DuckdbSink.open(at('flows.duckdb'), classicColumns(['m']));
    await sink.write(batchOf({ metrics: { m: list } }));
    list[0] = 2;
    await sink.close();
    expect(await query('SELECT m FROM flows', at('flows.duckdb'))).toEqual([{ m: [1] }]);
  });

  it('fails the run, naming column and flow, where it does not fit those before it', async () => {
    const sink = await DuckdbSink.open(at('flows.duckdb'), classicColumns(['m']));
    await write(sink, Array(3000).fill({ metrics: { m: 1 } }));
    const message =
      'Expected a number, as the first flows have it, for the column "m" but received "x", for the flow 10.0.0.1:40000 -> 10.0.0.2:443 (protocol 6)';
    expect(await failure(write(sink, [{ metrics: { m: 'x' } }]))).toMatchObject({
      code: 'USER_METRIC_FAILED',
      message,
    });
    await sink.abandon();
    expect(readdirSync(folder)).toEqual([]);
  });

  it('fails the run where it is no JSON, or not what the field is', async () => {
    const circle: Record<string, never> = {};
    Object.assign(circle, { circle });
    const sink = await DuckdbSink.open(at('flows.duckdb'), classicColumns(['m']));
    expect(await failure(write(sink, [{ metrics: { m: circle } }]))).toMatchObject({ code: 'USER_METRIC_FAILED' });
    await sink.abandon();
    const field = { ...FIELDS.get('application_id'), name: 'application_id' } as never;
    const typed = await DuckdbSink.open(at('flows.duckdb'), { record: [], table: [field] });
    expect(await failure(write(typed, [{ metrics: { application_id: 2 ** 40 } }]))).toMatchObject({
      code: 'USER_METRIC_FAILED',
      message: expect.stringContaining('Expected an integer (int32) for the column'),
    });
    await typed.abandon();
  });

  it('is stored as it is, whatever it holds and is called', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.oneof(hostileText(), fc.constantFrom('IP_SRC', 'a', 'A', 'a_1', 'rowid')), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.array(fc.array(metricValue(), { minLength: 4, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
        async (names, rows) => {
          const flows = rows.map((values) => ({
            metrics: Object.fromEntries(names.map((name, i) => [name, values[i]])),
          }));
          await writeAll(at('p.duckdb'), flows as Partial<FlowParts>[], names, { overwrite: true });
          const read = await query('SELECT * FROM flows', at('p.duckdb'));
          const types = (await query('DESCRIBE flows', at('p.duckdb'))).map((row) => row['column_type']);
          expect(read).toHaveLength(rows.length);
          read.forEach((row, r) => {
            const cells = Object.values(row).slice(-names.length);
            names.forEach((_, c) => {
              const value = rows[r]?.[c] ?? null;
              const isMixed = types.at(c - names.length) === 'VARCHAR' && !isText(rows.map((all) => all[c]));
              const cell = cells[c];
              const stored = isMixed && cell !== null ? JSON.parse(cell as string) : cell;
              expect(Object.is(stored, -0) ? 0 : stored).toEqual(wellFormed(value, isMixed));
            });
          });
        },
      ),
      { numRuns: 40 },
    );
  });
});

/** Whether a column of these values has texts, rather than JSON. */
const isText = (values: readonly unknown[]) =>
  values.every((value) => value === null || typeof value === 'string') && values.some((value) => value !== null);

/** As UTF-8 has it: a lone surrogate is U+FFFD. JSON escapes it, and has neither NaN nor -0. */
function wellFormed(value: unknown, isJson: boolean): unknown {
  if (isJson) return JSON.parse(JSON.stringify(value));
  // DuckDB's client drops a mark of byte order.
  if (typeof value === 'string')
    return Buffer.from(value)
      .toString()
      .replace(/^\ufeff/, '');
  if (Array.isArray(value)) return value.map((item) => wellFormed(item, false));
  // DuckDB's reader names what JSON can't hold.
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value);
  return Object.is(value, -0) ? 0 : value;
}
