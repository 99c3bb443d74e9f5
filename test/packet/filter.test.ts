// Truth is tcpdump: for each filter and capture it selects the same packets, or refuses with the same message.
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { NfstreamError } from '../../src/errors.ts';
import { PacketFilter } from '../../src/packet/filter.ts';
import { METERED, PacketColumns, SKIP_FILTERED, SKIP_UNFILTERABLE_LINK_TYPE } from '../../src/packet/packet-columns.ts';
import { type Frame, makeBatch } from './batch.ts';
import { pcapFile, readPcapBytes } from './pcap-bytes.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const hasTcpdump = spawnSync('tcpdump', ['--version']).status === 0;
const SNAPLEN = 65535;

const FILTERS = [
  'ip',
  'ip6',
  'arp',
  'tcp',
  'udp',
  'icmp or icmp6',
  'sctp',
  'tcp port 443',
  'tcp src port 443',
  'port 53',
  'portrange 50-100',
  'udp dst portrange 1000-60000',
  'host 198.18.0.1 or host 192.168.1.1 or host 10.0.0.1',
  'net 192.168.0.0/16',
  'src net 10.0.0.0/8',
  'dst net 198.18 mask 255.254.0.0',
  'ip6 net 2001:db8::/32',
  'ip host 192.168.2.126',
  'less 100',
  'greater 600',
  'len >= 61 and len <= 80',
  'len - 14 = 46 or len % 3 = 1',
  'ip proto 17',
  'ip proto \\tcp',
  'proto 58',
  'ip6 proto 6',
  'ip protochain 6',
  'ip6 protochain 17',
  'tcp[tcpflags] & (tcp-syn|tcp-fin) != 0',
  'tcp[13] = 18',
  'tcp[tcpflags] == tcp-ack and greater 500',
  'ip[6:2] & 0x1fff != 0',
  'ip[6] & 0x20 != 0',
  'ip[0] & 0xf > 5',
  'ip[8] < 64',
  'ip[2:2] - ((ip[0] & 0xf) << 2) - ((tcp[12] & 0xf0) >> 2) > 0',
  'udp[4:2] / 2 * 2 = udp[4:2]',
  'icmp[icmptype] = icmp-echo',
  'icmp6[icmp6type] = icmp6-echoreply',
  'ip6[6] = 17',
  'tcp[((tcp[12:1] & 0xf0) >> 2):4] = 0x47455420',
  'vlan',
  'vlan 10',
  'vlan and tcp',
  'vlan and vlan and udp',
  'mpls',
  'mpls 100 and ip',
  'pppoes and ip6',
  'ether[0] & 1 = 1',
  'ether broadcast',
  'ether proto 0x86dd',
  'ether host 02:00:00:00:00:01',
  'ip broadcast',
  'ip multicast or ip6 multicast',
  'not port 443 and not arp',
  'not (tcp or udp)',
  '(tcp or udp) and port 53 and not src port 53',
  'tcp port http or https',
  'link[0] = 0',
  'wlan type mgt',
  'inbound',
  'ip[65535] = 0',
  'ip[4294967295] = 0',
  'tcp[4294967280:4] = 1',
];

const SHARED = join('..', 'shared', 'captures');
const CAPTURES = [
  join('fixtures', 'demo.pcapng'),
  join('fixtures', 'fragments.pcap'),
  join('fixtures', 'cooked.pcap'),
  join('fixtures', 'qinq.pcap'),
  join(SHARED, 'ndpi', 'bot.pcap'),
  join(SHARED, 'ndpi', 'fuzz-2006-06-26-2594.pcap'),
  join(SHARED, 'ndpi', 'ocs.pcap'),
  join(SHARED, 'ndpi', 'rdp.pcap'),
  join(SHARED, 'ndpi', 'sctp.cap'),
];

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(' ', ''), 'hex'));
const IP4_TCP =
  '45000030 00014000 4006 0000 c0a80101 0a000001' + ' 01bb d431 00000001 00000002 5018 ffff 00000000 4745542000000000';
const IP4_OPTIONS_UDP = '46000024 00010000 4011 0000 c0a80102 c6120001 01010101 0035 1000 000c 0000 00010203';
const IP4_FRAGMENT = '4500001c 00010010 4006 0000 c0a80101 0a000001 01bb01bb 00000000';
const IP6_TCP =
  '60000000 0014 06 40 20010db8000000000000000000000001 20010db8000000000000000000000002' +
  '0050 01bb 00000001 00000002 5010 ffff 00000000';
const IP6_HOP_UDP =
  '60000000 0020 00 40 20010db8000000000000000000000001 ff020000000000000000000000000001' +
  '3c 00 010400000000 11 01 0104000000000000000000000000 0035 0035 0008 0000';
const ARP = '0001 0800 06 04 0001 020000000001 c0a80101 000000000000 c0a80102';
const MAC = '020000000002 020000000001';

/** The same handful of packets for each link type, by the header that goes before each. */
const HEADERS: readonly { name: string; linkType: number; bigEndian?: boolean; ip4: string; ip6: string }[] = [
  { name: 'null, written little-endian', linkType: 0, ip4: '02000000', ip6: '1e000000' },
  { name: 'null, written big-endian', linkType: 0, bigEndian: true, ip4: '00000002', ip6: '0000000a' },
  { name: 'ppp', linkType: 9, ip4: 'ff03 0021', ip6: 'ff03 0057' },
  { name: 'ppp_hdlc', linkType: 50, ip4: 'ff03 0021', ip6: 'ff03 0057' },
  { name: 'ppp_ether', linkType: 51, ip4: '11000001 0032 0021', ip6: '11000001 003e 0057' },
  { name: 'raw', linkType: 101, ip4: '', ip6: '' },
  { name: 'c_hdlc', linkType: 104, ip4: '0f00 0800', ip6: '0f00 86dd' },
  {
    name: 'ieee802_11',
    linkType: 105,
    ip4: `0801 0000 ${MAC} 020000000003 0000 aaaa03 000000 0800`,
    ip6: `8801 0000 ${MAC} 020000000003 0000 0000 aaaa03 000000 86dd`,
  },
  { name: 'loop', linkType: 108, ip4: '00000002', ip6: '0000001e' },
  {
    name: 'radiotap',
    linkType: 127,
    ip4: `00000800 00000000 0802 0000 ${MAC} 020000000003 0000 aaaa03 000000 0800`,
    ip6: `00000900 02000000 10 0801 0000 ${MAC} 020000000003 0000 aaaa03 000000 86dd`,
  },
  { name: 'ipv4', linkType: 228, ip4: '', ip6: '' },
  { name: 'ipv6', linkType: 229, ip4: '', ip6: '' },
  {
    name: 'linux_sll',
    linkType: 113,
    ip4: '0000 0001 0006 0200000000010000 0800',
    ip6: '0004 0001 0006 0200000000010000 86dd',
  },
  {
    name: 'linux_sll2',
    linkType: 276,
    ip4: '0800 0000 00000001 0001 00 06 0200000000010000',
    ip6: '86dd 0000 00000001 0001 04 06 0200000000010000',
  },
];

const ETHERNET_FRAMES = [
  `${MAC} 0800 ${IP4_TCP}`,
  `${MAC} 0800 ${IP4_OPTIONS_UDP}`,
  `${MAC} 0800 ${IP4_FRAGMENT}`,
  `${MAC} 86dd ${IP6_TCP}`,
  `${MAC} 86dd ${IP6_HOP_UDP}`,
  `ffffffffffff 020000000001 0806 ${ARP}`,
  `${MAC} 8100 000a 0800 ${IP4_TCP}`,
  `${MAC} 88a8 000a 8100 0014 0800 ${IP4_OPTIONS_UDP}`,
  `${MAC} 8847 00064140 ${IP4_TCP}`,
  `${MAC} 8847 00064040 000c8140 ${IP4_OPTIONS_UDP}`,
  `${MAC} 8864 11000001 0036 0057 ${IP6_TCP}`,
  `${MAC} 0026 424203 0000000000`,
];

/** Each frame whole, padded, and cut at every byte as by a snap length. */
function cuts(frames: readonly string[], linkType: number): Frame[] {
  return frames.map(hex).flatMap((bytes) => {
    const padded = new Uint8Array(bytes.length + 600);
    padded.set(bytes);
    const all: Frame[] = [{ bytes: padded, linkType }];
    for (let end = 0; end <= bytes.length; end++) {
      all.push({ bytes: bytes.subarray(0, end), wireLength: bytes.length, linkType });
    }
    return all;
  });
}

/** Indexes of the frames that are accepted, or the message of the refusal. */
function selectWith(filter: string, frames: readonly Frame[]): number[] | string {
  const columns = new PacketColumns(frames.length);
  columns.status.fill(0xee);
  try {
    const packetFilter = new PacketFilter(filter, SNAPLEN);
    packetFilter.apply(makeBatch(frames), columns);
    if (packetFilter.problem !== null) throw packetFilter.problem;
  } catch (error) {
    if (!(error instanceof NfstreamError) || error.code !== 'INVALID_FILTER') throw error;
    return error.message;
  }
  expect(columns.status.every((status) => status === METERED || status === SKIP_FILTERED)).toBe(true);
  return frames.flatMap((_, row) => (columns.status[row] === METERED ? [row] : []));
}

/** The same by tcpdump: its output is a subsequence of the file, and each packet of the file has its own time. */
async function selectByTcpdump(
  filter: string,
  path: string,
  indexByTime: ReadonlyMap<number, number>,
): Promise<number[] | string> {
  const options = { encoding: 'buffer', maxBuffer: 1 << 28 } as const;
  try {
    const { stdout } = await promisify(execFile)('tcpdump', ['-r', path, '-w', '-', filter], options);
    return readPcapBytes(stdout).map((frame) => indexByTime.get(frame.timeMs!)!);
  } catch (error) {
    const { stderr } = error as { stderr: Buffer };
    return stderr
      .toString()
      .trim()
      .split('\n')
      .at(-1)!
      .replace(/^tcpdump: /, '');
  }
}

/** How many filters took some of the frames but not all. */
async function expectSameSelections(frames: readonly Frame[], path: string): Promise<number> {
  const indexByTime = new Map(frames.map((frame, index) => [frame.timeMs!, index]));
  expect(indexByTime.size).toBe(frames.length);
  const expected = new Map<string, number[] | string>();
  const waiting = [...FILTERS];
  const work = async () => {
    for (let filter = waiting.pop(); filter !== undefined; filter = waiting.pop()) {
      expected.set(filter, await selectByTcpdump(filter, path, indexByTime));
    }
  };
  await Promise.all([work(), work(), work()]);
  let selective = 0;
  for (const [filter, indexes] of expected) {
    const selected = selectWith(filter, frames);
    if (typeof indexes === 'string') {
      expect(selected, filter).toEqual(expect.stringContaining(indexes));
    } else {
      expect(selected, filter).toEqual(indexes);
      if (indexes.length > 0 && indexes.length < frames.length) selective++;
    }
  }
  expect(expected.size).toBe(FILTERS.length);
  return selective;
}

/** The frames with times one microsecond apart, and a file of them. */
function writeNumbered(
  folder: string,
  frames: readonly Frame[],
  bigEndian = false,
): { path: string; numbered: Frame[] } {
  const path = join(folder, 'numbered.pcap');
  const numbered = frames.map((frame, index) => ({ ...frame, timeMs: index / 1000 }));
  writeFileSync(path, pcapFile(numbered, bigEndian));
  return { path, numbered };
}

describe.skipIf(!hasTcpdump)('PacketFilter selects what tcpdump selects', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'nfstream-filter-'));
  });
  afterAll(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it.for(CAPTURES)('of %s', async (name, { skip }) => {
    const capture = join(ROOT, name);
    if (!existsSync(capture)) skip(`${name} is not there`);
    const whole = execFileSync('tcpdump', ['-r', capture, '-w', '-'], {
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1 << 28,
    });
    const { path, numbered } = writeNumbered(folder, readPcapBytes(whole).slice(0, 3000));
    expect(await expectSameSelections(numbered, path)).toBeGreaterThan(3);
  });

  it('of Ethernet frames cut at every byte', async () => {
    const { path, numbered } = writeNumbered(folder, cuts(ETHERNET_FRAMES, 1));
    expect(await expectSameSelections(numbered, path)).toBeGreaterThan(40);
  });

  it.each(HEADERS)('of $name frames cut at every byte', async ({ linkType, bigEndian, ip4, ip6 }) => {
    const frames = [
      ...[IP4_TCP, IP4_OPTIONS_UDP, IP4_FRAGMENT].map((packet) => ip4 + packet),
      ...[IP6_TCP, IP6_HOP_UDP].map((packet) => ip6 + packet),
    ];
    const { path, numbered } = writeNumbered(folder, cuts(frames, linkType), bigEndian);
    expect(await expectSameSelections(numbered, path)).toBeGreaterThan(10);
  });
});

describe('PacketFilter', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });
  const frames = cuts([ETHERNET_FRAMES[0], ETHERNET_FRAMES[5]], 1);

  it.each(['', ' ', '\t\n '])('accepts everything for %j, without the addon', (blank) => {
    vi.stubEnv('NFSTREAM_NATIVE', 'off');
    expect(selectWith(blank, frames)).toHaveLength(frames.length);
  });

  it('says what was tried and what to run when the addon does not load', () => {
    vi.stubEnv('NFSTREAM_NATIVE', '/nonexistent');
    expect(() => new PacketFilter('tcp', SNAPLEN)).toThrow(
      expect.objectContaining({
        code: 'FILTER_UNAVAILABLE',
        message: expect.stringMatching(
          /bpfFilter needs libpcap.*\/nonexistent\/capture\.node.*npx nfstream build-native/s,
        ),
      }),
    );
  });

  it.each([
    [
      'tcp portt 443',
      'ETHERNET (1) for bpfFilter and received "tcp portt 443": can\'t parse filter expression: syntax error',
    ],
    ['host 300.1.2.3', 'received "host 300.1.2.3": '],
    ['port 70000', 'illegal port number 70000 > 65535'],
    ['tcp\0', 'expected a string without NUL for expression'],
  ])('fails at construction for %j with the reason', (filter, message) => {
    expect(() => new PacketFilter(filter, SNAPLEN)).toThrow(
      expect.objectContaining({ code: 'INVALID_FILTER', message: expect.stringContaining(message) }),
    );
  });

  it('fails for an expression of more than 64 KiB, of which the message shows the beginning', () => {
    expect(() => new PacketFilter('tcp or '.repeat(20_000), SNAPLEN)).toThrow(
      /tcp .*\.\.\.": expected a shorter string/,
    );
  });

  it('takes at construction what suits some link type', () => {
    expect(selectWith('wlan type data', [{ bytes: hex(`0801 0000 ${MAC}`), linkType: 105 }])).toEqual([0]);
  });

  it('marks the rows of link types that the expression does not suit, filters the others, and says why', () => {
    const ethernet = { bytes: hex(ETHERNET_FRAMES[0]) };
    const broadcast = { bytes: hex(ETHERNET_FRAMES[5]) };
    const raw = (linkType: number): Frame => ({ bytes: hex(IP4_TCP), linkType });
    const loopback: Frame = { bytes: hex(`02000000${IP4_TCP}`), linkType: 0 };
    const unknown: Frame = { bytes: hex('00'), linkType: 227 };
    const columns = new PacketColumns(7);
    const filter = new PacketFilter('ether host 02:00:00:00:00:02', SNAPLEN);
    filter.apply(makeBatch([ethernet, broadcast, unknown]), columns);
    expect([...columns.status.subarray(0, 3)]).toEqual([METERED, SKIP_FILTERED, METERED]);
    expect(filter.problem).toBeNull();

    filter.apply(makeBatch([raw(12), ethernet, loopback, broadcast, raw(101), unknown, ethernet]), columns);
    const bad = SKIP_UNFILTERABLE_LINK_TYPE;
    expect([...columns.status]).toEqual([bad, METERED, bad, SKIP_FILTERED, bad, METERED, METERED]);
    const first = filter.problem;
    expect(first).toBeInstanceOf(NfstreamError);
    expect(first).toMatchObject({
      code: 'INVALID_FILTER',
      message: expect.stringMatching(
        /link type RAW \(101\) for bpfFilter and received "ether host 02:00:00:00:00:02": .*ethernet addresses/,
      ),
    });

    filter.apply(makeBatch([loopback, ethernet]), columns);
    expect([...columns.status.subarray(0, 2)]).toEqual([bad, METERED]);
    expect(filter.problem).toBe(first);
  });

  it('changes programs from row to row where link types are mixed', () => {
    const mixed: Frame[] = [
      { bytes: hex(ETHERNET_FRAMES[0]) },
      { bytes: hex(IP4_TCP), linkType: 101 },
      { bytes: hex(ETHERNET_FRAMES[1]) },
      { bytes: hex(IP4_TCP), linkType: 12 },
      { bytes: hex(IP4_OPTIONS_UDP), linkType: 101 },
      { bytes: hex(`02000000${IP4_TCP}`), linkType: 0 },
      { bytes: hex(`00000002${IP4_TCP}`), linkType: 0 },
    ];
    expect(selectWith('tcp port 443', mixed)).toEqual([0, 1, 3, 5, 6]);
  });

  it('leaves rows of link types that are not decoded to the decoder', () => {
    expect(selectWith('tcp', [{ bytes: hex('00'), linkType: 227 }, { bytes: hex('00') }])).toEqual([0]);
  });

  it('leaves rows beyond the count alone', () => {
    const batch = makeBatch(frames);
    batch.count = 1;
    const columns = new PacketColumns(frames.length);
    columns.status.fill(7);
    new PacketFilter('udp', SNAPLEN).apply(batch, columns);
    expect([...columns.status.subarray(0, 3)]).toEqual([SKIP_FILTERED, 7, 7]);
  });

  it('takes a list of 300 hosts in bearable time', () => {
    const hosts = Array.from({ length: 300 }, (_, host) => `host 10.0.${host >> 8}.${host & 255}`).join(' or ');
    expect(selectWith(hosts, [{ bytes: hex(ETHERNET_FRAMES[0]) }, { bytes: hex(ETHERNET_FRAMES[1]) }])).toEqual([0]);
  });
});
