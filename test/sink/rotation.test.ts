// One file after the other: limits, names, and what is there when a run ends.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { FlowBatch } from '../../src/flow/flow-batch.ts';
import { openSink, type SinkOptions } from '../../src/sink/open-sink.ts';
import { readCsv } from './csv-reader.ts';
import { query } from './duckdb-reader.ts';
import { batchOf, classicColumns } from './flows.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-rotation-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const columns = classicColumns(['n']);
const visible = () =>
  readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort();
const open = (name: string, rotate: SinkOptions['rotate'], options: SinkOptions = {}) =>
  openSink(at(name), columns, { ...options, ...(rotate === undefined ? {} : { rotate }) });

let count = 0;
/** Flows with numbers that go on. */
const flows = (length: number): FlowBatch => batchOf(...Array.from({ length }, () => ({ metrics: { n: count++ } })));
beforeEach(() => {
  count = 0;
});
/** Those numbers, of each file. */
const numbersOf = (names: readonly string[]) =>
  names.map((name) =>
    readCsv(readFileSync(name, 'utf8'))
      .slice(1)
      .map((row) => Number(row.at(-1))),
  );

describe('by rows', () => {
  it('has exactly so many in each file but the last', async () => {
    const sink = await open('flows.csv', { rows: 25 });
    for (const length of [10, 64, 1, 6]) await sink.write(flows(length));
    expect(visible()).toEqual(['flows-00000.csv', 'flows-00001.csv', 'flows-00002.csv']);
    await sink.close();
    expect(sink.files).toEqual([0, 1, 2, 3].map((number) => at(`flows-0000${number}.csv`)));
    expect(numbersOf(sink.files).map((numbers) => numbers.length)).toEqual([25, 25, 25, 6]);
    expect(numbersOf(sink.files).flat()).toEqual(Array.from({ length: 81 }, (_, i) => i));
    expect(sink.rows).toBe(81);
    expect(sink.bytes).toBe(sink.files.reduce((sum, name) => sum + readFileSync(name).length, 0));
  });

  it('loses and doubles nothing, however batches fall', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 90 }),
        fc.array(fc.integer({ min: 0, max: 64 }), { maxLength: 5 }),
        async (rows, lengths) => {
          count = 0;
          const sink = await open('flows.csv', { rows }, { overwrite: true });
          for (const length of lengths) await sink.write(flows(length));
          await sink.close();
          const files = numbersOf(sink.files);
          expect(files.flat()).toEqual(Array.from({ length: count }, (_, i) => i));
          expect(files.map((numbers) => numbers.length)).toEqual(
            Array.from({ length: Math.ceil(count / rows) }, (_, i) => Math.min(rows, count - i * rows)),
          );
          expect(visible()).toHaveLength(files.length);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('keeps the flows of a batch what they are for others', async () => {
    const batch = flows(10);
    const kept = batch.flow(7);
    const sink = await open('flows.csv', { rows: 3 });
    await sink.write(batch);
    await sink.close();
    expect(batch.flow(7)).toBe(kept);
    expect(kept).toMatchObject({ ip_src: '10.0.0.1', metrics: { n: 7 } });
    expect(batch.count).toBe(10);
  });

  it.each(['parquet', 'arrow', 'arrows', 'jsonl'])('has whole files of .%s', async (ending) => {
    const sink = await open(`flows.${ending}`, { rows: 40 });
    for (let i = 0; i < 3; i++) await sink.write(flows(30));
    await sink.close();
    expect(sink.files).toHaveLength(3);
    expect(visible()).toHaveLength(3);
    // DuckDB reads Arrow by an extension only, which is not here.
    if (ending.startsWith('arrow')) return;
    const [row] = await query(`SELECT count(*) AS rows FROM '${at(`flows-*.${ending}`)}'`);
    expect(Number(row['rows'])).toBe(90);
  });
});

it('by bytes: a file ends with the batch that reached them', async () => {
  const sink = await open('flows.jsonl', { bytes: 10_000 });
  for (let i = 0; i < 10; i++) await sink.write(flows(10));
  await sink.close();
  const sizes = sink.files.map((name) => readFileSync(name).length);
  expect(sizes.length).toBeGreaterThan(2);
  for (const size of sizes.slice(0, -1)) expect(size).toBeGreaterThanOrEqual(10_000);
  const batch = (sizes[0] / readFileSync(sink.files[0], 'utf8').split('\n').length) * 10;
  for (const size of sizes) expect(size).toBeLessThan(10_000 + 2 * batch);
});

describe('by seconds', () => {
  it('finishes a file though nothing comes any more, and makes none before something does', async () => {
    const sink = await open('flows.csv', { seconds: 0.05 });
    await sleep(120);
    expect(visible()).toEqual([]);
    await sink.write(flows(3));
    await vi.waitUntil(() => visible().length === 1);
    expect(numbersOf([at('flows-00000.csv')])).toEqual([[0, 1, 2]]);
    await sleep(120);
    expect(visible()).toHaveLength(1);
    await sink.write(flows(2));
    await sink.close();
    expect(numbersOf(sink.files)).toEqual([
      [0, 1, 2],
      [3, 4],
    ]);
  });

  it('says where a file could not be finished', async () => {
    const onFailure = vi.fn();
    const sink = await open('sub/flows.csv', { seconds: 0.05 }, { onFailure }).catch((error: unknown) => error);
    expect(sink).toMatchObject({ code: 'OUTPUT_FAILED' });
    mkdirSync(at('sub'));
    const rotating = await open('sub/flows.csv', { seconds: 0.05 }, { onFailure });
    await rotating.write(flows(1));
    rmSync(at('sub'), { recursive: true });
    await vi.waitUntil(() => onFailure.mock.calls.length > 0);
    await expect(rotating.write(flows(1))).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
    await rotating.abandon();
  });
});

describe('names', () => {
  it('go on behind the highest that is there', async () => {
    for (const name of [
      'flows-00003.csv',
      'flows-00007.csv',
      'flows-8.csv',
      'flows-00009.parquet',
      'other-00010.csv',
    ]) {
      writeFileSync(at(name), 'old');
    }
    const sink = await open('flows.csv', { rows: 2 });
    await sink.write(flows(3));
    await sink.close();
    expect(sink.files).toEqual([at('flows-00008.csv'), at('flows-00009.csv')]);
    expect(readFileSync(at('flows-00003.csv'), 'utf8')).toBe('old');
  });

  it('get longer where five digits do not suffice', async () => {
    writeFileSync(at('flows-99999'), 'old');
    const sink = await openSink(at('flows'), columns, { rotate: { rows: 1 }, format: 'csv' });
    await sink.write(flows(1));
    await sink.close();
    expect(sink.files).toEqual([at('flows-100000')]);
    const next = await openSink(at('flows'), columns, { rotate: { rows: 1 }, format: 'csv' });
    await next.write(flows(1));
    await next.close();
    expect(next.files).toEqual([at('flows-100001')]);
  });

  it('begin at 0 with overwrite, and what a longer run left goes when all went well', async () => {
    for (const number of [0, 1, 2, 3, 9]) writeFileSync(at(`flows-0000${number}.csv`), 'old');
    const failed = await open('flows.csv', { rows: 2 }, { overwrite: true });
    await failed.write(flows(1));
    await failed.abandon();
    expect(visible()).toHaveLength(5);
    count = 0;
    const sink = await open('flows.csv', { rows: 2 }, { overwrite: true });
    await sink.write(flows(3));
    await sink.close();
    expect(visible()).toEqual(['flows-00000.csv', 'flows-00001.csv', 'flows-00009.csv']);
    expect(numbersOf(sink.files)).toEqual([[0, 1], [2]]);
  });

  it('begin at 0 with overwrite though what was left goes meanwhile, and say what can not go', async () => {
    for (const number of [0, 1]) writeFileSync(at(`flows-0000${number}.csv`), 'old');
    mkdirSync(at('flows-00002.csv'));
    const sink = await open('flows.csv', { rows: 2 }, { overwrite: true });
    await sink.write(flows(2));
    rmSync(at('flows-00001.csv'));
    await expect(sink.close()).rejects.toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringContaining('flows-00002.csv'),
    });
    expect(visible()).toEqual(['flows-00000.csv', 'flows-00002.csv']);
  });
});

describe('the end', () => {
  it('leaves no file where there was no flow', async () => {
    const sink = await open('flows.csv', { rows: 5 });
    await sink.close();
    expect([readdirSync(folder), sink.files, sink.rows, sink.bytes]).toEqual([[], [], 0, 0]);
  });

  it.each(['abandon', 'unlink'] as const)('by %s keeps what is finished and nothing else', async (how) => {
    const sink = await open('flows.csv', { rows: 5 });
    await sink.write(flows(8));
    await sink[how]();
    expect(readdirSync(folder)).toEqual(['flows-00000.csv']);
    expect(numbersOf(sink.files)).toEqual([[0, 1, 2, 3, 4]]);
    await sink.abandon();
  });
});
