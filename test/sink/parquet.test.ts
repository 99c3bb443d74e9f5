// Parquet files as DuckDB reads them.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NfstreamError } from '../../src/errors.ts';
import type { FlowBatch } from '../../src/flow/flow-batch.ts';
import { openOutput } from '../../src/sink/output.ts';
import { type ParquetOptions, ParquetSink } from '../../src/sink/parquet.ts';
import type { SinkColumns } from '../../src/sink/sink.ts';
import { query } from './duckdb-reader.ts';
import { batchOf, classicColumns, MemoryOutput } from './flows.ts';
import {
  batchesOf,
  type Cells,
  cellColumn,
  cells,
  expectedCells,
  readByDuckdb,
  TYPED,
  tableOf,
  typesByDuckdb,
} from './typed-cells.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-parquet-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);

async function write(rows: readonly Cells[], columns: SinkColumns = tableOf(TYPED), options: ParquetOptions = {}) {
  const output = new MemoryOutput();
  const sink = await ParquetSink.open(output, columns, options);
  for (const batch of batchesOf(rows)) await sink.write(batch);
  await sink.close();
  expect(output.ended).toBe('closed');
  expect(sink.rows).toBe(rows.length);
  expect(sink.bytes).toBe(output.content.length);
  const path = at('flows.parquet');
  writeFileSync(path, output.content);
  return path;
}

const metadata = (path: string) =>
  query(
    `SELECT row_group_id::INT AS id, row_group_num_rows::INT AS rows, path_in_schema AS name, compression, encodings, type FROM parquet_metadata('${path}')`,
  );

describe('any cells, in row groups of any size', () => {
  it('are read by DuckDB as they were', async () => {
    const sizes = fc.constantFrom(1, 7, 64, 1000);
    const compressions = fc.constantFrom('zstd', 'snappy', 'none');
    await fc.assert(
      fc.asyncProperty(
        fc.array(cells(), { maxLength: 200, size: 'max' }),
        sizes,
        compressions,
        async (rows, rowGroupRows, compression) => {
          const path = await write(rows, tableOf(TYPED), { rowGroupRows, compression });
          const read = await readByDuckdb(path);
          expect([...read.keys()]).toEqual(TYPED.map(({ name }) => name));
          for (const column of TYPED) expect(read.get(column.name), column.name).toEqual(expectedCells(column, rows));
        },
      ),
      { numRuns: 25 },
    );
  }, 120_000);

  it('are of logical types', async () => {
    expect(await typesByDuckdb(await write([]))).toEqual({
      text: 'VARCHAR',
      repeated: 'VARCHAR',
      uint8: 'UTINYINT',
      uint16: 'USMALLINT',
      int32: 'INTEGER',
      int64: 'BIGINT',
      number: 'DOUBLE',
      time: 'TIMESTAMP WITH TIME ZONE',
      pair: 'BIGINT[]',
      'small integers': 'INTEGER[]',
      integers: 'BIGINT[]',
      numbers: 'DOUBLE[]',
      texts: 'VARCHAR[]',
      nothing: 'VARCHAR',
    });
  });
});

describe('flows', () => {
  it('have the columns of a table, each cell as the field table reads it', async () => {
    const flows = Array.from({ length: 150 }, (_, i) => ({
      srcPort: i,
      packets: [i, 2 ** 53 - 1] as [number, number],
      startMs: 1472393122365.661 + i,
      metrics: { seen: i / 4 },
    }));
    const columns = classicColumns(['seen']);
    const output = new MemoryOutput();
    const sink = await ParquetSink.open(output, columns, { rowGroupRows: 40 });
    const batches = [batchOf(...flows.slice(0, 64)), batchOf(...flows.slice(64, 65)), batchOf(...flows.slice(65, 129))];
    batches.push(batchOf(...flows.slice(129)));
    for (const batch of batches) await sink.write(batch);
    await sink.close();
    writeFileSync(at('flows.parquet'), output.content);

    const read = await readByDuckdb(at('flows.parquet'));
    for (const column of columns.table) {
      const typed = column.type === 'any' ? { ...column, type: 'number' as const } : column;
      const values = batches.flatMap((batch) =>
        Array.from({ length: batch.count }, (_, row) => column.read(batch.store, row, batch.metrics(row))),
      );
      const plainColumn = cellColumn(column.name, typed.type, typed.size === undefined ? {} : { size: typed.size });
      const wanted = expectedCells(
        plainColumn,
        values.map((value) => ({ [column.name]: value })),
      );
      expect(read.get(column.name), column.name).toEqual(wanted);
    }
  });

  it('are in row groups of the size that was asked for', async () => {
    const path = await write(
      Array.from({ length: 150 }, (_, i) => ({ int64: i })),
      tableOf(TYPED),
      { rowGroupRows: 40 },
    );
    const groups = new Map((await metadata(path)).map(({ id, rows }) => [id, rows]));
    expect([...groups.values()]).toEqual([40, 40, 40, 30]);
  });

  it.each([
    ['zstd', 'ZSTD'],
    ['snappy', 'SNAPPY'],
    ['none', 'UNCOMPRESSED'],
  ] as const)('are compressed: %s', async (compression, name) => {
    const path = await write([{ text: 'a' }], tableOf(TYPED), { compression });
    expect(new Set((await metadata(path)).map((chunk) => chunk['compression']))).toEqual(new Set([name]));
  });

  it('have dictionaries for texts, differences for integers of 64 bits', async () => {
    const rows = Array.from({ length: 1000 }, (_, i) => ({ repeated: `app ${i % 3}`, int64: i, time: i }));
    const chunks = await metadata(await write(rows));
    const encodings = new Map(chunks.map(({ name, encodings }) => [name, String(encodings)]));
    expect(encodings.get('repeated')).toContain('RLE_DICTIONARY');
    expect(encodings.get('int64')).toContain('DELTA_BINARY_PACKED');
    expect(encodings.get('time')).toContain('DELTA_BINARY_PACKED');
  });

  it('say who wrote them', async () => {
    const path = await write([]);
    const [file] = await query(`SELECT created_by FROM parquet_file_metadata('${path}')`);
    expect(file?.['created_by']).toMatch(/^nfstream version \d+\.\d+\.\d+/);
    const keys = await query(`SELECT decode(key) AS key FROM parquet_kv_metadata('${path}')`);
    expect(keys.map(({ key }) => key)).toContain('nfstream.version');
  });
});

describe('a run without flows', () => {
  it('gives a file with its columns', async () => {
    const path = await write([], tableOf([cellColumn('text', 'string'), cellColumn('metric', 'any')]));
    expect(await readByDuckdb(path)).toEqual(
      new Map([
        ['text', []],
        ['metric', []],
      ]),
    );
  });
});

describe('two columns of one name', () => {
  it('get two names', async () => {
    const twice = [cellColumn('n', 'integer'), cellColumn('n', 'any'), cellColumn('n_1', 'string')];
    const path = await write([{ n: 5, n_1: 'x' }], tableOf(twice));
    expect(await readByDuckdb(path)).toEqual(
      new Map<string, unknown[]>([
        ['n', [5n]],
        ['n_1', [5]],
        ['n_1_1', ['x']],
      ]),
    );
  });
});

describe('an output that fails', () => {
  class FullOutput extends MemoryOutput {
    override append(): void {
      throw new NfstreamError('OUTPUT_FAILED', 'Writing "x" failed: no space left on device (ENOSPC)');
    }
  }

  it('fails the next write, and closing', async () => {
    const output = new FullOutput();
    const sink = await ParquetSink.open(output, tableOf(TYPED), { rowGroupRows: 50 });
    const writing = async () => {
      for (const batch of batchesOf(Array.from({ length: 500 }, (_, i) => ({ text: `${i}`.repeat(500) }))))
        await sink.write(batch);
    };
    await expect(writing()).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringContaining('ENOSPC'),
    });
    await expect(sink.close()).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
    expect(output.ended).toBe('abandoned');
  });

  it('fails closing where only that writes', async () => {
    const output = new FullOutput();
    const sink = await ParquetSink.open(output, tableOf(TYPED));
    await sink.write(batchesOf([{}])[0] as FlowBatch);
    await expect(sink.close()).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
    expect(output.ended).toBe('abandoned');
  });
});

describe('a run that is given up', () => {
  it.each([0, 10, 500])('leaves no file, after %d flows', async (count) => {
    const output = await openOutput(at('flows.parquet'));
    const sink = await ParquetSink.open(output, tableOf(TYPED), { rowGroupRows: 100 });
    for (const batch of batchesOf(Array.from({ length: count }, () => ({ text: 'x' })))) await sink.write(batch);
    await sink.abandon();
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('an output that is behind', () => {
  it('holds the caller up within a few row groups', async () => {
    class StuckOutput extends MemoryOutput {
      override append(data: Uint8Array): Promise<void> {
        super.append(data);
        return new Promise(() => {});
      }
    }
    const sink = await ParquetSink.open(new StuckOutput(), tableOf(TYPED), { rowGroupRows: 50, compression: 'none' });
    const [batch] = batchesOf(Array.from({ length: 50 }, (_, i) => ({ text: `${i}`.repeat(20) })));
    let taken = 0;
    let last: Promise<void> | void;
    for (; taken < 100; taken++) {
      last = sink.write(batch as FlowBatch);
      const isHeld = await Promise.race([Promise.resolve(last).then(() => false), turns(200).then(() => true)]);
      if (isHeld) break;
    }
    expect(taken).toBeGreaterThan(0);
    expect(taken).toBeLessThan(20);
  });
});

/** So many turns of the event loop, in which whatever can go on goes on. */
async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((fulfil) => setImmediate(fulfil));
}
