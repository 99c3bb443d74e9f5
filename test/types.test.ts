// What TypeScript knows of a flow: held by the type checker (npm run typecheck), and by vitest at run time.
import { fileURLToPath } from 'node:url';
import { describe, expect, expectTypeOf, it } from 'vitest';
import type {
  AnyRecord,
  FlagCount,
  Flow,
  MetricValue,
  NdpiMetrics,
  SchemaName,
  StreamerOptions,
} from '../src/index.ts';
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

  it('take fields of every schema, findings and user metrics by name', async () => {
    const fields = ['ip_src', 'syn_count', 'metrics', 'tls_version', 'bidirectional_packets', 'big'] as const;
    const streamer = new Streamer({ source, fields, userMetrics: { big: (packet) => packet.length > 100 } });
    for await (const flow of streamer) {
      const record = flow.toJSON();
      expectTypeOf(record.ip_src).toEqualTypeOf<string>();
      expectTypeOf(record.syn_count).toEqualTypeOf<FlagCount>();
      expectTypeOf(record.metrics.application_name).toEqualTypeOf<string>();
      expectTypeOf(record.tls_version).toEqualTypeOf<string | null>();
      expectTypeOf(record.bidirectional_packets).toEqualTypeOf<number>();
      expectTypeOf(record.big).toEqualTypeOf<boolean>();
      expectTypeOf(flow.tls_version).toEqualTypeOf<string | null>();
      expect(Object.keys(record)).toEqual(fields);
      expect(flow.tls_version).toBe(record.tls_version);
      break;
    }
  });

  it('have what options add to nfstream6', async () => {
    const streamer = new Streamer({
      source,
      schema: 'nfstream6',
      userMetrics: { big: (packet) => packet.length > 100 },
    });
    for await (const flow of streamer) {
      const record = flow.toJSON();
      expectTypeOf(record.udps.big).toEqualTypeOf<boolean>();
      expectTypeOf(record.tunnel_id).toEqualTypeOf<number>();
      expect(Object.keys(record.udps)).toEqual(['big']);
      break;
    }
    const live = new Streamer({ source: { interface: 'any' }, schema: 'nfstream6', systemVisibility: true });
    expectTypeOf<ReturnType<FlowOf<typeof live>['toJSON']>['system_process_pid']>().toEqualTypeOf<number>();
    const plain = new Streamer({ source, schema: 'nfstream6', decodeTunnels: false, splt: 0 });
    for await (const flow of plain) {
      const record = flow.toJSON();
      // @ts-expect-error tunnels are not looked into
      expect(record.tunnel_id).toBeUndefined();
      // @ts-expect-error no packets are kept
      expect(record.splt_ps).toBeUndefined();
      // @ts-expect-error there is no user code
      expect(record.udps).toBeUndefined();
      break;
    }
  });

  it('may lack any column where the schema is only known at run time', async () => {
    const schema = (process.env['NO_SUCH_SCHEMA'] ?? 'nfstream6') as SchemaName;
    const options: StreamerOptions = { source, schema, enableNdpi: false };
    for (const streamer of [
      new Streamer(options),
      new Streamer({ source, schema }),
      new Streamer<StreamerOptions>(options),
    ]) {
      for await (const flow of streamer) {
        expectTypeOf(flow.toJSON().ip_src).toEqualTypeOf<string | undefined>();
        expect(flow.toJSON().ip_src).toBeUndefined();
        expect(flow.ip_src).toBe(flow.toJSON().src_ip);
        break;
      }
    }
    const maybe = new Streamer({ source, schema: 'nfstream6', enableNdpi: Math.random() < 2 });
    type MaybeRecord = ReturnType<FlowOf<typeof maybe>['toJSON']>;
    expectTypeOf<MaybeRecord>().not.toHaveProperty('application_name');
  });

  it('are no matter to what takes a Flow', async () => {
    const portOf = (flow: Flow) => flow.dst_port;
    const portIn = (record: AnyRecord) => record.dst_port;
    const ports: unknown[] = [];
    for await (const flow of new Streamer({ source, schema: 'nfstream6', statistics: true, splt: 3 }))
      ports.push(portOf(flow) === portIn(flow.toJSON()));
    for await (const flow of new Streamer({ source, fields: ['dst_port', 'segment'] }))
      ports.push(portOf(flow) === portIn(flow.toJSON()));
    for await (const flow of new Streamer({ source, userMetrics: { big: (packet) => packet.length } }))
      ports.push(portOf(flow) === portIn(flow.toJSON()));
    expect(ports.length).toBeGreaterThan(100);
    expect(new Set(ports)).toEqual(new Set([true]));
    expectTypeOf<NdpiMetrics['tls_version']>().toEqualTypeOf<string>();
  });
});
