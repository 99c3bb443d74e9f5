// Several -o in a run, rotation, and what of it is there however the run ends.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { tableFromIPC } from 'apache-arrow';
import { describe, expect, it } from 'vitest';
import { readCsv } from '../sink/csv-reader.ts';
import { query } from '../sink/duckdb-reader.ts';
import { manyFlows, pcap, pcapRecords } from './capture.ts';
import { BIN, bash, finish, nfstream, records, start, temporaryFolder } from './run.ts';

const file = temporaryFolder();
/** Flows that their source ports tell apart. */
const flowsFromPorts = (count: number, seconds?: number) =>
  pcap(manyFlows(count, seconds).map((packet, i) => ({ ...packet, srcPort: 1 + (i % 65_535) })));
const small = file('small.pcap', flowsFromPorts(30));
const NAMES = ['flows.jsonl', 'flows.csv', 'flows.parquet', 'flows.arrow', 'flows.arrows', 'flows.duckdb'];

/** A folder for one test. */
function folderOf(name: string): (name: string) => string {
  mkdirSync(file(name));
  return (inside) => join(file(name), inside);
}

const flagged = (names: readonly string[]) => names.flatMap((name) => ['-o', name]);

/** Source ports, in the order of the file, read by programs that are not ours where the format isn't text. */
async function portsOf(name: string): Promise<number[]> {
  if (name.endsWith('.jsonl')) return records(readFileSync(name, 'utf8')).map((flow) => flow['src_port'] as number);
  if (name.endsWith('.csv')) {
    const [header, ...rows] = readCsv(readFileSync(name, 'utf8'));
    return rows.map((row) => Number(row[header.indexOf('src_port')]));
  }
  if (/\.arrows?$/.test(name)) {
    const column = tableFromIPC(readFileSync(name)).getChild('src_port');
    return [...(column ?? [])].map(Number);
  }
  const rows = name.endsWith('.duckdb')
    ? await query('SELECT src_port FROM flows', name)
    : await query(`SELECT src_port FROM '${name}'`);
  return rows.map((row) => Number(row['src_port']));
}

describe('several outputs', () => {
  it('have the same flows, each in the format of its ending, beside standard output', async () => {
    const at = folderOf('same');
    const names = NAMES.map(at);
    const stats = at('stats.json');
    const run = await nfstream([small, '--no-ndpi', ...flagged([...names, '-']), '--format', 'csv', '--stats', stats]);
    expect({ code: run.code, stderr: run.stderr }).toEqual({ code: 0, stderr: '' });
    expect(readCsv(run.stdout)).toHaveLength(31);
    expect(run.stdout).toBe(readFileSync(at('flows.csv'), 'utf8'));
    const expected = records(readFileSync(at('flows.jsonl'), 'utf8')).map((flow) => flow['src_port']);
    expect(new Set(expected).size).toBe(30);
    for (const name of names) expect([name, await portsOf(name)]).toEqual([name, expected]);
    expect(JSON.parse(readFileSync(stats, 'utf8')).outputs).toEqual([
      ...names.map((name) => ({ name, rows: 30, bytes: readFileSync(name).length, files: [name] })),
      { name: '-', rows: 30, bytes: run.stdout.length, files: [] },
    ]);
  });

  it('are named in the summary with their rows and sizes', async () => {
    const at = folderOf('summary');
    const { stdout } = await nfstream([small, '--no-ndpi', '--summary', '-o', at('a.csv'), '-o', at('b\n.jsonl')]);
    const flat = stdout.replace(/\s+/g, ' ');
    expect(flat).toContain(` 30 flows in ${at('a.csv')}, `);
    expect(flat).toContain(` 30 flows in ${at('b\\n.jsonl')}, `);
  });

  it('can not be the same file, nor one that is read', async () => {
    const at = folderOf('twice');
    const twice = await nfstream([small, '--no-ndpi', '-o', at('a.csv'), '-o', join(at('.'), 'a.csv')]);
    expect(twice).toMatchObject({ code: 2, stdout: '' });
    expect(twice.stderr).toMatch(/^nfstream: Expected different files for --output but received "[^\n]* \[USAGE\]\n$/);
    const counters = await nfstream([small, '--no-ndpi', '-o', at('c.json'), '--stats', `${at('.')}/./c.json`]);
    expect(counters.stderr).toMatch(/^nfstream: Expected different files for --output and --stats [^\n]* \[USAGE\]\n$/);
    const read = await nfstream([small, '--no-ndpi', '-o', at('a.csv'), '-o', small, '--format=json', '--overwrite']);
    expect(read.stderr).toMatch(/^nfstream: Expected a file that is no SOURCE for --output [^\n]* \[USAGE\]\n$/);
    const redirected = await bash(`nfstream ${small} --no-ndpi -o - -o ${at('b.jsonl')} > ${at('b.jsonl')}`);
    expect(redirected).toMatchObject({ code: 2 });
    expect(readdirSync(at('.'))).toEqual(['b.jsonl']);
  });

  it('leave standard output to rows by whatever name, and send the summary elsewhere', async () => {
    for (const name of ['/dev/fd/1', '/proc/self/fd/1']) {
      const { stdout, stderr } = await nfstream([small, '--no-ndpi', '--summary', '-o', name]);
      for (const line of stdout.trimEnd().split('\n')) JSON.parse(line);
      expect(stderr).toContain('flows');
    }
  });

  it('all have the flows before one whose metric is no JSON', async () => {
    const at = folderOf('circle');
    const plugin = at('plugin.mjs');
    writeFileSync(
      plugin,
      `let packets = 0;
       export const userMetrics = {
         m: () => { const value = {}; if (++packets > 20) value.self = value; return value; },
       };`,
    );
    const names = ['a.jsonl', 'a.csv', 'a.parquet', 'a.arrows', 'a.jsonl.ndjson'];
    const targets = names.flatMap((name) => ['-o', at(name)]);
    const stats = ['--stats', at('stats.json')];
    const { code, stderr } = await nfstream([small, '--no-ndpi', '--plugin', plugin, ...targets, ...stats]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^nfstream: [^\n]* \[USER_METRIC_FAILED\]\n$/)]);
    const { outputs } = JSON.parse(readFileSync(at('stats.json'), 'utf8'));
    const rows = readFileSync(at('a.jsonl'), 'utf8').split('\n').length - 1;
    expect(rows).toBeGreaterThan(0);
    expect(outputs).toMatchObject(names.map((name) => ({ rows, files: [at(name)] })));
  });

  it('go on where the reader of one leaves', async () => {
    const at = folderOf('reader');
    const big = at('big.pcap');
    const flows = 5000;
    execFileSync(
      process.execPath,
      ['-e', 'require("fs").writeFileSync(process.argv[1], require("fs").readFileSync(0))', big],
      {
        input: pcap(manyFlows(flows)),
      },
    );
    const line = `nfstream ${big} --no-ndpi -o ${at('all.csv')} -o - | head -n 1; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await bash(line);
    expect(stderr).toBe('');
    expect(stdout.split('\n')[1]).toBe('0');
    expect(readCsv(readFileSync(at('all.csv'), 'utf8'))).toHaveLength(1 + flows);
  });

  it.skipIf(!existsSync('/dev/full'))('are whole where another one could not be written', async () => {
    const at = folderOf('full');
    const outputs = flagged([at('a.csv'), '/dev/full', at('b.parquet')]);
    const { code, stderr } = await nfstream([small, '--no-ndpi', ...outputs, '--stats', at('stats.json')]);
    const message = 'Writing "/dev/full" failed: no space left on device (ENOSPC)';
    expect({ code, stderr }).toEqual({ code: 1, stderr: `nfstream: ${message} [OUTPUT_FAILED]\n` });
    expect(await portsOf(at('a.csv'))).toHaveLength(30);
    expect(await portsOf(at('b.parquet'))).toHaveLength(30);
    const { outputs: told } = JSON.parse(readFileSync(at('stats.json'), 'utf8'));
    expect(told.map(({ files }: { files: string[] }) => files.length)).toEqual([1, 0, 1]);
  });

  it('are not made where one can not be opened', async () => {
    const at = folderOf('none');
    const { code, stderr } = await nfstream([small, '--no-ndpi', ...flagged([...NAMES.map(at), at('none/x.csv')])]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^nfstream: Opening [^\n]*: there is no folder [^\n]* \[OUTPUT_FAILED\]\n$/);
    expect(readdirSync(at('.')).filter((name) => !name.endsWith('.duckdb'))).toEqual([]);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('open after %s, with the flows so far', async (signal) => {
    const at = folderOf(signal);
    const child = start(['-', '--no-ndpi', ...flagged(NAMES.map(at)), '-o', '-']);
    // Flows 40 s apart end while the capture is read.
    child.stdin.write(flowsFromPorts(400, 40));
    child.stdout.once('data', () => child.kill(signal));
    const { code, stdout, stderr } = await finish(child);
    expect({ code, stderr }).toEqual({ code: signal === 'SIGINT' ? 130 : 143, stderr: '' });
    const expected = records(stdout).map((flow) => flow['src_port']);
    expect(expected.length).toBe(400);
    for (const name of NAMES.map(at)) expect([name, await portsOf(name)]).toEqual([name, expected]);
    expect(readdirSync(at('.')).sort()).toEqual([...NAMES].sort());
  });

  it('leave nothing half-written at a second signal', async () => {
    const at = folderOf('killed');
    const child = start(['-', '--no-ndpi', ...flagged(NAMES.map(at)), '-o', '-']);
    child.stdin.on('error', () => {});
    child.stdin.write(flowsFromPorts(20_000, 40));
    child.stdout.once('data', () => child.stdout.pause());
    const sizes = () => readdirSync(at('.')).map((name) => statSync(at(name)).size);
    // Nobody takes rows any more: the run comes to a stop, and can't end.
    let before: number[] = [];
    const hasStopped = () => {
      const now = sizes();
      const isSame = Math.max(...now) > 100_000 && now.join() === before.join();
      before = now;
      return isSame;
    };
    await expect.poll(hasStopped, { timeout: 10_000, interval: 300 }).toBe(true);
    child.kill('SIGINT');
    await sleep(300);
    expect(child.exitCode).toBe(null);
    const exited = new Promise((resolve) => child.once('exit', (_, by) => resolve(by)));
    child.kill('SIGINT');
    expect(await exited).toBe('SIGINT');
    child.stdout.destroy();
    expect(readdirSync(at('.')).filter((name) => !name.includes('.duckdb'))).toEqual([]);
  });
});

describe('rotation', () => {
  it('makes files of so many flows, goes on behind them, and begins anew with --overwrite', async () => {
    const at = folderOf('rotated');
    const run = (...args: string[]) =>
      nfstream([small, '--no-ndpi', '-o', at('f.csv'), '--rotate-rows', '12', ...args]);
    expect(await run('--stats', at('stats.json'))).toMatchObject({ code: 0, stdout: '', stderr: '' });
    const files = (from: number, end: number) =>
      Array.from({ length: end - from }, (_, i) => `f-${String(from + i).padStart(5, '0')}.csv`);
    const lengths = async (names: string[]) => Promise.all(names.map(async (name) => (await portsOf(at(name))).length));
    expect(await lengths(files(0, 3))).toEqual([12, 12, 6]);
    expect(JSON.parse(readFileSync(at('stats.json'), 'utf8')).outputs).toMatchObject([
      { name: at('f.csv'), rows: 30, files: files(0, 3).map(at) },
    ]);
    await run();
    expect(await lengths(files(3, 6))).toEqual([12, 12, 6]);
    await run('--overwrite');
    expect(readdirSync(at('.')).sort()).toEqual([...files(0, 3), 'stats.json']);
  });

  it('by seconds finishes files while standard input is silent', async () => {
    const at = folderOf('seconds');
    const child = start(['-', '--no-ndpi', '-o', at('f.parquet'), '--rotate-seconds', '0.2']);
    child.stdin.write(pcap(manyFlows(100, 40)));
    await expect.poll(() => existsSync(at('f-00000.parquet')), { timeout: 10_000 }).toBe(true);
    const first = await portsOf(at('f-00000.parquet'));
    expect(first.length).toBeGreaterThan(50);
    child.stdin.end(pcapRecords([{ at: 10_000 }]));
    expect(await finish(child)).toMatchObject({ code: 0, stderr: '' });
    const second = await portsOf(at('f-00001.parquet'));
    expect(first.length + second.length).toBe(101);
  });
});

const hasTerminals = spawnSync('python3', ['-c', 'import pty; pty.openpty()']).status === 0;

describe.skipIf(!hasTerminals)('on a terminal (skipped without python3 and pseudo-terminals)', () => {
  /** What the terminal shows; standard output goes there too, unless it is piped. */
  const shownBy = (args: readonly string[]) =>
    spawnSync(
      'python3',
      [
        '-c',
        'import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)',
        process.execPath,
        BIN,
        small,
        '--no-ndpi',
        ...args,
      ],
      { encoding: 'utf8', timeout: 15_000, env: { ...process.env, TERM: 'dumb' } },
    );

  it.each(['parquet', 'arrow', 'arrows'])('%s is refused', (format) => {
    const { status, stdout } = shownBy(['--format', format]);
    const message = `Expected a file or a pipe for ${format} but received "-", a terminal`;
    expect([status, stdout]).toEqual([2, `nfstream: ${message} [INVALID_OPTION]\r\n`]);
  });

  it('a line for each output says what was written, but with --quiet', () => {
    const at = folderOf('told');
    const { status, stdout } = shownBy(['-o', at('a.csv'), '-o', at('b.jsonl'), '-o', '/dev/null']);
    expect(status).toBe(0);
    expect(stdout.split('\r\n')).toEqual([
      expect.stringMatching(new RegExp(`^nfstream: 30 flows in ${at('a.csv')}, \\d[\\d.]* kB$`)),
      expect.stringMatching(new RegExp(`^nfstream: 30 flows in ${at('b.jsonl')}, \\d[\\d.]* kB$`)),
      '',
    ]);
    expect(shownBy(['-o', at('c.csv'), '--quiet']).stdout).toBe('');
    const rotated = shownBy(['-o', at('r.csv'), '--rotate-rows', '10']).stdout;
    expect(rotated).toMatch(/: 30 flows in [^\n]*r-00000\.csv to [^\n]*r-00002\.csv \(3 files\), /);
  });
});

const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;

it.skipIf(!canMount)(
  'a disk that gets full leaves finished files and nothing else (skipped without mounts)',
  async () => {
    const at = folderOf('disk');
    mkdirSync(at('small'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', at('small')]);
    try {
      const source = file('many.pcap', pcap(manyFlows(5000)));
      const outputs = ['-o', at('small/f.csv'), '-o', at('other.csv'), '--rotate-rows', '500'];
      const { code, stderr } = await nfstream([source, '--no-ndpi', ...outputs]);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^nfstream: Writing "[^\n]*f-\d{5}\.csv" failed: no space left [^\n]* \[OUTPUT_FAILED\]\n$/,
      );
      const finished = readdirSync(at('small'));
      for (const name of finished) expect(await portsOf(at(`small/${name}`))).toHaveLength(500);
      expect(finished.every((name) => /^f-\d{5}\.csv$/.test(name))).toBe(true);
      expect(readdirSync(at('.')).filter((name) => name.startsWith('other-')).length).toBeGreaterThanOrEqual(
        finished.length,
      );
    } finally {
      execFileSync('umount', [at('small')]);
    }
  },
);
