// A row that does not fit its columns ends the run; the rows before it are in the file, whatever the format.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFromIPC } from 'apache-arrow';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSink } from '../../src/sink/open-sink.ts';
import type { SinkOptions } from '../../src/sink/sink-options.ts';
import { query } from './duckdb-reader.ts';
import {
  arrowCells,
  batchesOf,
  type Cells,
  cellColumn,
  cells,
  expectedCells,
  inUtf8,
  readByDuckdb,
  TYPED,
  tableOf,
} from './typed-cells.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-misfit-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

const circle: Record<string, unknown> = {};
circle['self'] = circle;

/** Values that columns of `TYPED` don't take, by column. */
const MISFITS: readonly [name: string, value: unknown][] = [
  ['text', 5],
  ['repeated', circle],
  ['uint8', 256],
  ['int64', 0.5],
  ['time', 'now'],
  ['pair', [1, 0.5]],
  ['integers', [1, 2, 'three']],
  ['numbers', [1, 'two']],
  ['texts', ['one', 2]],
  ['any', circle],
];
const COLUMNS = [...TYPED, cellColumn('any', 'any')];

async function write(path: string, rows: readonly Cells[], options: SinkOptions): Promise<void> {
  const sink = await openSink(path, tableOf(COLUMNS), { ...options, overwrite: true });
  const at = rows.findIndex((row) => 'fails' in row);
  const all = async () => {
    for (const batch of batchesOf(rows)) await sink.write(batch);
  };
  await expect(all()).rejects.toMatchObject({ code: 'USER_METRIC_FAILED' });
  expect(sink.rows).toBe(at);
  await sink.close();
}

/** Rows of which one has a value that does not fit, and may have several. */
const failingRows = () =>
  fc
    .tuple(
      fc.array(cells(), { minLength: 1, maxLength: 150, size: 'max' }),
      fc.nat(),
      fc.subarray([...MISFITS], { minLength: 1, maxLength: 3 }),
    )
    .map(([rows, place, misfits]) => {
      const row = place % rows.length;
      const failing = { ...rows[row], ...Object.fromEntries(misfits), fails: true };
      // The same columns fail in the rows behind it, too: the first of the rows decides, not the first of the columns.
      const behind = { ...rows[row], ...Object.fromEntries(MISFITS) };
      return rows.map((cells, i) => (i === row ? failing : i > row ? behind : cells));
    });

const readers = {
  parquet: readByDuckdb,
  arrow: async (path: string) => {
    const table = tableFromIPC(readFileSync(path));
    return new Map(table.schema.fields.map(({ name }, i) => [name, arrowCells(table.getChildAt(i)!)]));
  },
  duckdb: async (path: string) => {
    await query(`COPY (FROM flows ORDER BY rowid) TO '${path}.copy' (FORMAT parquet)`, path);
    return readByDuckdb(`${path}.copy`);
  },
};

describe.each(['parquet', 'arrow', 'duckdb'] as const)('%s', (format) => {
  it('has the rows before one that does not fit', async () => {
    await fc.assert(
      fc.asyncProperty(failingRows(), fc.constantFrom(undefined, 7), async (rows, rowGroupRows) => {
        const path = at(`flows.${format}`);
        await write(path, rows, format === 'parquet' && rowGroupRows !== undefined ? { rowGroupRows } : {});
        const before = rows.slice(
          0,
          rows.findIndex((row) => 'fails' in row),
        );
        const read = await readers[format](path);
        expect([...read.keys()]).toEqual(COLUMNS.map(({ name }) => name));
        for (const column of TYPED) expect(read.get(column.name), column.name).toEqual(expectedCells(column, before));
        rmSync(path);
      }),
      { numRuns: 20 },
    );
  }, 120_000);
});

describe.each(['csv', 'jsonl', 'parquet', 'arrow', 'arrows', 'duckdb'])('%s', (ending) => {
  it('has the rows before a metric that is no JSON, also of the same batch', async () => {
    const rows: Cells[] = Array.from({ length: 60 }, () => ({ any: inUtf8('a') }));
    await write(at(`flows.${ending}`), [...rows, { any: circle, fails: true }], {});
    expect(readdirSync(folder)).toEqual([`flows.${ending}`]);
    if (ending === 'csv' || ending === 'jsonl') {
      const lines = readFileSync(at(`flows.${ending}`), 'utf8')
        .trimEnd()
        .split('\n');
      expect(lines).toHaveLength(ending === 'csv' ? 61 : 60);
    }
  });
});
