// How a run can end before its input does: the reader leaves, or a signal comes.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { manyFlows, pcap, pcapRecords } from './capture.ts';
import { bash, finish, records, start, temporaryFolder } from './run.ts';

const file = temporaryFolder();
/** Flows 40 s apart end by the inactive timeout while the capture is read, so that rows come before its end. */
const endless = pcap(manyFlows(400, 40));

describe('a reader that leaves', () => {
  const big = file('big.pcap', pcap(manyFlows(5000)));

  it.each(['json', 'csv'])('ends the run quietly, exit code 0: | head (%s)', async (format) => {
    const line = `nfstream ${big} --no-ndpi --format ${format} | head -n 2; echo "\${PIPESTATUS[0]}"`;
    const { stdout, stderr } = await bash(line);
    expect(stderr).toBe('');
    const lines = stdout.split('\n');
    expect(lines).toHaveLength(4);
    expect(lines[2]).toBe('0');
  });

  it('stops reading, too, and the counters are still written', async () => {
    const stats = file('head.json');
    const child = start(['-', '--no-ndpi', '--stats', stats]);
    child.stdin.on('error', () => {});
    child.stdin.write(pcap(manyFlows(200, 40)));
    let at = 200 * 40;
    const feed = setInterval(() => {
      child.stdin.write(pcapRecords(manyFlows(200, 40).map((packet) => ({ ...packet, at: at++ * 40 }))));
    }, 20);
    child.stdout.once('data', () => child.stdout.destroy());
    const exit = await new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));
    clearInterval(feed);
    expect(exit).toEqual([0, null]);
    expect(await text(child.stderr)).toBe('');
    expect(JSON.parse(readFileSync(stats, 'utf8')).packets_read).toBeGreaterThan(0);
  });

  it('also ends --help and doctor quietly', async () => {
    const { stdout, stderr } = await bash(`nfstream --help | true; echo "\${PIPESTATUS[0]}"`);
    expect({ stdout, stderr }).toEqual({ stdout: '0\n', stderr: '' });
  });
});

describe('a signal', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('%s exports what is live, finishes the output and exits with %i', async (signal, exit) => {
    const stats = file(`${signal}.json`);
    const child = start(['-', '--no-ndpi', '--stats', stats]);
    child.stdin.write(endless);
    child.stdout.once('data', () => child.kill(signal));
    const { code, stdout, stderr } = await finish(child);
    expect({ code, stderr }).toEqual({ code: exit, stderr: '' });
    expect(records(stdout)).toHaveLength(400);
    expect(records(stdout).at(-1)).toMatchObject({ export_reason: 2 });
    expect(JSON.parse(readFileSync(stats, 'utf8'))).toMatchObject({ packets_read: 400, flows_live: 0 });
  });

  it('puts the file of -o in place', async () => {
    const target = file('interrupted.jsonl');
    const child = start(['-', '--no-ndpi', '-o', target]);
    child.stdin.write(endless);
    const parts = () => readdirSync(dirname(target)).filter((name) => name.startsWith('.interrupted.jsonl'));
    const isBegun = () => parts().some((name) => statSync(join(dirname(target), name)).size > 0);
    while (!isBegun()) await sleep(20);
    child.kill('SIGINT');
    const { code } = await finish(child);
    expect(code).toBe(130);
    expect(parts()).toEqual([]);
    const flows = records(readFileSync(target, 'utf8'));
    expect(flows.length).toBeGreaterThan(100);
    expect(flows.at(-1)).toMatchObject({ export_reason: 2 });
  });

  it('that comes twice ends the process at once, though nobody takes its rows', async () => {
    const child = start([file('stuck.pcap', pcap(manyFlows(20_000))), '--no-ndpi']);
    // One piece is read, so it runs; the rest fills the pipe and then waits for us.
    child.stdout.once('data', () => child.stdout.pause());
    await sleep(1500);
    child.kill('SIGINT');
    await sleep(300);
    expect(child.exitCode).toBe(null);
    const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve([code, signal])));
    child.kill('SIGINT');
    expect(await exited).toEqual([null, 'SIGINT']);
    child.stdout.destroy();
  });
});
