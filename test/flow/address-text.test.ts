import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ipv4Text, ipv6Text, macText } from '../../src/flow/address-text.ts';

const word = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

/** The WHATWG URL parser writes IPv6 by RFC 5952, but for the mixed notation of IPv4-mapped addresses. */
function byUrl(words: readonly number[]): string {
  const groups = words.flatMap((w) => [w >>> 16, w & 0xffff]).map((group) => group.toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

describe('addresses as text', () => {
  it.each([
    [0, '0.0.0.0'],
    [-1, '255.255.255.255'],
    [0x7f000001, '127.0.0.1'],
    [0xc0a82b12 | 0, '192.168.43.18'],
  ])('IPv4 %i', (value, text) => {
    expect(ipv4Text(value)).toBe(text);
  });

  it('IPv6 as the examples of RFC 5952, section 4', () => {
    expect(ipv6Text(0x20010db8, 0, 0, 1)).toBe('2001:db8::1');
    expect(ipv6Text(0x20010db8, 0, 0x00010000, 1)).toBe('2001:db8::1:0:0:1');
    expect(ipv6Text(0x20010db8, 1, 0x00010001, 0x00010001)).toBe('2001:db8:0:1:1:1:1:1');
    expect(ipv6Text(0x20010000, 0, 0x00010000, 1)).toBe('2001::1:0:0:1');
    expect(ipv6Text(0, 0, 0, 0)).toBe('::');
    expect(ipv6Text(0, 0, 0, 1)).toBe('::1');
    expect(ipv6Text(0x20010db8, 0, 0, 0)).toBe('2001:db8::');
    expect(ipv6Text(0, 0, 0xffff, 0xc0000201 | 0)).toBe('::ffff:192.0.2.1');
  });

  it('IPv6 as the URL parser writes it', () => {
    const zeroish = fc.oneof(word, fc.constantFrom(0, 1, 0x10000, 0xffff, -65536));
    fc.assert(
      fc.property(fc.tuple(zeroish, zeroish, zeroish, zeroish), (words) => {
        fc.pre(!(words[0] === 0 && words[1] === 0 && words[2] === 0xffff));
        expect(ipv6Text(...words)).toBe(byUrl(words));
      }),
      { numRuns: 2000 },
    );
  });
});

it('MAC addresses are six bytes in hexadecimal digits, however many there are', () => {
  const bytes = fc.uint8Array({ minLength: 6, maxLength: 6 });
  fc.assert(
    fc.property(bytes, (mac) => {
      const view = new DataView(mac.buffer, mac.byteOffset);
      const text = [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
      expect(macText(view.getInt32(0), view.getUint16(4))).toBe(text);
    }),
    // More than are kept.
    { numRuns: 6000 },
  );
});
