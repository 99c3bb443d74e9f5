// The command line on a live interface: the loopback of a network namespace that is made for this file. What is captured
// is the business of test/live; here it is how a run begins, what it prints, and how it ends.
import { type ChildProcessWithoutNullStreams, execFileSync, spawn, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { grantCommand } from '../../src/source/capture-rights.ts';
import type { StreamerStats } from '../../src/stats.ts';
import { readCsv } from '../sink/csv-reader.ts';
import { readExposition } from './exposition-reader.ts';
import { BIN, type Finished, finish, ROOT, records, temporaryFolder } from './run.ts';

const NAMESPACE = `nfs-cli-${process.pid}`;
const canMake =
  process.platform === 'linux' &&
  spawnSync('ip', ['netns', 'add', NAMESPACE]).status === 0 &&
  spawnSync('ip', ['-n', NAMESPACE, 'link', 'set', 'lo', 'up']).status === 0;
const file = temporaryFolder();

/** A command in the namespace; its process is the child itself, as ip replaces itself by it. */
function inside(command: string, args: readonly string[]): ChildProcessWithoutNullStreams {
  const { NO_COLOR: _, ...env } = process.env;
  return spawn('ip', ['netns', 'exec', NAMESPACE, command, ...args], { cwd: ROOT, env: { ...env, LANG: 'C' } });
}

const startLive = (args: readonly string[]) => inside(process.execPath, [BIN, '--no-ndpi', ...args]);
const live = (...args: string[]): Promise<Finished> => finish(startLive(args));

/** Echo requests to itself: on the loopback each is seen twice, and so is its reply. */
const ping = (seconds: number) => inside('ping', ['-q', '-i', '0.05', '-w', String(seconds), '127.0.0.1']);

/** One packet to each of `count` ports, a flow of its own each; replies that nobody listens make one more flow. */
const flood = (count: number) =>
  finish(
    inside(process.execPath, [
      '-e',
      `const socket = require('node:dgram').createSocket('udp4');
       let sent = 0;
       const next = () => sent === ${count} ? socket.close() : socket.send('x', 20000 + sent++, '127.0.0.1', next);
       next();`,
    ]),
  );

/** What was received was dropped or read, but for what still arrived, by ping, while the capture was closed. */
function expectLedger({ capture, packets_read }: StreamerStats): void {
  const { packets_received = 0, packets_dropped_by_kernel = 0 } = capture ?? {};
  const late = packets_received - packets_dropped_by_kernel - packets_read;
  expect(late).toBeGreaterThanOrEqual(0);
  expect(late).toBeLessThan(20);
}

/** Whether the child holds a packet socket, so that it captures. */
async function untilCapturing({ pid }: ChildProcessWithoutNullStreams): Promise<void> {
  const sockets = () => readFileSync(`/proc/${pid}/net/packet`, 'utf8').trim().split('\n').length - 1;
  await expect.poll(sockets, { timeout: 10_000 }).toBeGreaterThan(0);
}

describe.skipIf(!canMake)('a live run (skipped where network namespaces can not be made)', () => {
  let traffic: ChildProcessWithoutNullStreams;
  beforeAll(() => {
    traffic = ping(120);
  });
  afterAll(() => {
    traffic?.kill();
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s ends it well: live flows are exported, exit code 0',
    async (signal) => {
      const stats = file(`${signal}.json`);
      const child = startLive(['lo', '--stats', stats]);
      const finished = finish(child);
      await untilCapturing(child);
      await sleep(300);
      child.kill(signal);
      const { code, stdout, stderr } = await finished;
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(records(stdout)).toMatchObject([{ ip_src: '127.0.0.1', ip_protocol: 1, export_reason: 2 }]);
      const counted = JSON.parse(readFileSync(stats, 'utf8'));
      expect(counted).toMatchObject({ flows_live: 0, capture: { packets_dropped_by_kernel: 0 } });
      expectLedger(counted);
    },
  );

  it('ends by --duration and by --packets with exit code 0', async () => {
    expect(await live('lo', '--duration', '0.3')).toMatchObject({ code: 0, stderr: '' });
    const { code, stdout } = await live('-i', 'lo', '--packets', '7', '--filter', 'icmp[icmptype] == icmp-echo');
    expect(code).toBe(0);
    expect(records(stdout)).toMatchObject([{ src_to_dst_pkts: 7 }]);
  });

  it('writes rows under their own name as flows end, and a kill takes none away', async () => {
    const target = file('followed.jsonl', 'old\n');
    const child = startLive(['lo', '--active-timeout', '0.2', '-o', target, '--overwrite']);
    const finished = finish(child);
    const rows = () => readFileSync(target, 'utf8').split('\n').length - 1;
    await expect.poll(rows, { timeout: 10_000 }).toBeGreaterThan(3);
    child.kill('SIGKILL');
    await finished;
    const flows = records(readFileSync(target, 'utf8'));
    expect(flows.length).toBeGreaterThan(3);
    for (const flow of flows) expect(flow).toMatchObject({ export_reason: 1 });
    expect(readdirSync(join(target, '..')).filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  it('leaves an existing file alone where it can not begin', async () => {
    const target = file('kept.jsonl', 'old\n');
    const { code, stdout, stderr } = await live('no-such-if0', '-o', target);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(/^nfstream: no-such-if0: [^\n]* \[SOURCE_NOT_FOUND\]\n$/);
    expect(readFileSync(target, 'utf8')).toBe('old\n');
  });

  it('stops where the disk is full, with whole rows', async () => {
    const disk = file('disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]);
    try {
      const target = join(disk, 'flows.jsonl');
      const child = startLive(['lo', '--inactive-timeout', '0.3', '-o', target]);
      const finished = finish(child);
      await untilCapturing(child);
      await flood(400);
      const { code, stderr } = await finished;
      expect(code).toBe(1);
      expect(stderr).toBe(`nfstream: Writing "${target}" failed: no space left on device (ENOSPC) [OUTPUT_FAILED]\n`);
      const text = readFileSync(target, 'utf8');
      expect(text.endsWith('}\n')).toBe(true);
      expect(records(text).length).toBeGreaterThan(50);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  it('warns when the kernel drops packets, once, and goes on', async () => {
    const stats = file('dropped.json');
    const child = startLive(['lo', '--buffer-size', '65536', '--stats', stats, '--summary']);
    const finished = finish(child);
    await untilCapturing(child);
    // Its socket is there before it lets packets in.
    await sleep(500);
    child.kill('SIGSTOP');
    await flood(5000);
    child.kill('SIGCONT');
    await sleep(1500);
    child.kill('SIGINT');
    const { code, stderr, stdout } = await finished;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\n {2}lo {2}\d{4}-/);
    const counted = JSON.parse(readFileSync(stats, 'utf8'));
    expect(counted.capture.packets_dropped_by_kernel).toBeGreaterThan(0);
    expectLedger(counted);
    expect(stderr).toMatch(/^nfstream: warning: The kernel dropped [\d,]+ packets [^\n]*--buffer-size[^\n]*\n$/);
  });

  it('serves the counters of the kernel, too', async () => {
    const child = startLive(['lo', '--metrics-port', '0']);
    const url = await new Promise<string>((found) => {
      child.stderr.once('data', (line) => found(/http:\S+/.exec(String(line))?.[0] ?? ''));
    });
    const finished = finish(child);
    await untilCapturing(child);
    await sleep(300);
    const scraped = await finish(inside('curl', ['-sS', url]));
    expect(scraped.stderr).toBe('');
    const families = readExposition(scraped.stdout);
    const value = (name: string) => families[name].samples[0].value;
    expect(value('nfstream_capture_packets_received_total')).toBeGreaterThan(0);
    expect(value('nfstream_capture_packets_dropped_by_kernel_total')).toBe(0);
    // What the test sends, and the question itself.
    expect([1, 2]).toContain(value('nfstream_flows_live'));
    child.kill('SIGINT');
    expect(await finished).toMatchObject({ code: 0 });
  });

  it('takes a name for the file that bears it, and --interface for the interface', async () => {
    const folder = file('names');
    mkdirSync(folder);
    const run = (args: string) =>
      finish(inside('sh', ['-c', `cd '${folder}' && : > lo && exec '${process.execPath}' '${BIN}' --no-ndpi ${args}`]));
    expect((await run('lo')).stderr).toMatch(/\[EMPTY_CAPTURE\]\n$/);
    expect(await run('-i lo --packets 1')).toMatchObject({ code: 0, stderr: '' });
  });

  it('shows a status line on a terminal', async () => {
    const log = file('typescript');
    const command = `stty cols 140; exec '${process.execPath}' '${BIN}' lo --no-ndpi --duration 2.2 -o /dev/null`;
    const child = inside('script', ['-qec', command, log]);
    const { code } = await finish(child);
    if (!existsSync(log)) return; // No script(1) here.
    expect(code).toBe(0);
    const shown = readFileSync(log, 'utf8');
    expect(shown).toMatch(
      /0:0[0-2] {2}\S*[\d.]+ packets\/s\S* {2}[\d.]+ k?bit\/s {2}[\d.k]+ received {2}1 flow \(<1 %\) {2}0 exported {2}queue peak \d+ {2}0 dropped/,
    );
  });

  it('names processes in columns of their own', async () => {
    const { code, stdout } = await live('lo', '--system-visibility', '--format', 'csv', '--packets', '4');
    expect(code).toBe(0);
    const [header] = readCsv(stdout);
    expect(header.slice(-2)).toEqual(['process_id', 'process_name']);
  });
});

const NOBODY = ['--reuid=nobody', '--regid=nogroup', '--clear-groups', '--no-new-privs'];
const nobodyMayRead = canMake && spawnSync('setpriv', [...NOBODY, 'test', '-r', BIN]).status === 0;

describe.skipIf(!nobodyMayRead)(
  'rights (skipped without network namespaces, or in a folder that others can not read)',
  () => {
    const asNobody = (flags: readonly string[], args: readonly string[]) =>
      finish(inside('setpriv', [...NOBODY, ...flags, process.execPath, BIN, '--no-ndpi', ...args]));

    it('that are missing: one line with the command that grants them, the one of doctor', async () => {
      const target = file('denied.jsonl', 'old\n');
      const { code, stdout, stderr } = await asNobody([], ['lo', '-o', target]);
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toMatch(/^nfstream: lo: [^\n]* \[CAPTURE_DENIED\]\n$/);
      expect(stderr).toContain(grantCommand());
      const report = await finish(inside('setpriv', [...NOBODY, process.execPath, BIN, 'doctor', '--json']));
      expect(JSON.parse(report.stdout).capture_rights).toMatchObject({ ok: false, fix: [grantCommand()] });
    });

    it('need be no more than those of the unit: CAP_NET_RAW', async () => {
      const unit = readFileSync(join(ROOT, 'docs/nfstream.service'), 'utf8');
      expect(unit).toMatch(/^AmbientCapabilities=CAP_NET_RAW\nCapabilityBoundingSet=CAP_NET_RAW$/m);
      const flags = ['--inh-caps=-all,+net_raw', '--ambient-caps=-all,+net_raw', '--bounding-set=-all,+net_raw'];
      expect(await asNobody(flags, ['lo', '--duration', '0.2'])).toMatchObject({ code: 0, stderr: '' });
    });
  },
);

describe.skipIf(!canMake)('--user (skipped where network namespaces can not be made)', () => {
  it.each([['1'], ['2']])('gives up rights while capture goes on (%s meters)', async (meters) => {
    const folder = file(`nobody-${meters}`);
    mkdirSync(folder, { mode: 0o700 });
    chmodSync(join(folder, '..'), 0o755);
    const [uid, gid] = ['-u', '-g'].map((what) => execFileSync('id', [what, 'nobody'], { encoding: 'utf8' }).trim());
    chownSync(folder, Number(uid), Number(gid));
    const target = join(folder, 'flows.jsonl');
    const child = startLive(['lo', '--user', 'nobody', '--meters', meters, '-o', target]);
    const finished = finish(child);
    // Outputs are opened after all rights are gone.
    await vi.waitUntil(() => existsSync(target), { timeout: 10_000 });
    const tasks = `/proc/${child.pid}/task`;
    const threads = readdirSync(tasks).map((id) => readFileSync(join(tasks, id, 'status'), 'utf8'));
    expect(threads.length).toBeGreaterThan(4);
    for (const status of threads) {
      expect(status).toMatch(
        new RegExp(`^Uid:\\t${uid}\\t${uid}\\t${uid}\\t${uid}\\nGid:\\t${gid}\\t${gid}\\t${gid}\\t${gid}$`, 'm'),
      );
      expect(status).toMatch(/^CapPrm:\t0+\nCapEff:\t0+$/m);
    }
    await flood(50);
    child.kill('SIGINT');
    expect(await finished).toMatchObject({ code: 0, stderr: '' });
    const ports = new Set(records(readFileSync(target, 'utf8')).map((flow) => flow['dst_port']));
    expect(ports.size).toBeGreaterThanOrEqual(50);
    expect(String(statSync(target).uid)).toBe(uid);
  });
});

afterAll(() => {
  if (process.platform === 'linux') spawnSync('ip', ['netns', 'del', NAMESPACE]);
});
