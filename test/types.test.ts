// What TypeScript knows of a flow: held by the type checker (npm run typecheck), and by vitest at run time.
import { fileURLToPath } from 'node:url';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { FlagCount, MetricValue, StreamerOptions } from '../src/index.ts';
import { metric, Streamer } from '../src/index.ts';

const source = fileURLToPath(new URL('../fixtures/demo.pcapng', import.meta.url));

type FlowOf<S> = S extends AsyncIterable<infer F> ? F : never;

describe('the types of user metrics', () => {
  it('are those that the functions return; counting needs no cast', async () => {
    const streamer = new Streamer({
      source,
      enableNdpi: false,
      userMetrics: {
        count_pkts_gt_666: (packet, flow) => flow.metrics.count_pkts_gt_666 + (packet.length > 666 ? 1 : 0),
        fourth: (packet, flow, direction) =>
          direction === 0 && flow.src_to_dst_pkts === 4 ? packet.length : flow.metrics.fourth,
        one: () => 1,
        is_web: (packet) => packet.dstPort === 443,
        sizes: metric<number[]>((packet, flow) => [...(flow.metrics.sizes || []), packet.length]),
        peer: metric<string>((packet, flow) => flow.metrics.peer || packet.ipDst),
        hidden: metric<number | null>(() => null),
      },
    });
    for await (const { metrics } of streamer) {
      expectTypeOf(metrics.count_pkts_gt_666).toEqualTypeOf<number>();
      expectTypeOf(metrics.fourth).toEqualTypeOf<number>();
      expectTypeOf(metrics.one).toEqualTypeOf<number>();
      expectTypeOf(metrics.is_web).toEqualTypeOf<boolean>();
      expectTypeOf(metrics.sizes).toEqualTypeOf<number[]>();
      expectTypeOf(metrics.peer).toEqualTypeOf<string>();
      expectTypeOf(metrics.hidden).toEqualTypeOf<number | null>();
      expectTypeOf(metrics.other).toEqualTypeOf<MetricValue>();
      expect(metrics.sizes.filter((size) => size > 666)).toHaveLength(metrics.count_pkts_gt_666);
    }
  });

  it('refuse what is no value', () => {
    // @ts-expect-error a metric returns its new value
    expect(new Streamer({ source, userMetrics: { nothing: () => {} } })).toBeDefined();
    // @ts-expect-error a promise is none
    expect(new Streamer({ source, userMetrics: { later: async () => 1 } })).toBeDefined();
  });
});

describe('the types of a flow', () => {
  it('are those of the columns, of nDPI and of the user metrics', async () => {
    const streamer = new Streamer({ source, userMetrics: { size: (packet) => packet.length, last: () => 'text' } });
    for await (const flow of streamer) {
      expectTypeOf(flow.ip_src).toEqualTypeOf<string>();
      expectTypeOf(flow.src_to_dst_pkts).toEqualTypeOf<number>();
      expectTypeOf(flow.syn_count).toEqualTypeOf<FlagCount>();
      expectTypeOf(flow.toJSON().end_time).toEqualTypeOf<number>();
      expectTypeOf(flow.metrics.application_name).toEqualTypeOf<string>();
      expectTypeOf(flow.metrics.http_status).toEqualTypeOf<number | null>();
      expectTypeOf(flow.metrics.risks).toEqualTypeOf<string[]>();
      expectTypeOf(flow.metrics.size).toEqualTypeOf<number>();
      expectTypeOf(flow.metrics.last).toEqualTypeOf<string>();
      expectTypeOf(flow.metrics.other).toEqualTypeOf<MetricValue>();
      expect(typeof flow.metrics.size).toBe('number');
      expect(typeof flow.metrics.application_name).toBe('string');
      break;
    }
  });

  it('have no columns of nDPI without nDPI, nor when that is only known at run time', () => {
    const off = new Streamer({ source, enableNdpi: false });
    expectTypeOf<FlowOf<typeof off>['metrics']['application_name']>().toEqualTypeOf<MetricValue>();
    const options: StreamerOptions = { source, enableNdpi: Math.random() < 2 };
    const maybe = new Streamer(options);
    expectTypeOf<FlowOf<typeof maybe>['metrics']['application_name']>().toEqualTypeOf<MetricValue>();
  });

  it('refuse options that there are none', () => {
    // @ts-expect-error activeTimeout is meant
    expect(() => new Streamer({ source, activeTimeOut: 60 })).toThrow('activeTimeout');
    // @ts-expect-error a number is meant
    expect(() => new Streamer({ source, activeTimeout: '60' })).toThrow('activeTimeout');
  });
});

describe('the types of a record', () => {
  it('are those of the schema, with what features add', async () => {
    const streamer = new Streamer({ source, enableNdpi: false, schema: 'nfstream6', statistics: true, splt: 3 });
    for await (const flow of streamer) {
      const record = flow.toJSON();
      expectTypeOf(record.src_ip).toEqualTypeOf<string>();
      expectTypeOf(record.bidirectional_mean_ps).toEqualTypeOf<number>();
      expectTypeOf(record.splt_ps).toEqualTypeOf<number[]>();
      expectTypeOf(flow.bidirectional_packets).toEqualTypeOf<number>();
      // @ts-expect-error a column of the other schema
      expect(record.ip_src).toBeUndefined();
      // @ts-expect-error nDPI is off
      expect(record.application_name).toBeUndefined();
      expect(record.splt_ps).toHaveLength(3);
    }
    const picked = new Streamer({ source, enableNdpi: false, fields: ['flow_id', 'src_ip', 'syn_count'] });
    for await (const flow of picked) {
      expectTypeOf(flow.toJSON().flow_id).toEqualTypeOf<number>();
      expect(Object.keys(flow.toJSON())).toEqual(['flow_id', 'src_ip', 'syn_count']);
    }
    const labelled = new Streamer({ source, schema: 'nfstream6' });
    for await (const flow of labelled) {
      expectTypeOf(flow.toJSON().requested_server_name).toEqualTypeOf<string>();
      // @ts-expect-error statistics are off
      expect(flow.toJSON().bidirectional_mean_ps).toBeUndefined();
    }
  });
});
