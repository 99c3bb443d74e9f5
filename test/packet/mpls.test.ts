import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { concat, ethernet, ethernetIp, hex, ipv4, ipv6, mpls, tcp, udp, vlanTag } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const PACKET = ipv4({ protocol: 17 }, udp());
const MPLS = { etherType: 0x8847 };

describe('decodeMpls', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`020000000002 020000000001 8847 0001d0ff 000101ff
           4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000`),
    );
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 22, tunnel: 0 });
  });

  it.each([1, 2, 3, 32])('pops %i labels', (count) => {
    const frame = ethernet(MPLS, mpls(new Array(count).fill(77), ipv6({}, tcp())));
    expect(decodeFrame(frame)).toMatchObject({ status: 'metered', version: 6, ipAt: 14 + 4 * count });
  });

  it('gives up on stacks without a bottom', () => {
    expect(decodeFrame(ethernet(MPLS, mpls(new Array(33).fill(77), PACKET))).status).toBe('not_ip');
    expect(decodeFrame(ethernet(MPLS, new Uint8Array(1000))).status).toBe('not_ip');
    expect(decodeFrame(ethernet({ etherType: 0x8848 }, new Uint8Array(20))).status).toBe('short_header');
  });

  it('finds Ethernet pseudowires, with and without control word, and their VLAN', () => {
    const inner = ethernet({ etherType: 0x8100 }, vlanTag({ id: 7, etherType: 0x0800 }, PACKET));
    const wanted = { status: 'metered', dstPort: 53, vlan: 7, tunnel: 0 };
    expect(decodeFrame(ethernet(MPLS, mpls([1], concat(hex('00000000'), inner))))).toMatchObject(wanted);
    expect(decodeFrame(ethernet(MPLS, mpls([1], inner)))).toMatchObject(wanted);
    // A destination address that begins like an IP version.
    for (const address of ['48022900beef', '60f18a22c0de']) {
      const frame = concat(hex(address), inner.subarray(6));
      expect(decodeFrame(ethernet(MPLS, mpls([1], frame)))).toMatchObject(wanted);
    }
  });

  it('names a pseudowire that carries no IP, and forgets its VLAN', () => {
    const arp = ethernet({ etherType: 0x8100 }, vlanTag({ id: 7, etherType: 0x0806 }, new Uint8Array(28)));
    expect(decodeFrame(ethernet(MPLS, mpls([1], arp))).status).toBe('not_ip');
  });

  it('bounds pseudowires in pseudowires', () => {
    let frame = ethernetIp(PACKET);
    for (let level = 0; level < 8; level++) frame = ethernet(MPLS, mpls([1], frame));
    expect(decodeFrame(frame).status).toBe('metered');
    expect(decodeFrame(ethernet(MPLS, mpls([1], frame))).status).toBe('not_ip');
  });

  it('rejects every cut inside the header', () => {
    const changes = statusChanges(decodeTruncations(ethernet(MPLS, mpls([1, 2], PACKET))));
    expect(changes).toEqual([
      [0, 'short_header'],
      [46, '17/40000/0'],
    ]);
  });
});
