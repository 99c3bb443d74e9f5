import { describe, expect, it } from 'vitest';
import { TUNNEL_GRE } from '../../src/packet/packet-columns.ts';
import type { Row } from './batch.ts';
import { decodeFrame } from './batch.ts';
import type { Bytes, GreFields } from './encode.ts';
import { concat, ethernet, ethernetIp, gre, hex, ipv4, ipv6, mpls, ppp, tcp, vlanTag } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const INNER = ipv4({ src: '192.168.0.1', dst: '192.168.0.2' }, tcp());
const INNER6 = ipv6({ src: 'fd00::1' }, tcp());
const TAKEN = { status: 'metered', src: '192.168.0.1', dstPort: 443, tunnel: TUNNEL_GRE, tunnelId: 0 };
const OUTER = { status: 'metered', src: '10.0.0.1', protocol: 47, srcPort: 0, tunnel: 0, ipAt: 14 };

function decodeGre(fields: GreFields, payload: Bytes): Row {
  return decodeFrame(ethernetIp(ipv4({ protocol: 47 }, gre(fields, payload))));
}

describe('decodeGre', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`45000034 00010000 402f0000 0a000001 0a000002 0000 0800
           4500001c 00010000 40110000 c0a80001 c0a80002 00350400 00080000`),
      { linkType: 101 },
    );
    expect(row).toMatchObject({ status: 'metered', src: '192.168.0.1', srcPort: 53, tunnel: TUNNEL_GRE, ipAt: 24 });
  });

  it('steps over every combination of optional fields', () => {
    for (const hasChecksum of [false, true]) {
      for (const key of [undefined, 0xffffffff]) {
        for (const sequence of [undefined, 7]) {
          const fields: GreFields = { type: 0x0800, hasChecksum };
          if (key !== undefined) fields.key = key;
          if (sequence !== undefined) fields.sequence = sequence;
          expect(decodeGre(fields, INNER), JSON.stringify(fields)).toMatchObject(TAKEN);
        }
      }
    }
  });

  it('carries IPv6, MPLS and Ethernet', () => {
    expect(decodeGre({ type: 0x86dd }, INNER6)).toMatchObject({ src: 'fd00::1', tunnel: TUNNEL_GRE });
    expect(decodeGre({ type: 0x8847 }, mpls([1, 2], INNER))).toMatchObject(TAKEN);
    expect(decodeGre({ type: 0x6558, key: 77 }, ethernetIp(INNER))).toMatchObject(TAKEN);
    const tagged = ethernet({ etherType: 0x8100 }, vlanTag({ id: 9, etherType: 0x0800 }, INNER));
    expect(decodeGre({ type: 0x6558 }, tagged)).toMatchObject({ ...TAKEN, vlan: 9 });
  });

  it('carries PPP in version 1', () => {
    const frame = ppp({ protocol: 0x21, hasAddress: true }, INNER);
    const fields = { type: 0x880b, version: 1, key: 0x00280001 };
    expect(decodeGre({ ...fields, sequence: 1 }, frame)).toMatchObject(TAKEN);
    expect(decodeGre({ ...fields, sequence: 1, acknowledgement: 2 }, frame)).toMatchObject(TAKEN);
    expect(decodeGre({ ...fields, sequence: 1 }, ppp({ protocol: 0x21, isCompressed: true }, INNER))).toMatchObject(
      TAKEN,
    );
    expect(decodeGre({ ...fields, acknowledgement: 2 }, hex(''))).toMatchObject(OUTER);
    expect(decodeGre({ ...fields, sequence: 1 }, ppp({ protocol: 0xc021 }, INNER))).toMatchObject(OUTER);
    expect(decodeGre({ type: 0x0800, version: 1, key: 1, sequence: 1 }, INNER)).toMatchObject(OUTER);
    expect(decodeGre({ type: 0x880b, version: 1, sequence: 1 }, frame)).toMatchObject(OUTER);
  });

  it('carries mirrored frames (ERSPAN) and redirected packets (WCCP)', () => {
    const frame = ethernetIp(INNER);
    expect(decodeGre({ type: 0x88be }, frame)).toMatchObject(TAKEN);
    expect(decodeGre({ type: 0x88be, sequence: 1 }, concat(hex('1001 0064 00000000'), frame))).toMatchObject(TAKEN);
    const third = hex('2001 0064 00000000 0000 0000');
    expect(decodeGre({ type: 0x22eb, sequence: 1 }, concat(third, frame))).toMatchObject(TAKEN);
    const withSubheader = concat(hex('2001 0064 00000000 0000 0001'), new Uint8Array(8), frame);
    expect(decodeGre({ type: 0x22eb, sequence: 1 }, withSubheader)).toMatchObject(TAKEN);
    expect(decodeGre({ type: 0x883e }, INNER)).toMatchObject(TAKEN);
    expect(decodeGre({ type: 0x883e }, concat(hex('00010203'), INNER))).toMatchObject(TAKEN);
  });

  it('leaves the rest to the outer packet', () => {
    for (const fields of [
      { type: 0x0800, hasRouting: true },
      { type: 0x0800, version: 2 },
      { type: 0x2001 },
      { type: 0x0806 },
      { type: 0x86dd },
    ]) {
      expect(decodeGre(fields, INNER), JSON.stringify(fields)).toMatchObject(OUTER);
    }
    expect(decodeGre({ type: 0x22eb }, hex('00'))).toMatchObject(OUTER);
  });

  it('meters the outer packet for every cut inside the inner header', () => {
    const frame = ethernetIp(ipv4({ protocol: 47 }, gre({ type: 0x6558, key: 1, sequence: 2 }, ethernetIp(INNER))));
    expect(statusChanges(decodeTruncations(frame))).toEqual([
      [0, 'short_header'],
      [34, '47/0/0'],
      [84, '6/40000/6'],
    ]);
  });
});
