// The meter of a source whose time goes on by itself: flows end although nothing arrives, in time, and are cut where an
// offline run cuts them.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowMeter } from '../../src/flow/meter.ts';
import type { MeterOptions } from '../../src/flow/meter-options.ts';
import type { FlowRecord } from '../../src/flow/schema.ts';
import { PacketColumns } from '../../src/packet/packet-columns.ts';
import { PacketBatch } from '../../src/source/source.ts';
import { meterPackets, OPTIONS, setRow, type TestPacket } from './metered.ts';

/** A flow leaves so long after its deadline at most, on the clock that the meter is given. */
const TICK_MS = 200;

class LiveRun {
  readonly #columns = new PacketColumns(1);
  readonly #batch = new PacketBatch(1);
  readonly meter: FlowMeter;
  /** Records with the clock at which they were handed over. */
  readonly ended: { record: FlowRecord; atMs: number }[] = [];

  constructor(options: Partial<MeterOptions> = {}) {
    this.meter = new FlowMeter({ ...OPTIONS, expiresActive: true, ...options }, this.#columns, null, 1);
    this.#batch.clockMs = new Float64Array(1);
    this.#batch.count = 1;
  }

  packet(packet: TestPacket, clockMs: number = packet.time): void {
    setRow(this.#batch, this.#columns, 0, packet);
    this.#batch.clockMs[0] = clockMs;
    this.meter.meter(this.#batch);
    this.#take(clockMs);
  }

  advance(clockMs: number): void {
    this.meter.advance(clockMs);
    this.#take(clockMs);
  }

  end(atMs: number): FlowRecord[] {
    while (this.meter.terminate(10)) this.#take(atMs);
    this.#take(atMs);
    return this.ended.map(({ record }) => record);
  }

  #take(atMs: number): void {
    for (const finished of this.meter.takeFinished()) {
      for (let row = 0; row < finished.count; row++) this.ended.push({ record: finished.flow(row).toJSON(), atMs });
    }
  }
}

const packet = (time: number, more: Partial<TestPacket> = {}): TestPacket => ({ time, src: 1, dst: 2, ...more });

/** What a flow is, without why and when it was handed over. */
const identity = ({ ip_src, ip_dst, src_to_dst_pkts, dst_to_src_pkts, start_time, end_time }: FlowRecord) =>
  [ip_src, ip_dst, src_to_dst_pkts, dst_to_src_pkts, start_time, end_time].join(' ');

describe('without packets', () => {
  it('ends a flow when it has been inactive, not before', () => {
    const run = new LiveRun();
    run.packet(packet(1000));
    run.advance(30_999);
    expect(run.ended).toEqual([]);
    run.advance(31_000 + TICK_MS);
    expect(run.ended.map(({ record }) => record.export_reason)).toEqual([0]);
    expect(run.meter.flowsLive).toBe(0);
  });

  it('ends a flow when it has been active, though inactivity would take longer', () => {
    const run = new LiveRun({ activeTimeoutMs: 5000 });
    run.packet(packet(1000));
    run.packet(packet(4000));
    run.advance(5999);
    expect(run.ended).toEqual([]);
    run.advance(6000 + TICK_MS);
    expect(run.ended.map(({ record }) => record.export_reason)).toEqual([1]);
    // The next packet begins another one.
    run.packet(packet(7000));
    expect(run.end(7000)).toHaveLength(2);
  });

  it.each([
    ['in time, however long the timeout', 48 * 3_600_000],
    ['in time, with the longest timeout that the wheel has buckets for', 65_534 * 200],
  ])('ends flows %s', (_what, timeout) => {
    const run = new LiveRun({ activeTimeoutMs: Number.POSITIVE_INFINITY, inactiveTimeoutMs: timeout });
    // Apart from each other, and from the ticks of longer wheels.
    for (let i = 0; i < 10; i++) run.packet(packet(1000 + i * 777, { src: 10 + i }));
    const step = (at: number) => Math.max(50, Math.min(600_000, timeout - 1000 - at));
    for (let at = 10_000; at < timeout + 20_000; at += step(at)) run.advance(at);
    expect(run.ended).toHaveLength(10);
    for (const [i, { atMs }] of run.ended.entries()) {
      expect(atMs).toBeGreaterThanOrEqual(1000 + i * 777 + timeout);
      expect(atMs).toBeLessThanOrEqual(1000 + i * 777 + timeout + TICK_MS + 50);
    }
  });

  it('never moves the clock back', () => {
    const run = new LiveRun();
    run.advance(100_000);
    run.packet(packet(100_000));
    run.advance(1000);
    run.advance(Number.NEGATIVE_INFINITY);
    run.advance(129_999);
    expect(run.ended).toEqual([]);
  });

  it('ends nothing with timeouts of Infinity', () => {
    const run = new LiveRun({ activeTimeoutMs: Number.POSITIVE_INFINITY, inactiveTimeoutMs: Number.POSITIVE_INFINITY });
    run.packet(packet(0));
    run.advance(1e12);
    expect(run.ended).toEqual([]);
  });

  it.each([[0], [1]])('ends flows at once with timeouts of %i', (timeout) => {
    const run = new LiveRun({ activeTimeoutMs: timeout, inactiveTimeoutMs: timeout });
    run.packet(packet(1000));
    run.advance(1000 + timeout + TICK_MS);
    expect(run.ended).toHaveLength(1);
  });
});

describe('while the system clock is set', () => {
  it.each([
    ['an hour ahead', 3_600_000],
    ['an hour back', -3_600_000],
  ])('%s, no flow ends before its time', (_name, step) => {
    const run = new LiveRun();
    for (let src = 1; src <= 100; src++) run.packet(packet(10_000 + src, { src, dst: 200 }));
    for (let src = 1; src <= 100; src++) run.packet(packet(20_000 + step + src, { src, dst: 200 }), 20_000 + src);
    expect(run.ended).toEqual([]);
    const records = run.end(21_000);
    expect(records).toHaveLength(100);
    for (const record of records) expect(record.src_to_dst_pkts).toBe(2);
  });
});

describe('against an offline run and the deadlines', () => {
  const events = fc.array(
    fc.record({
      gapMs: fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 4000 })),
      src: fc.integer({ min: 1, max: 4 }),
      /** Time passes without a packet. */
      isQuiet: fc.boolean(),
    }),
    { maxLength: 120 },
  );
  const timeouts = fc.record({
    inactiveTimeoutMs: fc.constantFrom(500, 1000, 3000, 20_000),
    activeTimeoutMs: fc.constantFrom(500, 2000, 5000, 60_000),
  });

  it('cuts the same flows, hands each over in time, and none too early', () => {
    fc.assert(
      fc.property(events, timeouts, (list, options) => {
        const run = new LiveRun(options);
        const packets: TestPacket[] = [];
        let now = 1_000_000;
        for (const { gapMs, src, isQuiet } of list) {
          now += gapMs;
          if (isQuiet) run.advance(now);
          else {
            packets.push(packet(now, { src, dst: 9 }));
            run.packet(packets[packets.length - 1]);
          }
        }
        const live = new Set(run.ended);
        run.advance(now + 100_000);
        run.end(now + 100_000);
        const offline = meterPackets(packets, options).records;
        expect(run.ended.map(({ record }) => identity(record)).sort()).toEqual(offline.map(identity).sort());
        for (const ended of run.ended) {
          const { record, atMs } = ended;
          const { start_time, end_time, export_reason } = record;
          const deadline = Math.min(end_time + options.inactiveTimeoutMs, start_time + options.activeTimeoutMs);
          expect(atMs).toBeGreaterThanOrEqual(deadline);
          expect(export_reason).toBe(atMs - end_time >= options.inactiveTimeoutMs ? 0 : 1);
          // Whoever was still live at the end had no deadline that passed more than a tick ago.
          if (!live.has(ended)) expect(deadline).toBeGreaterThan(now - TICK_MS - 1);
        }
      }),
      { numRuns: 300 },
    );
  });
});
