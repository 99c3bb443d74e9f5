import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { meterPackets, type TestPacket } from './metered.ts';
import { asModel, asSet, modelOf, recordOf } from './model.ts';

const A = 0x0a000001;
const B = 0x0a000002;

const there = (time: number, more: Partial<TestPacket> = {}): TestPacket => ({
  time,
  src: A,
  dst: B,
  srcPort: 1000,
  dstPort: 53,
  ...more,
});
const back = (time: number, more: Partial<TestPacket> = {}): TestPacket => ({
  time,
  src: B,
  dst: A,
  srcPort: 53,
  dstPort: 1000,
  ...more,
});

describe('what a flow is', () => {
  it('joins both directions; the first packet gives the source', () => {
    const { records } = meterPackets([back(1, { length: 100 }), there(2, { length: 60 }), there(3, { length: 61 })]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({
      ip_src: '10.0.0.2',
      ip_dst: '10.0.0.1',
      src_port: 53,
      dst_port: 1000,
      src_to_dst_pkts: 1,
      dst_to_src_pkts: 2,
      src_to_dst_bytes: 100,
      dst_to_src_bytes: 121,
      start_time: 1,
      end_time: 3,
      export_reason: 2,
    });
  });

  it.each([
    ['protocol', { protocol: 6 }],
    ['VLAN', { vlan: 7 }],
    ['tunnel', { tunnel: 1 << 24 }],
    ['port', { srcPort: 1001 }],
    ['address', { src: 0x0a000003 }],
  ])('separates by %s', (_name, more) => {
    expect(meterPackets([there(1), there(2, more)]).records).toHaveLength(2);
  });

  it('does not take a swap of the ports alone for the other direction', () => {
    const { records } = meterPackets([there(1), there(2, { srcPort: 53, dstPort: 1000 })]);
    expect(records).toHaveLength(2);
  });

  it('counts a packet from an endpoint to itself as source to destination', () => {
    const self = { src: A, dst: A, srcPort: 9, dstPort: 9 };
    const { records } = meterPackets([there(1, self), there(2, self)]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({ src_to_dst_pkts: 2, dst_to_src_pkts: 0 });
  });

  it('counts each TCP flag in its direction', () => {
    const tcp = { protocol: 6 };
    const { records } = meterPackets([
      there(1, { ...tcp, flags: 0xff }),
      there(2, { ...tcp, flags: 0x01 }),
      back(3, { ...tcp, flags: 0x12 }),
      back(4, { ...tcp, flags: 0xc0 }),
    ]);
    const { syn_count, cwr_count, ece_count, urg_count, ack_count, psh_count, rst_count, fin_count } = records[0];
    expect({ syn_count, cwr_count, ece_count, urg_count, ack_count, psh_count, rst_count, fin_count }).toEqual({
      syn_count: [1, 1],
      cwr_count: [1, 1],
      ece_count: [1, 1],
      urg_count: [1, 0],
      ack_count: [1, 1],
      psh_count: [1, 0],
      rst_count: [1, 0],
      fin_count: [2, 0],
    });
  });
});

describe('when a flow ends', () => {
  it('inactive at a gap of exactly the timeout, not a moment sooner', () => {
    expect(meterPackets([there(0), there(29_999.75)]).records).toHaveLength(1);
    const { records } = meterPackets([there(0), there(30_000)]);
    expect(records.map((record) => record.export_reason)).toEqual([0, 2]);
  });

  it('active when the next packet comes at exactly the timeout; that packet starts a new flow', () => {
    const times = [0, 20_000, 40_000, 60_000, 61_000];
    const { records } = meterPackets(times.map((time) => there(time)));
    expect(records.map((r) => [r.export_reason, r.src_to_dst_pkts, r.start_time, r.end_time])).toEqual([
      [1, 3, 0, 40_000],
      [2, 2, 60_000, 61_000],
    ]);
  });

  it('keeps the direction of a conversation that the active timeout cuts, and its flow_id, and counts its segments', () => {
    const { records } = meterPackets([
      there(0, { src: 9 }),
      there(0),
      back(25_000),
      there(45_000),
      back(60_000),
      back(80_000),
      there(110_000),
      back(120_000),
    ]);
    const parts = records.filter(({ ip_src }) => ip_src === '10.0.0.1');
    expect(parts.map((r) => [r.flow_id, r.segment, r.src_to_dst_pkts, r.dst_to_src_pkts, r.export_reason])).toEqual([
      [2, 0, 2, 1, 1],
      [2, 1, 0, 2, 0],
      // After 30 s without a packet: another conversation.
      [7, 0, 1, 1, 2],
    ]);
  });

  it('numbers a conversation by its first packet, of all that the source gave', () => {
    const skipped = { status: 4 };
    const packets = [there(1, skipped), there(2), back(3, skipped), there(4, { src: 7 }), back(5)];
    for (const size of [1, 2, 256]) {
      const { records, meter } = meterPackets(packets, {}, size);
      expect(records.map(({ ip_src, flow_id }) => [ip_src, flow_id])).toEqual([
        ['0.0.0.7', 4],
        ['10.0.0.1', 2],
      ]);
      expect(meter.packetsSkipped[4]).toBe(2);
    }
  });

  it('exports an inactive flow when the time of other packets has passed its deadline', () => {
    const other = { src: 0x0a000009 };
    const { records } = meterPackets([there(0), there(31_000, other), there(31_001, other)]);
    expect(records.map((record) => [record.ip_src, record.export_reason])).toEqual([
      ['10.0.0.1', 0],
      ['10.0.0.9', 2],
    ]);
  });

  it('never moves the clock back: a packet out of order neither ends nor lengthens anything', () => {
    const { records } = meterPackets([there(100_000), there(99_000), there(101_000)]);
    expect(records).toHaveLength(1);
    expect(records[0]).toMatchObject({ start_time: 99_000, end_time: 101_000, src_to_dst_pkts: 3 });
  });

  it('keeps metering when one time stamp lies far in the future', () => {
    const wild = there(4e12, { src: 0x0a000063 });
    const { records } = meterPackets([there(1000), wild, there(1100), there(1200), there(1300)]);
    const of = records.filter((record) => record.ip_src === '10.0.0.1');
    expect(of.map((record) => [record.export_reason, record.src_to_dst_pkts])).toEqual([
      [0, 1],
      [2, 3],
    ]);
  });

  it('a timeout of 0 makes every packet a flow; Infinity never ends one', () => {
    expect(meterPackets([there(0), there(0), there(1)], { inactiveTimeoutMs: 0 }).records).toHaveLength(3);
    const never = { inactiveTimeoutMs: Number.POSITIVE_INFINITY, activeTimeoutMs: Number.POSITIVE_INFINITY };
    expect(meterPackets([there(0), there(1e13)], never).records).toHaveLength(1);
  });

  it('drops the least recently used flow beyond the capacity and counts it', () => {
    const flow = (time: number, src: number) => there(time, { src });
    const packets = [flow(1, 1), flow(2, 2), flow(3, 1), flow(4, 3), flow(5, 1), flow(6, 4)];
    const { records, meter } = meterPackets(packets, { capacity: 2 });
    expect(records.map((record) => record.ip_src)).toEqual(['0.0.0.1', '0.0.0.4']);
    expect(meter.flowsEvicted).toBe(2);
    expect(meter.exported.termination).toBe(2);
  });

  it("exports it instead with onCapacity 'export'", () => {
    const packets = [1, 2, 3].map((src) => there(src, { src }));
    const { records, meter } = meterPackets(packets, { capacity: 2, onCapacity: 'export' });
    expect(records.map((record) => [record.ip_src, record.export_reason])).toEqual([
      ['0.0.0.1', -1],
      ['0.0.0.2', 2],
      ['0.0.0.3', 2],
    ]);
    expect(meter.flowsEvicted).toBe(0);
  });
});

const packet = fc.record({
  gap: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 2000 }) },
    { weight: 1, arbitrary: fc.integer({ min: -5000, max: 40_000 }) },
    { weight: 1, arbitrary: fc.constantFrom(30_000, 60_000, 29_999, 0.25, 1e7) },
  ),
  src: fc.integer({ min: 1, max: 4 }),
  dst: fc.integer({ min: 1, max: 4 }),
  srcPort: fc.integer({ min: 0, max: 2 }),
  dstPort: fc.integer({ min: 0, max: 2 }),
  vlan: fc.constantFrom(0, 0, 0, 4095),
  length: fc.integer({ min: 1, max: 1500 }),
  // SYN, ACK, FIN and ACK, RST, SYN and ACK, all
  flags: fc.constantFrom(0, 2, 16, 17, 4, 18, 255),
  status: fc.constantFrom(0, 0, 0, 0, 0, 4),
});

function inTime(drafts: readonly { gap: number }[]): TestPacket[] {
  let time = 1_472_393_122_365.661;
  return drafts.map((draft) => {
    time += draft.gap;
    return { ...draft, time } as unknown as TestPacket;
  });
}

describe('against a plain model', () => {
  const cases = fc.record({
    drafts: fc.array(packet, { maxLength: 200 }),
    capacity: fc.constantFrom(1, 2, 5, 1000),
    onCapacity: fc.constantFrom('drop' as const, 'export' as const),
    inactiveTimeoutMs: fc.constantFrom(30_000, 1000, 0, 86_400_000, Number.POSITIVE_INFINITY),
    activeTimeoutMs: fc.constantFrom(60_000, 5000, 900, 0, Number.POSITIVE_INFINITY),
    tcpEnd: fc.boolean(),
  });

  it('gives the same flows', () => {
    fc.assert(
      fc.property(cases, ({ drafts, ...options }) => {
        const packets = inTime(drafts);
        // A flow whose connection has ended takes room until the wheel turns, which the model knows nothing of.
        if (options.tcpEnd) options.capacity = 1000;
        const { records } = meterPackets(packets, options);
        expect(asSet(records.map(asModel))).toEqual(asSet(modelOf(packets, options).map(recordOf)));
      }),
      { numRuns: 1000 },
    );
  });

  it('gives the same flows in the same order whatever the batch size', () => {
    fc.assert(
      fc.property(cases, ({ drafts, ...options }) => {
        const packets = inTime(drafts);
        const { records } = meterPackets(packets, options, 256);
        for (const size of [1, 7, 4096]) expect(meterPackets(packets, options, size).records).toEqual(records);
      }),
      { numRuns: 100 },
    );
  });
});

describe('many flows', () => {
  it('keeps 30,000 flows apart while the table grows and slots are used again', () => {
    const packets: TestPacket[] = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 30_000; i++) packets.push(there(round * 40_000 + i / 1000, { src: i + 1 }));
    }
    const { records, meter } = meterPackets(packets, { capacity: 1 << 20 });
    expect(records).toHaveLength(90_000);
    expect(new Set(records.map((r) => `${r.ip_src} ${r.start_time}`)).size).toBe(90_000);
    expect(meter.exported).toMatchObject({ inactive: 60_000, termination: 30_000 });
    expect(meter.flowsLive).toBe(0);
  });

  it('counts every row once: metered, or skipped by its status', () => {
    const { meter } = meterPackets([there(1), there(2), there(3)]);
    expect(meter.packetsMetered).toBe(3);
    expect(meter.packetsSkipped.reduce((sum, count) => sum + count, 0)).toBe(0);
  });
});
