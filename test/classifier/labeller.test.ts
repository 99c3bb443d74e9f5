import { describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../../src/classifier/classifier.ts';
import { Labeller } from '../../src/classifier/labeller.ts';
import { Packet } from '../../src/classifier/packet.ts';
import { NfstreamError } from '../../src/errors.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { FlowMeter } from '../../src/flow/meter.ts';
import type { FlowRecord } from '../../src/flow/schema.ts';
import type { UserMetric } from '../../src/metric/metric.ts';
import { PacketColumns } from '../../src/packet/packet-columns.ts';
import { PacketBatch } from '../../src/source/source.ts';
import { OPTIONS, setRow, type TestPacket } from '../flow/metered.ts';

const packet = (time: number, src = 1, length = 100): TestPacket => ({ time, src, dst: 9, length });

async function label(
  packets: readonly TestPacket[],
  classifiers: readonly NFStreamClassifier[],
  metrics: Record<string, UserMetric> = {},
  capacity = 100,
): Promise<FlowRecord[]> {
  const batch = new PacketBatch();
  const columns = new PacketColumns();
  const labeller = new Labeller(classifiers, metrics, new Packet(batch, columns));
  const meter = new FlowMeter({ ...OPTIONS, capacity }, columns, labeller);
  packets.forEach((p, row) => {
    setRow(batch, columns, row, p);
  });
  batch.count = packets.length;
  await labeller.start();
  try {
    meter.meter(batch);
    while (meter.terminate(10));
  } finally {
    await labeller.exit();
    await labeller.exit();
  }
  return meter
    .takeFinished()
    .flatMap((b) => Array.from({ length: b.count }, (_, row) => b.flow(row).toJSON() as FlowRecord));
}

class Recorder extends NFStreamClassifier {
  readonly calls: string[] = [];
  override onFlowInit(flow: Flow) {
    flow.classifiers[this.name] = { packets: 0 };
    this.calls.push(`init ${flow.ip_src}`);
  }
  override onFlowUpdate(p: Packet, flow: Flow, direction: number): boolean | undefined {
    this.calls.push(`update ${flow.ip_src} ${p.timestamp} ${p.length} ${direction} ${flow.src_to_dst_pkts}`);
    return undefined;
  }
  override onFlowTerminate(flow: Flow) {
    this.calls.push(`terminate ${flow.ip_src} ${flow.src_to_dst_pkts} ${flow.export_reason}`);
    flow.metrics[this.name] = flow.classifiers[this.name] !== undefined;
  }
  override onExit() {
    this.calls.push('exit');
  }
}

describe('classifiers', () => {
  it('see each flow begin, each packet after it was counted, each flow end, and the end of the run once', async () => {
    const recorder = new Recorder('rec');
    const records = await label([packet(1), packet(2, 1, 60), packet(3, 2)], [recorder]);
    expect(recorder.calls).toEqual([
      'init 0.0.0.1',
      'update 0.0.0.1 1 100 0 1',
      'update 0.0.0.1 2 60 0 2',
      'init 0.0.0.2',
      'update 0.0.0.2 3 100 0 1',
      'terminate 0.0.0.1 2 2',
      'terminate 0.0.0.2 1 2',
      'exit',
    ]);
    expect(records.map((record) => record.metrics)).toEqual([{ rec: true }, { rec: true }]);
  });

  it('are not asked again for a flow after they returned true, but see it end', async () => {
    class Once extends Recorder {
      override onFlowUpdate(p: Packet, flow: Flow, direction: number) {
        super.onFlowUpdate(p, flow, direction);
        return true;
      }
    }
    const once = new Once('once');
    const all = new Recorder('all');
    await label([packet(1), packet(2), packet(3)], [once, all]);
    expect(once.calls.filter((call) => call.startsWith('update'))).toHaveLength(1);
    expect(once.calls).toContain('terminate 0.0.0.1 3 2');
    expect(all.calls.filter((call) => call.startsWith('update'))).toHaveLength(3);
  });

  it('export a flow at once by a reason above 2; the next packet of its key starts another', async () => {
    class EveryTwo extends NFStreamClassifier {
      override onFlowUpdate(_p: Packet, flow: Flow) {
        if (flow.src_to_dst_pkts === 2) flow.export_reason = 7;
      }
    }
    const records = await label([packet(1), packet(2), packet(3)], [new EveryTwo('slice')]);
    expect(records.map((r) => [r.export_reason, r.src_to_dst_pkts])).toEqual([
      [7, 2],
      [2, 1],
    ]);
  });

  it('see a flow end that is dropped for lack of room', async () => {
    const recorder = new Recorder('rec');
    const records = await label([packet(1, 1), packet(2, 2)], [recorder], {}, 1);
    expect(records).toHaveLength(1);
    expect(recorder.calls.filter((call) => call.startsWith('terminate'))).toHaveLength(2);
  });

  it.each(['onFlowInit', 'onFlowUpdate', 'onFlowTerminate', 'onExit'] as const)(
    'that throw in %s are named',
    async (method) => {
      const broken = new Recorder('broken');
      broken[method] = () => {
        throw new Error('no such luck');
      };
      const run = () => label([packet(1)], [broken]);
      await expect(run()).rejects.toThrow(NfstreamError);
      await expect(run()).rejects.toThrow(`the classifier "broken" threw in ${method}`);
      await expect(run()).rejects.toThrow('no such luck');
    },
  );

  it.each(['onFlowInit', 'onFlowUpdate', 'onFlowMeasured'] as const)(
    'may not return a promise from %s, which nobody would wait for',
    async (method) => {
      class Eager extends NFStreamClassifier {}
      Object.assign(Eager.prototype, { [method]: () => Promise.reject(new Error('later')) });
      const run = () => label([packet(1)], [new Eager('eager')]);
      await expect(run()).rejects.toThrow(expect.objectContaining({ code: 'USER_CLASSIFIER_FAILED' }));
      await expect(run()).rejects.toThrow(
        `the classifier "eager" threw in ${method}: TypeError: it returned a promise`,
      );
    },
  );

  it('may throw what has no text', async () => {
    class Odd extends NFStreamClassifier {
      override onFlowInit() {
        throw Object.create(null);
      }
    }
    await expect(label([packet(1)], [new Odd('odd')])).rejects.toThrow('threw in onFlowInit: a value that has no text');
    const thrower = () => {
      throw Object.create(null);
    };
    await expect(label([packet(1)], [], { thrower })).rejects.toThrow('"thrower" threw a value that has no text');
  });

  it('may not set a reason of the meter, or write a column', async () => {
    class Meddler extends NFStreamClassifier {
      override onFlowUpdate(_p: Packet, flow: Flow) {
        (flow as { src_port: number }).src_port = 1;
      }
    }
    await expect(label([packet(1)], [new Meddler('m')])).rejects.toThrow(
      'the classifier "m" in onFlowUpdate: src_port is read-only',
    );
    class Wrong extends NFStreamClassifier {
      override onFlowUpdate(_p: Packet, flow: Flow) {
        flow.export_reason = 2;
      }
    }
    await expect(label([packet(1)], [new Wrong('w')])).rejects.toThrow('export_reason takes an integer above 2, not 2');
  });
});

describe('metrics', () => {
  it('start at 0 and take the value that is returned, after the classifiers of the packet', async () => {
    class First extends NFStreamClassifier {
      override onFlowUpdate(_p: Packet, flow: Flow) {
        flow.metrics.order = 'classifier';
      }
    }
    const records = await label([packet(1, 1, 700), packet(2, 1, 60), packet(3, 1, 667)], [new First('first')], {
      big: (p, flow) => (flow.metrics.big as number) + (p.length > 666 ? 1 : 0),
      order: (_p, flow) => `${String(flow.metrics.order)} first`,
    });
    expect(records[0].metrics).toEqual({ big: 2, order: 'classifier first' });
  });

  it('can end a flow too', async () => {
    const records = await label([packet(1), packet(2)], [], {
      m: (_p, flow) => {
        flow.export_reason = 3;
        return 1;
      },
    });
    expect(records.map((record) => record.export_reason)).toEqual([3, 3]);
  });

  it.each([
    ['undefined', () => undefined],
    ['NaN', () => Number.NaN],
    ['a Promise', async () => 1],
    ['a Uint8Array', (packet: Packet) => packet.payload],
    ['a Map', () => new Map()],
    ['a function', () => () => 1],
    ['a bigint', () => 5n],
  ])('that return %s stop the run with their name and the flow', async (what, metric) => {
    const run = () => label([packet(1)], [], { broken: metric as unknown as UserMetric });
    await expect(run()).rejects.toThrow(`the metric "broken" returned ${what}`);
    await expect(run()).rejects.toThrow('0.0.0.1:0 -> 0.0.0.9:0');
    await expect(run()).rejects.toThrow(expect.objectContaining({ code: 'USER_METRIC_FAILED' }));
  });

  it('that are promises by mistake leave no rejection behind', async () => {
    const unhandled: unknown[] = [];
    const listener = (error: unknown) => unhandled.push(error);
    process.on('unhandledRejection', listener);
    const wrong = (() => Promise.reject(new Error('later'))) as unknown as UserMetric;
    await expect(label([packet(1)], [], { wrong })).rejects.toThrow('"wrong" returned a Promise');
    await new Promise((resolve) => setTimeout(resolve, 10));
    process.off('unhandledRejection', listener);
    expect(unhandled).toEqual([]);
  });

  it('may be numbers, texts, booleans, null, lists and plain objects', async () => {
    const values = { n: 1.5, inf: Number.POSITIVE_INFINITY, t: 'x', b: false, none: null, l: [1, 2], o: { a: [3] } };
    const metrics = Object.fromEntries(Object.entries(values).map(([name, value]) => [name, () => value]));
    const [record] = await label([packet(1), packet(2)], [], metrics as Record<string, UserMetric>);
    expect(record.metrics).toEqual(values);
  });
});
