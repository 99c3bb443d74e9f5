import { spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../src/classifier/classifier.ts';
import type { Flow } from '../src/flow/flow.ts';
import { FLOW_BATCH_ROWS } from '../src/flow/flow-batch.ts';
import { bytes, Counter, collect, expectClosed, failure, plain, RAW, ROOT } from './streams.ts';

describe('slow input', () => {
  it('holds no finished flow back while it waits for packets', async () => {
    // Fewer flows than a batch of them holds, from a source that does not end.
    const input = new PassThrough();
    input.write(readFileSync(RAW));
    const setReason = (flow: Flow) => {
      flow.export_reason = 5;
      return 0;
    };
    const streamer = plain({ source: input, userMetrics: { now: (_, flow) => setReason(flow) } });
    const watchdog = setTimeout(() => streamer.stop(), 5000);
    for await (const flow of streamer) {
      expect(flow.export_reason).toBe(5);
      expect(streamer.stats.packets_read).toBeLessThan(FLOW_BATCH_ROWS);
      expect(input.destroyed).toBe(false);
      break;
    }
    clearTimeout(watchdog);
  });
});

describe('ending early', () => {
  it('by break: what onExit throws is not lost', async () => {
    class Bad extends NFStreamClassifier {
      override onExit() {
        throw new Error('no way out');
      }
    }
    const run = async () => {
      for await (const _ of plain({ userClassifiers: new Bad('bad') })) break;
    };
    await expect(run()).rejects.toMatchObject({ code: 'USER_CLASSIFIER_FAILED' });
  });

  it('by asyncDispose, with an iterator in the middle: nothing more comes, no listener stays', async () => {
    const listeners = process.listenerCount('SIGINT');
    const streamer = plain({ handleSigint: true });
    const flows = streamer[Symbol.asyncIterator]();
    expect((await flows.next()).done).toBe(false);
    expect(process.listenerCount('SIGINT')).toBe(listeners + 1);
    await streamer[Symbol.asyncDispose]();
    expect(process.listenerCount('SIGINT')).toBe(listeners);
    expect((await flows.next()).done).toBe(true);
    const { seconds } = streamer.stats;
    await sleep(20);
    expect(streamer.stats.seconds).toBe(seconds);
  });

  it('by break: every flow is ended for classifiers, onExit is called once', async () => {
    const counter = new Counter('counter');
    for await (const _ of plain({ userClassifiers: counter, inactiveTimeout: 0.1 })) break;
    expect(counter.started).toBeGreaterThan(0);
    expect(counter).toMatchObject({ ended: counter.started, exits: 1 });
  });

  it('by an AbortSignal: the live flows come, with reason 2', async () => {
    const input = new PassThrough();
    input.write(bytes);
    const abort = new AbortController();
    const streamer = plain({ source: input, signal: abort.signal });
    setTimeout(() => abort.abort(), 100);
    const records = await collect(streamer);
    expect(records.length).toBeGreaterThan(10);
    expect(records.some((record) => record.export_reason === 2)).toBe(true);
    expect(input.destroyed).toBe(true);
    expectClosed(streamer);
  });

  it('by a signal that was aborted before: no flow, no error', async () => {
    expect(await collect(plain({ signal: AbortSignal.abort() }))).toEqual([]);
  });

  it('by stop(), while nothing arrives', async () => {
    const streamer = plain({ source: new PassThrough() });
    setTimeout(() => streamer.stop(), 50);
    expect(await collect(streamer)).toEqual([]);
  });

  it('by await using', async () => {
    const counter = new Counter('counter');
    {
      await using streamer = plain({ userClassifiers: counter, inactiveTimeout: 0.1 });
      const flows = streamer[Symbol.asyncIterator]();
      expect((await flows.next()).done).toBe(false);
    }
    expect(counter).toMatchObject({ ended: counter.started, exits: 1 });
  });

  it('by SIGINT: the live flows come, and the listener is gone afterwards', async () => {
    const listeners = process.listenerCount('SIGINT');
    const input = new PassThrough();
    input.write(bytes);
    const streamer = plain({ source: input, handleSigint: true });
    setTimeout(() => process.emit('SIGINT'), 100);
    expect((await collect(streamer)).length).toBeGreaterThan(10);
    expect(process.listenerCount('SIGINT')).toBe(listeners);
  });

  it('by a real SIGINT in a program of its own, which then goes on', async () => {
    const program = `
      import { Streamer } from 'nfstream';
      let flows = 0;
      console.log('ready');
      for await (const flow of new Streamer({ source: '-', enableNdpi: false })) flows += 1;
      console.log('flows', flows > 10);
      process.exit(0);`;
    const child = spawn('node', ['--input-type=module', '-e', program], {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    child.stdin.write(bytes);
    while (!out.includes('ready')) await sleep(20);
    await sleep(500);
    child.kill('SIGINT');
    await new Promise((resolve) => child.on('exit', resolve));
    expect(out).toBe('ready\nflows true\n');
  }, 20_000);

  it.skipIf(!existsSync('/proc/self/fd'))('leaves no file open (needs /proc)', async () => {
    const open = () => readdirSync('/proc/self/fd').length;
    for await (const _ of plain({})) break;
    const before = open();
    for (let i = 0; i < 20; i++) for await (const _ of plain({ inactiveTimeout: 0.01 })) break;
    await failure(plain({ source: [RAW, 'no-such.pcap'] }));
    expect(open()).toBeLessThanOrEqual(before);
  });
});
