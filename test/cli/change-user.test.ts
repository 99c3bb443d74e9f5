// --user: all threads of the process lose root's rights, by the kernel's own word in /proc.
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { manyFlows, pcap } from './capture.ts';
import { nfstream, ROOT, records, temporaryFolder } from './run.ts';

const file = temporaryFolder();
const isRoot = process.getuid?.() === 0 && process.platform === 'linux';
const idOf = (what: '-u' | '-g' | '-G') => execFileSync('id', [what, 'nobody'], { encoding: 'utf8' }).trim();

/** Starts threads, changes the user in the middle of their work, and prints what each thread is then. */
const SCRIPT = `
import { readdirSync, readFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { changeUser } from ${JSON.stringify(join(ROOT, 'dist/cli/change-user.js'))};

const code = 'setInterval(() => {}, 1000); require("node:worker_threads").parentPort.postMessage(0)';
const workers = [1, 2].map(() => new Worker(code, { eval: true, execArgv: [] }));
await Promise.all(workers.map((worker) => new Promise((ready) => worker.once('message', ready))));
let error = null;
try {
  changeUser(process.argv[1]);
} catch (caught) {
  error = { code: caught.code, message: caught.message };
}
const threads = readdirSync('/proc/self/task').map((id) => {
  const status = readFileSync('/proc/self/task/' + id + '/status', 'utf8');
  return Object.fromEntries([...status.matchAll(/^(Uid|Gid|Groups|CapPrm|CapEff|CapAmb):\\s*(.*?)\\s*$/gm)].map((m) => m.slice(1)));
});
console.log(JSON.stringify({ error, threads }));
process.exit();
`;

interface Outcome {
  error: { code: string; message: string } | null;
  threads: Record<string, string>[];
}

function change(user: string, ...wrapper: string[]): Outcome {
  const [command, ...args] = [...wrapper, process.execPath, '--input-type=module', '-e', SCRIPT, '--', user];
  const { stdout, stderr } = spawnSync(command, args, { encoding: 'utf8' });
  expect(stderr).toBe('');
  return JSON.parse(stdout);
}

describe.skipIf(!isRoot)('changing the user (skipped unless root on Linux)', () => {
  it.each(['nobody', isRoot ? idOf('-u') : ''])('%s: no thread keeps anything of root', (user) => {
    const { error, threads } = change(user);
    expect(error).toBe(null);
    expect(threads.length).toBeGreaterThan(6);
    const uid = idOf('-u');
    const gid = idOf('-g');
    for (const thread of threads) {
      expect(thread).toEqual({
        Uid: Array(4).fill(uid).join('\t'),
        Gid: Array(4).fill(gid).join('\t'),
        Groups: idOf('-G'),
        CapPrm: '0'.repeat(16),
        CapEff: '0'.repeat(16),
        CapAmb: '0'.repeat(16),
      });
    }
  });

  it.each([
    ['no-such-user', 'there is no such user'],
    ['4294967290', 'no account has this user id'],
    ['99999999999', 'there is no such user'],
    ['root', 'that is root itself, whose rights are to be given up'],
    ['0', 'that is root itself, whose rights are to be given up'],
  ])('%s is refused, and nothing has changed', (user, reason) => {
    const { error, threads } = change(user);
    expect(error).toEqual({
      code: 'USER_CHANGE_FAILED',
      message: `Changing to the user "${user}" failed: ${reason}`,
    });
    for (const thread of threads) expect(thread).toMatchObject({ Uid: '0\t0\t0\t0', Gid: '0\t0\t0\t0' });
  });

  it('is refused where the process is not of root', () => {
    // May read what root alone may: the project can lie in root's home.
    const capability = ['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search'];
    const { error } = change('nobody', 'setpriv', '--reuid=1', '--regid=1', '--clear-groups', ...capability);
    expect(error?.message).toMatch(/only a process that was started as root can/);
  });

  it('fails where capabilities would stay, as a securebit can have it', () => {
    const { error } = change('nobody', 'setpriv', '--securebits=+no_setuid_fixup');
    expect(error).toMatchObject({ code: 'USER_CHANGE_FAILED', message: expect.stringMatching(/failed: it /) });
  });
});

describe.skipIf(!isRoot)('--user (skipped unless root on Linux)', () => {
  it('opens sources as root and outputs as the user', async () => {
    const source = file('secret.pcap', pcap(manyFlows(3)));
    chmodSync(source, 0o400);
    const folder = file('folder');
    mkdirSync(folder, { mode: 0o700 });
    chmodSync(join(folder, '..'), 0o755);
    chownSync(folder, Number(idOf('-u')), Number(idOf('-g')));
    const target = join(folder, 'flows.jsonl');
    const done = await nfstream([source, '--no-ndpi', '--user', 'nobody', '-o', target]);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    expect(records(readFileSync(target, 'utf8'))).toHaveLength(3);
    const { uid, gid } = statSync(target);
    expect([uid, gid].map(String)).toEqual([idOf('-u'), idOf('-g')]);
    const denied = await nfstream([source, '--no-ndpi', '--user', 'nobody', '-o', file('mine.jsonl')]);
    expect(denied.code).toBe(1);
    expect(denied.stderr).toMatch(/permission denied \(EACCES\) \[OUTPUT_FAILED\]\n$/);
  });

  it('fails in one line before any output is opened', async () => {
    const source = file('one.pcap', pcap([{}]));
    const { code, stdout, stderr } = await nfstream([source, '--no-ndpi', '--user', 'no-such-user']);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      'nfstream: Changing to the user "no-such-user" failed: there is no such user [USER_CHANGE_FAILED]\n',
    );
  });
});
