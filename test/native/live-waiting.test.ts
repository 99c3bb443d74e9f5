// When a live capture wakes JavaScript, what that costs, and how captures end: closed, abandoned, with their interface, with
// their thread.
import { describe, expect, it } from 'vitest';
import { hasNamespaces, inNamespace, spawnInNamespace } from './in-namespace.ts';

describe.skipIf(!hasNamespaces)('waiting for packets', { concurrent: true }, () => {
  it('hands a packet over in time on a silent link', async () => {
    const late = await inNamespace(async ({ open, ready, readAll, send, sleep }) => {
      const capture = open('wire1', { batchTimeoutMs: 50 });
      const late: number[] = [];
      for (let i = 0; i < 10; i++) {
        const waiting = ready(capture.handle);
        await sleep(37);
        await send(1);
        await waiting;
        const [packet] = readAll(capture);
        late.push(Date.now() - (packet?.timeMs ?? 0));
      }
      return late;
    });
    // 50 ms, and much for a busy machine; a packet that was not there when it called would be late by years.
    for (const ms of late) expect(ms).toBeLessThan(250);
  });

  it('is quicker in immediate mode than the batch timeout', async () => {
    const ms = await inNamespace(async ({ open, ready, readAll, send }) => {
      const capture = open('wire1', { batchTimeoutMs: 5000, immediate: true });
      await send(1);
      await ready(capture.handle);
      const [packet] = readAll(capture);
      return Date.now() - (packet?.timeMs ?? 0);
    });
    expect(ms).toBeLessThan(1000);
  });

  it('wakes once a batch, not once a packet', async () => {
    const { wakes, packets } = await inNamespace(async ({ open, readAll, send, sleep }) => {
      const capture = open('wire1', { batchTimeoutMs: 50 });
      let wakes = 0;
      let packets = 0;
      const go = () =>
        capture.handle.wait(() => {
          wakes++;
          packets += readAll(capture).length;
          go();
        });
      go();
      for (let i = 0; i < 30; i++) await send(100);
      await sleep(200);
      return { wakes, packets };
    });
    expect(packets).toBe(3000);
    expect(wakes).toBeGreaterThan(0);
    expect(wakes).toBeLessThan(300);
  });

  it('costs nothing while the link is silent', async () => {
    const { cpuMs, switches } = await inNamespace(async ({ open, switches, sleep }) => {
      const { handle } = open('wire1');
      handle.wait(() => {});
      await sleep(200);
      const before = { cpu: process.cpuUsage(), switches: switches() };
      await sleep(2000);
      const cpu = process.cpuUsage(before.cpu);
      return { cpuMs: (cpu.user + cpu.system) / 1000, switches: switches() - before.switches };
    });
    expect(cpuMs).toBeLessThan(40);
    expect(switches).toBeLessThan(20);
  });

  it('calls at once when packets wait already, and again as long as some are left', async () => {
    const result = await inNamespace(async ({ open, ready, send, sleep }) => {
      const { handle, target } = open('wire1', {}, 4);
      await send(10);
      await sleep(100);
      const rows: number[] = [];
      const startedMs = performance.now();
      for (let i = 0; i < 3; i++) {
        await ready(handle);
        rows.push(handle.read(0, 0));
      }
      const ms = performance.now() - startedMs;
      const called = await Promise.race([ready(handle).then(() => true), sleep(100).then(() => false)]);
      return { rows, ms, called, length: target.timeMs.length };
    });
    expect(result).toMatchObject({ rows: [4, 4, 2], called: false });
    expect(result.ms).toBeLessThan(1000);
  });

  it('calls the last of several functions, once', async () => {
    const called = await inNamespace(async ({ open, send, sleep }) => {
      const { handle } = open('wire1');
      const called: string[] = [];
      handle.wait(() => called.push('first'));
      handle.wait(() => called.push('second'));
      await send(1);
      handle.wait(() => called.push('third'));
      await sleep(300);
      return called;
    });
    expect(called).toEqual(['third']);
  });

  it('calls from several captures in several threads', async () => {
    const counts = await inNamespace(async ({ addonPath, settings, require, send, sleep }) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const code = `
        const { parentPort, workerData: { addonPath, settings } } = require('node:worker_threads');
        const addon = require(addonPath);
        const rows = 64;
        let count = 0;
        for (const device of ['wire0', 'wire1']) {
          const handle = addon.openCapture(device, settings);
          handle.attach({ bytes: new Uint8Array(1 << 18), timeMs: new Float64Array(rows), frameAt: new Int32Array(rows),
            capturedLength: new Int32Array(rows), wireLength: new Uint32Array(rows) });
          const go = () => handle.wait(() => {
            for (let n; (n = handle.read(0, 0)) > 0; ) count += n;
            go();
          });
          go();
        }
        parentPort.postMessage('open');
        parentPort.on('message', () => parentPort.postMessage(count));`;
      const workers = [1, 2, 3].map(() => new Worker(code, { eval: true, workerData: { addonPath, settings } }));
      const next = (worker: (typeof workers)[number]) =>
        new Promise<unknown>((resolve) => worker.once('message', resolve));
      await Promise.all(workers.map(next));
      await send(500);
      await sleep(200);
      const counts = await Promise.all(
        workers.map((worker) => {
          worker.postMessage('');
          return next(worker);
        }),
      );
      // They end while they wait.
      await Promise.all(workers.map((worker) => worker.terminate()));
      return counts;
    });
    expect(counts).toEqual([1000, 1000, 1000]);
  });
});

describe.skipIf(!hasNamespaces)('the end of a capture', { concurrent: true }, () => {
  it('is told when the interface goes down; a wait does not spin then, and packets come again after it is up', async () => {
    const result = await inNamespace(async ({ open, ready, readAll, send, sleep, sh }) => {
      const capture = open('wire1', { batchTimeoutMs: 50 });
      const { handle } = capture;
      await send(3);
      sh('ip link set wire1 down');
      const states: [number, boolean][] = [];
      const startedMs = performance.now();
      do {
        await ready(handle);
        states.push([readAll(capture).length, handle.isUp()]);
      } while (states.at(-1)?.[1] && states.length < 100);
      const toldMs = performance.now() - startedMs;
      let wakes = 0;
      let again = 0;
      const go = () =>
        handle.wait(() => {
          wakes++;
          again += readAll(capture).length;
          go();
        });
      go();
      const cpu = process.cpuUsage();
      await sleep(1000);
      const { user, system } = process.cpuUsage(cpu);
      const wakesOfDown = wakes;
      sh('ip link set wire1 up');
      // The cable's other end notices a moment later, and sends nothing until then.
      for (let i = 0; i < 50 && again === 0; i++) {
        await send(1);
        await sleep(100);
      }
      return {
        states,
        toldMs,
        wakes: wakesOfDown,
        cpuMs: (user + system) / 1000,
        again: again > 0,
        isUp: handle.isUp(),
      };
    });
    // What came before is read before the interface is called down.
    expect(result.states.reduce((sum, [packets]) => sum + packets, 0)).toBe(3);
    expect(result.states.at(-1)).toEqual([0, false]);
    expect(result.toldMs).toBeLessThan(1000);
    expect(result.wakes).toBeLessThan(15);
    expect(result.cpuMs).toBeLessThan(100);
    expect(result).toMatchObject({ again: true, isUp: true });
  });

  it.each([false, true])(
    'is told when the interface vanishes, after its last packets (down before: %s)',
    async (isDown) => {
      // The function is taken as text, so it can not see `isDown`.
      const vanish = isDown ? 'ip link set wire1 down && sleep 0.3 && ip link del wire1' : 'ip link del wire1';
      const body = `async ({ addon, open, ready, readAll, send, sh, counters }) => {
      const capture = open('wire1', { batchTimeoutMs: 50 });
      const { handle } = capture;
      await send(3);
      sh(${JSON.stringify(vanish)});
      let packets = 0;
      let kind = '';
      let message = '';
      for (let i = 0; i < 100 && kind === ''; i++) {
        await ready(handle);
        try {
          packets += readAll(capture).length;
        } catch (error) {
          ({ kind, message } = error);
        }
      }
      sh('ip link add wire1 type veth peer name other && ip link set wire1 up && ip link set other up');
      const isUp = handle.isUp();
      const counted = counters(handle);
      handle.close();
      const again = addon.openCapture('wire1', { ...capture.settings, snaplen: 100, promiscuous: true, bufferSize: 1 << 20,
        batchTimeoutMs: 10, immediate: false, filter: '', isHeld: false });
      return { packets, kind, message, isUp, counted, again: again.linkType };
    }`;
      const result = await inNamespace<unknown>({ toString: () => body } as never);
      expect(result).toEqual({
        packets: 3,
        kind: 'down',
        message: 'The interface disappeared',
        isUp: false,
        counted: [3, 0, 0],
        again: 1,
      });
    },
  );

  it('does not keep the process, but a wait does', async () => {
    const prelude = `
      const { openCapture } = require(process.argv[1]);
      const handle = openCapture('wire1', { snaplen: 100, promiscuous: true, bufferSize: 1 << 20, batchTimeoutMs: 10,
        immediate: false, filter: '', isHeld: false });`;
    const timer = 'setTimeout(() => handle.close(), 300); const begun = Date.now();';
    const atExit = "process.on('exit', () => console.log(Date.now() - begun >= 290));";
    const ends = await Promise.all(
      [
        `${prelude} console.log('open');`,
        `${prelude} handle.wait(() => {}); ${timer} ${atExit}`,
        `${prelude} handle.wait(() => {}); handle.close(); handle.close(); console.log('closed');`,
        // Only the wait is left, and only a packet ends it.
        `${prelude} handle.wait(() => console.log('woken'));
          const { exec } = require('node:child_process');
          exec('sleep 0.2; ping -c 1 -W 1 192.0.2.2').unref();`,
        `${prelude} handle.wait(() => {}); process.exit(5);`,
        `${prelude} handle.wait(() => process.exit(6)); require('node:child_process').execSync('ip link set wire1 down');`,
        `${prelude} handle.wait(() => { throw new Error('thrown in ready'); });
          process.on('uncaughtException', (error) => { console.log(error.message); handle.close(); });
          require('node:child_process').execSync('ip link set wire1 down');`,
      ].map((script) => spawnInNamespace(script)),
    );
    expect(ends.map(({ code, signal, stdout, stderr }) => [signal ?? code, stdout.trim(), stderr])).toEqual([
      [0, 'open', ''],
      [0, 'true', ''],
      [0, 'closed', ''],
      [0, 'woken', ''],
      [5, '', ''],
      [6, '', ''],
      [0, 'thrown in ready', ''],
    ]);
  });

  it('comes by close, inside of ready, too, and nothing works after it', async () => {
    const result = await inNamespace(async ({ open, send, sleep }) => {
      const { handle, target } = open('wire1');
      let calls = 0;
      handle.wait(() => {
        calls++;
        handle.close();
        handle.close();
      });
      await send(5);
      await sleep(200);
      const thrown = [
        () => handle.read(0, 0),
        () => handle.wait(() => {}),
        () => handle.attach(target),
        () => handle.stats(new Float64Array(3)),
        () => handle.isUp(),
        () => handle.joinFanout(1, new Uint32Array([6, 0])),
        () => handle.release(),
        () => handle.finish(),
      ].map((call) => {
        try {
          return call();
        } catch (error) {
          return (error as Error).message;
        }
      });
      return { calls, thrown: [...new Set(thrown)] };
    });
    expect(result).toEqual({ calls: 1, thrown: ['the capture is closed'] });
  });

  it('comes to captures that nobody holds any more, and to none that still waits', async () => {
    const result = await inNamespace(async ({ open, send, sleep, require }) => {
      const { readdirSync } = require('node:fs') as typeof import('node:fs');
      const files = () => readdirSync('/proc/self/fd').length;
      const threads = () => readdirSync('/proc/self/task').length;
      const collect = async () => {
        for (let i = 0; i < 3; i++) {
          globalThis.gc?.();
          await sleep(20);
        }
      };
      open('wire1').handle.close();
      const before = [files(), threads()];
      let woken = 0;
      const make = () => {
        for (let i = 0; i < 20; i++) open('wire1', { bufferSize: 1 << 18 });
        for (let i = 0; i < 5; i++) open('wire1', { bufferSize: 1 << 18 }).handle.wait(() => woken++);
      };
      make();
      await collect();
      const waiting = threads();
      await send(1);
      await sleep(200);
      await collect();
      return { before, waiting, after: [files(), threads()], woken };
    });
    expect(result.waiting).toBe(result.before[1] + 5);
    expect(result.woken).toBe(5);
    expect(result.after).toEqual(result.before);
  });
});
