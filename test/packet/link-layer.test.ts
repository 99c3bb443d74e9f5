import { describe, expect, it } from 'vitest';
import { decodeFrame, decodeFrames } from './batch.ts';
import {
  ethernetIp,
  hex,
  ipv4,
  ipv6,
  linuxCooked,
  linuxCooked2,
  llcSnap,
  nullLoopback,
  tcp,
  udp,
  vlanTag,
} from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const PACKET = ipv4({ protocol: 17 }, udp());
const PACKET6 = ipv6({ nextHeader: 17 }, udp());

describe('decodeLinkLayer', () => {
  it.each([101, 12, 14])('reads raw IP of link type %i by its version', (linkType) => {
    expect(decodeFrame(PACKET, { linkType })).toMatchObject({ status: 'metered', version: 4, ipAt: 0 });
    expect(decodeFrame(PACKET6, { linkType })).toMatchObject({ status: 'metered', version: 6, ipAt: 0 });
    expect(decodeFrame(hex('50'.repeat(60)), { linkType }).status).toBe('not_ip');
    expect(statusChanges(decodeTruncations(PACKET, linkType))).toEqual([
      [0, 'short_header'],
      [24, '17/40000/0'],
    ]);
  });

  it('reads IPv4 and IPv6 link types as what they say', () => {
    expect(decodeFrame(PACKET, { linkType: 228 })).toMatchObject({ status: 'metered', version: 4 });
    expect(decodeFrame(PACKET6, { linkType: 229 })).toMatchObject({ status: 'metered', version: 6 });
    expect(decodeFrame(PACKET6, { linkType: 228 }).status).toBe('malformed_ip');
    expect(decodeFrame(ipv4({}, new Uint8Array(40)), { linkType: 229 }).status).toBe('malformed_ip');
  });

  it('names link types it does not know', () => {
    for (const linkType of [2, 6, 147, 195, 220, 65535, -1]) {
      expect(decodeFrame(ethernetIp(PACKET), { linkType }).status).toBe('unknown_link_type');
    }
  });

  it('takes link types row by row', () => {
    const rows = decodeFrames([
      { bytes: ethernetIp(PACKET), linkType: 1 },
      { bytes: PACKET, linkType: 101 },
      { bytes: linuxCooked({ protocol: 0x0800 }, PACKET), linkType: 113 },
    ]);
    expect(rows.map((row) => [row.status, row.ipAt])).toEqual([
      ['metered', 14],
      ['metered', 0],
      ['metered', 16],
    ]);
  });
});

describe('decodeNullLoopback', () => {
  it('decodes known bytes in both byte orders', () => {
    const ip = '4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000';
    for (const family of ['02000000', '00000002']) {
      for (const linkType of [0, 108]) {
        expect(decodeFrame(hex(family + ip), { linkType })).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 4 });
      }
    }
  });

  it.each([10, 23, 24, 28, 30])('knows address family %i as IPv6', (family) => {
    for (const isLittle of [false, true]) {
      const row = decodeFrame(nullLoopback({ family, isLittle }, PACKET6), { linkType: 0 });
      expect(row).toMatchObject({ status: 'metered', version: 6 });
    }
  });

  it('names other families and rejects every cut', () => {
    expect(decodeFrame(nullLoopback({ family: 7 }, PACKET), { linkType: 0 }).status).toBe('not_ip');
    expect(decodeFrame(nullLoopback({ family: 0x00020002 }, PACKET), { linkType: 0 }).status).toBe('not_ip');
    expect(statusChanges(decodeTruncations(nullLoopback({ family: 2 }, PACKET), 0))).toEqual([
      [0, 'short_header'],
      [28, '17/40000/0'],
    ]);
  });
});

describe('decodeLinuxCooked', () => {
  it('decodes known bytes of both versions', () => {
    const ip = '4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000';
    const first = hex(`0004 0001 0006 020000000001 0000 0800 ${ip}`);
    expect(decodeFrame(first, { linkType: 113 })).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 16 });
    const second = hex(`0800 0000 00000002 0001 04 06 0200000000010000 ${ip}`);
    expect(decodeFrame(second, { linkType: 276 })).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 20 });
  });

  it('reads VLAN tags, IPv6 and LLC, and names netlink and others', () => {
    for (const [linkType, encode] of [
      [113, linuxCooked],
      [276, linuxCooked2],
    ] as const) {
      const tagged = encode({ protocol: 0x8100 }, vlanTag({ id: 6, etherType: 0x86dd }, ipv6({}, tcp())));
      expect(decodeFrame(tagged, { linkType })).toMatchObject({ status: 'metered', vlan: 6, version: 6 });
      const llc = encode({ protocol: 4 }, llcSnap({ etherType: 0x0800 }, PACKET));
      expect(decodeFrame(llc, { linkType })).toMatchObject({ status: 'metered', dstPort: 53 });
      for (const fields of [
        { protocol: 0x0800, device: 824 },
        { protocol: 0x0806 },
        { protocol: 12 },
        { protocol: 1 },
      ]) {
        expect(decodeFrame(encode(fields, PACKET), { linkType }).status).toBe('not_ip');
      }
    }
  });

  it('rejects every cut inside the header', () => {
    expect(statusChanges(decodeTruncations(linuxCooked({ protocol: 0x0800 }, PACKET), 113))).toEqual([
      [0, 'short_header'],
      [40, '17/40000/0'],
    ]);
    expect(statusChanges(decodeTruncations(linuxCooked2({ protocol: 0x0800 }, PACKET), 276))).toEqual([
      [0, 'short_header'],
      [44, '17/40000/0'],
    ]);
  });
});
