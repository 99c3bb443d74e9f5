import { realpathSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { loadCapture } from '../../src/native/capture.ts';
import { InterfaceSource } from '../../src/source/interface-source.ts';
import { LiveClock } from '../../src/source/live-clock.ts';
import { SOURCE_END, SOURCE_WAIT } from '../../src/source/source.ts';
import { FakeInterface, OPTIONS, packet, readAll, sourceOf, texts } from './fake-capture.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('packets of interfaces', () => {
  it('come in order, with their lengths, time stamps and link type', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 });
    await setting.source.open();
    const long = 'x'.repeat(3000);
    eth0.arrive(packet('one', 1_699_999_999_999.25), packet(long));
    expect(setting.source.read(setting.batch)).toBe(2);
    const { batch } = setting;
    expect(texts(batch)).toEqual(['one', long.slice(0, 2000)]);
    expect(batch.timeMs[0]).toBe(1_699_999_999_999.25);
    expect(batch.clockMs[0]).toBe(1_699_999_999_999.25);
    expect([...batch.wireLength.subarray(0, 2)]).toEqual([3, 3000]);
    expect([...batch.linkType.subarray(0, 2)]).toEqual([1, 1]);
    expect(setting.source.bytesRead).toBe(2003);
    expect(setting.source.read(batch)).toBe(SOURCE_WAIT);
    await setting.source.close();
    expect(eth0.closed).toBe(1);
  });

  it('of several interfaces share a batch, and take turns when one of them is never silent', async () => {
    const a = new FakeInterface();
    const b = new FakeInterface();
    const setting = sourceOf({ a, b }, {}, 8);
    await setting.source.open();
    a.arrive(...Array.from({ length: 100 }, (_, i) => packet(`a${i}`)));
    b.arrive(packet('b0'), packet('b1'));
    const first = [setting.source.read(setting.batch), ...texts(setting.batch)];
    const second = [setting.source.read(setting.batch), ...texts(setting.batch)];
    expect([...first, ...second]).toContain('b1');
    const { seen } = readAll(setting);
    expect(new Set([...first, ...second, ...seen].filter((text) => typeof text === 'string')).size).toBe(102);
    await setting.source.close();
  });

  it('of several interfaces come in the order of time, however far behind each buffer is', async () => {
    const a = new FakeInterface();
    const b = new FakeInterface();
    const setting = sourceOf({ a, b }, {}, 8);
    await setting.source.open();
    const start = Date.now();
    // Forty seconds wait: one packet each 50 ms in the one, one each second in the other.
    a.arrive(...Array.from({ length: 800 }, (_, i) => packet(`a${i}`, start + i * 50)));
    b.arrive(...Array.from({ length: 40 }, (_, i) => packet(`b${i}`, start + 25 + i * 1000)));
    vi.advanceTimersByTime(40_000);
    const times: number[] = [];
    const seen: string[] = [];
    while (times.length < 840) {
      const rows = setting.source.read(setting.batch);
      if (rows === SOURCE_WAIT) await setting.source.fill();
      times.push(...setting.batch.clockMs.subarray(0, setting.batch.count));
      seen.push(...texts(setting.batch));
    }
    expect(times).toEqual([...times].sort((one, other) => one - other));
    expect(seen.filter((text) => text.startsWith('a'))).toEqual(Array.from({ length: 800 }, (_, i) => `a${i}`));
    expect(seen.filter((text) => text.startsWith('b'))).toEqual(Array.from({ length: 40 }, (_, i) => `b${i}`));
    await setting.source.close();
  });

  it('wake a fill; one that waits for nothing ends at its time-out', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 });
    await setting.source.open();
    expect(setting.source.read(setting.batch)).toBe(SOURCE_WAIT);
    const filling = setting.source.fill();
    eth0.arrive(packet('late'));
    await filling;
    expect(readAll(setting).seen).toEqual(['late']);

    const timed = setting.source.fill(200);
    await vi.advanceTimersByTimeAsync(200);
    await timed;
    await setting.source.close();
  });

  it('of a busy link are left to gather for a while; a stop does not wait for that', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 });
    await setting.source.open();
    vi.advanceTimersByTime(20);
    eth0.arrive(...Array.from({ length: 300 }, () => packet('x')));
    readAll(setting);
    let isOver = false;
    const resting = setting.source.fill(200).then(() => {
      isOver = true;
    });
    eth0.arrive(packet('y'));
    await vi.advanceTimersByTimeAsync(19);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await resting;
    expect(readAll(setting).seen).toEqual(['y']);

    eth0.arrive(...Array.from({ length: 300 }, () => packet('x')));
    readAll(setting);
    const last = setting.source.fill(200);
    setting.source.stop();
    await last;
    await setting.source.close();
  });

  it('that would fill the buffer meanwhile are read at once', async () => {
    const eth0 = new FakeInterface();
    // 30,000 packets a second of 1,000 bytes: an eighth of 64 KiB in a quarter of a ms.
    const setting = sourceOf({ eth0 }, { bufferSize: 1 << 16 });
    await setting.source.open();
    vi.advanceTimersByTime(10);
    eth0.arrive(...Array.from({ length: 300 }, () => packet('x'.repeat(1000))));
    readAll(setting);
    const filling = setting.source.fill(200);
    eth0.arrive(packet('y'));
    await filling;
    expect(readAll(setting).seen).toEqual(['y']);
    await setting.source.close();
  });

  it('that never stop coming still let timers and signals through', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 }, {}, 4);
    await setting.source.open();
    eth0.arrive(...Array.from({ length: 1000 }, (_, i) => packet(`${i}`)));
    const { seen, end } = readAll(setting);
    expect(end).toBe(SOURCE_WAIT);
    expect(seen.length).toBeLessThan(1000);
    // Not caught up: nothing may end by the clock yet.
    expect(setting.source.clock.now()).toBe(Number.NEGATIVE_INFINITY);
    while (seen.length < 1000) {
      await setting.source.fill();
      readAll(setting, seen);
    }
    expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => `${i}`));
    await setting.source.close();
  });
});

describe('the clock', () => {
  it('stands behind the present by what packets may take to be handed over', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 });
    await setting.source.open();
    setting.source.read(setting.batch);
    const now = Date.now();
    expect(setting.source.clock.now()).toBe(now - 100);
    vi.advanceTimersByTime(1000);
    setting.source.read(setting.batch);
    expect(setting.source.clock.now()).toBe(now + 900);
    await setting.source.close();
  });
});

describe('a stop', () => {
  it('still gives what had arrived, also what the kernel hands over only then', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 });
    await setting.source.open();
    expect(setting.source.read(setting.batch)).toBe(SOURCE_WAIT);
    const filling = setting.source.fill();
    setting.source.stop();
    await filling;
    expect(setting.source.isDraining).toBe(true);
    expect(eth0.isFinished).toBe(true);
    expect(setting.source.read(setting.batch)).toBe(SOURCE_WAIT);
    const draining = setting.source.fill();
    eth0.arrive(packet('just in time'));
    await draining;
    expect(readAll(setting)).toEqual({ seen: ['just in time'], end: SOURCE_WAIT });
    const last = setting.source.fill();
    await vi.advanceTimersByTimeAsync(101);
    await last;
    expect(setting.source.read(setting.batch)).toBe(SOURCE_END);
    expect(setting.source.isDraining).toBe(false);
  });

  it('before the interface is open lets nothing in', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 });
    setting.source.stop();
    await setting.source.open();
    expect(eth0.isFinished).toBe(true);
    await setting.source.close();
  });

  it('is not held up by a flood', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 });
    await setting.source.open();
    setting.source.stop();
    vi.advanceTimersByTime(150);
    eth0.arrive(...Array.from({ length: 10_000 }, () => packet('flood')));
    expect(setting.source.read(setting.batch)).toBeGreaterThan(0);
    expect(setting.source.read(setting.batch)).toBe(SOURCE_END);
  });
});

describe('opening', () => {
  const program = realpathSync(process.execPath);

  it.each([
    ['denied', 'CAPTURE_DENIED', `sudo setcap cap_net_raw=eip ${program}`],
    ['not_found', 'SOURCE_NOT_FOUND', 'no such interface'],
    [
      'down',
      'INTERFACE_DOWN',
      `words of libpcap${process.platform === 'linux' ? '; to bring it up: sudo ip link set eth1 up' : ''}`,
    ],
    ['filter', 'INVALID_FILTER', 'for eth0 for bpfFilter and received "tcp prot": words of libpcap'],
    ['failed', 'CAPTURE_FAILED', 'words of libpcap'],
  ] as const)('that is refused as %s is %s', async (kind, code, words) => {
    const eth0 = new FakeInterface();
    const eth1 = new FakeInterface();
    eth1.failure = { kind, message: 'words of libpcap' };
    const { source } = sourceOf({ eth0, eth1 }, { filter: 'tcp prot' });
    const text = kind === 'filter' ? words.replace('eth0', 'eth1') : words;
    await expect(source.open()).rejects.toMatchObject({ code, message: expect.stringContaining(text) });
    expect(eth0.closed).toBe(1);
  });

  it('hands libpcap the options', async () => {
    const eth0 = new FakeInterface();
    const { source } = sourceOf({ eth0 }, { snaplen: 0x7fff_ffff, promiscuous: false, filter: 'udp' });
    await source.open();
    expect(eth0.settings).toEqual({
      snaplen: 262_144,
      promiscuous: false,
      bufferSize: 1 << 20,
      batchTimeoutMs: 50,
      immediate: false,
      filter: 'udp',
      isHeld: false,
    });
    await source.close();
  });

  it.skipIf(!loadCapture().ok)('refuses what the addon does not even take, too', async () => {
    const filter = Array.from({ length: 6000 }, () => 'host 10.0.0.1').join(' or ');
    const long = new InterfaceSource(['lo'], { ...OPTIONS, filter });
    await expect(long.open()).rejects.toMatchObject({
      code: 'INVALID_FILTER',
      message: expect.stringMatching(/^Expected a filter .* for lo for bpfFilter and received .{200,400}$/),
    });
    const nameless = new InterfaceSource(['x'.repeat(300)], OPTIONS);
    await expect(nameless.open()).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
  });

  it('says what to do where the addon is missing', async () => {
    const source = new InterfaceSource(['eth0'], OPTIONS, new LiveClock(), () => ({
      ok: false,
      name: 'capture',
      tried: [],
      message: 'the addon is missing',
    }));
    await expect(source.open()).rejects.toMatchObject({ code: 'CAPTURE_UNAVAILABLE' });
  });
});

describe('the counters', () => {
  it('know what waits although nobody reads', async () => {
    const eth0 = new FakeInterface();
    const { source } = sourceOf({ eth0 });
    await source.open();
    eth0.arrive(...Array.from({ length: 700 }, () => packet('x')));
    expect(source.capture.queueHighWater).toBe(700);
    await source.close();
  });

  it('know how many packets waited in the kernel at most', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 });
    await setting.source.open();
    eth0.dropped = 3;
    eth0.arrive(...Array.from({ length: 700 }, () => packet('x')));
    setting.source.read(setting.batch);
    const filling = setting.source.fill(1);
    await vi.advanceTimersByTimeAsync(20);
    await filling;
    readAll(setting);
    expect(setting.source.capture).toEqual({
      received: 703,
      droppedByKernel: 3,
      droppedByInterface: 0,
      queueHighWater: 444,
      interfacesDown: 0,
    });
    await setting.source.close();
  });
});
