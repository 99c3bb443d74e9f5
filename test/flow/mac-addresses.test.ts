// The MAC addresses of a flow, those of the innermost link layer of its first packet that has any, against tshark's for the
// frame that flow_id names.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { Streamer } from '../../src/streamer.ts';
import {
  amsduSubframe,
  type Bytes,
  capwap,
  ciscoHdlc,
  concat,
  encodePcap,
  ethernet,
  ethernetIp,
  geneve,
  gre,
  gtpU,
  hex,
  ieee8023,
  ieee80211,
  ipv4,
  linuxCooked,
  linuxCooked2,
  llcSnap,
  mpls,
  nullLoopback,
  ppp,
  pppoe,
  radiotap,
  tzsp,
  udp,
  vlanTag,
  vxlan,
} from '../packet/encode.ts';
import { ROOT } from '../streams.ts';
import { EACH_LAYER, HAS_TSHARK, tsharkRows } from '../tshark.ts';

const CAPTURES = join(ROOT, '..', 'shared', 'captures');
const folder = mkdtempSync(join(tmpdir(), 'nfstream-macs-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Of Ethernet, tunnels over it, 802.11 in CAPWAP, cooked, raw, loopback and PPP. */
const SHARED = [
  'nfstream/KakaoTalk_chat.pcap',
  'nfstream/dlt_ppp.pcap',
  'nfstream/facebook.pcap',
  'nfstream/gtp-u.pcap',
  'nfstream/ipv6_in_gtp.pcap',
  'nfstream/nats.pcap',
  'nfstream/raw.pcap',
  'nfstream/ubntac2.pcap',
  'ndpi/1kxun.pcap',
  'ndpi/ah.pcapng',
  'ndpi/capwap_data.pcapng',
  'ndpi/gre.pcapng',
  'ndpi/http2.pcapng',
  'ndpi/ldp.pcap',
  'ndpi/merakicloud.pcapng',
  'ndpi/pim.pcap',
  'ndpi/telnet.pcap',
  'ndpi/vxlan.pcap',
];
const FIXTURES = [
  'cooked.pcap',
  'cooked2.pcap',
  'demo.pcapng',
  'fragments.pcap',
  'qinq.pcap',
  'raw.pcap',
  'tunnels.pcapng',
  'vlan.pcap',
];

const NONE = '00:00:00:00:00:00';
const FIELDS = ['frame.protocols', 'eth.src', 'eth.dst', 'wlan.sa', 'wlan.da'];

/** [source, destination] of each frame by tshark. */
function askTshark(file: string): [string, string][] {
  return tsharkRows(file, FIELDS, EACH_LAYER).map(([protocols, ...addresses]) => {
    const [ethSrc, ethDst, wlanSrc, wlanDst] = addresses.map((text) => text.split(','));
    // Up to the packet that is metered: not the one that an ICMP error quotes, nor what a tunnel carries beside IP.
    const layers = protocols.split(',')[0].split(':');
    const icmpAt = layers.findIndex((layer) => layer === 'icmp' || layer === 'icmpv6');
    const own = icmpAt >= 0 ? layers.slice(0, icmpAt) : layers;
    const outer = own.slice(0, Math.max(own.lastIndexOf('ip'), own.lastIndexOf('ipv6'), 0));
    const link = outer.findLast((layer) => layer === 'eth' || layer === 'wlan');
    const last = outer.filter((layer) => layer === link).length - 1;
    if (link === 'eth') return [ethSrc[last], ethDst[last]];
    // Of the header, or of the one subframe that it holds.
    return link === 'wlan' ? [wlanSrc.at(-1)!, wlanDst.at(-1)!] : [NONE, NONE];
  });
}

interface Named {
  frame: number;
  macs: [string, string];
}

async function flowsOf(source: string): Promise<Named[]> {
  const flows: Named[] = [];
  const fields = ['flow_id', 'src_mac', 'dst_mac', 'src_oui', 'dst_oui'] as const;
  for await (const flow of new Streamer({ source, fields, enableNdpi: false, handleSigint: false })) {
    const { flow_id, src_mac, dst_mac, src_oui, dst_oui } = flow.toJSON();
    expect([src_oui, dst_oui]).toEqual([src_mac.slice(0, 8), dst_mac.slice(0, 8)]);
    flows.push({ frame: flow_id, macs: [src_mac, dst_mac] });
  }
  return flows.sort((a, b) => a.frame - b.frame);
}

async function compare(file: string): Promise<Named[]> {
  const theirs = askTshark(file);
  const ours = await flowsOf(file);
  expect(ours, file).toEqual(ours.map(({ frame }) => ({ frame, macs: theirs[frame - 1] })));
  return ours;
}

/** An IP packet of a flow of its own. */
let port = 1;
const packet = (): Bytes =>
  ipv4({ src: '10.1.0.1', dst: '10.1.0.2', protocol: 17 }, udp({ srcPort: 20_000 + port++, dstPort: 5 }, hex('aa')));

/** The same frame with six bytes of its own at each of these places. */
let address = 1;
function named(frame: Bytes, ...places: number[]): Bytes {
  const copy = Uint8Array.from(frame);
  for (const at of places) copy.set([2, 0xa1, 0xb2, 0xc3, address >> 8, address++ & 0xff], at);
  return copy;
}

/** Addresses that differ from layer to layer. */
const ether = (frame: Bytes): Bytes => named(frame, 0, 6);
const wlan = (frame: Bytes): Bytes => named(frame, 4, 10, 16);
const over = (dstPort: number, payload: Bytes): Bytes =>
  ether(ethernetIp(ipv4({ protocol: 17 }, udp({ srcPort: 20_000 + port++, dstPort }, payload))));
const inGre = (type: number, payload: Bytes): Bytes =>
  ether(ethernetIp(ipv4({ protocol: 47 }, gre({ type }, payload))));

const snap = () => llcSnap({ etherType: 0x0800 }, packet());

function frames(): [number, Bytes[]][] {
  const inner = () => ether(ethernetIp(packet()));
  return [
    [
      1,
      [
        inner(),
        ether(ethernet({ etherType: 0x8100 }, vlanTag({ id: 12, etherType: 0x0800 }, packet()))),
        ether(ieee8023(snap())),
        ether(ethernet({ etherType: 0x8847 }, mpls([100, 200], packet()))),
        ether(
          ethernet({ etherType: 0x8864 }, pppoe({ length: packet().length + 2 }, ppp({ protocol: 0x21 }, packet()))),
        ),
        ether(ethernetIp(ipv4({ protocol: 4 }, packet()))),
        inGre(0x0800, packet()),
        inGre(0x6558, inner()),
        over(2152, gtpU({}, packet())),
        over(4789, vxlan({ vni: 77 }, inner())),
        over(4789, vxlan({ vni: 77 }, over(2152, gtpU({}, packet())))),
        over(6081, geneve({ vni: 77 }, inner())),
        over(5247, capwap({}, inner())),
        over(5247, capwap({ isNative: true }, wlan(ieee80211({ flags: 1, isSwapped: true }, snap())))),
        over(37008, tzsp({}, inner())),
        over(37008, tzsp({ encapsulated: 18 }, wlan(ieee80211({ subtype: 8 }, snap())))),
        // What looks like a tunnel and is none: the outer addresses.
        over(4789, hex('00')),
        over(4789, vxlan({ vni: 77 }, ether(ethernet({ etherType: 0x0806 }, new Uint8Array(28))))),
      ],
    ],
    [
      105,
      [
        // In the ad-hoc network, to and from the access point, between two of them.
        wlan(ieee80211({ flags: 0 }, snap())),
        wlan(ieee80211({ flags: 1 }, snap())),
        wlan(ieee80211({ flags: 2 }, snap())),
        named(ieee80211({ flags: 3 }, snap()), 4, 10, 16, 24),
        ...[0, 1, 2].map((flags) =>
          wlan(ieee80211({ subtype: 8, flags, qosControl: 0x80 }, named(amsduSubframe(snap()), 0, 6))),
        ),
      ],
    ],
    [127, [radiotap({ flags: 0 }, wlan(ieee80211({ subtype: 8, flags: 2 }, snap())))]],
    [113, [linuxCooked({ protocol: 0x0800 }, packet()), linuxCooked({ protocol: 0x6558 }, inner())]],
    [276, [linuxCooked2({ protocol: 0x0800 }, packet())]],
    [101, [packet()]],
    [0, [nullLoopback({ family: 2, isLittle: true }, packet())]],
    [9, [ppp({ protocol: 0x21, hasAddress: true }, packet())]],
    [104, [ciscoHdlc({ protocol: 0x0800 }, packet())]],
  ];
}

describe.skipIf(!HAS_TSHARK)('MAC addresses are those that tshark shows (skipped where it is not installed)', () => {
  it.each(frames())('in encoded frames of link type %i', async (linkType, list) => {
    const file = join(folder, `${linkType}.pcap`);
    writeFileSync(
      file,
      encodePcap(
        linkType,
        list.map((bytes) => ({ bytes })),
      ),
    );
    expect(await compare(file)).toHaveLength(list.length);
  });

  it.each(FIXTURES)('in fixtures/%s', async (name) => {
    expect((await compare(join(ROOT, 'fixtures', name))).length).toBeGreaterThan(0);
  });

  it.skipIf(!existsSync(CAPTURES)).each(SHARED)(`in ${CAPTURES}/%s (skipped where that is not there)`, async (name) => {
    expect((await compare(join(CAPTURES, name))).length).toBeGreaterThan(0);
  });
});

it('are as long as the bytes that were captured of a frame allow', async () => {
  const whole = named(ethernetIp(packet()), 0, 6);
  const file = join(folder, 'cut.pcap');
  for (let length = 0; length <= whole.length; length++) {
    writeFileSync(
      file,
      encodePcap(1, [{ bytes: whole.subarray(0, length), wireLength: whole.length }, { bytes: concat(whole) }]),
    );
    const flows = await flowsOf(file);
    for (const { macs } of flows) expect(macs[0].startsWith('02:a1:b2:c3:')).toBe(true);
  }
});
