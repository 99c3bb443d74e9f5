// The decoder against tshark, packet by packet: innermost addresses, ports, TCP flags and VLAN. Frames of every
// protocol from the encoders (which so are checked too), and captures of other projects when they are there.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { EACH_LAYER, HAS_TSHARK, tsharkRows } from '../tshark.ts';
import type { Row } from './batch.ts';
import { decodeFrames } from './batch.ts';
import type { Bytes } from './encode.ts';
import {
  amsduSubframe,
  authentication,
  capwap,
  ciscoHdlc,
  concat,
  encodePcap,
  ethernet,
  ethernetIp,
  extension,
  geneve,
  gre,
  gtpU,
  hex,
  ieee8023,
  ieee80211,
  ipv4,
  ipv6,
  ipv6Fragment,
  linuxCooked,
  linuxCooked2,
  llcSnap,
  mpls,
  nullLoopback,
  ppp,
  pppoe,
  radiotap,
  sctp,
  tcp,
  tzsp,
  udp,
  vlanTag,
  vxlan,
} from './encode.ts';
import { readCapture } from './read-capture.ts';

const CAPTURES = '../shared/captures';
const HAS_TOOLS = HAS_TSHARK && spawnSync('mergecap', ['--version']).status === 0;

/** Captures with something special below TCP and UDP, or with many kinds of hosts. Few packets each. */
const CURATED = [
  'nfstream/4in4tunnel.pcap',
  'nfstream/6in6tunnel.pcap',
  'nfstream/BGP_Cisco_hdlc_slarp.pcap',
  'nfstream/dhcp_big_endian.pcapng',
  'nfstream/dlt_ppp.pcap',
  'nfstream/dns_fragmented.pcap',
  'nfstream/facebook.pcap',
  'nfstream/gtp-u.pcap',
  'nfstream/http_ipv6.pcap',
  'nfstream/ipv6_in_gtp.pcap',
  'nfstream/malformed_icmp.pcap',
  'nfstream/nats.pcap',
  'nfstream/raw.pcap',
  'nfstream/selfsigned.pcap',
  'nfstream/ubntac2.pcap',
  'nfstream/quic.pcap',
  'nfstream/skype.pcap',
  'ndpi/1kxun.pcap',
  'ndpi/ah.pcapng',
  'ndpi/capwap_data.pcapng',
  'ndpi/false_positives.pcapng',
  'ndpi/gre.pcapng',
  'ndpi/gtp_false_positive.pcapng',
  'ndpi/gtp_prime.pcapng',
  'ndpi/hsrp2_ipv6.pcapng',
  'ndpi/http2.pcapng',
  'ndpi/ldp.pcap',
  'ndpi/ossfuzz_seed_fake_traces_1.pcapng',
  'ndpi/pim.pcap',
  'ndpi/sctp.cap',
  'ndpi/telnet.pcap',
  'ndpi/vxlan.pcap',
];

const FIELDS = [
  'frame.protocols',
  'ip.src',
  'ip.dst',
  'ipv6.src',
  'ipv6.dst',
  'tcp.srcport',
  'tcp.dstport',
  'udp.srcport',
  'udp.dstport',
  'sctp.srcport',
  'sctp.dstport',
  'tcp.flags',
  'vlan.id',
];

/** Frames of every protocol, by link type. */
function encodeFrames(): Map<number, Bytes[]> {
  const packet = ipv4(
    { src: '192.168.0.1', dst: '192.168.0.2', protocol: 17 },
    udp({ srcPort: 1111, dstPort: 2222 }, hex('aa')),
  );
  const packet6 = ipv6({ src: 'fd00::1', dst: 'fd00::2' }, tcp({ srcPort: 3333, dstPort: 4444, flags: 0x52 }));
  const snap = llcSnap({ etherType: 0x0800 }, packet);
  const frame = ethernetIp(packet);
  const over = (dstPort: number, payload: Bytes): Bytes =>
    ethernetIp(ipv4({ protocol: 17 }, udp({ dstPort }, payload)));
  const wlan = ieee80211({ subtype: 8 }, snap);
  const chain = extension(
    { nextHeader: 43 },
    extension({ nextHeader: 51 }, authentication({ nextHeader: 132 }, sctp())),
  );
  return new Map([
    [
      1,
      [
        frame,
        ethernetIp(packet6),
        ethernetIp(
          ipv4({ options: new Uint8Array(40).fill(1) }, tcp({ options: new Uint8Array(40).fill(1), flags: 0xff })),
        ),
        ethernetIp(ipv4({ protocol: 132 }, sctp({ srcPort: 7, dstPort: 9 }))),
        ethernetIp(ipv6({ nextHeader: 60 }, chain)),
        ethernetIp(ipv6({ nextHeader: 44 }, ipv6Fragment({ nextHeader: 17 }, udp()))),
        ethernetIp(ipv4({ protocol: 89 }, new Uint8Array(44))),
        ethernet({ etherType: 0x0806 }, hex('0001 0800 06 04 0001 020000000001 0a000001 000000000000 0a000002')),
        ethernet({ etherType: 0x8100 }, vlanTag({ id: 12, etherType: 0x86dd }, packet6)),
        ethernet(
          { etherType: 0x88a8 },
          vlanTag({ id: 12, etherType: 0x8100 }, vlanTag({ id: 34, etherType: 0x0800 }, packet)),
        ),
        ieee8023(snap),
        ethernet({ etherType: 0x8847 }, mpls([100, 200], packet)),
        ethernet({ etherType: 0x8864 }, pppoe({ length: packet.length + 2 }, ppp({ protocol: 0x21 }, packet))),
        ethernetIp(ipv4({ protocol: 4 }, packet)),
        ethernetIp(ipv4({ protocol: 41 }, packet6)),
        ethernetIp(ipv6({ nextHeader: 4 }, packet)),
        ethernetIp(ipv6({ nextHeader: 41 }, packet6)),
        ethernetIp(ipv4({ protocol: 47 }, gre({ type: 0x86dd, hasChecksum: true, key: 5, sequence: 6 }, packet6))),
        ethernetIp(ipv4({ protocol: 47 }, gre({ type: 0x6558 }, frame))),
        ethernetIp(
          ipv4(
            { protocol: 47 },
            gre(
              { type: 0x880b, version: 1, key: 0x200001, sequence: 1, acknowledgement: 0 },
              ppp({ protocol: 0x21 }, packet),
            ),
          ),
        ),
        ethernetIp(ipv4({ protocol: 47 }, gre({ type: 0x88be, sequence: 1 }, concat(hex('1001006400000000'), frame)))),
        over(2152, gtpU({}, packet)),
        over(2152, gtpU({ sequence: 1, extensions: [{ type: 0x85, content: hex('1001') }] }, packet6)),
        over(4789, vxlan({ vni: 77 }, frame)),
        over(6081, geneve({ vni: 77, options: hex('0103800100000000') }, frame)),
        over(5247, capwap({}, frame)),
        over(5247, capwap({ isNative: true }, ieee80211({ flags: 1, isSwapped: true }, snap))),
        over(37008, tzsp({ tags: hex('0a01b001') }, frame)),
        over(37008, tzsp({ encapsulated: 18 }, wlan)),
        over(4789, vxlan({ vni: 1 }, over(2152, gtpU({}, packet6)))),
      ],
    ],
    [0, [nullLoopback({ family: 2, isLittle: true }, packet), nullLoopback({ family: 30, isLittle: true }, packet6)]],
    [108, [nullLoopback({ family: 2 }, packet), nullLoopback({ family: 24 }, packet6)]],
    [9, [ppp({ protocol: 0x21, hasAddress: true }, packet), ppp({ protocol: 0x57, isCompressed: true }, packet6)]],
    [50, [ppp({ protocol: 0x21, hasAddress: true }, packet)]],
    [101, [packet, packet6]],
    [104, [ciscoHdlc({ protocol: 0x0800 }, packet), ciscoHdlc({ protocol: 0x86dd, address: 0x8f }, packet6)]],
    [
      105,
      [
        ieee80211({}, snap),
        ieee80211({ subtype: 8, flags: 3 }, snap),
        ieee80211({ subtype: 8, flags: 0x82 }, snap),
        ieee80211({ subtype: 8, qosControl: 0x80 }, amsduSubframe(snap)),
        ieee80211({ flags: 0x41 }, snap),
        ieee80211({ subtype: 4 }, hex('')),
      ],
    ],
    [113, [linuxCooked({ protocol: 0x0800 }, packet), linuxCooked({ protocol: 4 }, snap)]],
    [
      127,
      [
        radiotap({ flags: 0 }, wlan),
        radiotap({ flags: 0x10, tsft: true, words: 2 }, concat(wlan, hex('00000000'))),
        radiotap({ flags: 0x20 }, ieee80211({ subtype: 8, alignment: 4 }, snap)),
      ],
    ],
    [228, [packet]],
    [229, [packet6]],
    [276, [linuxCooked2({ protocol: 0x86dd }, packet6)]],
  ]);
}

/** Addresses, ports, TCP flags and VLAN of the innermost packet as text, or 'not IP'. */
type Answer = string;

function askTshark(path: string): Answer[] {
  return tsharkRows(path, FIELDS, EACH_LAYER).map(readAnswer);
}

function readAnswer(row: string[]): Answer {
  const values = new Map(row.map((value, index) => [FIELDS[index], value.split(',')]));
  const layers = values.get('frame.protocols')![0].split(':');
  // tshark goes on into the packet that an ICMP error quotes: that one is not on its way.
  const icmpAt = layers.findIndex((layer) => layer === 'icmp' || layer === 'icmpv6');
  const isQuoting = icmpAt >= 0 && layers.slice(icmpAt).some((layer) => layer === 'ip' || layer === 'ipv6');
  const own = icmpAt >= 0 ? layers.slice(0, icmpAt) : layers;
  const ipAt = Math.max(own.lastIndexOf('ip'), own.lastIndexOf('ipv6'));
  if (ipAt < 0) return 'not IP';
  const network = own[ipAt];
  const innermost = isQuoting ? -2 : -1;
  const [src, dst] = [`${network}.src`, `${network}.dst`].map((field) => values.get(field)!.at(innermost)!);
  const transport = own.slice(ipAt).find((layer) => layer === 'tcp' || layer === 'udp' || layer === 'sctp');
  const port = (end: string): string => (transport === undefined ? '0' : values.get(`${transport}.${end}`)!.at(-1)!);
  const flags = transport === 'tcp' ? Number.parseInt(values.get('tcp.flags')!.at(-1)!, 16) & 0xff : 0;
  const vlan = values.get('vlan.id')!.at(-1) || '0';
  return `${src} ${dst} ports ${port('srcport')} ${port('dstport')} flags ${flags} vlan ${vlan}`;
}

function readOwnAnswer(row: Row): Answer {
  if (row.status !== 'metered') return 'not IP';
  const { src, dst, srcPort, dstPort, tcpFlags, vlan } = row;
  return `${src} ${dst} ports ${srcPort} ${dstPort} flags ${tcpFlags} vlan ${vlan}`;
}

/** Both answers for each frame, those left out where the row is a later fragment (tshark reads no ports in one). */
function compare(path: string): { ours: Answer[]; theirs: Answer[]; rows: Row[] } {
  const rows = decodeFrames(readCapture(path), { fragments: 'ignore' });
  const theirs = askTshark(path);
  expect(theirs.length).toBe(rows.length);
  const isCompared = rows.map((row) => row.status !== 'fragment_ignored');
  return {
    ours: rows.map((row, index) => `${index + 1}: ${readOwnAnswer(row)}`).filter((_, index) => isCompared[index]),
    theirs: theirs.map((answer, index) => `${index + 1}: ${answer}`).filter((_, index) => isCompared[index]),
    rows,
  };
}

function merge(name: string, paths: readonly string[]): string {
  const path = join(folder, name);
  execFileSync('mergecap', ['-a', '-F', 'pcapng', '-w', path, ...paths]);
  return path;
}

const folder = mkdtempSync(join(tmpdir(), 'nfstream-tshark-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!HAS_TOOLS)('tshark reads the same (skipped where tshark and mergecap are not installed)', () => {
  it('in encoded frames of every protocol', () => {
    const paths = [...encodeFrames()].map(([linkType, frames]) => {
      const path = join(folder, `${linkType}.pcap`);
      writeFileSync(
        path,
        encodePcap(
          linkType,
          frames.map((bytes) => ({ bytes })),
        ),
      );
      return path;
    });
    const { ours, theirs, rows } = compare(merge('encoded.pcapng', paths));
    expect(ours).toEqual(theirs);
    expect(rows.filter((row) => row.status === 'not_ip').length).toBe(3);
  });

  it.skipIf(!existsSync(CAPTURES))(`in captures (skipped where ${CAPTURES} is not there)`, () => {
    const { ours, theirs, rows } = compare(
      merge(
        'captures.pcapng',
        CURATED.map((name) => join(CAPTURES, name)),
      ),
    );
    expect(ours).toEqual(theirs);
    expect(rows.filter((row) => row.status === 'metered').length).toBeGreaterThan(2000);
  });
});
