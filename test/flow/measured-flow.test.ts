// What user code reads of a flow while it lives: everything as it stands with the packet at hand.
import { describe, expect, it } from 'vitest';
import { type Direction, NFStreamClassifier } from '../../src/classifier/classifier.ts';
import type { Packet } from '../../src/classifier/packet.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { FIELDS } from '../../src/flow/schema.ts';
import type { StreamerOptions } from '../../src/options.ts';
import { Streamer } from '../../src/streamer.ts';
import { DEMO, plain } from '../streams.ts';
import type { FlowPacket } from './model.ts';
import { differences, measuresOf } from './reference.ts';

/** What a flow says of itself, column by column, as properties. */
const readFrom = (flow: object, names: readonly string[]) =>
  Object.fromEntries(names.map((name) => [name, (flow as Record<string, unknown>)[name]]));

/** Compares each flow with its packets so far, at every packet. */
class Onlooker extends NFStreamClassifier {
  readonly #measured: { splt: number; exactTimes: boolean };
  readonly #packets = new Map<object, FlowPacket[]>();
  readonly found: string[] = [];
  looks = 0;

  constructor(measured: { splt: number; exactTimes: boolean }) {
    super('onlooker');
    this.#measured = measured;
  }

  override onFlowInit(flow: Flow): void {
    this.#packets.set(flow, []);
    if (flow.bidirectional_packets !== 0 || flow.bidirectional_mean_ps !== 0) this.found.push('not empty at first');
    if (flow.id !== -1) this.found.push(`${flow.id} while it lives`);
  }

  override onFlowUpdate(packet: Packet, flow: Flow, direction: Direction): void {
    const packets = this.#packets.get(flow) as FlowPacket[];
    packets.push({ time: packet.timestamp, size: packet.length, flags: packet.tcpFlags, direction });
    this.look(flow);
  }

  override onFlowTerminate(flow: Flow): void {
    this.look(flow);
  }

  look(flow: Flow): void {
    this.looks++;
    const expected = measuresOf(this.#packets.get(flow) as FlowPacket[], this.#measured);
    this.found.push(...differences(readFrom(flow, Object.keys(expected)), expected, 1e-12));
  }
}

describe('a flow that lives', () => {
  it.each<[string, Partial<StreamerOptions>]>([
    ['to the end of the capture', {}],
    ['in segments', { activeTimeout: 0.05 }],
    ['in segments, by the clock', { activeTimeout: 0.05, inactiveTimeout: 0.5, replaySpeed: 'max' }],
    ['forever', { activeTimeout: Number.POSITIVE_INFINITY, inactiveTimeout: Number.POSITIVE_INFINITY }],
    ['until there is no room', { capacity: 5 }],
    ['by whole milliseconds', { exactTimes: false }],
  ])('shows classifiers what is measured so far: %s', async (_how, options) => {
    const onlooker = new Onlooker({ splt: 7, exactTimes: options.exactTimes ?? true });
    const streamer = plain({ statistics: true, splt: 7, userClassifiers: onlooker, ...options });
    let flows = 0;
    for await (const flow of streamer) {
      onlooker.look(flow as unknown as Flow);
      flows++;
    }
    expect(onlooker.found).toEqual([]);
    expect(onlooker.looks).toBe(streamer.stats.packets_metered + 2 * flows + streamer.stats.flows_evicted);
  });

  it('shows metrics the same', async () => {
    const streamer = new Streamer({
      source: DEMO,
      enableNdpi: false,
      handleSigint: false,
      statistics: true,
      splt: 3,
      userMetrics: {
        packets: (_packet, flow) => flow.bidirectional_packets,
        mean: (_packet, flow) => flow.bidirectional_mean_ps,
        bytes: (packet, flow) => flow.metrics.bytes + packet.length,
        sizes: (_packet, flow) => [...flow.splt_ps],
        firstThree: (packet, flow) =>
          flow.bidirectional_packets <= 3 && flow.splt_ps[flow.bidirectional_packets - 1] !== packet.length
            ? 'no'
            : 'yes',
      },
    });
    let flows = 0;
    for await (const flow of streamer) {
      const record = flow.toJSON();
      const { packets, mean, bytes, sizes, firstThree } = record.metrics;
      expect(packets).toBe(flow.bidirectional_packets);
      expect(mean).toBe(record.bidirectional_mean_ps);
      expect(mean).toBeCloseTo(bytes / packets, 9);
      expect(sizes).toEqual(record.splt_ps);
      expect(firstThree).toBe('yes');
      flows++;
    }
    expect(flows).toBe(67);
  });
});

describe('what is not measured', () => {
  const NAMES: [string, RegExp][] = [
    ['bidirectional_mean_ps', /statistics: true/],
    ['src2dst_stddev_piat_ms', /statistics: true/],
    ['dst2src_fin_packets', /statistics: true/],
    ['splt_ps', /splt: n/],
    ['splt_direction', /splt: n/],
    ['src_mac', /nfstream6/],
    ['dst_oui', /nfstream6/],
    ['src2dst_first_seen_ms', /nfstream6/],
    ['dst2src_duration_ms', /nfstream6/],
  ];

  it.each(NAMES)('throws where %s is read, and says what it takes', async (name, how) => {
    for await (const flow of plain({})) {
      const read = () => (flow as unknown as Record<string, unknown>)[name];
      expect(read).toThrow(expect.objectContaining({ code: 'NOT_MEASURED' }));
      expect(read).toThrow(how);
      expect(read).toThrow(name);
    }
  });

  it.each(NAMES)('throws likewise in user code that reads %s', async (name, how) => {
    const peek = (_packet: Packet, flow: object) => Number((flow as Record<string, unknown>)[name]);
    const read = async () => {
      for await (const _ of new Streamer({
        source: DEMO,
        enableNdpi: false,
        handleSigint: false,
        userMetrics: { peek },
      }));
    };
    await expect(read()).rejects.toThrow(how);
  });

  it('is what the columns of the run leave out, and nothing else', async () => {
    const on = { statistics: true, splt: 2, schema: 'nfstream6' } as const;
    for await (const flow of plain(on)) {
      for (const name of FIELDS.keys()) expect(() => (flow as unknown as Record<string, unknown>)[name]).not.toThrow();
    }
    for await (const flow of plain({ fields: ['ip_src', 'src_mac'] })) {
      expect((flow as unknown as Flow).src_mac).toMatch(/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/);
      expect(() => (flow as unknown as Flow).src2dst_first_seen_ms).toThrow(/nfstream6/);
    }
  });
});

describe('columns', () => {
  it('are read-only, all of them, measured or not', async () => {
    for (const statistics of [true, false]) {
      for await (const flow of plain({ statistics })) {
        for (const name of FIELDS.keys()) {
          if (name === 'export_reason') continue;
          const assign = () => {
            (flow as unknown as Record<string, unknown>)[name] = 1;
          };
          expect(assign, name).toThrow(expect.objectContaining({ code: 'READ_ONLY_COLUMN' }));
          expect(assign, name).toThrow(name);
        }
        break;
      }
    }
  });
});
