// Several meters measure what one measures, in every form that options give the record.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { StreamerOptions } from '../../src/options.ts';
import { fixture, outcomeOf, ROOT } from './built.ts';

const CAPTURES = join(ROOT, '..', 'shared', 'captures');
/** TCP in segments, tunnels, 802.11 in CAPWAP, cooked, raw. */
const SHARED = [
  'nfstream/skype.pcap',
  'nfstream/raw.pcap',
  'ndpi/capwap_data.pcapng',
  'ndpi/http2.pcapng',
  'ndpi/vxlan.pcap',
].map((name) => join(CAPTURES, name));
const FIXTURES = ['demo.pcapng', 'fragments.pcap', 'cooked2.pcap', 'qinq.pcap', 'tunnels.pcapng'].map(fixture);

const folder = mkdtempSync(join(tmpdir(), 'nfstream-measured-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function recordsOf(options: StreamerOptions) {
  const { flows, stats, error } = await outcomeOf({ ...options });
  expect(error).toBeUndefined();
  // Where time goes on by itself nobody waits for another meter's flows.
  return { records: options.replaySpeed === undefined ? flows : flows.sort(), stats };
}

/** What the meters of 2 and of 3 threads give is what one gives; returns that. */
async function compare(options: StreamerOptions) {
  const one = await recordsOf(options);
  for (const meters of [2, 3]) expect(await recordsOf({ ...options, meters })).toEqual(one);
  return one;
}

const MEASURED = { schema: 'nfstream6', statistics: true, splt: 10 } as const;
const SEGMENTED = { activeTimeout: 0.3, inactiveTimeout: 1 };

const IDENTIFIED = [
  'flow_id',
  'segment',
  'ip_src',
  'src_port',
  'dst_port',
  'src_mac',
  'dst_oui',
  'start_time',
  'export_reason',
  'src2dst_last_seen_ms',
  'bidirectional_stddev_ps',
  'dst2src_mean_piat_ms',
  'splt_direction',
  'splt_ps',
  'splt_piat_ms',
] as const;

describe('several meters', () => {
  const present = SHARED.filter((file) => existsSync(file));
  it(`measure what one measures${present.length === 0 ? ' (without ../shared/captures)' : ''}`, async () => {
    let flows = 0;
    for (const source of [...FIXTURES, ...present]) {
      const { records } = await compare({ source, ...MEASURED, enableNdpi: false });
      flows += records.length;
    }
    expect(flows).toBeGreaterThan(100);
  }, 60_000);

  const VARIANTS: Partial<StreamerOptions>[] = [
    { ...MEASURED },
    { ...MEASURED, exactTimes: true, ...SEGMENTED },
    { ...MEASURED, accountingMode: 'ip' },
    { ...MEASURED, accountingMode: 'ip', enableNdpi: false },
    { fields: IDENTIFIED, statistics: true, splt: 5, enableNdpi: false, ...SEGMENTED },
    { fields: IDENTIFIED, statistics: true, splt: 5, enableNdpi: false, ...SEGMENTED, replaySpeed: 'max' },
    { fields: IDENTIFIED, statistics: true, splt: 5, enableNdpi: false, ...SEGMENTED, tcpEnd: true },
    { fields: ['flow_id', 'src_mac', 'dst_mac'], enableNdpi: false },
    { fields: ['flow_id', 'segment'], enableNdpi: false, bpfFilter: 'tcp', ...SEGMENTED },
    // Without frames: none of the meters looks at one.
    { fields: ['flow_id', 'segment', 'bidirectional_bytes'], enableNdpi: false },
    { statistics: true, splt: 255, enableNdpi: false },
    { accountingMode: 'transport', enableNdpi: false },
    { accountingMode: 'payload', statistics: true, splt: 1, enableNdpi: false, decodeTunnels: false },
  ];
  for (const variant of VARIANTS) {
    const { fields, ...rest } = variant;
    it(`do so with ${fields?.length ?? 'all'} fields, ${JSON.stringify(rest)}`, async () => {
      const source = [fixture('demo.pcapng'), fixture('fragments.pcap'), fixture('tunnels.pcapng')];
      const { records } = await compare({ source, ...variant });
      expect(records.length).toBeGreaterThan(15);
    });
  }

  it('number conversations by packets of the whole source, and their segments from 0', async () => {
    const options = { fields: ['flow_id', 'segment', 'start_time'], enableNdpi: false, activeTimeout: 0.2 } as const;
    const { records } = await compare({ source: fixture('demo.pcapng'), ...options });
    const flows = records.map((text) => JSON.parse(text) as { flow_id: number; segment: number; start_time: number });
    const parts = new Map<number, typeof flows>();
    for (const flow of flows) parts.set(flow.flow_id, [...(parts.get(flow.flow_id) ?? []), flow]);
    expect(parts.size).toBe(67);
    for (const list of parts.values()) {
      const inOrder = list.toSorted((a, b) => a.start_time - b.start_time);
      expect(inOrder.map(({ segment }) => segment)).toEqual(inOrder.map((_, i) => i));
    }
    expect(flows.length).toBeGreaterThan(parts.size);
  });

  it('show plugins what is measured with each packet, as one shows it', async () => {
    const plugin = join(folder, 'measured.mjs');
    writeFileSync(
      plugin,
      `export const userMetrics = {
        mean: (packet, flow) => flow.bidirectional_mean_ps,
        means: (packet, flow) => flow.metrics.means + flow.bidirectional_mean_ps * flow.bidirectional_packets,
        last: (packet, flow) => flow.splt_ps[Math.min(flow.bidirectional_packets, 5) - 1],
        gap: (packet, flow) => flow.bidirectional_max_piat_ms,
        mac: (packet, flow) => flow.src_mac,
        part: (packet, flow) => flow.flow_id + '.' + flow.segment,
      };`,
    );
    const options = { source: fixture('demo.pcapng'), ...MEASURED, splt: 5, enableNdpi: false, ...SEGMENTED };
    const { records } = await compare({ ...options, plugins: plugin });
    for (const text of records) {
      const record = JSON.parse(text);
      expect(record.udps.mean).toBe(record.bidirectional_mean_ps);
      expect(record.udps.gap).toBe(record.bidirectional_max_piat_ms);
      expect(record.udps.last).toBe(record.splt_ps[Math.min(record.bidirectional_packets, 5) - 1]);
      expect(record.udps.mac).toBe(record.src_mac);
      expect(record.udps.means).toBeGreaterThanOrEqual(record.bidirectional_bytes);
    }
  });

  it('say what a plugin reads that is not measured', async () => {
    const plugin = join(folder, 'unmeasured.mjs');
    writeFileSync(plugin, 'export const userMetrics = { mean: (packet, flow) => flow.bidirectional_mean_ps };');
    const options = { source: fixture('demo.pcapng'), enableNdpi: false, plugins: plugin };
    for (const meters of [1, 2]) {
      const { error } = await outcomeOf({ ...options, meters });
      expect(error?.message).toMatch(/bidirectional_mean_ps was not measured in this run: it takes statistics: true/);
    }
  });
});
