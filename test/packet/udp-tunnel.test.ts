// GTP-U, VXLAN, Geneve, CAPWAP and TZSP: the five tunnels over UDP have the same questions to answer.
import { describe, expect, it } from 'vitest';
import {
  TUNNEL_CAPWAP,
  TUNNEL_GENEVE,
  TUNNEL_GTP_U,
  TUNNEL_TZSP,
  TUNNEL_VXLAN,
} from '../../src/packet/packet-columns.ts';
import type { Row } from './batch.ts';
import { decodeFrame } from './batch.ts';
import type { Bytes } from './encode.ts';
import {
  capwap,
  concat,
  ethernetIp,
  geneve,
  gtpU,
  hex,
  icmpEcho,
  ieee80211,
  ipv4,
  ipv6,
  llcSnap,
  tcp,
  tzsp,
  udp,
  vxlan,
} from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const INNER = ipv4({ src: '192.168.0.1', dst: '192.168.0.2' }, tcp());
const INNER6 = ipv6({ src: 'fd00::1' }, tcp());
const FRAME = ethernetIp(INNER);
const ARP = concat(FRAME.subarray(0, 12), hex('0806'), new Uint8Array(46));
const WLAN = ieee80211({ subtype: 8 }, llcSnap({ etherType: 0x0800 }, INNER));
/** The same packet as bytes, for the known-bytes tests. */
const INNER_HEX = '4500001c 00010000 40110000 c0a80001 c0a80002 00350400 00080000';
const ETHERNET_HEX = '020000000002 020000000001 0800';

function overUdp(dstPort: number, payload: Bytes, srcPort = 40000): Bytes {
  return ethernetIp(ipv4({ protocol: 17 }, udp({ srcPort, dstPort }, payload)));
}

function decode(dstPort: number, payload: Bytes): Row {
  return decodeFrame(overUdp(dstPort, payload));
}

function outer(dstPort: number): Partial<Row> {
  return {
    status: 'metered',
    src: '10.0.0.1',
    protocol: 17,
    srcPort: 40000,
    dstPort,
    tunnel: 0,
    tunnelId: 0,
    ipAt: 14,
  };
}

function taken(tunnel: number, tunnelId = 0): Partial<Row> {
  return { status: 'metered', src: '192.168.0.1', protocol: 6, dstPort: 443, tunnel, tunnelId };
}

/** Every cut gives the outer packet until the inner IP header is whole. `innerAt` is where that one begins. */
function expectCuts(frame: Bytes, tunnel: number): void {
  const innerAt = frame.length - INNER.length;
  expect(statusChanges(decodeTruncations(frame))).toEqual([
    [0, 'short_header'],
    [38, '17/40000/0'],
    [innerAt + 24, `6/40000/${tunnel}`],
  ]);
}

describe('decodeGtpU', () => {
  it('decodes known bytes', () => {
    const row = decode(2152, hex(`30 ff 001c 00000001 ${INNER_HEX}`));
    expect(row).toMatchObject({ status: 'metered', src: '192.168.0.1', srcPort: 53, tunnel: TUNNEL_GTP_U, ipAt: 50 });
    // 5G: a PDU session container as extension header.
    const session = decode(2152, hex(`34 ff 0024 00000001 0000 00 85 01 1001 00 ${INNER_HEX}`));
    expect(session).toMatchObject({ status: 'metered', srcPort: 53, tunnel: TUNNEL_GTP_U, ipAt: 58 });
  });

  it('carries IPv4 and IPv6, with sequence numbers and extension headers', () => {
    expect(decode(2152, gtpU({}, INNER6))).toMatchObject({ src: 'fd00::1', tunnel: TUNNEL_GTP_U });
    expect(decode(2152, gtpU({ sequence: 9 }, INNER))).toMatchObject(taken(TUNNEL_GTP_U));
    const extensions = [
      { type: 0x40, content: new Uint8Array(2) },
      { type: 0x85, content: new Uint8Array(10) },
    ];
    expect(decode(2152, gtpU({ extensions }, INNER))).toMatchObject(taken(TUNNEL_GTP_U));
    // An N-PDU number, which has a flag of its own.
    expect(decode(2152, hex(`31 ff 0020 00000001 0000 07 00 ${INNER_HEX}`))).toMatchObject({ srcPort: 53, ipAt: 54 });
    const over6 = ethernetIp(ipv6({ nextHeader: 17 }, udp({ dstPort: 2152 }, gtpU({}, INNER))));
    expect(decodeFrame(over6)).toMatchObject(taken(TUNNEL_GTP_U));
  });

  it('leaves signalling and contradictions to the outer packet', () => {
    for (const messageType of [1, 2, 26, 31, 254]) {
      expect(decode(2152, gtpU({ messageType }, INNER))).toMatchObject(outer(2152));
    }
    for (const version of [0, 2, 7]) expect(decode(2152, gtpU({ version }, INNER))).toMatchObject(outer(2152));
    expect(decode(2152, gtpU({ length: INNER.length + 1 }, INNER))).toMatchObject(outer(2152));
    expect(decode(2152, gtpU({}, icmpEcho()))).toMatchObject(outer(2152));
    const many = Array.from({ length: 9 }, () => ({ type: 0x40, content: new Uint8Array(2) }));
    expect(decode(2152, gtpU({ extensions: many }, INNER))).toMatchObject(outer(2152));
    // An extension header of no length.
    expect(decode(2152, hex(`34 ff 0024 00000001 0000 00 85 00 1001 00 ${INNER_HEX}`))).toMatchObject(outer(2152));
  });

  it('handles every cut', () => {
    expectCuts(overUdp(2152, gtpU({ extensions: [{ type: 0x85, content: new Uint8Array(6) }] }, INNER)), TUNNEL_GTP_U);
  });
});

describe('decodeVxlan', () => {
  it('decodes known bytes', () => {
    const row = decode(4789, hex(`08000000 00007b00 ${ETHERNET_HEX} ${INNER_HEX}`));
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, tunnel: TUNNEL_VXLAN, tunnelId: 123, ipAt: 64 });
  });

  it('keys by network identifier, on both ports, with and without group policy', () => {
    for (const vni of [0, 1, 0x123456, 0xffffff]) {
      expect(decode(4789, vxlan({ vni }, FRAME))).toMatchObject(taken(TUNNEL_VXLAN, vni));
      expect(decode(8472, vxlan({ vni, flags: 0x88 }, FRAME))).toMatchObject(taken(TUNNEL_VXLAN, vni));
    }
  });

  it('leaves contradictions and frames without IP to the outer packet', () => {
    for (const flags of [0, 0x04, 0x0c, 0xff, 0x80]) {
      expect(decode(4789, vxlan({ vni: 1, flags }, FRAME))).toMatchObject(outer(4789));
    }
    expect(decode(4789, vxlan({ vni: 1, reserved: 1 }, FRAME))).toMatchObject(outer(4789));
    expect(decode(4789, vxlan({ vni: 1 }, ARP))).toMatchObject(outer(4789));
  });

  it('handles every cut', () => {
    expectCuts(overUdp(4789, vxlan({ vni: 7 }, FRAME)), TUNNEL_VXLAN);
  });
});

describe('decodeGeneve', () => {
  it('decodes known bytes', () => {
    const row = decode(6081, hex(`0200 6558 00000a00 0103 80 01 deadbeef ${ETHERNET_HEX} ${INNER_HEX}`));
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, tunnel: TUNNEL_GENEVE, tunnelId: 10, ipAt: 72 });
  });

  it('carries Ethernet and IP, after options, keyed by network identifier', () => {
    expect(decode(6081, geneve({ vni: 0xffffff }, FRAME))).toMatchObject(taken(TUNNEL_GENEVE, 0xffffff));
    expect(decode(6081, geneve({ vni: 5, type: 0x0800 }, INNER))).toMatchObject(taken(TUNNEL_GENEVE, 5));
    expect(decode(6081, geneve({ vni: 5, type: 0x86dd }, INNER6))).toMatchObject({ src: 'fd00::1', tunnelId: 5 });
    const options = new Uint8Array(252);
    expect(decode(6081, geneve({ vni: 5, options }, FRAME))).toMatchObject(taken(TUNNEL_GENEVE, 5));
  });

  it('leaves contradictions and frames without IP to the outer packet', () => {
    expect(decode(6081, geneve({ vni: 1, version: 1 }, FRAME))).toMatchObject(outer(6081));
    expect(decode(6081, geneve({ vni: 1, type: 0x0806 }, FRAME))).toMatchObject(outer(6081));
    expect(decode(6081, geneve({ vni: 1 }, ARP))).toMatchObject(outer(6081));
    expect(decode(6081, hex(`0001 0800 00000a00 ${INNER_HEX}`))).toMatchObject(outer(6081));
    expect(decode(6081, hex(`0000 0800 00000a01 ${INNER_HEX}`))).toMatchObject(outer(6081));
    expect(decode(6081, hex(`3f00 0800 00000a00 ${INNER_HEX}`))).toMatchObject(outer(6081));
  });

  it('handles every cut', () => {
    expectCuts(overUdp(6081, geneve({ vni: 7, options: new Uint8Array(8) }, FRAME)), TUNNEL_GENEVE);
  });
});

describe('decodeCapwap', () => {
  it('decodes known bytes', () => {
    const row = decode(5247, hex(`00100200 00010000 ${ETHERNET_HEX} ${INNER_HEX}`));
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, tunnel: TUNNEL_CAPWAP, ipAt: 64 });
  });

  it('carries 802.3 and 802.11, in both directions, in both byte orders', () => {
    expect(decode(5247, capwap({}, FRAME))).toMatchObject(taken(TUNNEL_CAPWAP));
    expect(decode(5247, capwap({ isNative: true }, WLAN))).toMatchObject(taken(TUNNEL_CAPWAP));
    const optional = new Uint8Array(12);
    expect(decode(5247, capwap({ isNative: true, optional }, WLAN))).toMatchObject(taken(TUNNEL_CAPWAP));
    for (const subtype of [0, 8]) {
      const swapped = ieee80211({ subtype, flags: 0x11, isSwapped: true }, llcSnap({ etherType: 0x0800 }, INNER));
      expect(decode(5247, capwap({ isNative: true }, swapped))).toMatchObject(taken(TUNNEL_CAPWAP));
    }
    expect(decodeFrame(overUdp(40001, capwap({}, FRAME), 5247))).toMatchObject(taken(TUNNEL_CAPWAP));
  });

  it('leaves DTLS, keep-alives, later fragments and contradictions to the outer packet', () => {
    for (const fields of [
      { preamble: 1 },
      { preamble: 0x10 },
      { isKeepAlive: true },
      { isFragment: true, fragmentOffset: 100 },
      { isFragment: true, fragmentOffset: 32 },
      { headerWords: 1 },
      { headerWords: 31 },
      { isNative: true, binding: 3 },
      { isNative: true },
    ]) {
      expect(decode(5247, capwap(fields, FRAME)), JSON.stringify(fields)).toMatchObject(outer(5247));
    }
    const encrypted = ieee80211({ flags: 0x41 }, llcSnap({ etherType: 0x0800 }, INNER));
    expect(decode(5247, capwap({ isNative: true }, encrypted))).toMatchObject(outer(5247));
  });

  it('takes the first fragment of a frame for the whole', () => {
    const long = ethernetIp(ipv4({ src: '192.168.0.1', totalLength: 1400 }, tcp()));
    expect(decode(5247, capwap({ isFragment: true }, long))).toMatchObject({ ...taken(TUNNEL_CAPWAP), ipSize: 1400 });
    expect(decode(5247, capwap({}, long))).toMatchObject(outer(5247));
  });

  it('handles every cut', () => {
    expectCuts(overUdp(5247, capwap({ isNative: true, optional: new Uint8Array(8) }, WLAN)), TUNNEL_CAPWAP);
  });
});

describe('decodeTzsp', () => {
  it('decodes known bytes', () => {
    const row = decode(37008, hex(`01 00 0001 01 ${ETHERNET_HEX} ${INNER_HEX}`));
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, tunnel: TUNNEL_TZSP, ipAt: 61 });
  });

  it('carries Ethernet and 802.11, after tags', () => {
    expect(decode(37008, tzsp({ type: 1 }, FRAME))).toMatchObject(taken(TUNNEL_TZSP));
    expect(decode(37008, tzsp({ encapsulated: 18 }, WLAN))).toMatchObject(taken(TUNNEL_TZSP));
    const tags = hex('00 00 0a 01 7f 28 04 deadbeef 29 00 01');
    expect(decode(37008, tzsp({ tags }, FRAME))).toMatchObject(taken(TUNNEL_TZSP));
  });

  it('leaves contradictions and frames without IP to the outer packet', () => {
    for (const fields of [{ version: 2 }, { version: 0 }, { type: 2 }, { type: 4 }, { encapsulated: 119 }]) {
      expect(decode(37008, tzsp(fields, FRAME)), JSON.stringify(fields)).toMatchObject(outer(37008));
    }
    for (const tags of [hex('0a ff'), hex('00'.repeat(20)), hex('')]) {
      expect(decode(37008, tzsp({ tags }, hex('0a ff 00')))).toMatchObject(outer(37008));
    }
    expect(decode(37008, tzsp({}, ARP))).toMatchObject(outer(37008));
  });

  it('handles every cut', () => {
    expectCuts(overUdp(37008, tzsp({ tags: hex('0a 02 0102 00 01') }, FRAME)), TUNNEL_TZSP);
  });
});
