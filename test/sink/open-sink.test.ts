import { execFileSync, spawnSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openSink, openSinks } from '../../src/sink/open-sink.ts';
import { FORMATS, type SinkOptions, sinkTargets } from '../../src/sink/sink-options.ts';
import { query } from './duckdb-reader.ts';
import { batchOf, classicColumns } from './flows.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-open-sink-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const columns = classicColumns();
const refused = async (targets: readonly string[], options: SinkOptions = {}): Promise<Error & { code?: string }> => {
  try {
    for (const sink of await openSinks(targets, columns, options)) await sink.abandon();
  } catch (error) {
    return error as Error;
  }
  throw new Error('it was opened');
};

describe('formats', () => {
  it.each([
    ['flows.jsonl', undefined, 'json'],
    ['flows.ndjson', undefined, 'json'],
    ['a.csv/flows.JSON', undefined, 'json'],
    ['flows.csv', undefined, 'csv'],
    ['flows.csv', 'csv', 'csv'],
    ['flows.parquet', undefined, 'parquet'],
    ['flows.pq', undefined, 'parquet'],
    ['flows.arrow', undefined, 'arrow'],
    ['flows.feather', undefined, 'arrow'],
    ['flows.ipc', undefined, 'arrow'],
    ['flows.arrows', undefined, 'arrows'],
    ['flows.duckdb', undefined, 'duckdb'],
    ['flows.ddb', undefined, 'duckdb'],
    ['flows.dat', 'parquet', 'parquet'],
    ['flows', undefined, 'json'],
    ['.csv', undefined, 'json'],
    ['-', undefined, 'json'],
    ['-', 'arrows', 'arrows'],
  ] as const)('of %s with %s is %s', (target, format, expected) => {
    expect(sinkTargets([target], format === undefined ? {} : { format })).toEqual([{ target, format: expected }]);
  });

  it('of several targets is that of each ending, and of --format for the others', () => {
    expect(sinkTargets(['a.csv', '-', 'b.pq'], { format: 'json' }).map(({ format }) => format)).toEqual([
      'csv',
      'json',
      'parquet',
    ]);
  });

  it.each<[string[], object, string]>([
    [
      ['a.txt'],
      {},
      'Expected a name ending in .jsonl .ndjson .json .csv .parquet .pq .arrow .feather .ipc .arrows .duckdb .ddb, or format, for target but received "a.txt"',
    ],
    [
      ['a.csv.gz'],
      {},
      'Expected a name ending in .jsonl .ndjson .json .csv .parquet .pq .arrow .feather .ipc .arrows .duckdb .ddb, or format, for target but received "a.csv.gz"',
    ],
    [['-'], { format: 'xml' }, 'Expected json, csv, parquet, arrow, arrows or duckdb for format but received "xml"'],
    [
      ['a.csv'],
      { format: 'json' },
      'Expected csv, which the ending of "a.csv" stands for, or none, for format but received "json"',
    ],
    [[''], {}, 'Expected a path for target but received ""'],
    [['a.pq'], { compression: 'gzip' }, 'Expected "zstd" or "snappy" or "none" for compression but received "gzip"'],
    [['a.csv'], { compression: 'zstd' }, 'Expected a Parquet file among the outputs for compression but received none'],
    [['a.csv'], { table: 'x' }, 'Expected a DuckDB database among the outputs for table but received none'],
    [['a.pq'], { rowGroupRows: 0 }, 'Expected an integer from 1 to 4294967295 for rowGroupRows but received 0'],
    [
      ['a.pq'],
      { rowGroupRows: 2 ** 32 },
      'Expected an integer from 1 to 4294967295 for rowGroupRows but received 4294967296',
    ],
    [['a.duckdb'], { table: '' }, 'Expected a name for table but received ""'],
    [['a.duckdb'], { table: 5 }, 'Expected a name for table but received 5'],
    [['a.duckdb'], { table: 'a\0b' }, 'Expected a name for table but received "a\\u0000b"'],
    [['a.csv'], { onFailure: true }, 'Expected a function for onFailure but received true'],
    [5 as never, {}, 'Expected a path or a list of paths for target but received 5'],
    [['a.csv'], { overwrite: 1 }, 'Expected true or false for overwrite but received 1'],
    [['a.csv'], { rotate: 5 }, 'Expected an object with rows, bytes or seconds for rotate but received 5'],
    [['a.csv'], { rotate: {} }, 'Expected an object with rows, bytes or seconds for rotate but received an object'],
    [
      ['a.csv'],
      { rotate: { rows: 5, minutes: 1 } },
      'Expected rows, bytes or seconds for rotate but received "minutes"',
    ],
    [
      ['a.csv'],
      { rotate: { rows: 1.5 } },
      `Expected an integer from 1 to ${Number.MAX_SAFE_INTEGER} for rotate.rows but received 1.5`,
    ],
    [
      ['a.csv'],
      { rotate: { seconds: 0 } },
      'Expected a number of seconds above 0, 2000000 at most for rotate.seconds but received 0',
    ],
    [['-'], { rotate: { rows: 5 } }, 'Expected files for rotate but received "-", which is no file'],
    [['/dev/null'], { rotate: { rows: 5 } }, 'Expected files for rotate but received "/dev/null", which is no file'],
    [
      ['a.duckdb'],
      { rotate: { rows: 5 } },
      'Expected files for rotate but received "a.duckdb", a database, which takes any number of rows',
    ],
    [['-'], { format: 'duckdb' }, 'Expected a file for a DuckDB database but received "-", no file'],
  ])('%j with %j is refused', async (targets, options, message) => {
    expect(await refused(targets, options as SinkOptions)).toMatchObject({ code: 'INVALID_OPTION', message });
  });
});

it('an option that there is not is refused with the nearest', async () => {
  expect(await refused(['a.csv'], { overwrit: true } as SinkOptions)).toMatchObject({
    code: 'UNKNOWN_OPTION',
    message: 'Unknown option "overwrit" of outputs; did you mean "overwrite"?',
  });
});

describe('a sink', () => {
  it.each(Object.values(FORMATS).flatMap(({ endings }) => [...endings]))(
    'of a name ending in %s has its rows, its bytes and its file when it is closed',
    async (ending) => {
      const target = at(`flows${ending}`);
      const sink = await openSink(target, columns);
      await sink.write(batchOf({}, {}, {}));
      expect(sink.files).toEqual([]);
      await sink.close();
      expect([sink.rows, sink.files, readdirSync(folder)]).toEqual([3, [target], [`flows${ending}`]]);
      expect(sink.bytes).toBe(readFileSync(target).length);
      const again = await refused([target]).catch(() => null);
      // Rows are added to a database.
      if (!['.duckdb', '.ddb'].includes(ending)) expect(again).toMatchObject({ code: 'OUTPUT_EXISTS' });
    },
  );

  it('has no file where its target is none', async () => {
    const sink = await openSink('/dev/null', columns, { format: 'csv' });
    await sink.write(batchOf({}));
    await sink.close();
    expect([sink.rows, sink.files]).toEqual([1, []]);
  });

  it('leaves nothing where another one can not be opened', async () => {
    writeFileSync(at('there.csv'), 'old');
    expect(await refused([at('a.csv'), at('b.parquet'), at('there.csv')])).toMatchObject({ code: 'OUTPUT_EXISTS' });
    expect(await refused([at('a.csv'), at('none/b.arrow')])).toMatchObject({ code: 'OUTPUT_FAILED' });
    expect(readdirSync(folder)).toEqual(['there.csv']);
  });
});

describe('two targets that are one', () => {
  it.each<[string, (name: string) => [string, string]]>([
    ['the same word', (name) => [at(name), at(name)]],
    ['another way to it', (name) => [at(name), join(folder, '.', 'x', '..', name)]],
    ['a relative path', (name) => [at(name), relative(process.cwd(), at(name))]],
    [
      'a link to the file that is there',
      (name) => {
        writeFileSync(at(name), '');
        symlinkSync(name, at('link.csv'));
        return [at(name), at('link.csv')];
      },
    ],
    [
      'a link to a file that is not there yet',
      (name) => {
        symlinkSync(name, at('link.csv'));
        return [at('link.csv'), at(name)];
      },
    ],
    [
      'a link to the folder',
      (name) => {
        mkdirSync(at('real'));
        symlinkSync('real', at('folder'));
        return [at(`real/${name}`), at(`folder/${name}`)];
      },
    ],
    [
      'a hard link',
      (name) => {
        writeFileSync(at(name), '');
        linkSync(at(name), at('hard.csv'));
        return [at(name), at('hard.csv')];
      },
    ],
    ['standard output', () => ['-', '/dev/stdout']],
    [
      'a FIFO',
      (name) => {
        execFileSync('mkfifo', [at(name)]);
        symlinkSync(name, at('link.csv'));
        return [at(name), at('link.csv')];
      },
    ],
  ])('%s: refused by name, and nothing is made', async (_, targets) => {
    const pair = targets('flows.csv');
    const before = readdirSync(folder, { recursive: true });
    const error = await refused(pair);
    expect(error).toMatchObject({ code: 'INVALID_OPTION' });
    expect(error.message).toMatch(
      /^Expected different files for target but received "[^\n]*" (twice|and "[^\n]*", which is the same)$/,
    );
    expect(error.message).toContain(JSON.stringify(pair[1]));
    expect(readdirSync(folder, { recursive: true })).toEqual(before);
  });

  it('devices may be', async () => {
    const sinks = await openSinks(['/dev/null', '/dev/null'], columns);
    for (const sink of sinks) await sink.close();
  });
});

const isRoot = process.getuid?.() === 0;
const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;
const FILES = ['flows.csv', 'flows.jsonl', 'flows.parquet', 'flows.arrow', 'flows.arrows'];

describe.each(FILES)('%s', (name) => {
  it.skipIf(isRoot)('without permission is one line (skipped for root, who may write anything)', async () => {
    mkdirSync(at('closed'), { mode: 0o500 });
    expect((await refused([at(`closed/${name}`)])).message).toMatch(/^Opening "[^\n]*" [^\n]*\(EACCES\)$/);
  });

  it('in a folder that is none, or of the name of one, is one line', async () => {
    mkdirSync(at(name));
    expect((await refused([at(`none/${name}`)])).message).toMatch(/^Opening [^\n]*: there is no folder "[^\n]*none"$/);
    expect((await refused([at(name)])).message).toMatch(/^Opening [^\n]*: it is a folder$/);
  });

  it.skipIf(!canMount)(
    'on a disk that gets full is not there, nor anything else (skipped without mounts)',
    async () => {
      mkdirSync(at('disk'));
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', at('disk')]);
      try {
        const sink = await openSink(at(`disk/${name}`), columns);
        const fill = async () => {
          let number = 0;
          for (let i = 0; i < 4000; i++) {
            await sink.write(
              batchOf(
                ...Array.from({ length: 64 }, () => ({
                  startMs: Math.sqrt(++number),
                  bytes: [number * 7, number ** 3] as [number, number],
                })),
              ),
            );
          }
          await sink.close();
        };
        await expect(fill()).rejects.toMatchObject({
          code: 'OUTPUT_FAILED',
          message: `Writing ${JSON.stringify(at(`disk/${name}`))} failed: no space left on device (ENOSPC)`,
        });
        await sink.abandon();
        expect(readdirSync(at('disk'))).toEqual([]);
      } finally {
        execFileSync('umount', [at('disk')]);
      }
    },
  );
});

it('writes what a program that is not ours reads as the same rows, in every format of tables', async () => {
  const names = ['flows.csv', 'flows.parquet', 'flows.jsonl'];
  const sinks = await openSinks(names.map(at), columns);
  for (const sink of sinks) {
    await sink.write(batchOf({ srcPort: 1 }, { srcPort: 2 }));
    await sink.close();
  }
  for (const name of names) {
    const rows = await query(`SELECT ip_src, src_port FROM '${at(name)}' ORDER BY src_port`);
    expect(rows.map((row) => [row['ip_src'], Number(row['src_port'])])).toEqual([
      ['10.0.0.1', 1],
      ['10.0.0.1', 2],
    ]);
  }
});
