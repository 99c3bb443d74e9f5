// The pcap file format (draft-ietf-opsawg-pcap) to batch rows: microsecond, nanosecond and "modified" files, both
// byte orders.
//
//   file header   magic 4 | major 2 | minor 2 | reserved 8 | snaplen 4 | FCS bits and link type 4
//   record        seconds 4 | fraction 4 | captured length 4 | wire length 4 | frame ...
//                 "modified" files have 8 more bytes before the frame: interface 4 | protocol 2 | type 1 | pad 1
//
// Invariant: a row is filled only for a record that lies whole in `[at, end)`.
import { type Damage, MAX_RECORD_BYTES, type RecordParser } from './record-parser.ts';
import type { PacketBatch } from './source.ts';
import { stampTime } from './stamp-time.ts';

/** The magic numbers, as a little-endian reader sees them in a file of its own byte order. */
export const PCAP_MICROSECONDS = 0xa1b2c3d4;
export const PCAP_NANOSECONDS = 0xa1b23c4d;
export const PCAP_MODIFIED = 0xa1b2cd34;

const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;
const MODIFIED_HEADER_BYTES = 24;
/** libpcap's largest sane captured length. */
const MAX_SNAPLEN = 262144;
/** Above these bits of the link type field lie a flag and the length of the frame check sequence. */
const LINK_TYPE_BITS = 0xffff;

/** Files before version 2.3 hold wire length and captured length the other way round; 2.3 may. */
const LENGTHS_IN_ORDER = 0;
const LENGTHS_SWAPPED = 1;
const LENGTHS_UNKNOWN = 2;

export class PcapParser implements RecordParser {
  next = 0;
  need = FILE_HEADER_BYTES;
  damage: Damage | null = null;
  inside = 'the file header';
  private readonly isLittleEndian: boolean;
  private readonly fractionsPerSecond: number;
  private readonly headerBytes: number;
  private hasHeader = false;
  private linkType = 0;
  private mostCaptured = MAX_SNAPLEN;
  private lengthOrder = LENGTHS_IN_ORDER;

  /** `magic` is one of the three above, read in the file's byte order. */
  constructor(magic: number, isLittleEndian: boolean) {
    this.isLittleEndian = isLittleEndian;
    this.fractionsPerSecond = magic === PCAP_NANOSECONDS ? 1e9 : 1e6;
    this.headerBytes = magic === PCAP_MODIFIED ? MODIFIED_HEADER_BYTES : RECORD_HEADER_BYTES;
  }

  /**
   * HOT PATH: called for each batch, one turn of the loop for each packet, nothing allocated. The loop keeps all it
   * needs in locals; `DataView` reads with a loop-invariant byte order are inlined by V8.
   */
  parse(batch: PacketBatch, view: DataView, start: number, end: number): number {
    let at = start;
    if (!this.hasHeader) {
      this.next = at;
      if (end - at < FILE_HEADER_BYTES || !this.readFileHeader(view, at)) return 0;
      at += FILE_HEADER_BYTES;
    }
    const { timeMs, frameAt, capturedLength, wireLength, linkType: linkTypes, capacity } = batch;
    const { isLittleEndian, fractionsPerSecond, headerBytes, linkType, mostCaptured, lengthOrder } = this;
    const lastHeaderAt = end - headerBytes;
    let row = 0;
    let need = headerBytes;
    while (row < capacity && at <= lastHeaderAt) {
      let captured = view.getUint32(at + 8, isLittleEndian);
      let wire = view.getUint32(at + 12, isLittleEndian);
      if (lengthOrder !== LENGTHS_IN_ORDER && (lengthOrder === LENGTHS_SWAPPED || captured > wire)) {
        const first = captured;
        captured = wire;
        wire = first;
      }
      if (captured > mostCaptured) {
        this.damage = {
          code: 'DAMAGED_CAPTURE',
          problem: `a record says that ${captured} bytes were captured, more than ${mostCaptured},`,
        };
        break;
      }
      const dataAt = at + headerBytes;
      const next = dataAt + captured;
      if (next > end) {
        need = next - at;
        break;
      }
      // DIFFERS: NFStream takes the fraction as signed and 16 bits of the wire length (kind record_fields).
      timeMs[row] = stampTime(
        view.getUint32(at, isLittleEndian),
        view.getUint32(at + 4, isLittleEndian),
        fractionsPerSecond,
      );
      frameAt[row] = dataAt;
      capturedLength[row] = captured;
      wireLength[row] = wire;
      linkTypes[row] = linkType;
      at = next;
      row++;
    }
    this.next = at;
    this.need = need;
    return row;
  }

  private readFileHeader(view: DataView, at: number): boolean {
    const { isLittleEndian } = this;
    const major = view.getUint16(at + 4, isLittleEndian);
    const minor = view.getUint16(at + 6, isLittleEndian);
    // 543.0 is what one vendor's system wrote for 2.2.
    if (!(major === 2 && minor <= 4) && !(major === 543 && minor === 0)) {
      this.damage = { code: 'NOT_A_CAPTURE', problem: `expected pcap version 2.4 and received ${major}.${minor}` };
      return false;
    }
    if (major === 543 || minor < 3) this.lengthOrder = LENGTHS_SWAPPED;
    else if (minor === 3) this.lengthOrder = LENGTHS_UNKNOWN;
    const snaplen = view.getUint32(at + 16, isLittleEndian);
    if (snaplen > MAX_SNAPLEN) this.mostCaptured = Math.min(snaplen, MAX_RECORD_BYTES);
    this.linkType = view.getUint32(at + 20, isLittleEndian) & LINK_TYPE_BITS;
    this.hasHeader = true;
    this.inside = 'a record';
    return true;
  }
}
