import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { authentication, ethernetIp, extension, hex, icmpEcho, ipv6, ipv6Fragment, tcp, udp } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const RAW = { linkType: 101 };
const UDP = 17;

describe('decodeIpv6', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`6 0 0 00000 0008 11 40 fe80000000000000 0202b3fffe1e8329 ff020000000000000000000000000001
           0222 0223 0008 0000`),
      RAW,
    );
    expect(row).toEqual({
      status: 'metered',
      src: 'fe80::202:b3ff:fe1e:8329',
      dst: 'ff02::1',
      srcPort: 546,
      dstPort: 547,
      protocol: 17,
      version: 6,
      vlan: 0,
      tunnel: 0,
      tunnelId: 0,
      tcpFlags: 0,
      isLaterFragment: false,
      ipAt: 0,
      ipSize: 48,
      transportAt: 40,
      payloadAt: 48,
      ipEnd: 48,
    });
  });

  it.each([
    ['hop-by-hop', 0],
    ['routing', 43],
    ['destination options', 60],
    ['mobility', 135],
    ['HIP', 139],
    ['shim6', 140],
  ])('steps over %s', (_, nextHeader) => {
    for (const bytes of [8, 16, 2048]) {
      const row = decodeFrame(ipv6({ nextHeader }, extension({ nextHeader: UDP, bytes }, udp())), RAW);
      expect(row).toMatchObject({ status: 'metered', protocol: UDP, srcPort: 40000, transportAt: 40 + bytes });
    }
  });

  it('steps over the authentication header and a whole packet in a fragment header', () => {
    for (const bytes of [8, 12, 24, 28]) {
      const row = decodeFrame(ipv6({ nextHeader: 51 }, authentication({ nextHeader: 6, bytes }, tcp())), RAW);
      expect(row).toMatchObject({ status: 'metered', protocol: 6, dstPort: 443, transportAt: 40 + bytes });
    }
    const atomic = decodeFrame(ipv6({ nextHeader: 44 }, ipv6Fragment({}, udp())), RAW);
    expect(atomic).toMatchObject({ status: 'metered', protocol: UDP, dstPort: 53, isLaterFragment: false });
  });

  it('follows a chain', () => {
    const chain = extension(
      { nextHeader: 60 },
      extension(
        { nextHeader: 43, bytes: 24 },
        extension({ nextHeader: 51, bytes: 40 }, authentication({ nextHeader: 6 }, tcp({ flags: 4 }))),
      ),
    );
    expect(decodeFrame(ipv6({ nextHeader: 0 }, chain), RAW)).toMatchObject({
      protocol: 6,
      tcpFlags: 4,
      transportAt: 136,
    });
  });

  it('bounds the chain', () => {
    const chain = (count: number): Uint8Array => {
      let payload = udp();
      for (let index = 0; index < count; index++) payload = extension({ nextHeader: index === 0 ? UDP : 60 }, payload);
      return ipv6({ nextHeader: 60 }, payload);
    };
    expect(decodeFrame(chain(16), RAW)).toMatchObject({ status: 'metered', protocol: UDP });
    expect(decodeFrame(chain(17), RAW).status).toBe('malformed_ip');
    expect(decodeFrame(chain(1000), RAW).status).toBe('malformed_ip');
  });

  it('has ports 0 for everything without ports, no next header included', () => {
    for (const nextHeader of [58, 59, 50, 89, 103, 112, 253]) {
      const row = decodeFrame(ipv6({ nextHeader }, icmpEcho()), RAW);
      expect(row).toMatchObject({ status: 'metered', protocol: nextHeader, srcPort: 0, dstPort: 0, payloadAt: 40 });
    }
    expect(decodeFrame(ipv6({ nextHeader: 59 }, hex('')), RAW)).toMatchObject({ status: 'metered', ipSize: 40 });
    const padded = ethernetIp(ipv6({ nextHeader: 59, payloadLength: 0 }, new Uint8Array(20)));
    expect(decodeFrame(padded)).toMatchObject({ ipSize: 40, ipEnd: 54 });
  });

  it('reaches to the end of the frame with payload length 0, on the wire', () => {
    const packet = ipv6({ payloadLength: 0 }, tcp({}, new Uint8Array(50)));
    expect(decodeFrame(packet, RAW)).toMatchObject({ status: 'metered', ipSize: 110, dstPort: 443 });
    expect(decodeFrame(packet, { ...RAW, wireLength: 100_000 })).toMatchObject({ ipSize: 100_000, ipEnd: 110 });
    const jumbo = ipv6({ nextHeader: 0, payloadLength: 0 }, extension({ nextHeader: 6 }, tcp()));
    expect(decodeFrame(jumbo, RAW)).toMatchObject({ status: 'metered', dstPort: 443, ipSize: 68 });
  });

  it('rejects impossible headers', () => {
    for (const version of [0, 4, 5, 7, 15]) {
      expect(decodeFrame(ipv6({ version }, tcp()), { linkType: 229 }).status).toBe('malformed_ip');
    }
    const hopByHop = extension({ nextHeader: UDP, bytes: 16 }, udp());
    for (let payloadLength = 1; payloadLength < 16; payloadLength++) {
      expect(decodeFrame(ipv6({ nextHeader: 0, payloadLength }, hopByHop), RAW).status).toBe('malformed_ip');
    }
    const cutFragment = ipv6({ nextHeader: 44, payloadLength: 7 }, ipv6Fragment({ offset: 8 }, udp()));
    expect(decodeFrame(cutFragment, RAW).status).toBe('malformed_ip');
    const zeroLengthAh = extension({ nextHeader: 6, length: 255 }, tcp());
    expect(decodeFrame(ipv6({ nextHeader: 51 }, zeroLengthAh), RAW).status).toBe('malformed_ip');
  });

  it('rejects every cut inside header and extensions', () => {
    const chain = extension({ nextHeader: 60, bytes: 16 }, extension({ nextHeader: UDP, bytes: 24 }, udp()));
    expect(statusChanges(decodeTruncations(ethernetIp(ipv6({ nextHeader: 0 }, chain))))).toEqual([
      [0, 'short_header'],
      [98, '17/40000/0'],
    ]);
  });

  it('does not merge mapped addresses with IPv4', () => {
    const row = decodeFrame(ipv6({ src: '::ffff:a00:1', dst: '::ffff:a00:2' }, tcp()), RAW);
    expect(row).toMatchObject({ version: 6, src: '::ffff:a00:1', dst: '::ffff:a00:2' });
  });
});
