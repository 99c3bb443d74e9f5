// What is printed for people: the summary, the help, the version.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { manyFlows, pcap } from './capture.ts';
import { bash, nfstream, ROOT, records, temporaryFolder } from './run.ts';

const file = temporaryFolder();
const demo = 'fixtures/demo.pcapng';
const small = file('small.pcap', pcap(manyFlows(3)));

describe('--summary', () => {
  it('is the data when nothing else asks for flows', async () => {
    const { code, stdout, stderr } = await nfstream([demo, '--summary']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^\n {2}demo\.pcapng {2}\d{4}-\d\d-\d\d [\s\S]*\n {2}Applications [\s\S]*\n {2}Talkers /);
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
      expect(stderr).toMatch(/\n {2}Protocols and ports [\s\S]*\n {2}UDP 9999 +#+ +100 %/);
    },
  );

  it('draws with block characters where the locale has them', async () => {
    const { stdout } = await nfstream([demo, '--summary'], { env: { LC_ALL: 'C.UTF-8' } });
    expect(stdout).toMatch(/─────[\s\S]*██/);
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
    for (const command of ['interfaces', 'fields', 'doctor', 'build-native']) {
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
