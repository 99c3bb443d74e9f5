// The option `debug`: packets and their bytes kept beyond the call are found, and right code runs as without it.
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../../src/classifier/classifier.ts';
import type { Packet } from '../../src/classifier/packet.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { metric, type UserMetric } from '../../src/metric/metric.ts';
import { collect, failure, plain } from '../streams.ts';

class Keeper extends NFStreamClassifier {
  last: unknown;
  readonly #keep: (keeper: Keeper, packet: Packet, flow: Flow) => void;
  constructor(keep: (keeper: Keeper, packet: Packet, flow: Flow) => void) {
    super('keeper');
    this.#keep = keep;
  }
  override onFlowUpdate(packet: Packet, flow: Flow): boolean {
    this.#keep(this, packet, flow);
    return false;
  }
}

const keep = (code: (keeper: Keeper, packet: Packet, flow: Flow) => void) =>
  plain({ debug: true, userClassifiers: new Keeper(code) });

describe('debug', () => {
  it.each<[string, (keeper: Keeper, packet: Packet, flow: Flow) => void]>([
    [
      'flow.classifiers.keeper.first',
      (_, packet, flow) => {
        flow.classifiers.keeper.first = packet.payload;
      },
    ],
    [
      'flow.classifiers.keeper.list.0',
      (_, packet, flow) => {
        flow.classifiers.keeper.list = [packet.raw.subarray(4, 8)];
      },
    ],
    [
      'flow.classifiers.keeper.view',
      (_, packet, flow) => {
        flow.classifiers.keeper.view = packet.bytes.subarray(packet.payloadAt, packet.ipEnd);
      },
    ],
    [
      'this.last',
      (keeper, packet) => {
        keeper.last = packet;
      },
    ],
    [
      'this.last.seen',
      (keeper, packet) => {
        keeper.last = new Map([['seen', packet.payload.buffer]]);
      },
    ],
  ])('finds what stays in %s, and names the classifier and the flow', async (place, code) => {
    const { error } = await failure(keep(code));
    expect(error.code).toBe('PACKET_KEPT');
    expect(error.message).toContain('the classifier "keeper" in onFlowUpdate: ');
    expect(error.message).toContain(`stay in ${place};`);
    expect(error.message).toMatch(/for the flow \S+:\d+ -> \S+:\d+/);
  });

  it.each<[string, (kept: { bytes?: Uint8Array; packet?: Packet }) => unknown]>([
    ['length', ({ bytes }) => bytes?.length],
    ['slice', ({ bytes }) => bytes?.slice(0, 4)],
    ['iteration', ({ bytes }) => [...(bytes ?? [])]],
    ['a packet', ({ packet }) => packet?.timestamp],
  ])('fails what is used later from a place that it can not see: %s', async (_, use) => {
    const kept: { bytes?: Uint8Array; packet?: Packet } = {};
    const { error } = await failure(
      keep((_keeper, packet) => {
        if (kept.packet !== undefined) use(kept);
        kept.packet = packet;
        kept.bytes = packet.payload;
      }),
    );
    expect(error.code).toBe('PACKET_KEPT');
    expect(error.message).toContain('the classifier "keeper" in onFlowUpdate: ');
  });

  it("looks at the begin of a long table only, and at no getter's value", async () => {
    let reads = 0;
    const table = new Proxy(new Array<number>(20_000).fill(1), {
      get(target, name, receiver) {
        reads++;
        return Reflect.get(target, name, receiver);
      },
    });
    const holder = {
      get broken() {
        throw new Error('asked');
      },
      table,
    };
    const streamer = keep((keeper) => {
      keeper.last = holder;
    });
    await collect(streamer);
    expect(reads).toBeGreaterThan(streamer.stats.packets_read);
    expect(reads / streamer.stats.packets_read).toBeLessThan(5000);
  });

  it('names the metric that keeps a packet', async () => {
    const scratch: UserMetric = (packet, flow) => {
      flow.classifiers.mine ??= {};
      flow.classifiers.mine.payload = packet.payload;
      return 1;
    };
    const { error } = await failure(plain({ debug: true, userMetrics: { fine: () => 1, mine: scratch } }));
    expect(error.message).toContain('the metric "mine": a packet or bytes of it stay in flow.classifiers.mine.payload');
  });

  it('changes nothing for code that is right', async () => {
    const userMetrics = () => ({
      digest: metric<string>((packet, flow) =>
        createHash('md5')
          .update(String(flow.metrics.digest))
          .update(packet.payload)
          .update(new TextDecoder('latin1').decode(packet.raw.slice(0, 20)))
          .digest('hex'),
      ),
    });
    class Copies extends Keeper {
      override onFlowMeasured(packet: Packet, flow: Flow) {
        flow.classifiers.keeper.copy = packet.payload.slice();
        flow.metrics.copied = Number(flow.metrics.copied ?? 0) + packet.payload.length;
      }
    }
    const run = (debug: boolean) =>
      collect(plain({ debug, userMetrics: userMetrics(), userClassifiers: new Copies(() => {}) }));
    expect(await run(true)).toEqual(await run(false));
  });
});
