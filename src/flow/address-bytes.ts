// Addresses as ASCII in a buffer, the same texts as address-text.ts has: for whoever writes them by the million. Each function
// writes at `at`, returns where the text ends, and may use up to three bytes behind it.
import { packed } from './packed-text.ts';

const OCTETS = Int32Array.from({ length: 256 }, (_, octet) => packed(`${octet}.`));
const OCTET_LENGTHS = Uint8Array.from({ length: 256 }, (_, octet) => String(octet).length);
const HEX = Int32Array.from({ length: 256 }, (_, byte) => packed(`${byte.toString(16).padStart(2, '0')}:`));
const HEX_DIGITS = Uint8Array.from({ length: 16 }, (_, digit) => digit.toString(16).charCodeAt(0));

const COLON = 0x3a;
/** Bytes that the longest one takes, with room to spare. */
export const ADDRESS_BYTES = 48;
export const MAC_LENGTH = 17;
export const OUI_LENGTH = 8;

/** The address in the four words at `words[from]`. */
export function putAddress(view: DataView, at: number, version: number, words: Int32Array, from: number): number {
  return version === 6 ? putIpv6(view, at, words, from) : putIpv4(view, at, words[from]);
}

function putIpv4(view: DataView, at: number, value: number): number {
  const first = value >>> 24;
  const second = (value >>> 16) & 0xff;
  const third = (value >>> 8) & 0xff;
  const last = value & 0xff;
  let end = at;
  view.setInt32(end, OCTETS[first], true);
  end += OCTET_LENGTHS[first] + 1;
  view.setInt32(end, OCTETS[second], true);
  end += OCTET_LENGTHS[second] + 1;
  view.setInt32(end, OCTETS[third], true);
  end += OCTET_LENGTHS[third] + 1;
  view.setInt32(end, OCTETS[last], true);
  return end + OCTET_LENGTHS[last];
}

/** By RFC 5952; see address-text.ts. */
function putIpv6(view: DataView, at: number, words: Int32Array, from: number): number {
  const isMapped = words[from] === 0 && words[from + 1] === 0 && words[from + 2] === 0xffff;
  let longestAt = -1;
  let longest = 1;
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (end < 8 && group(words, from, end) === 0) end++;
    if (end - i > longest) {
      longest = end - i;
      longestAt = i;
    }
    if (end > i) i = end;
  }
  let end = at;
  for (let i = 0; i < 8; i++) {
    if (i === longestAt) {
      view.setUint8(end++, COLON);
      if (i === 0) view.setUint8(end++, COLON);
      i += longest - 1;
      continue;
    }
    if (isMapped && i === 6) return putIpv4(view, end, words[from + 3]);
    end = putGroup(view, end, group(words, from, i));
    if (i < 7) view.setUint8(end++, COLON);
  }
  return end;
}

function group(words: Int32Array, from: number, i: number): number {
  return (words[from + (i >> 1)] >>> (i & 1 ? 0 : 16)) & 0xffff;
}

function putGroup(view: DataView, at: number, value: number): number {
  let end = at;
  if (value > 0xfff) view.setUint8(end++, HEX_DIGITS[value >>> 12]);
  if (value > 0xff) view.setUint8(end++, HEX_DIGITS[(value >>> 8) & 15]);
  if (value > 0xf) view.setUint8(end++, HEX_DIGITS[(value >>> 4) & 15]);
  view.setUint8(end++, HEX_DIGITS[value & 15]);
  return end;
}

/** `high` holds the first four bytes of a MAC address, `low` the last two. */
export function putMac(view: DataView, at: number, high: number, low: number): number {
  putOui(view, at, high);
  view.setInt32(at + 9, HEX[high & 0xff], true);
  view.setInt32(at + 12, HEX[low >>> 8], true);
  view.setInt32(at + 15, HEX[low & 0xff], true);
  return at + MAC_LENGTH;
}

/** The first three bytes of it. */
export function putOui(view: DataView, at: number, high: number): number {
  view.setInt32(at, HEX[high >>> 24], true);
  view.setInt32(at + 3, HEX[(high >>> 16) & 0xff], true);
  view.setInt32(at + 6, HEX[(high >>> 8) & 0xff], true);
  return at + OUI_LENGTH;
}
