// Addresses as text: dotted quad for IPv4, RFC 5952 for IPv6. Addresses become text only where somebody reads them.

const OCTETS = Array.from({ length: 256 }, (_, octet) => String(octet));
const OCTETS_AND_DOT = OCTETS.map((octet) => `${octet}.`);

/** `value` holds the four bytes in network order. */
export function ipv4Text(value: number): string {
  const first = OCTETS_AND_DOT[value >>> 24] + OCTETS_AND_DOT[(value >>> 16) & 0xff];
  return first + (OCTETS_AND_DOT[(value >>> 8) & 0xff] + OCTETS[value & 0xff]);
}

/**
 * RFC 5952: lower case, no leading zeros, `::` for the longest run of at least two zero groups, the first of equals
 * (section 4.2). IPv4-mapped addresses (::ffff:0:0/96) are written in mixed notation (section 5).
 */
export function ipv6Text(w0: number, w1: number, w2: number, w3: number): string {
  if (w0 === 0 && w1 === 0 && w2 === 0xffff) return `::ffff:${ipv4Text(w3)}`;
  const groups = [w0 >>> 16, w0 & 0xffff, w1 >>> 16, w1 & 0xffff, w2 >>> 16, w2 & 0xffff, w3 >>> 16, w3 & 0xffff];
  let longestAt = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && groups[end] === 0) end++;
    if (end - i > longest) {
      longest = end - i;
      longestAt = i;
    }
    if (end > i) i = end;
  }
  const text = (from: number, end: number) =>
    groups
      .slice(from, end)
      .map((group) => group.toString(16))
      .join(':');
  if (longestAt < 0) return text(0, 8);
  return `${text(0, longestAt)}::${text(longestAt + longest, 8)}`;
}

/** The address in the four words at `words[at]`. */
export function addressText(version: number, words: Int32Array, at: number): string {
  return version === 6 ? ipv6Text(words[at], words[at + 1], words[at + 2], words[at + 3]) : ipv4Text(words[at]);
}

/** A network has few cards: the texts of this many are kept, each in the place that its bits say. A power of two. */
const MAC_PLACES = 1024;
const macs = new Float64Array(MAC_PLACES).fill(-1);
const macTexts: string[] = [];
const ouiTexts: string[] = [];

function macPlace(high: number, low: number): number {
  const value = (high >>> 0) * 0x1_0000 + low;
  const place = (low ^ (low >>> 6) ^ high) & (MAC_PLACES - 1);
  if (macs[place] !== value) {
    const hex = value.toString(16).padStart(12, '0');
    macs[place] = value;
    macTexts[place] = hex.replace(/..(?!$)/g, '$&:');
    ouiTexts[place] = macTexts[place].slice(0, 8);
  }
  return place;
}

/** `high` holds the first four bytes of a MAC address, `low` the last two. */
export function macText(high: number, low: number): string {
  return macTexts[macPlace(high, low)];
}

/** The first three bytes of it: the organizationally unique identifier. */
export function ouiText(high: number, low: number): string {
  return ouiTexts[macPlace(high, low)];
}
