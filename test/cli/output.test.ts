// Where flows go, and in which format.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ERROR_CODES } from '../../src/errors.ts';
import { NDPI_FIELDS } from '../../src/flow/fields/ndpi.ts';
import { CLASSIC_SHAPE } from '../../src/flow/schema.ts';
import { FACEBOOK, FACEBOOK_CORE, FACEBOOK_LABELS } from '../facebook.ts';
import { readCsv } from '../sink/csv-reader.ts';
import { manyFlows, pcap } from './capture.ts';
import { bash, nfstream, records, temporaryFolder } from './run.ts';

const file = temporaryFolder();
const demo = 'fixtures/demo.pcapng';
const small = file('small.pcap', pcap(manyFlows(3)));
const CORE = CLASSIC_SHAPE.columns.map(({ name }) => name).filter((name) => name !== 'metrics');

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

describe.skipIf(!existsSync(FACEBOOK))('a known flow (skipped without ../shared/captures)', () => {
  it('has every value in JSON', async () => {
    const [flow] = records((await nfstream([FACEBOOK])).stdout);
    const { metrics, ...core } = flow;
    expect(core).toEqual(FACEBOOK_CORE);
    expect(metrics).toMatchObject(FACEBOOK_LABELS);
  });

  it('has every value in CSV', async () => {
    const [header, row] = readCsv((await nfstream([FACEBOOK, '--format', 'csv'])).stdout);
    const cells = Object.fromEntries(header.map((name, i) => [name, row[i]]));
    const expected = Object.entries({ ...FACEBOOK_CORE, ...FACEBOOK_LABELS }).map(([name, value]) => [
      name,
      typeof value === 'object' ? JSON.stringify(value) : String(value),
    ]);
    expect(cells).toMatchObject(Object.fromEntries(expected));
  });
});

describe('-o', () => {
  it('refuses a file that is there, and with --overwrite replaces it when it is whole', async () => {
    const target = file('replaced.csv', 'old');
    const refused = await nfstream([small, '--no-ndpi', '-o', target]);
    const message = `${JSON.stringify(target)} is there already; to replace it: --overwrite`;
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: `nfstream: ${message} [OUTPUT_EXISTS]\n` });
    expect(readFileSync(target, 'utf8')).toBe('old');
    await nfstream([small, '--no-ndpi', '-o', target, '--overwrite']);
    expect(readCsv(readFileSync(target, 'utf8'))).toHaveLength(4);
    expect(readdirSync(dirname(target)).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('leaves the old file alone when the run fails', async () => {
    const target = file('kept.csv', 'old');
    const args = [file('none.pcap'), '--no-ndpi', '--overwrite', '-o', target];
    expect(await nfstream(args)).toMatchObject({ code: 1 });
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

  const damaged = file('cut.pcap', pcap(manyFlows(1)).subarray(0, -7));
  const text = file('text.txt', 'no capture\n');

  describe.each([
    ['a second source that is no capture', [small, text], 'NOT_A_CAPTURE', 3],
    [
      'a filter that a link type has no use for',
      [small, 'fixtures/raw.pcap', '--filter', 'not ether host 02:00:00:00:00:99'],
      'INVALID_FILTER',
      3,
    ],
    ['damage before the first flow', [damaged], 'TRUNCATED_CAPTURE', 0],
    ['an empty capture', [file('empty.pcap', '')], 'EMPTY_CAPTURE', 0],
  ] as const)('has what was metered before the end: %s', (_, args, code, flows) => {
    it('beside the summary and the counters, and the error is the same', async () => {
      const target = file(`kept-${code}.csv`, 'old');
      const stats = file(`kept-${code}.json`, 'old counters');
      const output = ['--overwrite', '-o', target, '--stats', stats, '--summary'];
      const ended = await nfstream([...args, '--no-ndpi', ...output]);
      expect(ended.code).toBe(ERROR_CODES[code].exit);
      expect(ended.stderr).toMatch(new RegExp(`^nfstream: [^\\n]* \\[${code}\\]\\n$`));
      expect(readCsv(readFileSync(target, 'utf8'))).toHaveLength(1 + flows);
      expect(JSON.parse(readFileSync(stats, 'utf8')).flows_exported.termination).toBe(flows);
      expect(ended.stdout).toContain(flows === 0 ? 'no flows' : `${flows} flows`);
    });
  });

  it.skipIf(!existsSync('/proc/self/mem'))('has the flows before a source whose reading fails', async () => {
    const target = file('unreadable.jsonl');
    const { code, stderr } = await nfstream([small, '/proc/self/mem', '--no-ndpi', '-o', target]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^nfstream: \/proc\/self\/mem: [^\n]* \[SOURCE_UNREADABLE\]\n$/);
    expect(records(readFileSync(target, 'utf8'))).toHaveLength(3);
  });

  it('does not appear, nor anything else, when a run fails without a flow', async () => {
    for (const args of [[text], ['fixtures/raw.pcap', '--filter', 'not ether host 02:00:00:00:00:99']]) {
      const target = file('nothing.csv');
      const stats = file('nothing.json');
      const ended = await nfstream([...args, '--no-ndpi', '-o', target, '--stats', stats, '--summary']);
      expect(ended.code).not.toBe(0);
      expect(ended.stdout).toBe('');
      expect(readdirSync(dirname(target)).filter((name) => name.includes('nothing'))).toEqual([]);
      const counted = await nfstream([...args, '--no-ndpi', '--stats', '-']);
      expect(counted.stderr).toMatch(/^nfstream: [^\n]*\n$/);
    }
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
