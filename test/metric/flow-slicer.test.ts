import { describe, expect, it } from 'vitest';
import { EXPORT_SLICED, FlowSlicer, type FlowSlicerOptions } from '../../src/metric/flow-slicer.ts';
import { collect, DEMO, plain } from '../streams.ts';
import { HAS_TSHARK } from '../tshark.ts';
import { tsharkFields } from './tshark-fields.ts';

const NEVER = { activeTimeout: Number.POSITIVE_INFINITY, inactiveTimeout: Number.POSITIVE_INFINITY };
const counts = {
  // Starts at 0, so this is how many packets metrics of the record have seen.
  packets: (_packet: unknown, flow: { metrics: Record<string, number> }) => flow.metrics.packets + 1,
};

/** Packets of each TCP stream by tshark, as the slices that they make. */
function slicesOf(total: number, packets: number): number[] {
  const full = Array<number>(Math.floor(total / packets)).fill(packets);
  return total % packets === 0 ? full : [...full, total % packets];
}

describe('FlowSlicer', () => {
  it.skipIf(!HAS_TSHARK).each([1, 2, 7, 40])("cuts tshark's streams into slices of %i packets", async (packets) => {
    const streams = new Map<string, number>();
    for (const [[stream]] of tsharkFields(DEMO, ['tcp.stream'], ['-Y', 'tcp and not icmp and not icmpv6'])) {
      streams.set(stream, (streams.get(stream) ?? 0) + 1);
    }
    const truth = [...streams.values()].flatMap((total) => slicesOf(total, packets));
    const records = await collect(
      plain({ ...NEVER, userClassifiers: new FlowSlicer({ packets }), userMetrics: counts }),
    );
    const tcp = records.filter(({ ip_protocol }) => ip_protocol === 6);
    const sizes = tcp.map((record) => record.src_to_dst_pkts + record.dst_to_src_pkts);
    const ascending = (a: number, b: number) => a - b;
    expect(sizes.sort(ascending)).toEqual(truth.sort(ascending));
    for (const record of records) {
      const size = record.src_to_dst_pkts + record.dst_to_src_pkts;
      expect(record.export_reason).toBe(size === packets ? EXPORT_SLICED : 2);
      expect(record.metrics.packets).toBe(size);
    }
    expect(Math.max(...sizes)).toBe(packets);
  });

  it('takes another reason and name', async () => {
    const slicer = new FlowSlicer({ packets: 1, exportReason: 77, name: 'pieces' });
    expect(slicer.name).toBe('pieces');
    expect(new FlowSlicer({ packets: 1 }).name).toBe('FlowSlicer');
    const records = await collect(plain({ userClassifiers: slicer }));
    expect(records.length).toBeGreaterThan(100);
    for (const record of records) expect(record.export_reason).toBe(77);
  });

  it.each<[string, FlowSlicerOptions | undefined]>([
    ['packets', undefined],
    ['packets', {} as FlowSlicerOptions],
    ['packets', { packets: 0 }],
    ['packets', { packets: 1.5 }],
    ['packets', { packets: Number.POSITIVE_INFINITY }],
    ['packets', { packets: '5' as unknown as number }],
    ['exportReason', { packets: 1, exportReason: 2 }],
    ['exportReason', { packets: 1, exportReason: 2 ** 31 }],
  ])('refuses bad %s: %o', (name, options) => {
    const error = expect.objectContaining({
      code: 'INVALID_OPTION',
      message: expect.stringContaining(`for ${name} but`),
    });
    expect(() => new FlowSlicer(options as FlowSlicerOptions)).toThrow(error);
  });
});
