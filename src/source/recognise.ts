// Which capture format bytes are, by their magic number; and, where they are none, what they look like to a person.

import { PCAP_MICROSECONDS, PCAP_MODIFIED, PCAP_NANOSECONDS, PcapParser } from './pcap.ts';
import { BLOCK_SECTION_HEADER, PcapngParser } from './pcapng.ts';
import type { RecordParser } from './record-parser.ts';

export const MAGIC_BYTES = 4;

/** Formats that people try, and what helps. */
const OTHERS: readonly (readonly [start: string, name: string])[] = [
  ['BZh', 'bzip2 data (decompress it first)'],
  ['\xfd7zXZ', 'xz data (decompress it first)'],
  ['PK\x03\x04', 'a ZIP archive'],
  ['7z\xbc\xaf', 'a 7z archive'],
  ['snoop\0', 'a snoop capture (editcap converts it)'],
  ['GMBU', 'a Network Monitor capture (editcap converts it)'],
  ['RTSS', 'a Network Monitor capture (editcap converts it)'],
  ['\x1f\x8b', 'gzip data inside of compressed data'],
  ['\x89PNG', 'a PNG image'],
  ['\x7fELF', 'a program'],
  ['%PDF', 'a PDF document'],
];

/** A parser for the capture that begins with the 4 bytes at `at`, or null where they begin none. */
export function recogniseCapture(view: DataView, at: number): RecordParser | null {
  for (const isLittleEndian of [true, false]) {
    const magic = view.getUint32(at, isLittleEndian);
    if (magic === PCAP_MICROSECONDS || magic === PCAP_NANOSECONDS || magic === PCAP_MODIFIED) {
      return new PcapParser(magic, isLittleEndian);
    }
    if (magic === BLOCK_SECTION_HEADER) return new PcapngParser();
  }
  return null;
}

/** Whether `bytes`, fewer than 4, may be the beginning of a capture. */
export function mayBecomeCapture(bytes: Uint8Array): boolean {
  const magics = [PCAP_MICROSECONDS, PCAP_NANOSECONDS, PCAP_MODIFIED, BLOCK_SECTION_HEADER];
  const view = new DataView(new ArrayBuffer(MAGIC_BYTES));
  return magics.some((magic) =>
    [true, false].some((isLittleEndian) => {
      view.setUint32(0, magic, isLittleEndian);
      return bytes.every((byte, at) => byte === view.getUint8(at));
    }),
  );
}

/** What `bytes`, the first ones of something that is no capture, look like. */
export function describeBytes(bytes: Uint8Array): string {
  const start = bytes.subarray(0, 24);
  const latin = String.fromCharCode(...start);
  const other = OTHERS.find(([magic]) => latin.startsWith(magic));
  if (other) return other[1];
  const isText = start.every((byte) => (byte >= 0x20 && byte !== 0x7f) || (byte >= 9 && byte <= 13));
  if (isText) return `text (${JSON.stringify(latin)})`;
  return `bytes that begin with ${Array.from(start.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join(' ')}`;
}
