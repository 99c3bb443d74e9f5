import { describe, expect, it } from 'vitest';
import { TUNNEL_GRE, TUNNEL_GTP_U, TUNNEL_IP_IN_IP, TUNNEL_VXLAN } from '../../src/packet/packet-columns.ts';
import { decodeFrame } from './batch.ts';
import type { Bytes } from './encode.ts';
import { ethernet, ethernetIp, gre, gtpU, hex, icmpEcho, ipv4, ipv6, tcp, udp, vlanTag, vxlan } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const INNER4 = ipv4({ src: '192.168.0.1', dst: '192.168.0.2' }, tcp({ flags: 2 }));
const INNER6 = ipv6({ src: 'fd00::1', dst: 'fd00::2' }, tcp({ flags: 2 }));

/** `inner` in an IP packet of the given version. */
function wrap(version: number, inner: Bytes): Bytes {
  const protocol = inner[0] >> 4 === 6 ? 41 : 4;
  return version === 6 ? ipv6({ nextHeader: protocol }, inner) : ipv4({ protocol }, inner);
}

describe('IP in IP', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`02000000000202000000000108 00
           45000030 00010000 40040000 0a000001 0a000002
           4500001c 00010000 40110000 c0a80001 c0a80002 00350400 00080000`),
    );
    expect(row).toMatchObject({
      status: 'metered',
      src: '192.168.0.1',
      srcPort: 53,
      tunnel: TUNNEL_IP_IN_IP,
      ipAt: 34,
    });
  });

  it.each([
    ['4in4', 4, INNER4, '192.168.0.1'],
    ['6in4', 4, INNER6, 'fd00::1'],
    ['4in6', 6, INNER4, '192.168.0.1'],
    ['6in6', 6, INNER6, 'fd00::1'],
  ])('decodes %s', (_, outer, inner, src) => {
    const frame = ethernetIp(wrap(outer, inner));
    const row = decodeFrame(frame);
    expect(row).toMatchObject({ status: 'metered', src, dstPort: 443, tcpFlags: 2, tunnel: TUNNEL_IP_IN_IP });
    expect(row.ipSize).toBe(inner.length);
    expect(row.ipAt).toBe(frame.length - inner.length);

    const innerAt = frame.length - inner.length;
    const innerHeader = inner[0] >> 4 === 6 ? 40 : 20;
    const protocol = innerHeader === 40 ? 41 : 4;
    expect(statusChanges(decodeTruncations(frame))).toEqual([
      [0, 'short_header'],
      [innerAt, `${protocol}/0/0`],
      [innerAt + innerHeader + 4, '6/40000/7'],
    ]);
  });

  it('meters the outer packet when the inner one does not decode, or does not fit', () => {
    const tooLong = ipv4({ totalLength: 41, src: '192.168.0.1' }, tcp());
    for (const inner of [hex('ff'.repeat(40)), hex(''), INNER6, tooLong, hex('45')]) {
      const row = decodeFrame(ethernetIp(ipv4({ protocol: 4 }, inner)));
      expect(row).toMatchObject({ status: 'metered', src: '10.0.0.1', dst: '10.0.0.2', protocol: 4, tunnel: 0 });
      expect(row).toMatchObject({ ipAt: 14, transportAt: 34, payloadAt: 34, ipSize: 20 + inner.length, srcPort: 0 });
    }
  });

  it('leaves no trace of inner headers that were cut', () => {
    for (const inner of [INNER4, INNER6]) {
      const frame = ethernetIp(wrap(4, inner));
      const transportAt = frame.length - 20;
      for (let length = 34; length < transportAt + 4; length++) {
        const cut = frame.subarray(0, length);
        expect(decodeFrame(cut)).toEqual(decodeFrame(cut, {}, { decodeTunnels: false }));
      }
      const enough = frame.subarray(0, transportAt + 4);
      expect(decodeFrame(enough)).not.toEqual(decodeFrame(enough, {}, { decodeTunnels: false }));
    }
  });

  it('stays outside without decodeTunnels', () => {
    const options = { decodeTunnels: false };
    expect(decodeFrame(ethernetIp(wrap(4, INNER6)), {}, options)).toMatchObject({ protocol: 41, tunnel: 0, ipAt: 14 });
    const inGre = ipv4({ protocol: 47 }, gre({ type: 0x0800 }, INNER4));
    expect(decodeFrame(ethernetIp(inGre), {}, options)).toMatchObject({ protocol: 47, tunnel: 0 });
    const inGtp = ipv4({ protocol: 17 }, udp({ dstPort: 2152 }, gtpU({}, INNER4)));
    expect(decodeFrame(ethernetIp(inGtp), {}, options)).toMatchObject({ protocol: 17, dstPort: 2152, tunnel: 0 });
  });
});

describe('nested tunnels', () => {
  it('keys the innermost packet by the innermost tunnel', () => {
    const mobile = ipv4({ protocol: 17 }, udp({ dstPort: 2152 }, gtpU({}, INNER6)));
    const mirrored = ipv4({ protocol: 17 }, udp({ dstPort: 4789 }, vxlan({ vni: 5000 }, ethernetIp(mobile))));
    const inGre = ipv6({ nextHeader: 47 }, gre({ type: 0x0800 }, mirrored));
    const row = decodeFrame(ethernetIp(inGre));
    expect(row).toMatchObject({ status: 'metered', src: 'fd00::1', tunnel: TUNNEL_GTP_U, tunnelId: 0, dstPort: 443 });
  });

  it('falls back one level at a time', () => {
    const echo = ipv4(
      { protocol: 17, src: '172.16.0.1' },
      udp({ dstPort: 2152 }, gtpU({ messageType: 1 }, icmpEcho())),
    );
    const mirrored = ipv4({ protocol: 17 }, udp({ dstPort: 4789 }, vxlan({ vni: 5000 }, ethernetIp(echo))));
    const row = decodeFrame(ethernetIp(mirrored));
    expect(row).toMatchObject({ src: '172.16.0.1', dstPort: 2152, tunnel: TUNNEL_VXLAN, tunnelId: 5000 });
  });

  it('is bounded: what is deeper is the payload of the last level', () => {
    let packet = INNER4;
    for (let level = 0; level < 8; level++) packet = wrap(level % 2 === 0 ? 4 : 6, packet);
    expect(decodeFrame(ethernetIp(packet))).toMatchObject({ status: 'metered', src: '192.168.0.1', protocol: 6 });
    for (let level = 0; level < 1000; level++) packet = wrap(4, packet);
    expect(decodeFrame(ethernetIp(packet))).toMatchObject({ status: 'metered', src: '10.0.0.1', protocol: 4 });
  });

  it('keeps the outer VLAN unless the inner frame has one, and restores it', () => {
    const tagged = (frame: Bytes): Bytes => {
      const packet = ipv4({ protocol: 17 }, udp({ dstPort: 4789 }, vxlan({ vni: 1 }, frame)));
      return ethernet({ etherType: 0x8100 }, vlanTag({ id: 100, etherType: 0x0800 }, packet));
    };
    const inner = ethernet({ etherType: 0x8100 }, vlanTag({ id: 200, etherType: 0x0800 }, INNER4));
    const arp = ethernet({ etherType: 0x8100 }, vlanTag({ id: 200, etherType: 0x0806 }, new Uint8Array(28)));
    expect(decodeFrame(tagged(ethernetIp(INNER4)))).toMatchObject({ vlan: 100, tunnel: TUNNEL_VXLAN });
    expect(decodeFrame(tagged(inner))).toMatchObject({ vlan: 200, tunnel: TUNNEL_VXLAN });
    expect(decodeFrame(tagged(arp))).toMatchObject({ status: 'metered', vlan: 100, tunnel: 0, dstPort: 4789 });
  });

  it('meters GRE that carries something else as GRE', () => {
    const keepAlive = ipv4({ protocol: 47 }, gre({ type: 0 }, hex('')));
    expect(decodeFrame(ethernetIp(keepAlive))).toMatchObject({ status: 'metered', protocol: 47, tunnel: 0 });
    const inner = gre({ type: 0x0800 }, INNER4);
    expect(decodeFrame(ethernetIp(ipv4({ protocol: 47 }, inner)))).toMatchObject({ tunnel: TUNNEL_GRE });
  });
});

describe('ordinary UDP on tunnel ports', () => {
  const query = hex('1234 0100 0001 0000 0000 0000 03 777777 07 6578616d706c65 03 636f6d 00 0001 0001');
  const answer = hex('0100 8180 0001 0001 0000 0000 03 777777 07 6578616d706c65 03 636f6d 00 0001 0001');

  it.each([2152, 4789, 8472, 6081, 5247, 37008])('stays UDP from and to port %i', (port) => {
    const zeros = new Uint8Array(100);
    const ones = new Uint8Array(100).fill(0xff);
    for (const payload of [query, answer, zeros, ones, INNER4, ethernetIp(INNER4), hex('08')]) {
      for (const fields of [
        { srcPort: port, dstPort: 53 },
        { srcPort: 53, dstPort: port },
      ]) {
        const row = decodeFrame(ethernetIp(ipv4({ protocol: 17 }, udp(fields, payload))));
        expect(row).toMatchObject({ status: 'metered', ...fields, tunnel: 0, ipAt: 14, protocol: 17, payloadAt: 42 });
      }
    }
  });

  it('matches the destination port only, but for CAPWAP', () => {
    for (const [port, payload] of [
      [2152, gtpU({}, INNER4)],
      [4789, vxlan({ vni: 3 }, ethernetIp(INNER4))],
    ] as const) {
      const from = ipv4({ protocol: 17 }, udp({ srcPort: port, dstPort: 53 }, payload));
      expect(decodeFrame(ethernetIp(from))).toMatchObject({ srcPort: port, dstPort: 53, tunnel: 0 });
    }
  });

  it('asks for a UDP length that fits', () => {
    const payload = gtpU({}, INNER4);
    for (const length of [1, 7, 8 + payload.length + 1, 65535]) {
      const packet = ipv4({ protocol: 17 }, udp({ dstPort: 2152, length }, payload));
      expect(decodeFrame(ethernetIp(packet))).toMatchObject({ dstPort: 2152, tunnel: 0 });
    }
    const unsized = ipv4({ protocol: 17 }, udp({ dstPort: 2152, length: 0 }, payload));
    expect(decodeFrame(ethernetIp(unsized))).toMatchObject({ tunnel: TUNNEL_GTP_U });
    const cut = ipv4({ protocol: 17 }, udp({ dstPort: 2152, length: 8 + payload.length - 1 }, payload));
    expect(decodeFrame(ethernetIp(cut))).toMatchObject({ tunnel: 0 });
  });
});
