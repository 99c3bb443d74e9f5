import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { ciscoHdlc, concat, ethernet, hex, ipv4, ipv6, mpls, ppp, pppoe, tcp, udp } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const PACKET = ipv4({ protocol: 17 }, udp());
const PPP = { linkType: 9 };

describe('decodePpp', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(hex('ff03 0021 4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000'), PPP);
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 4 });
  });

  it.each([9, 50])('reads every form of the header on link type %i', (linkType) => {
    const wanted = { status: 'metered', dstPort: 53 };
    for (const hasAddress of [false, true]) {
      for (const isCompressed of [false, true]) {
        expect(decodeFrame(ppp({ protocol: 0x21, hasAddress, isCompressed }, PACKET), { linkType })).toMatchObject(
          wanted,
        );
      }
    }
    expect(decodeFrame(ppp({ protocol: 0x57 }, ipv6({}, tcp())), { linkType })).toMatchObject({ version: 6 });
    for (const protocol of [0x281, 0x283]) {
      expect(decodeFrame(ppp({ protocol }, mpls([5], PACKET)), { linkType })).toMatchObject(wanted);
    }
    for (const address of [0x0f, 0x8f]) {
      expect(decodeFrame(ciscoHdlc({ protocol: 0x0800, address }, PACKET), { linkType })).toMatchObject(wanted);
    }
  });

  it('names frames that are not IP', () => {
    for (const protocol of [0xc021, 0x8021, 0x8057, 0x00fd, 0x002d, 0x0001]) {
      expect(decodeFrame(ppp({ protocol }, PACKET), PPP).status, `${protocol}`).toBe('not_ip');
    }
    expect(decodeFrame(hex('ff04 0021 4500'), PPP).status).toBe('not_ip');
  });

  it('rejects every cut inside the header', () => {
    const frame = ppp({ protocol: 0x21, hasAddress: true }, PACKET);
    const changes = statusChanges(decodeTruncations(frame, 9));
    expect(changes).toEqual([
      [0, 'short_header'],
      // A lone 0xff may be a compressed protocol number as well; no such one is known.
      [1, 'not_ip'],
      [2, 'short_header'],
      [28, '17/40000/0'],
    ]);
  });
});

describe('decodeCiscoHdlc', () => {
  it('decodes known bytes', () => {
    const bytes = hex('0f00 0800 4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000');
    expect(decodeFrame(bytes, { linkType: 104 })).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 4 });
  });

  it('reads IPv6 and multicast, names SLARP, CDP and OSI', () => {
    const multicast = ciscoHdlc({ protocol: 0x86dd, address: 0x8f }, ipv6({}, tcp()));
    expect(decodeFrame(multicast, { linkType: 104 })).toMatchObject({ status: 'metered', version: 6 });
    for (const protocol of [0x8035, 0x2000, 0xfefe, 40]) {
      expect(decodeFrame(ciscoHdlc({ protocol }, PACKET), { linkType: 104 }).status).toBe('not_ip');
    }
  });

  it('rejects every cut inside the header', () => {
    expect(statusChanges(decodeTruncations(ciscoHdlc({ protocol: 0x0800 }, PACKET), 104))).toEqual([
      [0, 'short_header'],
      [28, '17/40000/0'],
    ]);
  });
});

describe('decodePppoe', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`020000000002 020000000001 8864 1100 0001 001e 0021
           4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000`),
    );
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 22 });
  });

  it('reads sessions over Ethernet and as a link type of its own', () => {
    const session = pppoe({}, ppp({ protocol: 0x57 }, ipv6({ nextHeader: 17 }, udp())));
    expect(decodeFrame(ethernet({ etherType: 0x8864 }, session))).toMatchObject({ status: 'metered', ipAt: 22 });
    expect(decodeFrame(session, { linkType: 51 })).toMatchObject({ status: 'metered', ipAt: 8 });
  });

  it('names discovery and control packets', () => {
    const inner = ppp({ protocol: 0x21 }, PACKET);
    expect(decodeFrame(ethernet({ etherType: 0x8863 }, pppoe({ code: 9 }, inner))).status).toBe('not_ip');
    expect(decodeFrame(pppoe({ code: 0x65 }, inner), { linkType: 51 }).status).toBe('not_ip');
    expect(decodeFrame(concat(hex('21'), pppoe({}, inner).subarray(1)), { linkType: 51 }).status).toBe('not_ip');
    const echo = pppoe({}, ppp({ protocol: 0xc021 }, new Uint8Array(8)));
    expect(decodeFrame(ethernet({ etherType: 0x8864 }, echo)).status).toBe('not_ip');
  });

  it('rejects every cut inside the header', () => {
    const frame = ethernet({ etherType: 0x8864 }, pppoe({}, ppp({ protocol: 0x21 }, PACKET)));
    expect(statusChanges(decodeTruncations(frame))).toEqual([
      [0, 'short_header'],
      [46, '17/40000/0'],
    ]);
  });
});
