// What TypeScript knows of a flow: held by the type checker (npm run typecheck), and by vitest at run time.
import { fileURLToPath } from 'node:url';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type { FlagCount, MetricValue, StreamerOptions } from '../src/index.ts';
import { Streamer } from '../src/index.ts';

const source = fileURLToPath(new URL('../fixtures/demo.pcapng', import.meta.url));

type FlowOf<S> = S extends AsyncIterable<infer F> ? F : never;

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
