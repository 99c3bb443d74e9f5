import { describe, expect, it } from 'vitest';
import { decodeFrame } from './batch.ts';
import { ethernet, hex, ipv4, ipv6, tcp, udp, vlanTag } from './encode.ts';
import { decodeTruncations, statusChanges } from './truncate.ts';

describe('VLAN tags', () => {
  it('decodes known bytes', () => {
    const row = decodeFrame(
      hex(`020000000002 020000000001 8100 e064 0800
           4500001c 00010000 40110000 0a000001 0a000002 00350400 00080000`),
    );
    expect(row).toMatchObject({ status: 'metered', vlan: 100, srcPort: 53, dstPort: 1024, protocol: 17, ipAt: 18 });
  });

  it.each([0x8100, 0x88a8, 0x9100, 0x9200, 0x9300])('steps over a tag of type %i', (etherType) => {
    const packet = ipv4({}, tcp());
    const frame = ethernet({ etherType }, vlanTag({ id: 4095, priority: 7, etherType: 0x0800 }, packet));
    expect(decodeFrame(frame)).toMatchObject({ status: 'metered', vlan: 4095, dstPort: 443 });
  });

  it('takes the innermost of several tags', () => {
    const inner = vlanTag({ id: 30, etherType: 0x86dd }, ipv6({ nextHeader: 17 }, udp()));
    const tags = vlanTag({ id: 10, etherType: 0x8100 }, vlanTag({ id: 20, etherType: 0x8100 }, inner));
    expect(decodeFrame(ethernet({ etherType: 0x88a8 }, tags))).toMatchObject({ vlan: 30, version: 6, ipAt: 26 });
  });

  it('does not leak the tag of one frame into the next', () => {
    const tagged = ethernet({ etherType: 0x8100 }, vlanTag({ id: 9, etherType: 0x0806 }, new Uint8Array(28)));
    expect(decodeFrame(tagged).status).toBe('not_ip');
  });

  it('rejects every cut inside the tags', () => {
    const tags = vlanTag({ id: 1, etherType: 0x8100 }, vlanTag({ id: 2, etherType: 0x0800 }, ipv4({}, tcp())));
    expect(statusChanges(decodeTruncations(ethernet({ etherType: 0x88a8 }, tags)))).toEqual([
      [0, 'short_header'],
      [46, '6/40000/0'],
    ]);
  });

  it('ends with a frame that is tags alone', () => {
    const frame = ethernet({ etherType: 0x8100 }, hex('0001 8100'.repeat(400)));
    expect(decodeFrame(frame).status).toBe('short_header');
  });
});
