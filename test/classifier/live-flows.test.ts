// Metrics alone run on a moving view and columns, beside classifiers on an object for each flow: nobody may notice.
import { existsSync } from 'node:fs';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../../src/classifier/classifier.ts';
import type { MetricValue } from '../../src/flow/schema.ts';
import { communityId } from '../../src/metric/community-id.ts';
import { ja4 } from '../../src/metric/ja4.ts';
import { metric, type UserMetric } from '../../src/metric/metric.ts';
import { payloadEntropy } from '../../src/metric/payload-entropy.ts';
import { tcpRetransmissions } from '../../src/metric/tcp-retransmissions.ts';
import { collect, DEMO, failure, plain } from '../streams.ts';

class Nothing extends NFStreamClassifier {}

function attempt(work: () => unknown): string {
  try {
    return `${work()}`;
  } catch (error) {
    return String(error);
  }
}

const metrics = (): Record<string, UserMetric> => ({
  big: (packet, flow) => flow.metrics.big + (packet.length > 666 ? 1 : 0),
  sum: (packet, flow) => flow.metrics.sum + packet.length / 3,
  gap: (packet, flow) => Math.max(flow.metrics.gap, packet.deltaTime),
  most: (packet) => (packet.length > 1000 ? Number.POSITIVE_INFINITY : -0),
  sizes: metric<number[]>((packet, flow) => [...(flow.metrics.sizes || []), packet.length]),
  // Changes its kind from packet to packet.
  kind: metric<string | number | boolean | null>((packet, flow) =>
    packet.length % 4 === 0 ? packet.length : [null, flow.ip_src, packet.psh][(packet.length % 4) - 1],
  ),
  others: (packet, flow) => {
    // Another metric's value, a value of no metric, and scratch space that only some flows have.
    flow.metrics.big += packet.length > 1400 ? 1 : 0;
    if (packet.length % 2 === 1) flow.metrics.odd = (flow.metrics.odd ?? 0) + 1;
    if (packet.length % 3 === 0) flow.classifiers.mine = { thirds: Number(flow.classifiers.mine?.thirds ?? 0) + 1 };
    return Number(flow.classifiers.mine?.thirds ?? 0) + (flow.metrics.odd ?? 0) * 100;
  },
  ends: (packet, flow) => {
    if (packet.length === 66 && flow.src_to_dst_pkts > 8) flow.export_reason = 4;
    return JSON.parse(JSON.stringify(flow)).metrics.big;
  },
  ja4: ja4(),
  id: communityId(),
  entropy: payloadEntropy(),
  again: tcpRetransmissions(),
});

describe('metrics without classifiers', () => {
  it.each([
    [DEMO, {}],
    [DEMO, { inactiveTimeout: 0.01 }],
    [DEMO, { capacity: 5, onCapacity: 'export' as const }],
    ['../shared/captures/nfstream/instagram.pcap', {}],
  ])('are what they are beside a classifier: %s %o', async (source, options) => {
    if (!existsSync(source)) return console.warn(`skipped: no ${source} beside the project`);
    const alone = await collect(plain({ source, ...options, userMetrics: metrics() }));
    const beside = await collect(plain({ source, ...options, userMetrics: metrics(), userClassifiers: new Nothing() }));
    const debug = await collect(plain({ source, ...options, userMetrics: metrics(), debug: true }));
    expect(alone.length).toBeGreaterThan(5);
    expect(alone.some(({ metrics }) => metrics.odd !== undefined)).toBe(true);
    expect(alone.some(({ export_reason }) => export_reason === 4)).toBe(true);
    // `toEqual` passes over the order of names, which sinks write in.
    expect(alone.map((record) => Object.keys(record.metrics))).toEqual(beside.map((r) => Object.keys(r.metrics)));
    expect(alone).toEqual(beside);
    expect(debug).toEqual(beside);
  });

  it('keep the flows that they give when the next ones take their place', async () => {
    const flows = [];
    for await (const flow of plain({ userMetrics: metrics(), inactiveTimeout: 0.01 })) flows.push(flow);
    const records = flows.map((flow) => flow.toJSON());
    expect(records).toEqual(await collect(plain({ userMetrics: metrics(), inactiveTimeout: 0.01 })));
  });

  it.each<[string, UserMetric<MetricValue>]>([
    [
      'ask whether a value is there',
      (packet, flow) => {
        if (!('first' in flow.metrics)) flow.metrics.first = packet.length;
        return Object.hasOwn(flow.metrics, 'value') && Object.hasOwn(flow.metrics, 'value') ? 1 : 2;
      },
    ],
    [
      'print their values',
      metric<MetricValue>((_, flow) => {
        flow.metrics.extra = flow.src_to_dst_pkts;
        return inspect(flow).replace(/ +/g, ' ');
      }),
    ],
    [
      "set another's value to NaN",
      metric<MetricValue>((packet, flow) => {
        const { before } = flow.metrics;
        flow.metrics.before = Number.NaN;
        return `${before} ${flow.metrics.before} ${packet.length}`;
      }),
    ],
    [
      'replace scratch space, or metrics, as a whole',
      metric<string>((_, flow) => {
        return ['classifiers', 'metrics', 'src_port'].map((name) => attempt(() => Reflect.set(flow, name, {}))).join();
      }),
    ],
  ])('may %s', async (_, value) => {
    const userMetrics = {
      before: metric<number | string>((packet) => (packet.length % 2 === 0 ? 'even' : 5)),
      value,
    };
    const alone = await collect(plain({ userMetrics }));
    expect(alone).toEqual(await collect(plain({ userMetrics, userClassifiers: new Nothing() })));
    expect(alone.some(({ metrics }) => /Setter/.test(String(metrics.value)))).toBe(false);
  });

  it('name the flow when they fail', async () => {
    const userMetrics = { broken: () => Number.NaN };
    const { error } = await failure(plain({ userMetrics }));
    const { error: beside } = await failure(plain({ userMetrics, userClassifiers: new Nothing() }));
    expect(error.message).toBe(beside.message);
  });
});
