// What becomes of a live source whose interface goes down, vanishes or fails, and comes back.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SOURCE_END, SOURCE_WAIT } from '../../src/source/source.ts';
import { FakeInterface, packet, readAll, sourceOf } from './fake-capture.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: 1_700_000_000_000, toFake: ['Date', 'performance', 'setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('an interface that goes', () => {
  it.each([
    ['down', (eth0: FakeInterface) => (eth0.isUp = false)],
    ['away', (eth0: FakeInterface) => (eth0.error = { kind: 'down', message: 'The interface disappeared' })],
  ])('%s ends the run with INTERFACE_DOWN, after its packets', async (_name, go) => {
    const eth0 = new FakeInterface();
    const eth1 = new FakeInterface();
    const setting = sourceOf({ eth0, eth1 });
    await setting.source.open();
    expect(setting.source.read(setting.batch)).toBe(SOURCE_WAIT);
    vi.advanceTimersByTime(1000);
    eth0.arrive(packet('last'));
    eth1.arrive(packet('of the other'));
    go(eth0);
    const seen: string[] = [];
    expect(readAll(setting, seen).end).toBe(SOURCE_WAIT);
    // Nothing is counted any more that would not be read; what the kernel has, is.
    expect(eth1.isFinished).toBe(true);
    eth1.arrive(packet('just in time'));
    const filling = setting.source.fill();
    await vi.advanceTimersByTimeAsync(101);
    await filling;
    expect(() => readAll(setting, seen)).toThrow(
      expect.objectContaining({ code: 'INTERFACE_DOWN', file: 'eth0', message: expect.stringMatching(/^eth0: /) }),
    );
    expect(seen.sort()).toEqual(['just in time', 'last', 'of the other']);
    expect(setting.source.read(setting.batch)).toBe(SOURCE_END);
    expect(setting.source.capture.received).toBe(3);
    await setting.source.close();
    expect([eth0.closed, eth1.closed]).toEqual([1, 1]);
  });

  it('is read to its end, and so are the others, though they have more than a batch takes', async () => {
    const flooded = new FakeInterface();
    const gone = new FakeInterface();
    const setting = sourceOf({ flooded, gone }, {}, 8);
    await setting.source.open();
    expect(setting.source.read(setting.batch)).toBe(SOURCE_WAIT);
    flooded.arrive(...Array.from({ length: 1000 }, (_, i) => packet(`f${i}`, Date.now() + i)));
    gone.arrive(...Array.from({ length: 500 }, (_, i) => packet(`g${i}`, Date.now() + i)));
    vi.advanceTimersByTime(1000);
    gone.isUp = false;
    const seen: string[] = [];
    const readOn = async () => {
      while (readAll(setting, seen).end === SOURCE_WAIT) {
        const filling = setting.source.fill();
        await vi.advanceTimersByTimeAsync(101);
        await filling;
      }
    };
    await expect(readOn()).rejects.toMatchObject({ code: 'INTERFACE_DOWN', file: 'gone' });
    expect(seen.length).toBe(1500);
    await setting.source.close();
  });

  it('is waited for with reconnect, and its counters go on', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 }, { reconnect: true });
    await setting.source.open();
    eth0.arrive(packet('before'));
    expect(readAll(setting).seen).toEqual(['before']);
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue();
    eth0.error = { kind: 'down', message: 'The interface disappeared' };
    expect(setting.source.read(setting.batch)).toBe(SOURCE_WAIT);
    expect(warned.mock.calls.map(([text]) => text)).toEqual(['eth0: The interface disappeared; waiting for it']);
    expect(setting.source.capture.interfacesDown).toBe(1);
    eth0.failure = { kind: 'not_found', message: 'No such device exists' };
    for (let i = 0; i < 3; i++) {
      const filling = setting.source.fill();
      await vi.advanceTimersByTimeAsync(500);
      await filling;
      expect(setting.source.read(setting.batch)).toBe(SOURCE_WAIT);
    }
    expect(eth0.opened).toBe(1);
    eth0.error = null;
    eth0.failure = null;
    vi.advanceTimersByTime(500);
    const filling = setting.source.fill(100);
    await vi.advanceTimersByTimeAsync(100);
    await filling;
    expect(warned.mock.calls.map(([text]) => text).slice(1)).toEqual(['eth0: it is back']);
    warned.mockRestore();
    expect(setting.source.capture.interfacesDown).toBe(0);
    eth0.arrive(packet('after'));
    expect(readAll(setting).seen).toEqual(['after']);
    expect(eth0.opened).toBe(2);
    expect(setting.source.capture.received).toBe(2);
    await setting.source.close();
  });

  it('is waited for also while another one is flooded', async () => {
    const flooded = new FakeInterface();
    const gone = new FakeInterface();
    const setting = sourceOf({ flooded, gone }, { reconnect: true }, 8);
    await setting.source.open();
    gone.error = { kind: 'down', message: 'The interface disappeared' };
    expect(setting.source.read(setting.batch)).toBe(SOURCE_WAIT);
    gone.error = null;
    for (let i = 0; i < 4; i++) {
      flooded.arrive(...Array.from({ length: 300 }, () => packet('x')));
      readAll(setting);
      vi.advanceTimersByTime(200);
      await setting.source.fill();
    }
    expect(flooded.waiting.length).toBeGreaterThan(0);
    expect(gone.opened).toBe(2);
    await setting.source.close();
  });

  it('is not waited for when it fails in another way', async () => {
    const eth0 = new FakeInterface();
    const setting = sourceOf({ eth0 }, { reconnect: true });
    await setting.source.open();
    eth0.error = { kind: 'failed', message: 'recvfrom failed' };
    expect(() => setting.source.read(setting.batch)).toThrow(expect.objectContaining({ code: 'CAPTURE_FAILED' }));
  });
});
