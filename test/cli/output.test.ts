// Where flows, summary and counters go, and in which format.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { NDPI_FIELDS } from '../../src/classifier/ndpi-fields.ts';
import { CLASSIC } from '../../src/flow/schema.ts';
import { readCsv } from '../sink/csv-reader.ts';
import { manyFlows, pcap } from './capture.ts';
import { bash, nfstream, ROOT, records, temporaryFolder } from './run.ts';

const file = temporaryFolder();
const demo = 'fixtures/demo.pcapng';
const small = file('small.pcap', pcap(manyFlows(3)));
const CORE = CLASSIC.map(({ name }) => name as string).filter((name) => name !== 'metrics');

describe('formats', () => {
  it('are JSON Lines on standard output, and nothing else is there', async () => {
    const { code, stdout, stderr } = await nfstream([demo]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const flows = records(stdout);
    expect(flows.length).toBeGreaterThan(5);
    for (const flow of flows) {
      expect(Object.keys(flow)).toEqual([...CORE, 'metrics']);
      expect(Object.keys(flow['metrics'] as object)).toEqual(NDPI_FIELDS.map(({ name }) => name));
    }
  });

  it('say the same as CSV', async () => {
    const flows = records((await nfstream([demo])).stdout);
    const [header, ...rows] = readCsv((await nfstream([demo, '--format', 'csv'])).stdout);
    expect(header).toEqual([...CORE, ...NDPI_FIELDS.map(({ name }) => name)]);
    const text = (value: unknown) =>
      value === null ? null : typeof value === 'object' ? JSON.stringify(value) : String(value);
    expect(rows).toEqual(
      flows.map(({ metrics, ...core }) => [...Object.values(core), ...Object.values(metrics as object)].map(text)),
    );
  });

  it('have no label columns in CSV without nDPI', async () => {
    const [header] = readCsv((await nfstream([demo, '--format=csv', '--no-ndpi'])).stdout);
    expect(header).toEqual(CORE);
  });

  it.skipIf(spawnSync('python3', ['--version']).status !== 0)(
    "CSV reads in Python's csv module (skipped without python3)",
    async () => {
      const target = file('python.csv');
      await nfstream([demo, '-o', target]);
      const script =
        'import csv, json, sys\n' +
        "print(json.dumps(list(csv.DictReader(open(sys.argv[1], newline=''), strict=True))))";
      const rows: Record<string, string>[] = JSON.parse(
        execFileSync('python3', ['-c', script, target], { encoding: 'utf8' }),
      );
      const flows = records((await nfstream([demo])).stdout);
      expect(
        rows.map((row) => [row['ip_src'], row['src_to_dst_bytes'], row['application_name'], row['syn_count']]),
      ).toEqual(
        flows.map(({ ip_src, src_to_dst_bytes, metrics, syn_count }) => [
          ip_src,
          String(src_to_dst_bytes),
          (metrics as Record<string, unknown>)['application_name'],
          JSON.stringify(syn_count),
        ]),
      );
    },
  );

  it('follow the ending of -o', async () => {
    const target = file('flows.csv');
    expect(await nfstream([small, '--no-ndpi', '-o', target])).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(readFileSync(target, 'utf8')).toMatch(/^ip_src,/);
  });

  it('follow --format rather than the ending', async () => {
    const target = file('format.dat');
    await nfstream([small, '--no-ndpi', `-o${target}`, '--format=csv']);
    expect(readFileSync(target, 'utf8')).toMatch(/^ip_src,/);
  });
});

describe('-o', () => {
  it('replaces a file when it is whole, and leaves no other behind', async () => {
    const target = file('replaced.csv', 'old');
    await nfstream([small, '--no-ndpi', '-o', target]);
    expect(readCsv(readFileSync(target, 'utf8'))).toHaveLength(4);
    expect(readdirSync(dirname(target)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('leaves the old file alone when the run fails', async () => {
    const target = file('kept.csv', 'old');
    expect(await nfstream([file('none.pcap'), '--no-ndpi', '-o', target])).toMatchObject({ code: 1 });
    expect(readFileSync(target, 'utf8')).toBe('old');
    expect(readdirSync(dirname(target)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('has the flows up to the damage of a damaged capture, exit code 3', async () => {
    const source = file('damaged.pcap', pcap(manyFlows(5)).subarray(0, -7));
    const target = file('damaged.csv');
    const stats = file('damaged.json');
    const { code, stderr } = await nfstream([source, '--no-ndpi', '-o', target, '--stats', stats, '--summary']);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^nfstream: [^\n]*damaged\.pcap[^\n]* \[TRUNCATED_CAPTURE\]\n$/);
    expect(readCsv(readFileSync(target, 'utf8'))).toHaveLength(1 + 4);
    expect(JSON.parse(readFileSync(stats, 'utf8')).packets_read).toBe(4);
  });

  it('can be a device, a FIFO or an open descriptor', async () => {
    expect(await nfstream([small, '--no-ndpi', '-o', '/dev/null'])).toMatchObject({ code: 0, stdout: '' });
    expect(records((await nfstream([small, '--no-ndpi', '-o', '-'])).stdout)).toHaveLength(3);
    expect(records((await nfstream([small, '--no-ndpi', '-o', '/dev/stdout'])).stdout)).toHaveLength(3);
    const fifo = JSON.stringify(file('fifo'));
    const piped = await bash(`mkfifo ${fifo}; nfstream ${small} --no-ndpi -o ${fifo} & cat ${fifo}; wait`);
    expect(records(piped.stdout)).toHaveLength(3);
    const substituted = await bash(`nfstream ${small} --no-ndpi -o >(cat >&2); sleep 0.2`);
    expect(records(substituted.stderr)).toHaveLength(3);
  });

  it('appends to what the shell appends to', async () => {
    const target = file('appended.jsonl', 'first\n');
    await bash(`nfstream ${small} --no-ndpi -o /dev/stdout >> ${target}`);
    expect(readFileSync(target, 'utf8').split('\n')).toHaveLength(5);
    expect(readFileSync(target, 'utf8')).toMatch(/^first\n\{/);
  });

  it.skipIf(!existsSync('/dev/full'))('reports a full disk', async () => {
    const full = 'Writing "/dev/full" failed: no space left on device (ENOSPC) [OUTPUT_FAILED]';
    const { code, stderr } = await nfstream([small, '--no-ndpi', '-o', '/dev/full']);
    expect({ code, stderr }).toEqual({ code: 1, stderr: `nfstream: ${full}\n` });
    const redirected = await bash(`nfstream ${small} --no-ndpi > /dev/full`);
    expect(redirected.stderr).toBe(`nfstream: ${full.replace('"/dev/full"', 'standard output')}\n`);
    expect(await bash('nfstream --help > /dev/full')).toMatchObject({ code: 1 });
    expect(await nfstream([small, '--no-ndpi', '--stats', '/dev/full'])).toMatchObject({ code: 1 });
  });
});

describe('--summary', () => {
  it('is the data when nothing else asks for flows', async () => {
    const { code, stdout, stderr } = await nfstream([demo, '--summary']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^\n {2}demo\.pcapng {2}\d{4}-\d\d-\d\d [^]*\n {2}Applications [^]*\n {2}Talkers /);
    expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(stdout).toMatch(/^[\x20-\x7e\n]+$/);
  });

  it('stays on standard output beside a file of flows', async () => {
    const target = file('beside.jsonl');
    const { stdout } = await nfstream([small, '--no-ndpi', '--summary', '-o', target]);
    expect(stdout).toMatch(/\n {2}3 flows {4}3 packets {4}186 B {4}2 ms {4}744 kbit\/s\n/);
    expect(records(readFileSync(target, 'utf8'))).toHaveLength(3);
  });

  it.each([[['--format', 'json']], [['-o', '-']], [['-o', '/dev/stdout']]])(
    'makes room for flows on standard output with %j',
    async (args) => {
      const { stdout, stderr } = await nfstream([small, '--no-ndpi', '--summary', ...args]);
      expect(records(stdout)).toHaveLength(3);
      expect(stderr).toMatch(/\n {2}Protocols and ports [^]*\n {2}UDP 9999 +#+ +100 %/);
    },
  );

  it('draws with block characters where the locale has them', async () => {
    const { stdout } = await nfstream([demo, '--summary'], { env: { LC_ALL: 'C.UTF-8' } });
    expect(stdout).toMatch(/─────[^]*██/);
    expect(stdout).not.toContain('\x1b');
  });
});

describe('texts', () => {
  it('--version and --help answer on standard output', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
    for (const flag of ['--version', '-v']) {
      expect(await nfstream([flag])).toMatchObject({ code: 0, stdout: `nfstream ${version}\n`, stderr: '' });
    }
    const help = await nfstream(['--help']);
    expect(help).toMatchObject({ code: 0, stderr: '' });
    expect(help.stdout.split('\n').filter((line) => line.length > 80)).toEqual([]);
    for (const args of [['help'], ['x.pcap', '--summary', '-h']]) {
      expect((await nfstream(args)).stdout).toBe(help.stdout);
    }
    for (const command of ['doctor', 'build-native']) {
      const own = await nfstream([command, '--help']);
      expect(own.stdout).toMatch(new RegExp(`^nfstream ${command}: `));
      expect((await nfstream(['help', command])).stdout).toBe(own.stdout);
    }
  });

  it('say what to do where dist/ is missing', async () => {
    const bin = file('nfstream.mjs', readFileSync(join(ROOT, 'bin/nfstream.js')));
    const { stderr, code } = await bash(`${process.execPath} ${bin}`);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: 'nfstream: dist/ is missing; in a clone of the repository run: script/setup\n',
    });
  });
});

describe('doctor', () => {
  it('reports for people and for programs, and its exit code says whether all works', async () => {
    const { code, stdout } = await nfstream(['doctor']);
    const json = await nfstream(['doctor', '--json']);
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: code === 0 });
    expect(json.code).toBe(code);
    expect(stdout).toMatch(/^nfstream /);
    const without = await nfstream(['doctor'], { env: { NFSTREAM_NATIVE: 'off' } });
    expect(without.code).toBe(1);
  });
});
