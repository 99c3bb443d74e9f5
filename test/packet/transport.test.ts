import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { hex, ipv4, ipv6, sctp, tcp, udp } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const RAW = { linkType: 101 };
const PAYLOAD = hex('a0a1a2a3');

describe('writeTcp', () => {
  it('decodes known bytes', () => {
    const header = hex('01bb c350 00000000 00000001 6 0 d1 ffff 0000 0000 0204 05b4 47455420');
    expect(decodeFrame(ipv4({}, header), RAW)).toMatchObject({
      srcPort: 443,
      dstPort: 50000,
      tcpFlags: 0xd1,
      payloadAt: 44,
    });
  });

  it('gives back what was encoded', () => {
    for (let flags = 0; flags < 256; flags++) {
      const fields = { srcPort: 65535 - flags, dstPort: flags, flags, options: new Uint8Array((flags % 11) * 4) };
      const row = decodeFrame(ipv6({}, tcp(fields, PAYLOAD)), RAW);
      const payloadAt = 60 + fields.options.length;
      expect(row).toMatchObject({ srcPort: 65535 - flags, dstPort: flags, tcpFlags: flags, payloadAt });
    }
  });

  it('stays inside the packet with impossible data offsets', () => {
    for (const offsetWords of [0, 1, 4]) {
      expect(decodeFrame(ipv4({}, tcp({ offsetWords }, PAYLOAD)), RAW)).toMatchObject({
        payloadAt: 40,
        tcpFlags: 0x18,
      });
    }
    expect(decodeFrame(ipv4({}, tcp({ offsetWords: 15 }, PAYLOAD)), RAW)).toMatchObject({ payloadAt: 44, ipEnd: 44 });
  });

  it('uses what is there of a cut header, from both ports on', () => {
    const rows = decodeTruncations(ipv4({}, tcp({ flags: 0x12 }, PAYLOAD)), 101);
    for (const [length, row] of rows.entries()) {
      expect(row.status).toBe(length < 24 ? 'short_header' : 'metered');
      if (length < 24) continue;
      expect([row.srcPort, row.dstPort]).toEqual([40000, 443]);
      expect(row.tcpFlags).toBe(length < 34 ? 0 : 0x12);
      expect(row.payloadAt).toBe(Math.min(length, 40));
    }
  });
});

describe('writeUdp', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(ipv4({ protocol: 17 }, hex('0035 ffff 000c 0000 a0a1a2a3')), RAW);
    expect(row).toMatchObject({ srcPort: 53, dstPort: 65535, tcpFlags: 0, payloadAt: 28, ipEnd: 32 });
  });

  it('goes by the IP length, not by its own', () => {
    for (const length of [0, 7, 9, 65535]) {
      expect(decodeFrame(ipv4({ protocol: 17 }, udp({ length }, PAYLOAD)), RAW)).toMatchObject({
        ipEnd: 32,
        dstPort: 53,
      });
    }
  });

  it('uses what is there of a cut header', () => {
    expect(statusChanges(decodeTruncations(ipv6({ nextHeader: 17 }, udp({}, PAYLOAD)), 101))).toEqual([
      [0, 'short_header'],
      [44, '17/40000/0'],
    ]);
  });
});

describe('writeSctp', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(ipv4({ protocol: 132 }, hex('8e3c 0b59 00002b6b 8be0f1d3 01000004')), RAW);
    expect(row).toMatchObject({ srcPort: 36412, dstPort: 2905, protocol: 132, payloadAt: 32, ipEnd: 36 });
  });

  it('uses what is there of a cut header', () => {
    expect(statusChanges(decodeTruncations(ipv4({ protocol: 132 }, sctp({}, PAYLOAD)), 101))).toEqual([
      [0, 'short_header'],
      [24, '132/40000/0'],
    ]);
  });
});

describe.each([
  ['TCP', 6, 20],
  ['UDP', 17, 8],
  ['SCTP', 132, 12],
])('a header of %s', (_, protocol, headerBytes) => {
  const ports = hex('9c40 01bb 00000000 00000000 5018 0000 00000000');

  it('for which the IP packet has no room gives ports 0, whether it was captured or not', () => {
    for (let payloadBytes = 1; payloadBytes < headerBytes; payloadBytes++) {
      for (const packet of [
        ipv4({ protocol, totalLength: 20 + payloadBytes }, ports),
        ipv6({ nextHeader: protocol, payloadLength: payloadBytes }, ports),
      ]) {
        const whole = { status: 'metered', protocol, srcPort: 0, dstPort: 0, tcpFlags: 0 };
        const rows = decodeTruncations(packet, 101).slice(packet.length - ports.length);
        for (const row of rows) expect(row).toMatchObject({ ...whole, payloadAt: row.transportAt });
      }
    }
  });

  it('with exactly enough room gives the ports, or a short header when they were not captured', () => {
    for (const packet of [
      ipv4({ protocol, totalLength: 20 + headerBytes }, ports),
      ipv6({ nextHeader: protocol, payloadLength: headerBytes }, ports),
    ]) {
      const transportAt = packet.length - ports.length;
      expect(statusChanges(decodeTruncations(packet, 101))).toEqual([
        [0, 'short_header'],
        [transportAt + 4, `${protocol}/40000/0`],
      ]);
    }
  });
});

describe('other protocols', () => {
  it('have no ports that could be cut', () => {
    for (const protocol of [1, 2, 50, 58, 89]) {
      expect(statusChanges(decodeTruncations(ipv4({ protocol }, PAYLOAD), 101))).toEqual([
        [0, 'short_header'],
        [20, `${protocol}/0/0`],
      ]);
    }
  });
});
