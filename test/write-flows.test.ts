// What `streamer.to` and `toArrow` make of a run, however it ends.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../src/classifier/classifier.ts';
import type { Streamer } from '../src/streamer.ts';
import { bytes, collect, plain } from './streams.ts';

const folder = mkdtempSync(join(tmpdir(), 'nfstream-to-'));
afterAll(() => rmSync(folder, { recursive: true }));

let count = 0;
/** A folder of its own for each test. */
function place(): string {
  const path = join(folder, String(count++));
  mkdirSync(path);
  return path;
}

const lines = (file: string) => readFileSync(file, 'utf8').split('\n').filter(Boolean);

async function refusal(streamer: Streamer, target: string | string[]): Promise<unknown> {
  return streamer.to(target).then(
    () => expect.unreachable('was not refused'),
    (error: unknown) => error,
  );
}

describe('streamer.to', () => {
  it('writes every flow to each target, says how many, and gives files their names when they are whole', async () => {
    const at = place();
    const records = await collect(plain({}));
    const targets = ['flows.jsonl', 'flows.csv', 'flows.parquet', 'flows.arrow'].map((name) => join(at, name));
    expect(await plain({}).to(targets)).toEqual({ rows: records.length, files: targets });
    expect(lines(targets[0]).map((line) => JSON.parse(line))).toEqual(records);
    expect(lines(targets[1])).toHaveLength(records.length + 1);
    expect(readdirSync(at).sort()).toEqual(['flows.arrow', 'flows.csv', 'flows.jsonl', 'flows.parquet']);
  });

  it('runs once, and leaves what the first run wrote as it is', async () => {
    const target = join(place(), 'flows.jsonl');
    const streamer = plain({});
    await streamer.to(target);
    const written = readFileSync(target, 'utf8');
    // A live run writes under the file's own name from the start.
    const again = streamer.to(target, { overwrite: true, direct: true });
    await expect(again).rejects.toMatchObject({ code: 'ALREADY_ITERATED' });
    expect(readFileSync(target, 'utf8')).toBe(written);
  });

  it('takes any schema, and rotation', async () => {
    const at = place();
    const options = { schema: 'nfstream6', statistics: true, splt: 3 } as const;
    const records = await collect(plain(options) as unknown as Streamer);
    const { rows, files } = await plain(options).to(join(at, 'flows.jsonl'), { rotate: { rows: 20 } });
    expect(rows).toBe(records.length);
    expect(files).toHaveLength(Math.ceil(rows / 20));
    expect(files.flatMap(lines).map((line) => JSON.parse(line))).toEqual(records);
  });

  it('leaves nothing where the source can not be had, and keeps what is there already', async () => {
    const at = place();
    const target = join(at, 'flows.csv');
    expect(await refusal(plain({ source: 'no-such.pcap' }), target)).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect(readdirSync(at)).toEqual([]);
    writeFileSync(target, 'mine');
    expect(await refusal(plain({}), target)).toMatchObject({ code: 'OUTPUT_EXISTS', file: target });
    expect(readFileSync(target, 'utf8')).toBe('mine');
    await plain({}).to(target, { overwrite: true });
    expect(lines(target).length).toBeGreaterThan(50);
  });

  it('keeps the flows up to damage, and up to the failure of user code, and says what happened', async () => {
    const at = place();
    const cut = bytes.subarray(0, bytes.length - 100);
    const targets = [join(at, 'cut.jsonl'), join(at, 'cut.parquet')];
    expect(await refusal(plain({ source: cut }), targets)).toMatchObject({ code: 'TRUNCATED_CAPTURE' });
    expect(lines(targets[0]).length).toBeGreaterThan(50);
    class Failing extends NFStreamClassifier {
      #ended = 0;
      override onFlowTerminate() {
        if (++this.#ended === 20) throw new Error('enough');
      }
    }
    const failed = join(at, 'failed.jsonl');
    const streamer = plain({ userClassifiers: new Failing(), capacity: 10, onCapacity: 'export' });
    expect(await refusal(streamer, failed)).toMatchObject({ code: 'USER_CLASSIFIER_FAILED' });
    expect(lines(failed)).toHaveLength(19);
    expect(readdirSync(at).sort()).toEqual(['cut.jsonl', 'cut.parquet', 'failed.jsonl']);
  });

  it('ends the run where an output can not be written, and finishes the others', async () => {
    const at = place();
    const other = join(at, 'flows.jsonl');
    const streamer = plain({});
    const error = await refusal(streamer, ['/dev/full', other]);
    expect(error).toMatchObject({ code: 'OUTPUT_FAILED', file: '/dev/full' });
    // Those that were live when the run was ended, too.
    expect(lines(other)).toHaveLength(
      streamer.stats.flows_exported.termination + streamer.stats.flows_exported.inactive,
    );
    for (const line of lines(other)) expect(JSON.parse(line)).toHaveProperty('ip_src');
  });

  it('refuses what it can not write before anything is read', async () => {
    const at = place();
    const refused = [
      [join(at, 'flows.xls'), 'INVALID_OPTION'],
      [[join(at, 'a.csv'), join(at, '.', 'a.csv')], 'INVALID_OPTION'],
      [join(at, 'none', 'a.csv'), 'OUTPUT_FAILED'],
      [[], 'INVALID_OPTION'],
    ] as const;
    for (const [target, code] of refused) expect(await refusal(plain({}), [target].flat())).toMatchObject({ code });
    expect(readdirSync(at)).toEqual([]);
  });
});

describe('toArrow', () => {
  it('gives a table of all flows, metrics in columns', async () => {
    const options = { userMetrics: { size: (packet: { length: number }) => packet.length } };
    const records = await collect(plain(options));
    const table = await plain(options).toArrow();
    expect(table.numRows).toBe(records.length);
    expect([...(table.getChild('size') ?? [])]).toEqual(records.map(({ metrics }) => metrics['size']));
    expect([...(table.getChild('src_to_dst_pkts') ?? [])].map(Number)).toEqual(records.map((r) => r.src_to_dst_pkts));
  });
});

describe('maxFlows', () => {
  it('ends the run after so many flows, the first that would be exported', async () => {
    const options = { capacity: 10, onCapacity: 'export' } as const;
    const all = await collect(plain(options));
    for (const maxFlows of [1, 7, 64, 65, all.length, all.length + 1]) {
      expect(await collect(plain({ ...options, maxFlows })), String(maxFlows)).toEqual(all.slice(0, maxFlows));
    }
  });
});

describe('flow.id', () => {
  it('counts flows in the order of their export', async () => {
    const ids: number[] = [];
    for await (const flow of plain({ capacity: 10, onCapacity: 'export' })) ids.push(flow.id);
    expect(ids).toEqual(ids.map((_, i) => i));
  });
});
