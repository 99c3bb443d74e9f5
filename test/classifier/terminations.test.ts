// Asynchronous ends of flows: order, bounds, failures, and that every flow ends exactly once whatever ends the run.
import { readFileSync } from 'node:fs';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NFStreamClassifier, type RunInfo } from '../../src/classifier/classifier.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { Counter, collect, DEMO, failure, path, plain, RAW } from '../streams.ts';

/** Answers each flow after so many turns of the event loop. */
class Slow extends NFStreamClassifier {
  override readonly concurrency: number;
  readonly #turnsOf: (nth: number) => number;
  asked = 0;
  out = 0;
  most = 0;
  exits = 0;

  constructor(name: string, concurrency: number, turnsOf: (nth: number) => number) {
    super(name);
    this.concurrency = concurrency;
    this.#turnsOf = turnsOf;
  }

  override async onFlowTerminate(flow: Flow): Promise<void> {
    const nth = this.asked++;
    this.most = Math.max(this.most, ++this.out);
    for (let i = this.#turnsOf(nth); i > 0; i--) await turn();
    flow.metrics[this.name] = `${flow.ip_src}:${flow.src_port}`;
    this.out--;
  }

  override onExit(): void {
    this.exits++;
    expect(this.out).toBe(0);
  }
}

const without = (flow: { metrics: object }) => ({ ...flow, metrics: undefined });

describe('a promise of onFlowTerminate', () => {
  it('is waited for: records keep their order and hold what it found, whatever time each takes', async () => {
    const expected = await collect(plain({}));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(3), { minLength: 1, maxLength: 20 }),
        fc.integer({ min: 1, max: 80 }),
        fc.constantFrom(0.05, 30),
        async (turns, concurrency, inactiveTimeout) => {
          const slow = new Slow('slow', concurrency, (nth) => turns[nth % turns.length]);
          const records = await collect(plain({ userClassifiers: slow, inactiveTimeout }));
          const same = inactiveTimeout === 30 ? expected : await collect(plain({ inactiveTimeout }));
          expect(records.map(without)).toEqual(same.map(without));
          for (const { metrics, ip_src, src_port } of records) expect(metrics.slow).toBe(`${ip_src}:${src_port}`);
          expect(slow).toMatchObject({ asked: records.length, exits: 1 });
          expect(slow.most).toBeLessThanOrEqual(concurrency);
        },
      ),
      // The last flows settled just when nobody looked.
      { numRuns: 25, examples: [[[0, 1], 1, 0.05]] },
    );
  });

  it('is one of `concurrency` at most, and that many are used', async () => {
    const slow = new Slow('slow', 5, () => 3);
    const records = await collect(plain({ userClassifiers: slow }));
    expect(records.length).toBeGreaterThan(50);
    expect(slow.most).toBe(5);
  });

  it('holds the classifiers behind it, which see what it found', async () => {
    class Reader extends NFStreamClassifier {
      override onFlowTerminate(flow: Flow) {
        flow.metrics.seen = flow.metrics.first ?? 'nothing';
        flow.classifiers[this.name].kept = true;
      }
    }
    const first = new Slow('first', 3, (nth) => nth % 4);
    const records = await collect(
      plain({ userClassifiers: [first, new Reader('reader'), new Slow('last', 2, () => 1)] }),
    );
    for (const { metrics } of records) expect(metrics.seen).toBe(metrics.last);
  });

  it('does not hold the reading of packets up before its bound is reached', async () => {
    let settle = () => {};
    const settled = new Promise<void>((resolve) => {
      settle = resolve;
    });
    class Held extends NFStreamClassifier {
      override onFlowTerminate() {
        return settled;
      }
    }
    const input = new PassThrough();
    input.end(readFileSync(DEMO));
    const streamer = plain({ source: input, userClassifiers: new Held('held'), inactiveTimeout: 0.001 });
    const all = collect(streamer);
    await sleep(100);
    expect(streamer.stats.packets_read).toBeGreaterThan(100);
    settle();
    expect((await all).length).toBeGreaterThan(50);
  });

  it('may set export_reason as long as it is out; the counters know', async () => {
    class Late extends NFStreamClassifier {
      override readonly concurrency = 2;
      override async onFlowTerminate(flow: Flow) {
        await turn();
        if (flow.ip_protocol === 17) flow.export_reason = 9;
      }
    }
    const streamer = plain({ userClassifiers: new Late('late') });
    const records = await collect(streamer);
    const udp = records.filter((record) => record.ip_protocol === 17).length;
    expect(records.filter((record) => record.export_reason === 9)).toHaveLength(udp);
    expect(streamer.stats.flows_exported).toMatchObject({ user: udp, termination: records.length - udp });
  });

  it('that rejects stops the run with the names of classifier and flow; all other flows that had ended come', async () => {
    class Broken extends Slow {
      override async onFlowTerminate(flow: Flow) {
        await super.onFlowTerminate(flow);
        if (flow.metrics.number === 13) throw new Error('unlucky');
      }
    }
    class Numbering extends NFStreamClassifier {
      ended = 0;
      override onFlowTerminate(flow: Flow) {
        flow.metrics.number = ++this.ended;
      }
    }
    const counter = new Counter('counter');
    const broken = new Broken('broken', 40, (nth) => (nth % 7) + 1);
    const numbering = new Numbering('numbering');
    const { error, records } = await failure(plain({ userClassifiers: [counter, numbering, broken] }));
    expect(error.code).toBe('USER_CLASSIFIER_FAILED');
    expect(error.message).toMatch(
      /^the classifier "broken" threw in onFlowTerminate: Error: unlucky, for the flow \S+:\d+ -> /,
    );
    const numbers = records.map((record) => Number(record.metrics.number));
    expect(numbers).toEqual(Array.from({ length: numbering.ended }, (_, i) => i + 1).filter((n) => n !== 13));
    expect(counter.ended).toBe(counter.started);
    expect(broken).toMatchObject({ asked: counter.started, out: 0, exits: 1 });
  });

  it('that rejects with what has no text ends the run like any other', async () => {
    class Odd extends NFStreamClassifier {
      override onFlowTerminate() {
        return Promise.reject(Object.create(null));
      }
    }
    const counter = new Counter('counter');
    const { error } = await failure(plain({ userClassifiers: [new Odd('odd'), counter] }));
    expect(error.message).toContain('the classifier "odd" threw in onFlowTerminate: a value that has no text');
    expect(counter).toMatchObject({ ended: counter.started, exits: 1 });
  });

  it('sees its own flow to the end, also where that is dropped and its place is taken', async () => {
    const text = (flow: Flow) => JSON.stringify({ ...flow.toJSON(), metrics: undefined });
    const before: string[] = [];
    const after: string[] = [];
    class Patient extends NFStreamClassifier {
      override readonly concurrency = 1;
      override async onFlowTerminate(flow: Flow) {
        const nth = before.push(text(flow)) - 1;
        await turn();
        after[nth] = text(flow);
      }
    }
    const streamer = plain({ userClassifiers: new Patient('patient'), capacity: 2 });
    await collect(streamer);
    expect(streamer.stats.flows_evicted).toBeGreaterThan(50);
    expect(after).toEqual(before);
    expect(new Set(before).size).toBe(before.length);
  });

  it('comes out while the source waits for more', async () => {
    const input = new PassThrough();
    input.write(readFileSync(RAW));
    const now = (flow: Flow<Record<string, number>>) => {
      flow.export_reason = 5;
      return 0;
    };
    const slow = new Slow('slow', 4, () => 5);
    const streamer = plain({ source: input, userMetrics: { now: (_, flow) => now(flow) }, userClassifiers: slow });
    const watchdog = setTimeout(() => streamer.stop(), 5000);
    for await (const flow of streamer) {
      expect(flow.metrics.slow).toBeDefined();
      expect(input.destroyed).toBe(false);
      break;
    }
    clearTimeout(watchdog);
  });

  it('is waited for after a break, before onExit', async () => {
    const slow = new Slow('slow', 4, () => 2);
    const counter = new Counter('counter');
    for await (const _ of plain({ userClassifiers: [counter, slow], inactiveTimeout: 0.1 })) break;
    expect(slow).toMatchObject({ asked: counter.started, out: 0, exits: 1 });
  });
});

describe('every flow ends exactly once', () => {
  class Once extends NFStreamClassifier {
    readonly flows = new Map<Flow, number>();
    exits = 0;
    override onFlowInit(flow: Flow) {
      this.flows.set(flow, 0);
    }
    override onFlowTerminate(flow: Flow) {
      expect(this.exits).toBe(0);
      this.flows.set(flow, (this.flows.get(flow) ?? 100) + 1);
    }
    override onExit() {
      this.exits++;
    }
  }
  class Thrower extends NFStreamClassifier {
    calls = 0;
    override onFlowInit() {
      if (this.name === 'onFlowInit' && ++this.calls === 20) throw new Error('at last');
    }
    override onFlowUpdate() {
      if (this.name === 'onFlowUpdate' && ++this.calls === 200) throw new Error('at last');
    }
    override onFlowMeasured() {
      if (this.name === 'onFlowMeasured' && ++this.calls === 200) throw new Error('at last');
    }
    override onBatch() {
      if (this.name === 'onBatch') throw new Error('at last');
    }
    override onFlowTerminate(): Promise<void> | void {
      if (this.name === 'onFlowTerminate' && ++this.calls === 20) throw new Error('at last');
      if (this.name === 'rejects' && ++this.calls === 20) return Promise.reject(new Error('at last'));
    }
    override onExit() {
      if (this.name === 'onExit') throw new Error('at last');
    }
  }

  it.each(['onFlowInit', 'onFlowUpdate', 'onFlowMeasured', 'onBatch', 'onFlowTerminate', 'rejects', 'onExit'])(
    'for the others, too, when a classifier fails: %s',
    async (where) => {
      for (const inactiveTimeout of [30, 0.05]) {
        const [before, after] = [new Once('before'), new Once('after')];
        const { error } = await failure(
          plain({ userClassifiers: [before, new Thrower(where), after], inactiveTimeout }),
        );
        expect(error).toMatchObject({ code: 'USER_CLASSIFIER_FAILED' });
        expect(error.message).toContain(
          `the classifier "${where}" threw in ${where === 'rejects' ? 'onFlowTerminate' : where}`,
        );
        for (const { flows, exits } of [before, after]) {
          expect(flows.size).toBeGreaterThan(10);
          expect([...flows.values()].every((ends) => ends === 1)).toBe(true);
          expect(exits).toBe(1);
        }
      }
    },
  );

  it('when a metric fails, the capture is damaged, flows are dropped, or the run is stopped', async () => {
    const damaged = readFileSync(RAW).subarray(0, -3);
    const runs = [
      { userMetrics: { m: () => Number.NaN } },
      { source: damaged },
      { source: path('../fixtures/none.pcap') },
      { capacity: 4 },
      { signal: AbortSignal.abort() },
    ];
    for (const options of runs) {
      const once = new Once('once');
      await collect(plain({ ...options, userClassifiers: once })).catch(() => {});
      expect([...once.flows.values()].every((ends) => ends === 1)).toBe(true);
      expect(once.exits).toBe(1);
    }
  });
});

describe('onStart', () => {
  it('is waited for before the first packet, and knows metrics and classifiers', async () => {
    const calls: string[] = [];
    let info: RunInfo | undefined;
    class Starter extends NFStreamClassifier {
      override async onStart(run: RunInfo) {
        info = run;
        await sleep(20);
        calls.push(`${this.name} started`);
      }
      override onFlowInit() {
        if (calls.length < 3) calls.push('flow');
      }
    }
    const userMetrics = { one: () => 1, two: () => 2 };
    await collect(plain({ userClassifiers: [new Starter('a'), new Starter('b')], userMetrics }));
    expect(calls.slice(0, 3)).toEqual(['a started', 'b started', 'flow']);
    expect(info).toEqual({ metrics: ['one', 'two'], classifiers: ['a', 'b'], features: [] });
  });

  it('that throws or rejects ends the run before the source is opened; onExit is called', async () => {
    for (const onStart of [
      () => Promise.reject(new Error('no model')),
      () => {
        throw new Error('no model');
      },
    ]) {
      const counter = new Counter('counter');
      counter.onStart = onStart;
      const { error, records } = await failure(plain({ source: '/nowhere', userClassifiers: counter }));
      expect(error.message).toBe('the classifier "counter" threw in onStart: Error: no model');
      expect(records).toEqual([]);
      expect(counter).toMatchObject({ started: 0, exits: 1 });
    }
  });
});

describe('onFlowMeasured and onBatch', () => {
  it('follow the metrics of the packet, and the batch', async () => {
    const sums: number[] = [];
    class After extends NFStreamClassifier {
      batches = 0;
      override onFlowMeasured(packet: { length: number }, flow: Flow) {
        if (flow.src_to_dst_pkts + flow.dst_to_src_pkts === 2) {
          sums.push(Number(flow.metrics.bytes) - flow.src_to_dst_bytes - flow.dst_to_src_bytes);
          flow.metrics.second = packet.length;
          return true;
        }
        return false;
      }
      override async onBatch() {
        await turn();
        this.batches++;
      }
    }
    const after = new After('after');
    const userMetrics = {
      bytes: (packet: { length: number }, flow: Flow<Record<string, number>>) => flow.metrics.bytes + packet.length,
    };
    const records = await collect(plain({ userMetrics, userClassifiers: after }));
    expect(sums.length).toBeGreaterThan(20);
    expect(sums.every((difference) => difference === 0)).toBe(true);
    expect(records.filter((record) => record.metrics.second !== undefined)).toHaveLength(sums.length);
    expect(after.batches).toBeGreaterThan(0);
  });
});
