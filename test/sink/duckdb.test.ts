import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { DuckdbSink } from '../../src/sink/duckdb.ts';
import { query } from './duckdb-reader.ts';
import { failure, write, writeAll } from './duckdb-writer.ts';
import { classicColumns } from './flows.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-duckdb-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const isRoot = process.getuid?.() === 0;
/** Tried in a mount namespace of its own, so that nothing stays. */
const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;

const oneLine = expect.not.stringContaining('\n');

const hasPython = spawnSync('python3', ['--version']).status === 0;

describe('a new database', () => {
  it('has a row for each flow, typed', async () => {
    const sink = await writeAll(at('flows.duckdb'), [{ startMs: 1472393122365.661, bytes: [2 ** 48 - 1, 0] }]);
    expect(sink.rows).toBe(1);
    expect(sink.bytes).toBe(statSync(at('flows.duckdb')).size);
    expect(
      await query(
        'SELECT ip_src, src_port, src_to_dst_bytes, ack_count, epoch_us(start_time) AS us, ack_count[1] AS first FROM flows',
        at('flows.duckdb'),
      ),
    ).toEqual([
      {
        ip_src: '10.0.0.1',
        src_port: 40000,
        src_to_dst_bytes: '281474976710655',
        ack_count: ['3', '2'],
        us: '1472393122365661',
        first: '3',
      },
    ]);
    const types = await query('DESCRIBE flows', at('flows.duckdb'));
    expect(Object.fromEntries(types.map((row) => [row['column_name'], row['column_type']]))).toMatchObject({
      ip_src: 'VARCHAR',
      src_port: 'USMALLINT',
      ip_protocol: 'UTINYINT',
      src_to_dst_pkts: 'BIGINT',
      syn_count: 'BIGINT[]',
      start_time: 'TIMESTAMP WITH TIME ZONE',
      export_reason: 'INTEGER',
    });
  });

  it('keeps the order of more rows than a chunk has, and stores all kinds of columns', async () => {
    const flows = Array.from({ length: 5003 }, (_, i) => ({ packets: [i, 0] as [number, number], metrics: { n: i } }));
    await writeAll(at('flows.duckdb'), flows, ['n']);
    expect(
      await query(
        'SELECT count(*)::INT AS rows, bool_and(rowid = src_to_dst_pkts AND rowid = n) AS ordered FROM flows',
        at('flows.duckdb'),
      ),
    ).toEqual([{ rows: 5003, ordered: true }]);
  });

  it('has its table though there were no flows', async () => {
    await writeAll(at('flows.duckdb'), [], ['m'], { table: 'of "today"' });
    expect(await query('SELECT count(*)::INT AS rows FROM "of ""today"""', at('flows.duckdb'))).toEqual([{ rows: 0 }]);
  });

  it('appears under its name when it is closed, with nothing beside it', async () => {
    const sink = await DuckdbSink.open(at('flows.duckdb'), classicColumns());
    await write(sink, Array(4000).fill({}));
    expect(readdirSync(folder)).not.toContain('flows.duckdb');
    await sink.close();
    expect(readdirSync(folder)).toEqual(['flows.duckdb']);
    sink.unlink();
    expect(readdirSync(folder)).toEqual(['flows.duckdb']);
  });

  it('replaces an empty file, with its mode, and through a symbolic link', async () => {
    writeFileSync(at('empty'), '');
    chmodSync(at('empty'), 0o640);
    symlinkSync('empty', at('flows.duckdb'));
    await writeAll(at('flows.duckdb'), [{}]);
    expect(statSync(at('empty')).mode & 0o777).toBe(0o640);
    expect(await query('SELECT count(*)::INT AS rows FROM flows', at('empty'))).toEqual([{ rows: 1 }]);
    symlinkSync('none', at('link.duckdb'));
    await writeAll(at('link.duckdb'), [{}]);
    expect(await query('SELECT count(*)::INT AS rows FROM flows', at('none'))).toEqual([{ rows: 1 }]);
  });

  it('says that its folder is gone', async () => {
    mkdirSync(at('folder'));
    const sink = await DuckdbSink.open(at('folder/flows.duckdb'), classicColumns());
    rmSync(at('folder'), { recursive: true });
    expect(await failure(write(sink, Array(4000).fill({})))).toMatchObject({
      code: 'OUTPUT_FAILED',
      message: `Writing ${JSON.stringify(at('folder/flows.duckdb'))} failed: no such file or directory (ENOENT)`,
    });
    await sink.abandon();
  });

  it('leaves nothing behind when it is abandoned or unlinked', async () => {
    const abandoned = await DuckdbSink.open(at('a.duckdb'), classicColumns());
    await write(abandoned, Array(4000).fill({}));
    await abandoned.abandon();
    const killed = await DuckdbSink.open(at('b.duckdb'), classicColumns());
    await write(killed, Array(4000).fill({}));
    killed.unlink();
    expect(readdirSync(folder)).toEqual([]);
    await killed.abandon();
  });

  it('does not replace what somebody else made meanwhile', async () => {
    const sink = await DuckdbSink.open(at('flows.duckdb'), classicColumns());
    await write(sink, [{}]);
    writeFileSync(at('flows.duckdb'), 'theirs');
    const error = (await failure(sink.close())) as Error;
    expect(error).toMatchObject({ code: 'OUTPUT_EXISTS' });
    const [kept] = readdirSync(folder).filter((name) => name !== 'flows.duckdb');
    expect(error.message).toContain(kept);
    expect(await query('SELECT count(*)::INT AS rows FROM flows', at(kept as string))).toEqual([{ rows: 1 }]);
  });
});

describe('an existing database', () => {
  const count = async (table = 'flows') =>
    (await query(`SELECT count(*)::INT AS rows FROM ${table}`, at('flows.duckdb')))[0]?.['rows'];

  it('gets the rows of a table with the same columns added, and of none other', async () => {
    await writeAll(at('flows.duckdb'), Array(3).fill({ metrics: { m: 1 } }), ['m']);
    await query('CREATE TABLE other AS SELECT 1 AS a', at('flows.duckdb'));
    await writeAll(at('flows.duckdb'), Array(2500).fill({ metrics: { m: 2 } }), ['m']);
    expect(await count()).toBe(2503);
    expect(await count('other')).toBe(1);
    expect(readdirSync(folder)).toEqual(['flows.duckdb']);
  });

  it('gets a table more, or the table replaced, and keeps the others', async () => {
    await query('CREATE TABLE other AS SELECT 1 AS a', at('flows.duckdb'));
    await writeAll(at('flows.duckdb'), [{}, {}]);
    expect(await count()).toBe(2);
    await writeAll(at('flows.duckdb'), [{ metrics: { m: true } }], ['m'], { overwrite: true, table: 'FLOWS' });
    expect(await query('SELECT m FROM flows', at('flows.duckdb'))).toEqual([{ m: true }]);
    expect(await count('other')).toBe(1);
    const table = 'lone \ud800';
    for (const rows of [1, 2]) await writeAll(at('flows.duckdb'), Array(rows).fill({}), [], { table });
    expect(await count('"lone \ufffd"')).toBe(3);
  });

  it('is as it was when the run is abandoned, also one that was to replace the table', async () => {
    await writeAll(at('flows.duckdb'), Array(3).fill({}));
    for (const overwrite of [false, true]) {
      const sink = await DuckdbSink.open(at('flows.duckdb'), classicColumns(), { overwrite });
      await write(sink, Array(5000).fill({}));
      await sink.abandon();
      expect(await count()).toBe(3);
    }
  });

  it('is as it was when the process is killed', async () => {
    await writeAll(at('flows.duckdb'), Array(3).fill({}));
    const script = `
      import { DuckdbSink } from ${JSON.stringify(new URL('../../src/sink/duckdb.ts', import.meta.url).href)};
      import { batchOf, classicColumns } from ${JSON.stringify(new URL('flows.ts', import.meta.url).href)};
      const sink = await DuckdbSink.open(${JSON.stringify(at('flows.duckdb'))}, classicColumns());
      const batch = batchOf(...Array(60).fill({}));
      for (let i = 0; i < 4000; i++) await sink.write(batch);
      console.log('written');
      setInterval(() => {}, 1000);`;
    writeFileSync(at('killed.mjs'), script);
    const loader = new URL('../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url).pathname;
    const child = spawn(process.execPath, [loader, at('killed.mjs')], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = once(child, 'exit');
    const [text] = await Promise.race([once(child.stdout, 'data'), exit]);
    child.kill('SIGKILL');
    await exit;
    expect(String(text)).toBe('written\n');
    expect(await count()).toBe(3);
  });

  it.skipIf(!hasPython)('is refused while another process has it locked', async () => {
    await writeAll(at('flows.duckdb'), [{}]);
    const script = `import fcntl, sys, time
file = open(sys.argv[1], 'r+b')
fcntl.lockf(file, fcntl.LOCK_EX)
print('locked', flush=True)
time.sleep(60)`;
    const child = spawn('python3', ['-c', script, at('flows.duckdb')], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exit = once(child, 'exit');
    try {
      await Promise.race([once(child.stdout, 'data'), exit]);
      const error = await failure(DuckdbSink.open(at('flows.duckdb'), classicColumns()));
      expect(error).toMatchObject({ code: 'OUTPUT_FAILED', message: oneLine });
      expect((error as Error).message).toMatch(
        /flows\.duckdb" for writing failed: another process has it open: .*\(PID \d+\)/,
      );
    } finally {
      child.kill('SIGKILL');
      await exit;
    }
    expect(await count()).toBe(1);
  });

  it('is refused where the table has other columns, naming the first', async () => {
    await writeAll(at('flows.duckdb'), [{ metrics: { m: 1 } }], ['m']);
    const refused = (metrics: string[]) => failure(DuckdbSink.open(at('flows.duckdb'), classicColumns(metrics)));
    expect(await refused(['m2'])).toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringMatching(
        /expected "m2".* as column 22 but found "m" DOUBLE; to replace it: overwrite: true/,
      ),
    });
    expect(await refused([])).toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringContaining('expected none'),
    });
    expect(await refused(['m', 'n'])).toMatchObject({ message: expect.stringContaining('but found none') });
    await query('ALTER TABLE flows ALTER src_port TYPE BIGINT', at('flows.duckdb'));
    expect(await refused(['m'])).toMatchObject({
      message: expect.stringContaining('expected "src_port" USMALLINT as column 3 but found "src_port" BIGINT'),
    });
    expect(await count()).toBe(1);
  });

  it('is refused where a view has the name, or the table no room for a metric', async () => {
    await query('CREATE VIEW flows AS SELECT 1 AS a', at('flows.duckdb'));
    expect(await failure(DuckdbSink.open(at('flows.duckdb'), classicColumns(), { overwrite: true }))).toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringContaining('has a view named "flows"'),
    });
  });

  it('is shared with a program that has it open through the cache, and its settings stay', async () => {
    await query('CREATE TABLE other AS SELECT 1 AS a', at('flows.duckdb'));
    const instance = await DuckDBInstance.fromCache(at('flows.duckdb'));
    const connection = await instance.connect();
    const rows = async (sql: string) => (await connection.runAndReadAll(sql)).getRowObjectsJson();
    await connection.run("SET memory_limit = '2GB'");
    const [before] = await rows("SELECT current_setting('memory_limit') AS m");
    const sink = await DuckdbSink.open(at('flows.duckdb'), classicColumns());
    await write(sink, [{}]);
    expect(await rows("SELECT table_name FROM duckdb_tables() WHERE table_name = 'flows'")).toEqual([]);
    await sink.close();
    expect(await rows('SELECT count(*)::INT AS n FROM flows')).toEqual([{ n: 1 }]);
    expect(await rows("SELECT current_setting('memory_limit') AS m")).toEqual([before]);
    connection.closeSync();
    instance.closeSync();
  });
});

describe('what can not be written', () => {
  const opening = (target: string) => failure(DuckdbSink.open(target, classicColumns()));

  it('is a file that is no database, a folder, a device, a pipe', async () => {
    writeFileSync(at('text.duckdb'), 'no database\n'.repeat(1000));
    mkdirSync(at('folder.duckdb'));
    const cases: [string, RegExp][] = [
      [at('text.duckdb'), /text\.duckdb" for writing failed: it is no DuckDB database$/],
      [at('folder.duckdb'), /it is a folder$/],
      ['/dev/null', /a database is a regular file$/],
      ['-', /a database is a file$/],
      [at('none/flows.duckdb'), /there is no folder ".*none"$/],
    ];
    for (const [target, message] of cases) {
      expect(await opening(target)).toMatchObject({ code: 'OUTPUT_FAILED', message: expect.stringMatching(message) });
    }
    expect(readdirSync(folder).sort()).toEqual(['folder.duckdb', 'text.duckdb']);
  });

  it('is a damaged database', async () => {
    await writeAll(at('flows.duckdb'), [{}]);
    const bytes = Buffer.alloc(20_000);
    bytes.write('DUCK', 8);
    writeFileSync(at('flows.duckdb'), bytes);
    expect(await opening(at('flows.duckdb'))).toMatchObject({ code: 'OUTPUT_FAILED', message: oneLine });
  });

  it.skipIf(isRoot)('is a file without permission (not as root)', async () => {
    await writeAll(at('flows.duckdb'), [{}]);
    chmodSync(at('flows.duckdb'), 0o400);
    expect(await opening(at('flows.duckdb'))).toMatchObject({
      code: 'OUTPUT_FAILED',
      message: expect.stringContaining('permission denied (EACCES)'),
    });
  });

  it.each([
    [
      'missing',
      () => {
        throw new Error("Cannot find package '@duckdb/node-api'");
      },
      'can not be imported',
    ],
    ['too old', () => ({ version: () => 'v1.5.5' }), '1.5.6 or later, which is v1.5.5 here'],
  ])('says how to install a package that is %s', async (_, mock, message) => {
    vi.resetModules();
    vi.doMock('@duckdb/node-api', mock);
    const { DuckdbSink: Fresh } = await import('../../src/sink/duckdb.ts');
    const error = await failure(Fresh.open(at('a.duckdb'), classicColumns()));
    expect(error).toMatchObject({ code: 'SINK_UNAVAILABLE', message: expect.stringContaining(message) });
    expect((error as Error).message).toMatch(/Install it: npm install @duckdb\/node-api$/);
    vi.doUnmock('@duckdb/node-api');
    expect(readdirSync(folder)).toEqual([]);
  });

  it.skipIf(!canMount)('is more than the disk takes: nothing is left of it (needs unshare -m)', async () => {
    const script = `
      import { readdirSync } from 'node:fs';
      import { DuckdbSink } from ${JSON.stringify(new URL('../../src/sink/duckdb.ts', import.meta.url).href)};
      import { batchOf, classicColumns } from ${JSON.stringify(new URL('flows.ts', import.meta.url).href)};
      const sink = await DuckdbSink.open('full/flows.duckdb', classicColumns(['m']));
      const errors = [];
      try {
        for (let i = 0; i < 4000; i++) {
          await sink.write(batchOf(...Array.from({ length: 60 }, (_, j) => ({ metrics: { m: Math.sin(i * 60 + j) } }))));
        }
        await sink.close();
      } catch (error) {
        errors.push(error.code, error.message);
        await sink.abandon();
      }
      console.log(JSON.stringify([...errors, readdirSync('full')]));`;
    writeFileSync(at('full.mjs'), script);
    mkdirSync(at('full'));
    const loader = new URL('../../node_modules/jiti/lib/jiti-cli.mjs', import.meta.url).pathname;
    const command = `mount -t tmpfs -o size=1m tmpfs full && exec "$0" "$@"`;
    const { stdout, stderr } = spawnSync('unshare', ['-m', 'sh', '-c', command, process.execPath, loader, 'full.mjs'], {
      cwd: folder,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(JSON.parse(stdout)).toEqual([
      'OUTPUT_FAILED',
      expect.stringMatching(/^Writing "full\/flows\.duckdb" failed: [^\n]*No space left on device[^\n]*$/),
      [],
    ]);
  });
});
