// Meters that share interfaces: with what a wrong choice of the meter would tear apart (fragments, tunnels, tags, both
// directions on two interfaces) flows must be those that one meter makes of tcpdump's file.
//
//   left eth0 ── lan middle wan ── eth0 right      VXLAN between left and right; tagged frames are replayed both ways
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { facts, flowsOf, packetsOf } from '../live/flows.ts';
import { script, tcpdump } from '../live/meter.ts';
import { type Host, Network, whySkipped } from '../live/network.ts';

const why = whySkipped('tcpdump', 'mergecap', 'ping', 'tcpreplay');
const FILTER = 'not ip6 multicast and not arp';

/** Answers each TCP connection and each datagram with 2000 bytes, IPv4 and IPv6. */
const SERVER = `
  const { createServer } = require('node:net');
  const { createSocket } = require('node:dgram');
  createServer((socket) => socket.on('error', () => {}).once('data', () => socket.end(Buffer.alloc(2000)))).listen(8080, '::');
  const udp = createSocket('udp6').on('message', (_, { port, address }) => udp.send(Buffer.alloc(2000), port, address));
  udp.bind(5353, '::');
`;

/** Talks to each address over 8 connections and by 4 datagrams of 3000 bytes, which take fragments. */
const CLIENT = `
  const { connect } = require('node:net');
  const { createSocket } = require('node:dgram');
  const { once } = require('node:events');
  (async () => {
    for (const host of process.argv.slice(1)) {
      for (let i = 0; i < 8; i++) {
        const socket = connect(8080, host, () => socket.write('x'.repeat(i * 500 + 1))).resume();
        await once(socket, 'close');
      }
      for (let i = 0; i < 4; i++) {
        const udp = createSocket(host.includes(':') ? 'udp6' : 'udp4');
        udp.send(Buffer.alloc(3000), 5353, host);
        await once(udp, 'message');
        udp.close();
      }
    }
  })();
`;

describe.skipIf(why !== '')(`meters that share interfaces${why}`, () => {
  let network: Network;
  let left: Host;
  let middle: Host;
  let right: Host;

  beforeAll(async () => {
    network = await Network.open('left', 'middle', 'right');
    [left, middle, right] = ['left', 'middle', 'right'].map((name) => network.host(name));
    await network.wire(
      { host: left, device: 'eth0', addresses: ['198.51.100.1/24', '2001:db8:c::1/64'] },
      { host: middle, device: 'lan', addresses: ['198.51.100.2/24', '2001:db8:c::2/64'] },
    );
    await network.wire(
      { host: middle, device: 'wan', addresses: ['192.0.2.2/24', '2001:db8:5::2/64'] },
      { host: right, device: 'eth0', addresses: ['192.0.2.1/24', '2001:db8:5::1/64'] },
    );
    const forwarding = ['ipv4/ip_forward', 'ipv6/conf/all/forwarding'].map((name) => `/proc/sys/net/${name}`);
    await middle.must('sh', '-c', 'for file; do echo 1 >"$file" || exit; done', 'sh', ...forwarding);
    await left.ip('route add default via 198.51.100.2\nroute add default via 2001:db8:c::2\n');
    await right.ip('route add default via 192.0.2.2\nroute add default via 2001:db8:5::2\n');
    for (const [host, own, other, address] of [
      [left, '198.51.100.1', '192.0.2.1', '203.0.113.17'],
      [right, '192.0.2.1', '198.51.100.1', '203.0.113.18'],
    ] as const) {
      await host.ip(
        `link add tunnel type vxlan id 9 local ${own} remote ${other} dstport 4789\n` +
          `link set tunnel addrgenmode none\nlink set tunnel up\naddress add ${address}/28 dev tunnel\n`,
      );
    }
    await right.serve(['tcp/:8080', 'udp/:5353'], process.execPath, '-e', SERVER);
  });
  afterAll(() => network?.close());

  async function talk(): Promise<void> {
    const hosts = ['192.0.2.1', '2001:db8:5::1', '203.0.113.18'];
    await left.must(process.execPath, '-e', CLIENT, ...hosts);
    await left.must('ping', '-q', '-c', '2', '-i', '0.2', '-s', '4000', '192.0.2.1');
    await left.must('ping', '-q', '-c', '2', '-i', '0.2', '-s', '4000', '2001:db8:5::1');
    await left.must('ping', '-q', '-c', '2', '-i', '0.2', '-s', '4000', '203.0.113.18');
    // In and out of the same interface: the kernel shows the two differently.
    for (const name of ['vlan', 'qinq']) {
      const file = join(import.meta.dirname, '..', '..', 'fixtures', `${name}.pcap`);
      await left.must('tcpreplay', '-q', '-i', 'eth0', '--pps=2000', file);
      await middle.must('tcpreplay', '-q', '-i', 'lan', '--pps=2000', file);
    }
  }

  for (const devices of [['lan'], ['lan', 'wan']]) {
    it(`gives the flows of ${devices.join(' and ')} that one meter makes of tcpdump's file`, async () => {
      const options = { source: devices, meters: 2, enableNdpi: false, bpfFilter: FILTER };
      const code = `
        const streamer = new Streamer(${JSON.stringify(options)});
        for await (const flow of streamer) console.log(JSON.stringify(flow));
        process.stderr.write(JSON.stringify(streamer.stats));
      `;
      const meter = script(middle, code);
      const dumps = await Promise.all(devices.map((device) => tcpdump(middle, device, ...FILTER.split(' '))));
      await meter.listens(2 * devices.length);
      await talk();
      for (const device of devices) await middle.silence(device);
      await meter.rests();
      const counts = await Promise.all(dumps.map((dump) => dump.stop()));
      const run = await meter.stop();
      expect(run.code).toBe(0);

      const merged = `${network.folder}/merged-${devices.length}.pcap`;
      await middle.must('mergecap', '-F', 'nsecpcap', '-w', merged, ...dumps.map(({ file }) => file));
      const truth = await flowsOf(merged, { bpfFilter: FILTER, enableNdpi: false });
      const received = counts.reduce((sum, count) => sum + count.received, 0);
      // 8 connections and 4 datagrams to each of 3 addresses, 3 pings; tagged ones.
      expect(truth.length).toBeGreaterThan(3 * 12 + 3);
      expect(new Set(truth.map(({ vlan_id }) => vlan_id)).size).toBeGreaterThan(1);
      expect(facts(run.rows)).toEqual(facts(truth));
      const stats = JSON.parse(run.stderr) as Record<string, unknown>;
      expect(stats).toMatchObject({ packets_read: received, packets_metered: packetsOf(truth) });
      expect(stats).toMatchObject({ capture: { packets_received: received, packets_dropped_by_kernel: 0 } });
    });
  }

  it('end with the flows so far, and say why, when their interface is gone', async () => {
    await network.wire({ host: left, device: 'extra0' }, { host: middle, device: 'extra1' });
    await middle.ip('address add 203.0.113.33/30 dev extra1\n');
    await left.ip('address add 203.0.113.34/30 dev extra0\n');
    const options = { source: 'extra1', meters: 2, enableNdpi: false, bpfFilter: 'icmp' };
    const code = `
      const streamer = new Streamer(${JSON.stringify(options)});
      await streamer.open();
      try {
        for await (const flow of streamer) console.log(JSON.stringify(flow));
      } catch ({ code, file }) {
        process.stderr.write(code + ' ' + file);
      }
    `;
    const meter = script(middle, code);
    await meter.listens(2);
    await left.must('ping', '-q', '-c', '3', '-i', '0.2', '203.0.113.33');
    await middle.ip('link delete extra1\n');
    const { rows, stderr, code: exitCode } = await meter.ended();
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: 'INTERFACE_DOWN extra1' });
    expect(packetsOf(rows)).toBe(6);
    expect(rows).toMatchObject([{ export_reason: 2 }]);
  });

  it('meter what had arrived when they are stopped, also while they are busy', async () => {
    const plugin = `${network.folder}/slow.mjs`;
    // 1000 packets take 0.1 s: capture stops in the middle of a batch, with more of them waiting.
    writeFileSync(
      plugin,
      `export const userMetrics = {
        slow() { for (const until = performance.now() + 0.1; performance.now() < until; ); return 0; },
      };`,
    );
    const options = { source: 'lan', meters: 2, enableNdpi: false, bpfFilter: 'udp port 9', plugins: [plugin] };
    const code = `
      const streamer = new Streamer(${JSON.stringify(options)});
      let packets = 0;
      for await (const flow of streamer) packets += flow.src_to_dst_pkts;
      console.log(JSON.stringify({ packets, stats: streamer.stats }));
    `;
    const meter = script(middle, code);
    await meter.listens(2);
    const flood = `
      const udp = require('node:dgram').createSocket('udp4');
      let left = 10000;
      const next = () => (left-- > 0 ? udp.send('x', 9, '192.0.2.1', next) : udp.close());
      next();
    `;
    await left.must(process.execPath, '-e', flood);
    const { rows } = await meter.stop();
    expect(rows).toMatchObject([
      { packets: 10_000, stats: { packets_read: 10_000, capture: { packets_received: 10_000 } } },
    ]);
  });

  it('do not keep a process that only opened the interface', async () => {
    const options = { source: 'lan', meters: 2, enableNdpi: false };
    const meter = script(middle, `await new Streamer(${JSON.stringify(options)}).open(); console.log('open');`);
    expect(await meter.ended()).toMatchObject({ code: 0, stdout: 'open\n', stderr: '' });
  });

  it('leave an exact number of packets to one reader', async () => {
    const options = { source: ['lan', 'wan'], meters: 2, enableNdpi: false, packets: 5, bpfFilter: 'icmp' };
    const code = `
      const streamer = new Streamer(${JSON.stringify(options)});
      for await (const flow of streamer) console.log(JSON.stringify(flow));
      process.stderr.write(JSON.stringify(streamer.stats));
    `;
    const meter = script(middle, code);
    await meter.listens(2);
    await left.must('ping', '-q', '-c', '4', '-i', '0.2', '192.0.2.1');
    const { rows, stderr } = await meter.ended();
    expect(packetsOf(rows)).toBe(5);
    expect(JSON.parse(stderr)).toMatchObject({
      packets_read: 5,
      packets_metered: 5,
      packets_skipped: { abandoned: 0 },
    });
  });
});
