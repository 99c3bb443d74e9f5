// Arrow files and streams as others read them: flechette, Arrow's Rust implementation (in parquet-wasm) and DuckDB behind
// it, pyarrow where it is there, and the reader of the library that writes.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tableFromIPC as readFlechette } from '@uwdata/flechette';
import { RecordBatchReader, tableFromIPC } from 'apache-arrow';
import fc from 'fast-check';
import { Table as RustTable, writeParquet } from 'parquet-wasm';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { NfstreamError } from '../../src/errors.ts';
import type { FlowBatch } from '../../src/flow/flow-batch.ts';
import { ArrowSink } from '../../src/sink/arrow.ts';
import { openOutput } from '../../src/sink/output.ts';
import { MemoryOutput } from './flows.ts';
import {
  arrowCells,
  batchesOf,
  type Cells,
  cells,
  expectedCells,
  readByDuckdb,
  TYPED,
  tableOf,
} from './typed-cells.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-arrow-'));
});
afterEach(() => {
  vi.useRealTimers();
  rmSync(folder, { recursive: true });
});
const at = (name: string) => join(folder, name);
const PYTHON = spawnSync('python3', ['-c', 'import pyarrow.parquet']).status === 0;

type Format = 'file' | 'stream';
const FORMATS: Format[] = ['file', 'stream'];

async function write(rows: readonly Cells[], format: Format, rowGroupRows?: number, columns = TYPED): Promise<Buffer> {
  const output = new MemoryOutput();
  const sink = await ArrowSink.open(output, tableOf(columns), { format, rowGroupRows });
  for (const batch of batchesOf(rows)) await sink.write(batch);
  await sink.close();
  expect(output.ended).toBe('closed');
  expect(sink.rows).toBe(rows.length);
  expect(sink.bytes).toBe(output.content.length);
  return output.content;
}

/** By Arrow's Rust implementation, which knows streams, to Parquet, which DuckDB reads. */
async function readByRust(bytes: Buffer): Promise<Map<string, unknown[]>> {
  const path = at('by-rust.parquet');
  writeFileSync(path, writeParquet(RustTable.fromIPCStream(bytes)));
  return readByDuckdb(path);
}

const READ_BY_PYTHON = `
import sys, pyarrow, pyarrow.ipc, pyarrow.parquet
format, source, target = sys.argv[1:]
table = (pyarrow.ipc.open_file if format == 'file' else pyarrow.ipc.open_stream)(source).read_all()
table.validate(full=True)
pyarrow.parquet.write_table(table, target)
`;

/** By pyarrow, which checks everything, to Parquet, which DuckDB reads. */
async function readByPython(bytes: Buffer, format: Format): Promise<Map<string, unknown[]>> {
  writeFileSync(at('flows.arrow'), bytes);
  execFileSync('python3', ['-c', READ_BY_PYTHON, format, at('flows.arrow'), at('by-python.parquet')]);
  return readByDuckdb(at('by-python.parquet'));
}

function readByArrow(bytes: Buffer): Map<string, unknown[]> {
  const table = tableFromIPC(bytes);
  return new Map(table.schema.fields.map(({ name }, i) => [name, arrowCells(table.getChildAt(i)!)]));
}

/** By flechette: JavaScript, too, but nothing of the library that writes. */
function readByFlechette(bytes: Buffer): Map<string, unknown[]> {
  const table = readFlechette(new Uint8Array(bytes), { useBigInt: true });
  return new Map(
    table.names.map((name, i) => {
      const cells = Array.from({ length: table.numRows }, (_, row): unknown => table.getChildAt(i).at(row));
      return [String(name), cells.map((cell) => (name === 'time' ? microseconds(cell) : plainCell(cell)))];
    }),
  );
}

/** Of a time, which is a number of milliseconds. */
const microseconds = (ms: unknown) => (ms === null ? null : BigInt(Math.round((ms as number) * 1000)));

const plainCell = (cell: unknown) =>
  ArrayBuffer.isView(cell) ? Array.from(cell as unknown as ArrayLike<unknown>) : cell;

const expectedOf = (rows: readonly Cells[], columns = TYPED) =>
  new Map(columns.map((column) => [column.name, expectedCells(column, rows)]));

const someRows = () => fc.array(cells(), { maxLength: 200, size: 'max' });
const sizes = () => fc.constantFrom(1, 7, 64, 1000);

describe('any cells, in record batches of any size', () => {
  it('of a stream are read by Rust and DuckDB as they were', async () => {
    await fc.assert(
      fc.asyncProperty(someRows(), sizes(), async (rows, size) => {
        expect(await readByRust(await write(rows, 'stream', size))).toEqual(expectedOf(rows));
      }),
      { numRuns: 20 },
    );
  }, 120_000);

  it.each(FORMATS)(
    'of a %s are read by apache-arrow as they were',
    async (format) => {
      await fc.assert(
        fc.asyncProperty(someRows(), sizes(), async (rows, size) => {
          expect(readByArrow(await write(rows, format, size))).toEqual(expectedOf(rows));
        }),
        { numRuns: 20 },
      );
    },
    120_000,
  );

  it.each(FORMATS)(
    'of a %s are read by flechette as they were',
    async (format) => {
      await fc.assert(
        fc.asyncProperty(someRows(), sizes(), async (rows, size) => {
          expect(readByFlechette(await write(rows, format, size))).toEqual(expectedOf(rows));
        }),
        { numRuns: 20 },
      );
    },
    120_000,
  );

  it.skipIf(!PYTHON).each(FORMATS)(
    'of a %s are read by pyarrow as they were (skipped without)',
    async (format) => {
      await fc.assert(
        fc.asyncProperty(someRows(), sizes(), async (rows, size) => {
          expect(await readByPython(await write(rows, format, size), format)).toEqual(expectedOf(rows));
        }),
        { numRuns: 4 },
      );
    },
    120_000,
  );

  it.each(FORMATS)('of a %s are of logical types', async (format) => {
    const { schema } = tableFromIPC(await write([], format));
    expect(Object.fromEntries(schema.fields.map(({ name, type }) => [name, String(type)]))).toEqual({
      text: 'Utf8',
      repeated: 'Utf8',
      uint8: 'Uint8',
      uint16: 'Uint16',
      int32: 'Int32',
      int64: 'Int64',
      number: 'Float64',
      time: 'Timestamp<MICROSECOND, UTC>',
      pair: 'FixedSizeList[2]<Int64>',
      'small integers': 'List<Int32>',
      integers: 'List<Int64>',
      numbers: 'List<Float64>',
      texts: 'List<Utf8>',
      nothing: 'Utf8',
    });
    expect(schema.metadata.get('nfstream.version')).toMatch(/^\d+\.\d+\.\d+/);
  });
});

describe('record batches', () => {
  it.each(FORMATS)('of a %s have the rows that were asked for', async (format) => {
    const rows = Array.from({ length: 150 }, (_, i) => ({ int64: i }));
    const batches = [...RecordBatchReader.from(await write(rows, format, 40))];
    expect(batches.map(({ numRows }) => numRows)).toEqual([40, 40, 40, 30]);
  });
});

describe('a file', () => {
  it('has the magic word at both ends', async () => {
    const file = await write([{ text: 'a' }], 'file');
    expect(file.subarray(0, 8)).toEqual(Buffer.from('ARROW1\0\0'));
    expect(file.subarray(-6)).toEqual(Buffer.from('ARROW1'));
  });
});

describe('a stream to a pipe', () => {
  const output = () => Object.assign(new MemoryOutput(), { isFile: false });
  const [batch] = batchesOf([{ text: 'a' }, { text: 'b' }]) as [FlowBatch];

  it('has rows that came a second ago though a record batch could have more', async () => {
    vi.useFakeTimers();
    const pipe = output();
    const sink = await ArrowSink.open(pipe, tableOf(TYPED), { format: 'stream' });
    await sink.write(batch);
    expect(pipe.bytes).toBe(0);
    await vi.advanceTimersByTimeAsync(1100);
    const after = pipe.bytes;
    expect(after).toBeGreaterThan(0);
    expect(readByArrow(pipe.content).get('text')).toEqual(['a', 'b']);
    await vi.advanceTimersByTimeAsync(5000);
    expect(pipe.bytes).toBe(after);
    await sink.write(batch);
    await sink.close();
    expect(readByArrow(pipe.content).get('text')).toEqual(['a', 'b', 'a', 'b']);
  });

  it('says with the next write that it could not be written', async () => {
    vi.useFakeTimers();
    const pipe = output();
    pipe.append = () => {
      throw new NfstreamError('OUTPUT_FAILED', 'broken pipe (EPIPE)');
    };
    const sink = await ArrowSink.open(pipe, tableOf(TYPED), { format: 'stream', rowGroupRows: 4 });
    await sink.write(batch);
    await vi.advanceTimersByTimeAsync(1100);
    await sink.write(batch);
    await expect((async () => sink.write(batch))()).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
    await expect(sink.close()).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
    expect(pipe.ended).toBe('abandoned');
  });
});

describe('a run that is given up', () => {
  it.each(FORMATS)('leaves no %s', async (format) => {
    const output = await openOutput(at('flows.arrow'));
    const sink = await ArrowSink.open(output, tableOf(TYPED), { format, rowGroupRows: 100 });
    for (const batch of batchesOf(Array.from({ length: 500 }, () => ({ text: 'x' })))) await sink.write(batch);
    await sink.abandon();
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe('an output that is behind', () => {
  it.each(FORMATS)('holds the caller of a %s up', async (format) => {
    let release = () => {};
    const output = new MemoryOutput();
    const append = output.append.bind(output);
    output.append = (data) => {
      append(data);
      return new Promise<void>((fulfil) => {
        release = fulfil;
      }) as never;
    };
    const sink = await ArrowSink.open(output, tableOf(TYPED), { format, rowGroupRows: 50 });
    const [batch] = batchesOf(Array.from({ length: 50 }, () => ({ text: 'x' }))) as [FlowBatch];
    let isDone = false;
    const writing = Promise.resolve(sink.write(batch)).then(() => {
      isDone = true;
    });
    for (let i = 0; i < 20; i++) await new Promise((fulfil) => setImmediate(fulfil));
    expect(isDone).toBe(false);
    release();
    await writing;
    expect(isDone).toBe(true);
  });
});
