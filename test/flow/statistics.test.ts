// What is measured of flows against the same computed from all of their packets (reference.ts), flow by flow.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MeterOptions } from '../../src/flow/meter-options.ts';
import { meterPackets, type TestPacket } from './metered.ts';
import { modelOf } from './model.ts';
import { differences, type MeasuredOptions, measuredShape, measuresOf } from './reference.ts';

const TOLERANCE = 1e-12;

type Options = MeasuredOptions & Partial<MeterOptions>;

/** What differs from the reference, in all flows; and how many those are. */
function compare(packets: readonly TestPacket[], options: Options, tolerance = TOLERANCE, batchSize = 256) {
  const { records } = meterPackets(packets, { ...options, shape: measuredShape(options) }, batchSize);
  const flows = new Map(modelOf(packets, options).map((flow) => [`${flow.flowId} ${flow.segment}`, flow]));
  const found = records.flatMap((record) => {
    const flow = flows.get(`${record.flow_id} ${record.segment}`);
    if (flow === undefined) return ['there is no such flow'];
    return differences(record as unknown as Record<string, unknown>, measuresOf(flow.packets, options), tolerance);
  });
  expect(records).toHaveLength(flows.size);
  return { found, flows: flows.size };
}

const there = (time: number, length = 60): TestPacket => ({ time, src: 1, dst: 2, length });
const back = (time: number, length = 60): TestPacket => ({ time, src: 2, dst: 1, length });
const NEVER = { inactiveTimeoutMs: Number.POSITIVE_INFINITY, activeTimeoutMs: Number.POSITIVE_INFINITY };
const WHOLE: MeasuredOptions = { splt: 5, exactTimes: false };
const EXACT: MeasuredOptions = { splt: 5, exactTimes: true };

describe.each([
  ['whole milliseconds', WHOLE],
  ['exact times', EXACT],
])('by %s', (_name, options) => {
  const T = 1_472_393_122_365.661;
  it.each<[string, TestPacket[]]>([
    ['one packet', [there(T, 100)]],
    ['one packet each way', [there(T, 100), back(T + 0.7, 90)]],
    ['two packets one way', [there(T, 100), there(T + 12.25, 101)]],
    ['equal time stamps', [there(T), back(T), there(T), back(T)]],
    ['packets out of order', [there(T), back(T + 50), there(T - 20.5), back(T + 10), there(T + 60), back(T + 40)]],
    ['an earlier packet than the first', [there(T), there(T - 1000), there(T + 1)]],
    ['time stamps around a whole millisecond', [there(999.999), back(1000), there(1000.001), back(1999.9995)]],
    ['times before 1970', [there(-5000.5), back(-4999.5), there(-0.25), back(0), there(0.25)]],
    ['a packet of size 0', [there(T, 0), back(T + 1, 0), there(T + 2, 5)]],
    [
      'sizes with the highest bit',
      [there(T, 2 ** 31), there(T + 1, 60), back(T + 2, 2 ** 32 - 1), back(T + 3, 2 ** 31)],
    ],
    ['sizes that grow beyond it', [there(T, 2 ** 31 - 1), there(T + 1, 2 ** 31), there(T + 2, 2 ** 32 - 1)]],
    ['more packets than a sequence has', Array.from({ length: 9 }, (_, i) => there(T + i * i, 60 + i))],
    ['all at once but one', [...Array.from({ length: 50 }, () => there(T)), there(T + 3_600_000)]],
  ])('%s', (_what, packets) => {
    expect(compare(packets, { ...options, ...NEVER })).toEqual({ found: [], flows: 1 });
  });

  it('a day of packets a second apart, but for some microseconds', () => {
    const packets = Array.from({ length: 86_400 }, (_, i) => there(T + i * 1000 + ((i * 7919) % 13) / 1000));
    expect(compare(packets, { ...options, ...NEVER })).toEqual({ found: [], flows: 1 });
  });
});

it('tells one size that differs among a million', () => {
  const packets = Array.from({ length: 1_000_001 }, (_, i) => there(i, i === 777_777 ? 1499 : 1500));
  expect(compare(packets, { ...WHOLE, ...NEVER })).toEqual({ found: [], flows: 1 });
});

const time = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 3_000_000 }).map((us) => us / 1000) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 40 }).map((us) => us / 1000) },
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: -3_000_000, max: 40_000_000 }).map((us) => us / 1000) },
);

const drafts = fc.array(
  fc.record({
    gap: time,
    isBack: fc.boolean(),
    port: fc.integer({ min: 1, max: 3 }),
    length: fc.oneof(fc.integer({ min: 0, max: 1600 }), fc.integer({ min: 0, max: 65_549 })),
    flags: fc.constantFrom(0, 2, 16, 17, 4, 18, 255),
  }),
  { maxLength: 150 },
);

const options = fc.record({
  splt: fc.constantFrom(0, 1, 2, 10, 255),
  exactTimes: fc.boolean(),
  startMs: fc.constantFrom(1_472_393_122_365.661, 1_700_000_000_000, -50_000.123, 0),
  capacity: fc.constantFrom(1, 2, 1000),
  onCapacity: fc.constantFrom('drop' as const, 'export' as const),
  inactiveTimeoutMs: fc.constantFrom(30_000, 1500, Number.POSITIVE_INFINITY),
  activeTimeoutMs: fc.constantFrom(60_000, 4000, 0, Number.POSITIVE_INFINITY),
  tcpEnd: fc.boolean(),
});

function packetsOf(
  list: readonly (typeof drafts extends fc.Arbitrary<infer T> ? T : never)[number][],
  startMs: number,
) {
  let now = startMs;
  return list.map(({ gap, isBack, port, length, flags }): TestPacket => {
    now += gap;
    const ports = isBack ? { src: 2, dst: 1, dstPort: port } : { src: 1, dst: 2, srcPort: port };
    return { ...ports, time: now, length, flags, protocol: 6 };
  });
}

describe('any packets', () => {
  it('give what the reference gives, whatever ended before them in their slots', () => {
    let compared = 0;
    fc.assert(
      fc.property(drafts, options, (list, { startMs, ...rest }) => {
        const capacity = rest.tcpEnd ? 1000 : rest.capacity;
        const { found, flows } = compare(packetsOf(list, startMs), { ...rest, capacity });
        compared += flows;
        expect(found).toEqual([]);
      }),
      { numRuns: 500 },
    );
    expect(compared).toBeGreaterThan(1000);
  });

  it('give the same in batches of any size', () => {
    fc.assert(
      fc.property(drafts, options, fc.integer({ min: 1, max: 256 }), (list, { startMs, ...rest }, size) => {
        const packets = packetsOf(list, startMs);
        const shape = measuredShape(rest);
        const whole = meterPackets(packets, { ...rest, shape }, 256).records;
        for (const batch of [1, size]) expect(meterPackets(packets, { ...rest, shape }, batch).records).toEqual(whole);
      }),
      { numRuns: 100 },
    );
  });
});

describe('many flows', () => {
  it('are measured while the table grows under them, and in slots that had others', () => {
    const packets: TestPacket[] = [];
    for (let round = 0; round < 4; round++) {
      const isBack = round % 2 === 1;
      for (let i = 0; i < 10_000; i++) {
        const pair = isBack ? { src: 7, dst: 100 + i } : { src: 100 + i, dst: 7 };
        packets.push({ ...pair, time: round * 20_000 + i / 100, length: 60 + ((i * 31 + round) % 1000) });
      }
    }
    // Two packets of each before the first timeout, two after it.
    const timeouts = { activeTimeoutMs: 30_000, inactiveTimeoutMs: 25_000, capacity: 1 << 20 };
    expect(compare(packets, { ...WHOLE, ...timeouts })).toEqual({ found: [], flows: 20_000 });
  });
});
