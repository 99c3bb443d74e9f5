// Every flag, run for real on a capture made for it.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { manyFlows, type PacketParts, pcap } from './capture.ts';
import { finish, nfstream, records, start, temporaryFolder } from './run.ts';

const file = temporaryFolder();
let made = 0;

/** Runs on a capture of these packets without nDPI; returns the flows and the counters. */
async function run(packets: readonly PacketParts[], ...args: string[]) {
  const stats = file(`stats-${made}.json`);
  const source = file(`capture-${made++}.pcap`, pcap(packets));
  const { code, stdout, stderr } = await nfstream([source, '--no-ndpi', '--stats', stats, ...args]);
  return { code, stderr, flows: records(stdout), stats: JSON.parse(readFileSync(stats, 'utf8')) };
}

const everySecond = (count: number, step = 1) =>
  Array.from({ length: count }, (_, i): PacketParts => ({ at: i * step }));

describe('metering flags', () => {
  it('--active-timeout cuts flows', async () => {
    const { flows } = await run(everySecond(10), '--active-timeout', '4.5');
    expect(flows.map((flow) => flow['src_to_dst_pkts'])).toEqual([5, 5]);
    expect(flows[0]).toMatchObject({ export_reason: 1 });
  });

  it('--inactive-timeout ends flows; Infinity never does', async () => {
    const packets = everySecond(3, 31);
    expect((await run(packets)).flows).toHaveLength(3);
    expect((await run(packets, '--inactive-timeout=100', '--active-timeout=Infinity')).flows).toHaveLength(1);
    expect((await run(packets, '--inactive-timeout=Infinity', '--active-timeout=1000')).flows).toHaveLength(1);
  });

  it('--capacity drops flows, counts and warns; --on-capacity export hands them over', async () => {
    const dropped = await run(manyFlows(100), '--capacity=10');
    expect(dropped.flows).toHaveLength(10);
    expect(dropped.stats.flows_evicted).toBe(90);
    expect(dropped.stderr).toBe(
      'nfstream: warning: More than 10 flows are live: the least recently used are dropped (counted in flows_evicted ' +
        'of --stats). Raise --capacity, shorten --inactive-timeout, or set --on-capacity to "export".\n',
    );
    const quiet = await run(manyFlows(100), '--capacity=10', '-q');
    expect(quiet.stderr).toBe('');
    const exported = await run(manyFlows(100), '--capacity=10', '--on-capacity=export');
    expect(exported.flows).toHaveLength(100);
    expect(exported.stats.flows_exported).toMatchObject({ capacity: 90, termination: 10 });
    expect(exported.stderr).toBe(
      'nfstream: warning: More than 10 flows are live: the least recently used are exported early, with ' +
        'export_reason -1. Raise --capacity or shorten --inactive-timeout.\n',
    );
  });

  it('--filter meters what it accepts', async () => {
    const { flows, stats } = await run([{ dstPort: 53 }, { dstPort: 80 }], '--filter', 'udp port 53');
    expect(flows).toMatchObject([{ dst_port: 53 }]);
    expect(stats.packets_skipped.filtered).toBe(1);
  });

  it('--snaplen cuts frames', async () => {
    const { flows, stats } = await run([{}], '--snaplen', '30');
    expect(flows).toEqual([]);
    expect(stats.packets_skipped.short_header).toBe(1);
  });

  it('--fragments ignore skips later fragments', async () => {
    const packets = [
      { hasMoreFragments: true, size: 24 },
      { fragmentOffset: 4, at: 0.1 },
    ];
    expect((await run(packets)).flows).toMatchObject([{ src_to_dst_pkts: 2 }]);
    const { flows, stats } = await run(packets, '--fragments', 'ignore');
    expect(flows).toMatchObject([{ src_to_dst_pkts: 1 }]);
    expect(stats.packets_skipped.fragment_ignored).toBe(1);
  });

  it('--no-decode-tunnels meters the tunnel', async () => {
    const packets = [{ isTunnelled: true }];
    expect((await run(packets)).flows).toMatchObject([{ ip_src: '10.0.0.1', ip_protocol: 17 }]);
    const { flows } = await run(packets, '--no-decode-tunnels');
    expect(flows).toMatchObject([{ ip_src: '192.0.2.1', ip_protocol: 4, dst_port: 0 }]);
  });

  it('--no-ndpi and --dissections say what labels flows', async () => {
    const source = 'fixtures/demo.pcapng';
    const [without] = records((await nfstream([source, '--no-ndpi'])).stdout);
    expect(without['metrics']).toEqual({});
    const names = async (...args: string[]) =>
      records((await nfstream([source, ...args])).stdout).map(({ metrics }) => metrics as Record<string, unknown>);
    const full = await names();
    const guessed = await names('--dissections', '0');
    expect(guessed).toHaveLength(full.length);
    expect(full.some(({ tls_client_server_name }) => tls_client_server_name !== '')).toBe(true);
    expect(guessed.every(({ tls_client_server_name }) => tls_client_server_name === '')).toBe(true);
  });
});

describe('flags of live runs that captures take, too', () => {
  it('--packets ends the run after so many, --duration after so long', async () => {
    const { code, flows, stats } = await run(manyFlows(10), '--packets', '4');
    expect(code).toBe(0);
    expect(flows).toHaveLength(4);
    expect(stats.packets_read).toBe(4);
    const child = start(['-', '--no-ndpi', '--duration', '0.5']);
    child.stdin.write(pcap(manyFlows(3)));
    const ended = await finish(child);
    expect({ code: ended.code, stderr: ended.stderr }).toEqual({ code: 0, stderr: '' });
    expect(records(ended.stdout)).toHaveLength(3);
  });

  it('--replay-speed ends flows as a live run does: without a next packet', async () => {
    const packets = [{ at: 0 }, { at: 1 }, { at: 1.5, dstPort: 80 }, { at: 9, dstPort: 80 }];
    const reasons = async (...args: string[]) =>
      (await run(packets, '--active-timeout', '2', ...args)).flows.map((flow) => flow['export_reason']);
    expect((await reasons()).sort()).toEqual([1, 2, 2]);
    expect((await reasons('--replay-speed', 'max')).sort()).toEqual([1, 1, 2]);
    const begun = performance.now();
    expect((await reasons('--replay-speed', '10')).sort()).toEqual([1, 1, 2]);
    expect(performance.now() - begun).toBeGreaterThan(900);
  });

  it('--meters share the flows, with the metrics and the columns of one', async () => {
    const plugin = file(
      'several.mjs',
      `console.log('loaded');
       export const userMetrics = { largest: (packet, flow) => Math.max(flow.metrics.largest, packet.length) };`,
    );
    const source = file('several.pcap', pcap(manyFlows(500)));
    const rows = async (...args: string[]) => {
      const done = await nfstream([source, '--no-ndpi', '--plugin', plugin, ...args]);
      expect(done.code).toBe(0);
      return { lines: done.stdout.split('\n').sort(), stderr: done.stderr };
    };
    for (const format of ['csv', 'json']) {
      const one = await rows('--format', format);
      const two = await rows('--format', format, '--meters', '2');
      expect(two.lines).toEqual(one.lines);
      // Each meter loads it, and the main thread, which has to know the columns.
      expect(two.stderr).toBe('loaded\n'.repeat(3));
    }
  });
});

describe('sources', () => {
  it('are one capture when there are several, in the order given', async () => {
    const first = file('first.pcap', pcap([{ at: 0 }]));
    const second = file('second.pcap', pcap([{ at: 1 }]));
    const { stdout } = await nfstream(['--no-ndpi', first, second]);
    expect(records(stdout)).toMatchObject([{ src_to_dst_pkts: 2 }]);
  });

  it('can be standard input', async () => {
    const { code, stdout, stderr } = await nfstream(['-', '--no-ndpi'], { input: pcap([{}]) });
    expect({ code, stderr, flows: records(stdout).length }).toEqual({ code: 0, stderr: '', flows: 1 });
  });

  it('can look like flags or commands after --, or with a folder', async () => {
    const source = file('doctor', pcap([{}]));
    expect(records((await nfstream(['--no-ndpi', source])).stdout)).toHaveLength(1);
    const { code, stderr } = await nfstream(['--no-ndpi', '--', '--quiet']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^nfstream: --quiet: .*\[SOURCE_NOT_FOUND\]\n$/);
  });
});

describe('the ledger', () => {
  it('closes, and goes to standard error with --stats -', async () => {
    const source = file('mixed.pcap', pcap([{}, { etherType: 0x0806 }, { dst: 0x0a000003 }]));
    const { stdout, stderr } = await nfstream([source, '--no-ndpi', '--stats', '-']);
    const stats = JSON.parse(stderr);
    expect(records(stdout)).toHaveLength(2);
    expect(stats).toMatchObject({ packets_read: 3, packets_metered: 2, flows_live: 0, flows_evicted: 0 });
    expect(stats.packets_skipped).toMatchObject({ not_ip: 1 });
    const skipped = Object.values<number>(stats.packets_skipped).reduce((sum, count) => sum + count, 0);
    expect(stats.packets_metered + skipped).toBe(stats.packets_read);
  });
});
