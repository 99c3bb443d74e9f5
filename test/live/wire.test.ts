// Live flows are the flows of the wire: nfstream and tcpdump watch the same interface while real clients talk to real
// servers; what nfstream printed must equal what it makes of tcpdump's file afterwards.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamerOptions } from '../../src/options.ts';
import { facts, flowsOf, packetsOf, sorted } from './flows.ts';
import { type MeterProcess, nfstream, type Row, script, tcpdump } from './meter.ts';
import { whySkipped } from './network.ts';
import { openSite, SITE_PROGRAMS, type Site, startServers, talk } from './site.ts';

/** The kernels of the hosts report the groups that they listen to whenever they like. */
const FILTER = 'not ip6 multicast';
const why = whySkipped('mergecap', ...SITE_PROGRAMS);

/** Both watchers see the packet at the same moment, but either may stamp it itself. */
const SAME_TIME_MS = 1;

function expectSameFlows(live: readonly Row[], truth: readonly Row[]): void {
  expect(facts(live)).toEqual(facts(truth));
  const pairs = sorted(live).map((row, i) => [row, sorted(truth)[i]] as const);
  for (const time of ['start_time', 'end_time']) {
    const off = pairs.filter(([a, b]) => Math.abs(Number(a[time]) - Number(b[time])) > SAME_TIME_MS);
    expect(off).toEqual([]);
  }
}

describe.skipIf(why !== '')(`flows of a wire${why}`, () => {
  let site: Site;

  beforeAll(async () => {
    site = await openSite();
    await startServers(site);
  });
  afterAll(() => site?.network.close());

  /** Lets the clients talk while `meter` and tcpdump watch `devices`; both end after the last packet. */
  async function watch(
    meter: MeterProcess,
    devices: readonly string[],
    traffic: () => Promise<void>,
    sockets: number = devices.length,
  ) {
    const dumps = await Promise.all(devices.map((device) => tcpdump(site.router, device, ...FILTER.split(' '))));
    await meter.listens(sockets);
    await traffic();
    await Promise.all(devices.map((device) => site.router.silence(device)));
    await meter.rests();
    const counts = await Promise.all(dumps.map((dump) => dump.stop()));
    const run = await meter.stop();
    return { run, files: dumps.map(({ file }) => file), received: counts.map((count) => count.received), counts };
  }

  it('are those of the file that tcpdump writes meanwhile, with the same applications', async () => {
    const meter = nfstream(site.router, 'lan', '--filter', FILTER);
    const { run, files, received, counts } = await watch(meter, ['lan'], () => talk(site));
    expect(run).toMatchObject({ code: 0, signal: null, stderr: '' });
    const truth = await flowsOf(files[0], { bpfFilter: FILTER });
    expectSameFlows(run.rows, truth);

    const { capture, ...stats } = meter.stats();
    expect(counts[0]).toMatchObject({ dropped: 0, captured: received[0] });
    expect(capture).toMatchObject({
      packets_received: received[0],
      packets_dropped_by_kernel: 0,
      packets_dropped_by_interface: 0,
    });
    expect(stats.packets_read).toBe(received[0]);
    // Nothing but IP passes: every packet belongs to a flow.
    expect(packetsOf(run.rows)).toBe(received[0]);
    expect(run.rows.every((row) => row['export_reason'] === 2)).toBe(true);
    expectTheDay(run.rows);
  });

  /** Whatever talked is there, under the name that nDPI has for it. */
  function expectTheDay(rows: readonly Row[]): void {
    const seen = new Set(
      rows.map((row) => {
        const { application_name, tls_version, tls_alpn } = row['metrics'] as Row;
        const version = String(row['ip_src']).includes(':') ? 6 : 4;
        return [`IPv${version}`, row['ip_protocol'], application_name, tls_version, tls_alpn].filter(Boolean).join(' ');
      }),
    );
    expect([...seen].sort()).toEqual(
      expect.arrayContaining([
        'IPv4 17 DNS.Wikipedia',
        'IPv6 17 DNS.Github',
        'IPv4 6 DNS',
        'IPv6 6 DNS',
        'IPv4 6 HTTP.Wikipedia',
        'IPv6 6 HTTP.Wikipedia',
        'IPv4 6 TLS.Wikipedia TLSv1.2 http/1.1',
        'IPv6 6 TLS.NetFlix TLSv1.2 http/1.1',
        'IPv4 6 TLS.NetFlix TLSv1.3 http/1.1',
        'IPv6 6 TLS.Github TLSv1.3 h2,http/1.1',
        'IPv4 6 TLS.Github TLSv1.2 h2,http/1.1',
        'IPv4 17 QUIC.YouTube TLSv1.3 h3',
        'IPv6 17 QUIC.Facebook TLSv1.3 h3',
        'IPv4 6 SSH',
        'IPv6 6 SSH',
        'IPv4 1 ICMP',
        'IPv6 58 ICMPV6',
      ]),
    );
  }

  it('are the same where two meters share the interface', async () => {
    const meter = nfstream(site.router, 'lan', '--filter', FILTER, '--meters', '2');
    // Each has a socket of its own.
    const { run, files, received } = await watch(meter, ['lan'], () => talk(site), 2);
    expect(run).toMatchObject({ code: 0, signal: null, stderr: '' });
    expectSameFlows(run.rows, await flowsOf(files[0], { bpfFilter: FILTER }));
    expect(meter.stats()).toMatchObject({
      packets_read: received[0],
      capture: { packets_received: received[0], packets_dropped_by_kernel: 0 },
    });
  });

  it('are cut by both timeouts where those of the file are, by the library, too', async () => {
    const options: Partial<StreamerOptions> = { activeTimeout: 1, inactiveTimeout: 0.7, enableNdpi: false };
    const code = `
      const options = ${JSON.stringify({ ...options, bpfFilter: FILTER, source: { interface: 'lan' } })};
      const streamer = new Streamer(options);
      for await (const flow of streamer) console.log(JSON.stringify(flow));
      process.stderr.write(JSON.stringify(streamer.stats.capture));
    `;
    const { client, router, server } = site;
    // As hosts are: segments of up to 64 KiB pass the interfaces. The other tests have frames as on a wire.
    for (const [host, device] of [
      [client, 'eth0'],
      [router, 'lan'],
      [router, 'wan'],
      [server, 'eth0'],
    ] as const) {
      await host.must('ethtool', '-K', device, ...'tx on rx on tso on gso on gro on'.split(' '));
    }
    const { run, files, received } = await watch(script(router, code), ['lan'], async () => {
      await Promise.all([
        client.must('iperf3', '-4', '-c', 'speed.example.org', '-t', '3', '-b', '8M'),
        client.must('iperf3', '-6', '-u', '-c', 'speed.example.org', '-t', '3', '-b', '2M', '-l', '4000'),
        client.must('ping', '-q', '-c', '4', '-i', '0.9', '192.0.2.80'),
        client.must('ping', '-q', '-c', '12', '-i', '0.25', '2001:db8:5::80'),
      ]);
    });
    expect(run.code).toBe(0);
    expectSameFlows(run.rows, await flowsOf(files[0], options));
    expect(packetsOf(run.rows)).toBe(received[0]);
    const reasons = new Set(run.rows.map((row) => row['export_reason']));
    expect([...reasons]).toEqual(expect.arrayContaining([0, 1]));
    expect(JSON.parse(run.stderr)).toMatchObject({ packets_received: received[0], packets_dropped_by_kernel: 0 });
  });

  it('of two interfaces as one source are those of both files', async () => {
    const meter = nfstream(site.router, 'lan', 'wan', '--filter', FILTER);
    const { run, files, received } = await watch(meter, ['lan', 'wan'], () => talk(site));
    expect(run).toMatchObject({ code: 0, stderr: '' });
    const merged = `${site.network.folder}/merged.pcap`;
    await site.router.must('mergecap', '-w', merged, ...files);
    // The router passes each packet on: twice the packets of the same flows. Which of both came first is not told.
    expectSameFlows(withoutNames(run.rows), withoutNames(await flowsOf(merged)));
    const both = received[0] + received[1];
    expect(meter.stats()).toMatchObject({
      packets_read: both,
      capture: { packets_received: both, packets_dropped_by_kernel: 0 },
    });
  });

  /** nDPI may need another packet more where a packet comes twice. */
  const withoutNames = (rows: readonly Row[]): Row[] => rows.map((row) => ({ ...row, metrics: {} }));
});
