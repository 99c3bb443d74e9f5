import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { concat, ethernetIp, hex, icmpEcho, ipv4, radiotap, tcp, udp } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const RAW = { linkType: 101 };

describe('decodeIpv4', () => {
  it('decodes known bytes with options', () => {
    const row = decodeFrame(
      hex(`46 00 002c 1c46 4000 40 06 0000 ac100a63 ac100a0c 94040000
           d431 0050 00000001 00000000 5002 2000 0000 0000`),
      RAW,
    );
    expect(row).toMatchObject({
      status: 'metered',
      src: '172.16.10.99',
      dst: '172.16.10.12',
      srcPort: 54321,
      dstPort: 80,
      protocol: 6,
      version: 4,
      tcpFlags: 2,
      ipAt: 0,
      ipSize: 44,
      transportAt: 24,
      payloadAt: 44,
      ipEnd: 44,
    });
  });

  it('gives back what was encoded', () => {
    for (const protocol of [0, 1, 2, 50, 51, 59, 89, 112, 255]) {
      const row = decodeFrame(ipv4({ protocol, src: '255.254.253.252', dst: '0.0.0.1' }, icmpEcho()), RAW);
      expect(row).toMatchObject({ status: 'metered', src: '255.254.253.252', dst: '0.0.0.1', protocol });
      expect(row).toMatchObject({ srcPort: 0, dstPort: 0, tcpFlags: 0, transportAt: 20, payloadAt: 20, ipEnd: 28 });
    }
  });

  it('rejects impossible headers', () => {
    const payload = tcp();
    for (const version of [0, 3, 5, 6, 15]) {
      expect(decodeFrame(ipv4({ version }, payload), { linkType: 228 }).status).toBe('malformed_ip');
    }
    for (const headerWords of [0, 1, 4]) {
      expect(decodeFrame(ipv4({ headerWords }, payload), RAW).status).toBe('malformed_ip');
    }
    for (const totalLength of [1, 19]) {
      expect(decodeFrame(ipv4({ totalLength }, payload), RAW).status).toBe('malformed_ip');
    }
    expect(decodeFrame(ipv4({ headerWords: 15, totalLength: 59 }, new Uint8Array(60)), RAW).status).toBe(
      'malformed_ip',
    );
    expect(decodeFrame(ipv4({ headerWords: 15, totalLength: 200 }, payload), RAW).status).toBe('short_header');
  });

  it('reaches to the end of the frame with total length 0, on the wire', () => {
    const packet = ipv4({ totalLength: 0 }, tcp({}, new Uint8Array(100)));
    expect(decodeFrame(packet, RAW)).toMatchObject({ status: 'metered', ipSize: 140, ipEnd: 140 });
    expect(decodeFrame(packet.subarray(0, 60), { ...RAW, wireLength: 9000 })).toMatchObject({
      ipSize: 9000,
      ipEnd: 60,
    });
    expect(decodeFrame(packet, { ...RAW, wireLength: 0 })).toMatchObject({ ipSize: 140 });
  });

  it('believes a total length beyond the frame, and does not read there', () => {
    const packet = ipv4({ totalLength: 1500 }, tcp());
    expect(decodeFrame(packet, RAW)).toMatchObject({ status: 'metered', ipSize: 1500, ipEnd: 40, payloadAt: 40 });
  });

  it('gives ports 0 to a transport header that the total length has no room for', () => {
    const cases: [Uint8Array, number, number][] = [
      [tcp(), 6, 20],
      [udp(), 17, 8],
      [concat(udp(), udp()), 132, 12],
    ];
    for (const [payload, protocol, needed] of cases) {
      const fits = decodeFrame(ipv4({ protocol, totalLength: 20 + needed }, payload), RAW);
      expect(fits).toMatchObject({ status: 'metered', srcPort: 40000 });
      const cut = decodeFrame(ipv4({ protocol, totalLength: 19 + needed }, payload), RAW);
      expect(cut).toMatchObject({ status: 'metered', srcPort: 0, dstPort: 0, tcpFlags: 0, payloadAt: 20 });
    }
  });

  it('rejects every cut inside header and options', () => {
    const frame = ethernetIp(ipv4({ protocol: 17, options: new Uint8Array(40) }, udp()));
    expect(statusChanges(decodeTruncations(frame))).toEqual([
      [0, 'short_header'],
      [78, '17/40000/0'],
    ]);
  });

  it('looks at snaplen bytes of a frame only', () => {
    const frame = ethernetIp(ipv4({}, tcp({ flags: 2 }, new Uint8Array(1000))));
    expect(decodeFrame(frame, {}, { snaplen: 96 })).toMatchObject({ status: 'metered', ipEnd: 96, ipSize: 1040 });
    expect(decodeFrame(frame, {}, { snaplen: 40 })).toMatchObject({ srcPort: 40000, tcpFlags: 0, payloadAt: 40 });
    expect(decodeFrame(frame, {}, { snaplen: 20 }).status).toBe('short_header');
    expect(decodeFrame(radiotap({}, frame), { linkType: 127 }, { snaplen: 0 }).status).toBe('short_header');
  });
});
