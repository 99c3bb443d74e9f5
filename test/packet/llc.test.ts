import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { concat, ethernet, hex, ieee8023, ipv4, ipv6, llcSnap, tcp, udp, vlanTag } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

const PACKET = ipv4({ protocol: 17 }, udp());

describe('decodeLlc', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`020000000002 020000000001 0024 aaaa03 000000 0800
           4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000`),
    );
    expect(row).toMatchObject({ status: 'metered', srcPort: 53, ipAt: 22, ipEnd: 50 });
  });

  it('decodes SNAP with both EtherType OUIs, and LLC that names IP', () => {
    expect(decodeFrame(ieee8023(llcSnap({ etherType: 0x0800 }, PACKET)))).toMatchObject({ dstPort: 53 });
    const bridged = llcSnap({ etherType: 0x86dd, oui: 0xf8 }, ipv6({}, tcp()));
    expect(decodeFrame(ieee8023(bridged))).toMatchObject({ status: 'metered', version: 6 });
    expect(decodeFrame(ieee8023(concat(hex('060603'), PACKET)))).toMatchObject({ status: 'metered', ipAt: 17 });
    const tagged = llcSnap({ etherType: 0x8100 }, vlanTag({ id: 8, etherType: 0x0800 }, PACKET));
    expect(decodeFrame(ieee8023(tagged))).toMatchObject({ status: 'metered', vlan: 8 });
  });

  it('names payloads that are not IP', () => {
    const spanningTree = concat(hex('424203'), new Uint8Array(35));
    const cdp = llcSnap({ etherType: 0x2000, oui: 0x00000c }, new Uint8Array(40));
    const nested = llcSnap({ etherType: 100 }, llcSnap({ etherType: 0x0800 }, PACKET));
    const numbered = concat(hex('aaaa00'), llcSnap({ etherType: 0x0800 }, PACKET).subarray(3));
    for (const payload of [spanningTree, cdp, nested, numbered]) {
      expect(decodeFrame(ieee8023(payload)).status).toBe('not_ip');
    }
  });

  it('ends at the 802.3 length', () => {
    const payload = llcSnap({ etherType: 0x0800 }, PACKET);
    expect(decodeFrame(ieee8023(payload, 0)).status).toBe('short_header');
    expect(decodeFrame(ieee8023(payload, 7)).status).toBe('short_header');
    expect(decodeFrame(ieee8023(payload, 27)).status).toBe('short_header');
    expect(decodeFrame(ieee8023(payload, 36))).toMatchObject({ status: 'metered', srcPort: 40000 });
    expect(decodeFrame(ethernet({ etherType: 1500 }, payload))).toMatchObject({ status: 'metered', ipEnd: 50 });
  });

  it('rejects every cut inside the header', () => {
    expect(statusChanges(decodeTruncations(ieee8023(llcSnap({ etherType: 0x0800 }, PACKET))))).toEqual([
      [0, 'short_header'],
      [46, '17/40000/0'],
    ]);
  });
});
