import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openSource } from '../../src/source/open-source.ts';
import { ReplaySource, type ReplayTimer } from '../../src/source/replay-source.ts';
import { PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from '../../src/source/source.ts';
import { makePcap } from './captures.ts';
import { drain, drainSource, type ReadRow, rowsOf } from './drain.ts';

const DEMO = fileURLToPath(new URL('../../fixtures/demo.pcapng', import.meta.url));
const START_S = 1_700_000_000;
const START_MS = START_S * 1000;

/** A capture with packets so many ms after its start; each has a frame of its own. */
const captureAt = (...offsetsMs: number[]): Uint8Array =>
  makePcap(
    offsetsMs.map((offset, i) => ({
      seconds: START_S + Math.floor(offset / 1000),
      fraction: Math.round((offset - Math.floor(offset / 1000) * 1000) * 1000),
      data: Uint8Array.of(i >> 8, i, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 0x88, 0x99),
    })),
  );

/** Time that stands still unless it is moved. */
class FakeTimer implements ReplayTimer {
  time = 5000;
  waits: { at: number; done: () => void }[] = [];
  /** What was asked for, in ms. */
  readonly asked: number[] = [];

  now(): number {
    return this.time;
  }

  after(ms: number, done: () => void): () => void {
    const wait = { at: this.time + ms, done };
    this.asked.push(ms);
    this.waits.push(wait);
    return () => {
      this.waits = this.waits.filter((one) => one !== wait);
    };
  }

  pass(ms: number): void {
    this.time += ms;
    for (const wait of this.waits.filter(({ at }) => at <= this.time)) wait.done();
  }
}

/** Each wait is over at once, and time has moved on by it. */
class SkippingTimer extends FakeTimer {
  override after(ms: number, done: () => void): () => void {
    this.asked.push(ms);
    queueMicrotask(() => {
      this.time += ms;
      done();
    });
    return () => {};
  }
}

/** Reads until the replay says wait, buffering what the wrapped source has. */
async function readDue(source: PacketSource, batch = new PacketBatch()): Promise<ReadRow[]> {
  const rows: ReadRow[] = [];
  for (let tries = 0; tries < 4; tries++) {
    for (let count = source.read(batch); count > 0; count = source.read(batch)) rows.push(...rowsOf(batch));
    // Nothing held: the wrapped source wants to be filled.
    if (source.clock?.now() !== Number.NEGATIVE_INFINITY) break;
    await source.fill();
  }
  return rows;
}

const offsets = (rows: readonly ReadRow[]) => rows.map(({ timeMs }) => timeMs - START_MS);

describe('a replay at recorded pace', () => {
  it('gives packets when they are due, and tells the time up to which all were read', async () => {
    const timer = new FakeTimer();
    const source = new ReplaySource(openSource(captureAt(0, 10, 10, 250.5, 3_600_000)), 1, timer);
    await source.open();
    expect(source.clock?.now()).toBe(Number.NEGATIVE_INFINITY);
    expect(offsets(await readDue(source))).toEqual([0]);
    expect(source.clock?.now()).toBe(START_MS);
    timer.pass(9.75);
    expect(await readDue(source)).toEqual([]);
    expect(source.clock?.now()).toBe(START_MS + 9.75);
    timer.pass(0.25);
    expect(offsets(await readDue(source))).toEqual([10, 10]);
    timer.pass(1000);
    // Due, but not read: no flow may end for want of it.
    expect(source.clock?.now()).toBe(START_MS + 250.5);
    expect(offsets(await readDue(source))).toEqual([250.5]);
    expect(source.clock?.now()).toBe(START_MS + 1010);
    timer.pass(3_598_989);
    expect(await readDue(source)).toEqual([]);
    timer.pass(1);
    expect(offsets(await readDue(source))).toEqual([3_600_000]);
    expect(source.read(new PacketBatch())).toBe(SOURCE_END);
    await source.close();
  });

  it('fills until the next packet is due, and no longer', async () => {
    const timer = new FakeTimer();
    const source = new ReplaySource(openSource(captureAt(0, 40)), 1, timer);
    await source.open();
    await readDue(source);
    let isFilled = false;
    const filling = source.fill().then(() => {
      isFilled = true;
    });
    timer.pass(39);
    await nextTurn();
    expect(isFilled).toBe(false);
    timer.pass(1);
    await filling;
    expect(offsets(await readDue(source))).toEqual([40]);
    await source.close();
  });

  it('fills for the time given at most, and until it is closed', async () => {
    const timer = new FakeTimer();
    const source = new ReplaySource(openSource(captureAt(0, 3_600_000)), 1, timer);
    await source.open();
    await readDue(source);
    const filling = source.fill(500);
    timer.pass(500);
    await filling;
    expect(source.clock?.now()).toBe(START_MS + 500);
    expect(source.read(new PacketBatch())).toBe(SOURCE_WAIT);
    const [first, second] = [source.fill(), source.fill()];
    await source.close();
    await Promise.all([first, second]);
    expect(timer.waits).toEqual([]);
    expect(source.read(new PacketBatch())).toBe(SOURCE_END);
    await source.fill();
  });

  it.each([
    [10, 100, 10],
    [0.5, 100, 200],
    [1e-300, 100, 0x7fff_ffff],
    [1, 40 * 86_400_000, 0x7fff_ffff],
    [1e9, 100, 1],
  ])('at speed %d waits for what comes %d ms later %d ms', async (speed, offset, wait) => {
    const timer = new FakeTimer();
    const source = new ReplaySource(openSource(captureAt(0, offset)), speed, timer);
    await source.open();
    expect(offsets(await readDue(source))).toEqual([0]);
    const filling = source.fill();
    expect(timer.asked).toEqual([wait]);
    timer.pass(wait);
    await filling;
    expect(offsets(await readDue(source))).toEqual(wait === 0x7fff_ffff ? [] : [offset]);
    await source.close();
  });

  it('gives what is out of time order when it is reached', async () => {
    const timer = new FakeTimer();
    const source = new ReplaySource(openSource(captureAt(0, 100, -5000, 50, 101)), 1, timer);
    await source.open();
    expect(offsets(await readDue(source))).toEqual([0]);
    timer.pass(99);
    expect(await readDue(source)).toEqual([]);
    timer.pass(1);
    expect(offsets(await readDue(source))).toEqual([100, -5000, 50]);
    expect(timer.asked.every((ms) => ms > 0)).toBe(true);
    await source.close();
  });

  it('gives a reader that fell behind all that became due, in the order of the file', async () => {
    const timer = new FakeTimer();
    const source = new ReplaySource(openSource(captureAt(...Array.from({ length: 1000 }, (_, i) => i))), 1, timer);
    await source.open();
    await readDue(source);
    timer.pass(600);
    expect(offsets(await readDue(source, new PacketBatch(7)))).toEqual(Array.from({ length: 600 }, (_, i) => i + 1));
    await source.close();
  });

  it('tells damage after the packets before it, at their pace', async () => {
    const capture = captureAt(0, 20, 30);
    const timer = new FakeTimer();
    const source = new ReplaySource(openSource(capture.subarray(0, -1)), 1, timer);
    await source.open();
    expect(offsets(await readDue(source))).toEqual([0]);
    expect(source.read(new PacketBatch())).toBe(SOURCE_WAIT);
    timer.pass(20);
    const batch = new PacketBatch();
    expect(source.read(batch)).toBe(1);
    expect(() => source.read(batch)).toThrow(expect.objectContaining({ code: 'TRUNCATED_CAPTURE' }));
    expect(source.read(batch)).toBe(SOURCE_END);
    await source.close();
  });
});

describe('a replay of a slow stream', () => {
  /** A source whose bytes come when the test says so. */
  function slowSource(failure?: Error) {
    const inner = openSource(captureAt(0, 1));
    let arrive = () => {};
    const arrived = new Promise<void>((resolve) => {
      arrive = resolve;
    });
    const fill = inner.fill.bind(inner);
    let fills = 0;
    let reads = 0;
    const read = inner.read.bind(inner);
    inner.fill = async () => {
      fills++;
      await arrived;
      if (failure !== undefined) throw failure;
      await fill();
    };
    inner.read = (batch) => {
      reads++;
      return read(batch);
    };
    return { inner, arrive, counts: () => ({ fills, reads }) };
  }

  it('waits for its bytes as long as asked, once for all, and reads nothing meanwhile', async () => {
    const timer = new FakeTimer();
    const { inner, arrive, counts } = slowSource();
    const source = new ReplaySource(inner, 1, timer);
    const batch = new PacketBatch();
    await source.open();
    expect(source.read(batch)).toBe(SOURCE_WAIT);
    for (let i = 0; i < 2; i++) {
      const filling = source.fill(500);
      timer.pass(500);
      await filling;
      expect(source.read(batch)).toBe(SOURCE_WAIT);
      expect(source.clock?.now()).toBe(Number.NEGATIVE_INFINITY);
    }
    expect(counts()).toEqual({ fills: 1, reads: 1 });
    const filling = source.fill(500);
    arrive();
    await filling;
    expect(timer.waits).toEqual([]);
    expect(source.read(batch)).toBe(1);
    await source.close();
  });

  it('tells a failure once', async () => {
    const timer = new FakeTimer();
    const { inner, arrive } = slowSource(new Error('the wire is cut'));
    const source = new ReplaySource(inner, 1, timer);
    await source.open();
    source.read(new PacketBatch());
    const filling = source.fill(500);
    timer.pass(500);
    await filling;
    const again = source.fill(500);
    arrive();
    await expect(again).rejects.toThrow('the wire is cut');
    await source.close();
  });
});

describe('a replay as fast as it goes', () => {
  it('leaves time to the packets and waits for nothing', async () => {
    const timer = new FakeTimer();
    const source = new ReplaySource(openSource(captureAt(0, 3_600_000)), 'max', timer);
    expect(source.clock).toBeNull();
    const { rows } = await drainSource(source);
    expect(offsets(rows)).toEqual([0, 3_600_000]);
    expect(timer.asked).toEqual([]);
  });
});

describe('a replay at any speed', () => {
  it('gives exactly the packets of the capture, in its order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: -1000, max: 200_000 }), { maxLength: 700 }),
        fc.oneof(fc.constant('max' as const), fc.double({ min: 1e-3, max: 1e6, noNaN: true })),
        fc.constantFrom(1, 7, 256, 4096),
        async (times, speed, capacity) => {
          const capture = captureAt(...times);
          const timer = new SkippingTimer();
          const replayed = await drainSource(new ReplaySource(openSource(capture), speed, timer), capacity);
          const read = await drain(capture);
          expect(replayed).toEqual(read);
          if (speed === 'max' || times.length === 0) return;
          // As long as it took to record, where packets were in order; the last wait is rounded up.
          const recorded = Math.max(0, ...times.map((time) => time - times[0])) / speed;
          const waited = timer.time - 5000;
          expect(waited).toBeGreaterThanOrEqual(recorded - 1e-3);
          expect(waited).toBeLessThanOrEqual(recorded + 2);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('reads a real capture in real time, a thousand times as fast', async () => {
    const { rows, error } = await drain(DEMO);
    const times = rows.map(({ timeMs }) => timeMs);
    const started = performance.now();
    const replayed = await drainSource(new ReplaySource(openSource(DEMO), 1000));
    const took = performance.now() - started;
    expect(replayed.rows).toEqual(rows);
    expect(replayed.error).toBe(error);
    expect(took).toBeGreaterThan((Math.max(...times) - times[0]) / 1000 - 1);
  });
});
