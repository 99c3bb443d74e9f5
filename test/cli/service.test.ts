// docs/nfstream.service: systemd takes it and finds little to object to, and its command line is one of ours.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { METER_FLAGS, RUN_FLAGS } from '../../src/cli/flags.ts';
import { meterArguments } from '../../src/cli/meter-arguments.ts';
import { parseFlags } from '../../src/cli/parse-flags.ts';
import { ROOT, temporaryFolder } from './run.ts';

const file = temporaryFolder();
const unit = readFileSync(join(ROOT, 'docs/nfstream.service'), 'utf8');
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

describe('docs/nfstream.service', () => {
  it('runs a command line that there is', async () => {
    const [, line] = /^ExecStart=nfstream (.*)$/m.exec(unit) ?? [];
    const words = line
      .replace(/\$\{INTERFACE\}/, 'eth1')
      .replace(/\$\{STATE_DIRECTORY\}/, '/var/lib/nfstream')
      .split(' ');
    const args = meterArguments(await parseFlags(words, [...METER_FLAGS, ...RUN_FLAGS]));
    expect(args).toMatchObject({
      options: { source: [{ interface: 'eth1' }], reconnect: true },
      outputs: [{ target: '-', format: 'json' }],
      stats: '/var/lib/nfstream/stats.json',
      metrics: { address: '127.0.0.1' },
    });
  });

  it.skipIf(!hasSystemd)('is taken by systemd-analyze, and exposes little (skipped without systemd)', () => {
    // The command is not installed here.
    const path = file('nfstream.service', unit.replace('ExecStart=nfstream', 'ExecStart=/bin/true'));
    const verified = spawnSync('systemd-analyze', ['verify', path], { encoding: 'utf8' });
    expect(verified).toMatchObject({ status: 0, stdout: '', stderr: '' });
    // 100 is a service without any protection; half of what is left is that it captures and serves counters.
    const security = ['security', '--offline=true', '--threshold=20', '--no-pager', path];
    const { status, stdout } = spawnSync('systemd-analyze', security, { encoding: 'utf8' });
    expect(status, stdout).toBe(0);
  });
});
