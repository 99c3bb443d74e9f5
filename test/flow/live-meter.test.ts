// The meter of a source whose time goes on by itself: flows end although nothing arrives, in time, and are cut where an
// offline run cuts them.
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import { ExpiryWheel } from '../../src/flow/expiry-wheel.ts';
import { Flow } from '../../src/flow/flow.ts';
import type { FlowObserver } from '../../src/flow/flow-observer.ts';
import { FlowMeter } from '../../src/flow/meter.ts';
import type { MeterOptions } from '../../src/flow/meter-options.ts';
import type { RecordStore } from '../../src/flow/record.ts';
import { PacketColumns } from '../../src/packet/packet-columns.ts';
import { PacketBatch } from '../../src/source/source.ts';
import { meterPackets, OPTIONS, setRow, type TestPacket, type TestRecord } from './metered.ts';

/** A flow leaves so long after its deadline at most, on the clock that the meter is given. */
const TICK_MS = 200;

class LiveRun {
  readonly #columns = new PacketColumns(1);
  readonly #batch = new PacketBatch(1);
  readonly meter: FlowMeter;
  /** Records with the clock at which they were handed over. */
  readonly ended: { record: TestRecord; atMs: number }[] = [];

  constructor(options: Partial<MeterOptions> = {}, observer: FlowObserver | null = null) {
    this.meter = new FlowMeter({ ...OPTIONS, expiresActive: true, ...options }, this.#columns, observer);
    this.#batch.clockMs = new Float64Array(1);
    this.#batch.count = 1;
  }

  packet(packet: TestPacket, clockMs: number = packet.time): void {
    setRow(this.#batch, this.#columns, 0, packet);
    this.#batch.clockMs[0] = clockMs;
    this.#batch.first = this.meter.packetsProcessed + 1;
    this.meter.meter(this.#batch);
    this.#take(clockMs);
  }

  advance(clockMs: number): void {
    this.meter.advance(clockMs);
    this.#take(clockMs);
  }

  end(atMs: number): TestRecord[] {
    while (this.meter.terminate(10)) this.#take(atMs);
    this.#take(atMs);
    return this.ended.map(({ record }) => record);
  }

  #take(atMs: number): void {
    for (const finished of this.meter.takeFinished()) {
      this.meter.countExported(finished);
      for (let row = 0; row < finished.count; row++)
        this.ended.push({ record: finished.flow(row).toJSON() as TestRecord, atMs });
    }
  }
}

const packet = (time: number, more: Partial<TestPacket> = {}): TestPacket => ({ time, src: 1, dst: 2, ...more });

/** What a flow is, without when it was handed over and which of the timeouts it was. */
const identity = (record: TestRecord) => {
  const { ip_src, ip_dst, src_to_dst_pkts, dst_to_src_pkts, syn_count, start_time, end_time } = record;
  const { flow_id, segment, export_reason } = record;
  return JSON.stringify({
    ...{ flow_id, segment, ip_src, ip_dst, src_to_dst_pkts, dst_to_src_pkts, syn_count, start_time, end_time },
    isTcpEnd: export_reason === -2,
  });
};

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

  it('ends a flow a second after its connection, whatever else ends one', () => {
    const run = new LiveRun({ tcpEnd: true, activeTimeoutMs: 2500 });
    run.packet(packet(1000, { flags: 0x02 }));
    run.packet(packet(3000, { flags: 0x04 }));
    run.advance(3999);
    expect(run.ended).toEqual([]);
    run.advance(4000 + TICK_MS);
    expect(run.ended.map(({ record }) => record.export_reason)).toEqual([-2]);
    expect(run.meter.flowsLive).toBe(0);
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

/** Counts how flows of each slot begin and end; a slot has one at a time. */
class SlotWatcher implements FlowObserver {
  readonly live = new Map<number, Flow>();
  starts = 0;
  updates = 0;

  touch(): void {}
  started(slot: number, store: RecordStore): void {
    expect(this.live.has(slot)).toBe(false);
    this.live.set(slot, new Flow(store, slot));
    this.starts++;
  }
  updated(_row: number, slot: number): boolean {
    expect(this.live.has(slot)).toBe(true);
    this.updates++;
    return false;
  }
  ended(slot: number): Flow {
    const flow = this.live.get(slot);
    this.live.delete(slot);
    expect(flow).toBeDefined();
    return flow as Flow;
  }
  findings(): undefined {}
}

describe('a conversation whose flow was cut', () => {
  const cutAt = 5000;
  const rested = (options: Partial<MeterOptions> = {}, observer: FlowObserver | null = null) => {
    const run = new LiveRun({ activeTimeoutMs: cutAt, ...options }, observer);
    run.packet(packet(0));
    run.packet(packet(4900));
    run.advance(cutAt + TICK_MS);
    expect(run.ended.map(({ record }) => record.export_reason)).toEqual([1]);
    return run;
  };
  const parts = (records: TestRecord[]) =>
    records.map((r) => [r.flow_id, r.segment, r.ip_src, r.src_to_dst_pkts, r.dst_to_src_pkts, r.export_reason]);

  it('is no live flow, and nothing comes of it at the end', () => {
    const run = rested();
    expect(run.meter.flowsLive).toBe(0);
    expect(run.end(6000)).toHaveLength(1);
  });

  it('goes on with its next packet, in its direction', () => {
    const run = rested();
    run.packet(packet(34_899, { src: 2, dst: 1 }));
    expect(run.meter.flowsLive).toBe(1);
    run.advance(34_899 + cutAt - 1);
    expect(run.ended).toHaveLength(1);
    // Cut again, though it rested for longer than its timeout.
    run.advance(34_899 + cutAt + TICK_MS);
    run.packet(packet(41_000));
    expect(parts(run.end(41_000))).toEqual([
      [1, 0, '0.0.0.1', 2, 0, 1],
      [1, 1, '0.0.0.1', 0, 1, 1],
      [1, 2, '0.0.0.1', 1, 0, 2],
    ]);
  });

  it('is over when it has been inactive since its last packet, not since it was cut', () => {
    const run = rested();
    run.packet(packet(34_900, { src: 2, dst: 1 }));
    expect(parts(run.end(34_900)).at(-1)).toEqual([3, 0, '0.0.0.2', 1, 0, 2]);
  });

  it('is over without a trace when its time has passed, and its slot is free', () => {
    const run = rested({ capacity: 1 });
    run.advance(34_900 + TICK_MS);
    run.packet(packet(36_000, { src: 7 }));
    expect(parts(run.end(36_000))).toEqual([
      [1, 0, '0.0.0.1', 2, 0, 1],
      [3, 0, '0.0.0.7', 1, 0, 2],
    ]);
    expect(run.meter.flowsEvicted).toBe(0);
  });

  it.each(['drop', 'export'] as const)('makes room silently (%s)', (onCapacity) => {
    const run = rested({ capacity: 1, onCapacity });
    run.packet(packet(6000, { src: 7 }));
    expect(parts(run.end(6000))).toEqual([
      [1, 0, '0.0.0.1', 2, 0, 1],
      [3, 0, '0.0.0.7', 1, 0, 2],
    ]);
    expect(run.meter.flowsEvicted).toBe(0);
    expect(run.meter.exported.capacity).toBe(0);
  });

  it('begins and ends once for each of its flows, as user code sees it', () => {
    const watcher = new SlotWatcher();
    const run = rested({}, watcher);
    expect(watcher).toMatchObject({ starts: 1, updates: 2 });
    run.packet(packet(9000));
    run.advance(9000 + cutAt + TICK_MS);
    expect(watcher.live.size).toBe(0);
    run.end(15_000);
    expect(watcher).toMatchObject({ starts: 2, updates: 3 });
  });

  it('leaves nothing behind: ten thousand of them one after the other go through a table of three', () => {
    const watcher = new SlotWatcher();
    const run = new LiveRun({ activeTimeoutMs: 100, inactiveTimeoutMs: 400, capacity: 3 }, watcher);
    for (let i = 0; i < 10_000; i++) {
      run.packet(packet(i * 200, { src: 10 + i }));
      if (i % 3 === 0) run.packet(packet(i * 200 + 50, { src: 2, dst: 10 + i }));
    }
    run.advance(10_000_000);
    expect(run.meter.flowsLive).toBe(0);
    expect(run.meter.terminate(1)).toBe(false);
    expect(run.ended).toHaveLength(10_000);
    expect(run.meter.flowsEvicted).toBe(0);
    expect(watcher.live.size).toBe(0);
  });

  it.each([0, 20, 1000])(
    'is not looked at over and over until it is inactive (active timeout of %i ms)',
    (activeTimeoutMs) => {
      const add = vi.spyOn(ExpiryWheel.prototype, 'add');
      try {
        const run = new LiveRun({ activeTimeoutMs });
        run.packet(packet(0));
        for (let clockMs = 0; clockMs <= 29_000; clockMs += 10) run.advance(clockMs);
        expect(parts(run.ended.map(({ record }) => record))).toEqual([[1, 0, '0.0.0.1', 1, 0, 1]]);
        run.packet(packet(29_000));
        run.advance(29_000 + activeTimeoutMs + TICK_MS);
        expect(run.ended).toHaveLength(2);
        expect(add.mock.calls.length).toBeLessThan(10);
      } finally {
        add.mockRestore();
      }
    },
  );
});

it('says which timeout passed first, however late somebody looks', () => {
  for (const look of ['clock', 'packet', 'end'] as const) {
    const run = new LiveRun({ activeTimeoutMs: 5000 });
    run.packet(packet(0));
    if (look === 'clock') run.advance(50_000);
    else if (look === 'packet') run.packet(packet(50_000));
    else run.meter.advance(50_000);
    const [first] = run.end(50_000);
    expect(first).toMatchObject({ start_time: 0, export_reason: 1 });
  }
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
      isBack: fc.boolean(),
      // ACK, FIN, RST, SYN
      flags: fc.constantFrom(0x10, 0x10, 0x10, 0x11, 0x04, 0x02),
      /** Time passes without a packet. */
      isQuiet: fc.boolean(),
    }),
    { maxLength: 120 },
  );
  const timeouts = fc.record({
    inactiveTimeoutMs: fc.constantFrom(500, 1000, 3000, 20_000),
    activeTimeoutMs: fc.constantFrom(500, 2000, 5000, 60_000),
    tcpEnd: fc.boolean(),
    capacity: fc.constantFrom(1, 2, 1000),
    onCapacity: fc.constant('export' as const),
  });

  it('cuts the same flows, hands each over in time, and none too early', () => {
    fc.assert(
      fc.property(events, timeouts, (list, drawn) => {
        // Flows whose connections have ended take room until the clock is looked at, which is not as often offline.
        const options = { ...drawn, capacity: drawn.tcpEnd ? 1000 : drawn.capacity };
        const watcher = new SlotWatcher();
        const run = new LiveRun(options, watcher);
        const packets: TestPacket[] = [];
        let now = 1_000_000;
        for (const { gapMs, src, isBack, flags, isQuiet } of list) {
          now += gapMs;
          if (isQuiet) run.advance(now);
          else {
            packets.push(packet(now, { ...(isBack ? { src: 9, dst: src } : { src, dst: 9 }), flags }));
            run.packet(packets[packets.length - 1]);
          }
        }
        const live = new Set(run.ended);
        run.advance(now + 100_000);
        run.end(now + 100_000);
        const offline = meterPackets(packets, options).records;
        expect(run.ended.map(({ record }) => identity(record)).sort()).toEqual(offline.map(identity).sort());
        expect(watcher.live.size).toBe(0);
        for (const ended of run.ended) {
          const { record, atMs } = ended;
          const { start_time, end_time, export_reason } = record;
          if (export_reason < 0) continue;
          const deadline = Math.min(end_time + options.inactiveTimeoutMs, start_time + options.activeTimeoutMs);
          expect(atMs).toBeGreaterThanOrEqual(deadline);
          // The timeout that passed first, whenever that was noticed.
          expect(export_reason).toBe(deadline === end_time + options.inactiveTimeoutMs ? 0 : 1);
          // Whoever was still live at the end had no deadline that passed more than a tick ago.
          if (!live.has(ended)) expect(deadline).toBeGreaterThan(now - TICK_MS - 1);
        }
      }),
      { numRuns: 300 },
    );
  });
});
