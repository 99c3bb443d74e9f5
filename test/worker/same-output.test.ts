// Any number of meters gives the same records in the same order, whatever the capture, the options, and the pieces in which
// the capture comes, which make batches of other sizes.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { StreamerOptions } from '../../src/options.ts';
import { concat, ethernetIp, ipv4, ipv6, ipv6Fragment, tcp, udp } from '../packet/encode.ts';
import { pcapFile } from '../packet/pcap-bytes.ts';
import { fixture, outcomeOf, ROOT } from './built.ts';

const CAPTURES = join(ROOT, '..', 'shared', 'captures');
const SHARED = ['nfstream/skype.pcap', 'ndpi/http2.pcapng', 'ndpi/zoom2.pcap', 'ndpi/fix.pcap']
  .map((name) => join(CAPTURES, name))
  .filter((file) => existsSync(file));

const folder = mkdtempSync(join(tmpdir(), 'nfstream-same-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Ends flows of its own accord, counts what it sees, and answers late about some of them. */
const PLUGIN = join(folder, 'plugin.mjs');
writeFileSync(
  PLUGIN,
  `import { NFStreamClassifier } from 'nfstream';
  class Late extends NFStreamClassifier {
    onFlowUpdate(packet, flow) { if (packet.payloadSize === 13) flow.export_reason = 7; }
    onFlowTerminate(flow) {
      flow.metrics.late = flow.src_port;
      if (flow.src_port % 3 === 0) return new Promise((go) => setTimeout(go, flow.src_port % 5));
    }
  }
  export const userClassifiers = [new Late('late')];
  export const userMetrics = {
    sum: (packet, flow) => flow.metrics.sum + packet.length,
    last: (packet) => packet.raw[packet.raw.length - 1],
  };`,
);

interface TestPacket {
  readonly host: number;
  readonly port: number;
  readonly kind: 'tcp' | 'udp' | 'udp6' | 'fragments' | 'fragments6' | 'arp';
  readonly isReverse: boolean;
  readonly flags: number;
  readonly size: number;
  /** After the packet before it, ms; below 0 where it comes too late. */
  readonly gap: number;
}

const packet: fc.Arbitrary<TestPacket> = fc.record({
  host: fc.nat(5),
  port: fc.nat(7),
  kind: fc.constantFrom('tcp', 'tcp', 'tcp', 'udp', 'udp6', 'fragments', 'fragments6', 'arp'),
  isReverse: fc.boolean(),
  flags: fc.constantFrom(0x02, 0x10, 0x18, 0x11, 0x14),
  size: fc.constantFrom(0, 1, 13, 100, 1400),
  gap: fc.oneof(
    { weight: 12, arbitrary: fc.nat(20) },
    { weight: 2, arbitrary: fc.integer({ min: -300, max: 0 }) },
    { weight: 1, arbitrary: fc.nat(1500) },
  ),
});

/** Frames of a packet: two where it is in fragments. */
function framesOf({ kind, host, port, isReverse, flags, size }: TestPacket, id: number): Uint8Array[] {
  const ports = isReverse ? { srcPort: 443, dstPort: 4000 + port } : { srcPort: 4000 + port, dstPort: 443 };
  const [src, dst] = isReverse ? ['192.0.2.9', `192.0.2.${host + 1}`] : [`192.0.2.${host + 1}`, '192.0.2.9'];
  const [src6, dst6] = isReverse ? ['2001:db8::9', `2001:db8::${host + 1}`] : [`2001:db8::${host + 1}`, '2001:db8::9'];
  const payload = new Uint8Array(size).fill(id);
  if (kind === 'arp') return [concat(new Uint8Array(12), Uint8Array.of(8, 6), payload)];
  if (kind === 'tcp') return [ethernetIp(ipv4({ src, dst }, tcp({ ...ports, flags }, payload)))];
  if (kind === 'udp') return [ethernetIp(ipv4({ src, dst, protocol: 17 }, udp(ports, payload)))];
  if (kind === 'udp6') return [ethernetIp(ipv6({ src: src6, dst: dst6, nextHeader: 17 }, udp(ports, payload)))];
  const whole = udp(ports, new Uint8Array(40).fill(id));
  const [head, tail] = [whole.slice(0, 24), whole.slice(24)];
  if (kind === 'fragments') {
    return [
      ethernetIp(ipv4({ src, dst, protocol: 17, id, hasMoreFragments: true }, head)),
      ethernetIp(ipv4({ src, dst, protocol: 17, id, fragmentOffset: 24 }, tail)),
    ];
  }
  const fields = { src: src6, dst: dst6, nextHeader: 44 };
  return [
    ethernetIp(ipv6(fields, ipv6Fragment({ id, hasMore: true }, head))),
    ethernetIp(ipv6(fields, ipv6Fragment({ id, offset: 24 }, tail))),
  ];
}

function captureOf(packets: readonly TestPacket[]): Uint8Array {
  let timeMs = 1_700_000_000_000;
  const frames = packets.flatMap((one, i) => {
    timeMs += one.gap;
    return framesOf(one, i % 251).map((bytes) => ({ bytes, timeMs }));
  });
  return pcapFile(frames);
}

/** Bytes in pieces of these lengths, over and over. */
function pieces(bytes: Uint8Array, lengths: readonly number[]): Readable {
  function* cut() {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const length = lengths[i % lengths.length];
      yield bytes.subarray(at, at + length);
      at += length;
    }
  }
  return Readable.from(cut());
}

const timeouts = fc.record({
  activeTimeout: fc.constantFrom(0.05, 1, 60),
  inactiveTimeout: fc.constantFrom(0.1, 2, 30),
});
const variants = fc.constantFrom<Partial<StreamerOptions>>(
  {},
  { tcpEnd: true, fields: ['id', 'flow_id', 'segment', 'start_time', 'end_time', 'export_reason', 'src_mac'] },
  { schema: 'nfstream6', statistics: true, splt: 4, tcpEnd: true },
  { accountingMode: 'payload', statistics: true },
  { fragments: 'ignore', bpfFilter: 'not tcp port 4003' },
  { packets: 70, maxFlows: 9 },
  { plugins: PLUGIN },
);

/** The same of a run with so many meters, in its order; `source` makes it anew for each. */
async function outcome(source: () => StreamerOptions['source'], options: Partial<StreamerOptions>, meters: number) {
  const { flows, stats, error } = await outcomeOf({ source: source(), enableNdpi: false, ...options, meters });
  // A stream's last bytes may not have been read when so many flows were there.
  const { packets_read, bytes_read, packets_metered, packets_skipped, flows_exported, ...rest } = stats;
  const counted = options.maxFlows === undefined ? stats : rest;
  return { flows, counted, error: error?.message };
}

describe('several meters', () => {
  it('give what one gives, of any capture', async () => {
    const capture = fc.array(packet, { minLength: 1, maxLength: 700 });
    const lengths = fc.array(fc.integer({ min: 1, max: 30_000 }), { minLength: 1, maxLength: 5 });
    await fc.assert(
      fc.asyncProperty(capture, lengths, timeouts, variants, async (packets, sizes, times, variant) => {
        const bytes = captureOf(packets);
        const options = { ...times, ...variant };
        const one = await outcome(() => bytes, options, 1);
        expect(one.error).toBeUndefined();
        for (const meters of [2, 3]) {
          expect(await outcome(() => bytes, options, meters)).toEqual(one);
          expect(await outcome(() => pieces(bytes, sizes), options, meters)).toEqual(one);
        }
        expect(await outcome(() => pieces(bytes, sizes), options, 1)).toEqual(one);
      }),
      { numRuns: 16 },
    );
  }, 120_000);

  for (const source of [fixture('demo.pcapng'), fixture('fragments.pcap'), fixture('tunnels.pcapng'), ...SHARED]) {
    it(`give what one gives of ${source.split('/').at(-1)}, with nDPI`, async () => {
      for (const options of [
        {},
        { schema: 'nfstream6', activeTimeout: 5, inactiveTimeout: 1, statistics: true } as const,
      ]) {
        const one = await outcome(() => source, { ...options, enableNdpi: true }, 1);
        expect(one.flows.length).toBeGreaterThan(0);
        for (const meters of [2, 3])
          expect(await outcome(() => source, { ...options, enableNdpi: true }, meters)).toEqual(one);
      }
    });
  }

  it('give the first flows of one, however many are asked for', async () => {
    const source = fixture('demo.pcapng');
    const { flows } = await outcomeOf({ source, enableNdpi: false, inactiveTimeout: 0.2 });
    for (const maxFlows of [1, 7, 30]) {
      const two = await outcomeOf({ source, enableNdpi: false, inactiveTimeout: 0.2, maxFlows, meters: 2 });
      expect(two.flows).toEqual(flows.slice(0, maxFlows));
    }
  });

  it('are as many as there are processors with auto, and give the same', async () => {
    const source = fixture('demo.pcapng');
    expect((await outcomeOf({ source, meters: 'auto' })).flows).toEqual((await outcomeOf({ source })).flows);
  });
});
