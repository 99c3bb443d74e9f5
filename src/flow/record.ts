// The flow record: 192 bytes in one ArrayBuffer, the same layout while a flow lives in the table and after its export.
//
//   byte   0..15  source address             word  0..3  (IPv4: word 0, the rest zero)
//         16..31  destination address        word  4..7
//         32      ports                      word  8     source << 16 | destination
//         36      protocol, version, VLAN    word  9     protocol | version << 8 | VLAN << 16
//         40      tunnel                     word 10     type << 24 | identifier
//         44      hash of the key            word 11
//         48..55  expiry queue               word 12, 13 previous and next slot (next: free list of unused slots)
//         56      expiry bucket              word 14     -1 when not queued
//         60      export reason              word 15
//         64      start time, ms             double  8   time stamp of the earliest packet
//         72      end time, ms               double  9   time stamp of the latest packet
//         80      clock at the last packet   double 10   what the inactive timeout counts from
//         88      number of the last packet  double 11   in the source; what "least recently used" goes by
//         96..127 packets, bytes             double 12..15  [src to dst, dst to src] each
//        128..191 TCP flag counts            word 32..47 syn, cwr, ece, urg, ack, psh, rst, fin: two words each
//
// Words 0..10 are a packet's key as the packet stage wrote it. The first 64 bytes are all that a look-up reads. Once
// exported, double 6 (the queue) holds the flow's place in the order of export, first by DOUBLE_ORDER. What options add lies beside it, in a
// row of doubles (feature-layout.ts).
import { NfstreamError } from '../errors.ts';
import { KEY_WORDS } from '../packet/packet-columns.ts';
import type { FeatureLayout } from './feature-layout.ts';
import type { Column } from './fields/field.ts';

export const RECORD_BYTES = 192;
export const RECORD_WORDS = RECORD_BYTES / 4;
export const RECORD_DOUBLES = RECORD_BYTES / 8;

export const WORD_HASH = KEY_WORDS;
export const WORD_PREVIOUS = 12;
export const WORD_NEXT = 13;
export const WORD_BUCKET = 14;
export const WORD_REASON = 15;
export const WORD_FLAGS = 32;

/**
 * Of an exported flow: what ended it, 2 * the number of the packet whose time did, plus 1 where it was that packet itself, or
 * Infinity: the end of the run. Flows of a run are exported by it, and those alike by the numbers of their last packets.
 */
export const DOUBLE_ORDER = 6;
/** Instead, from when it is known: how many were exported before it. */
export const DOUBLE_ID = DOUBLE_ORDER;
export const DOUBLE_START = 8;
export const DOUBLE_END = 9;
export const DOUBLE_CLOCK = 10;
export const DOUBLE_SEQUENCE = 11;
/** Packets and bytes: add the direction (0 or 1). */
export const DOUBLE_PACKETS = 12;
export const DOUBLE_BYTES = 14;

/** TCP flags in the order of the record and of the schema, with their bit in the TCP header (RFC 9293, RFC 3168). */
export const TCP_FLAGS = [
  ['syn', 0x02],
  ['cwr', 0x80],
  ['ece', 0x40],
  ['urg', 0x20],
  ['ack', 0x10],
  ['psh', 0x08],
  ['rst', 0x04],
  ['fin', 0x01],
] as const;

/** Why a flow was exported. Values above 2 are the user's own. */
export const EXPORT_INACTIVE = 0;
export const EXPORT_ACTIVE = 1;
export const EXPORT_TERMINATION = 2;
/** The table was full and `onCapacity` is 'export'; also what a live flow reads before anything ended it. */
export const EXPORT_CAPACITY = -1;
/** With `tcpEnd`: a FIN each way, or an RST. */
export const EXPORT_TCP_END = -2;

/** What all flows of a run have in common. */
export interface RecordShape {
  readonly layout: FeatureLayout;
  /** The columns of the record as plain data, in their order. */
  readonly columns: readonly Column[];
  /** Names under which built-in classifiers write into `flow.metrics`: what else is there is user code's. */
  readonly findings: ReadonlySet<string>;
}

/** Records side by side, seen as words and as doubles. `grow` replaces the views: read them anew after it. */
export class RecordStore {
  readonly shape: RecordShape;
  readonly layout: FeatureLayout;
  words: Int32Array;
  doubles: Float64Array;
  /** `layout.doubles` for each record, and the same as words. */
  extra: Float64Array;
  extraWords: Int32Array;
  rows: number;

  constructor(rows: number, shape: RecordShape) {
    this.shape = shape;
    this.layout = shape.layout;
    const records = allocate(rows, RECORD_BYTES);
    this.words = wordsOf(records);
    this.doubles = doublesOf(records);
    const extra = allocate(rows, this.layout.doubles * 8);
    this.extra = doublesOf(extra);
    this.extraWords = wordsOf(extra);
    this.rows = rows;
  }

  grow(rows: number): void {
    const { words, extraWords } = this;
    this.adopt(allocate(rows, RECORD_BYTES), allocate(rows, this.layout.doubles * 8));
    this.words.set(words);
    this.extraWords.set(extraWords);
    this.rows = rows;
  }

  /** Copies one record out of another store of the same shape. */
  copyFrom(row: number, from: RecordStore, fromRow: number): void {
    const words = this.words;
    const fromWords = from.words;
    const at = row * RECORD_WORDS;
    const fromAt = fromRow * RECORD_WORDS;
    // As words, not as doubles: a key that reads as a NaN may have its bits changed on the way.
    for (let i = 0; i < RECORD_WORDS; i++) words[at + i] = fromWords[fromAt + i];
    const extra = this.extraWords;
    const fromExtra = from.extraWords;
    const width = this.layout.doubles * 2;
    const extraAt = row * width;
    const fromExtraAt = fromRow * width;
    for (let i = 0; i < width; i++) extra[extraAt + i] = fromExtra[fromExtraAt + i];
  }

  /** Takes other buffers for its own: those of a store of the same shape and size, which were sent here, say. */
  adopt(records: ArrayBuffer, extra: ArrayBuffer): void {
    this.words = wordsOf(records);
    this.doubles = doublesOf(records);
    this.extra = doublesOf(extra);
    this.extraWords = wordsOf(extra);
  }
}

/**
 * Bytes before the first row. Allocators put 16 bytes of their own before what they map for a large buffer: with these 48
 * more, rows of whole cache lines begin where one does. Worth 3 % of a run, with statistics 8 %.
 */
const LEAD_BYTES = 48;
const LINE_BYTES = 64;

function wordsOf(buffer: ArrayBuffer): Int32Array {
  return new Int32Array(buffer, LEAD_BYTES, (buffer.byteLength - LINE_BYTES) / 4);
}

function doublesOf(buffer: ArrayBuffer): Float64Array {
  return new Float64Array(buffer, LEAD_BYTES, (buffer.byteLength - LINE_BYTES) / 8);
}

function allocate(rows: number, rowBytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(rows * rowBytes + LINE_BYTES);
  } catch (cause) {
    const megabytes = Math.ceil((rows * rowBytes) / 1e6);
    throw new NfstreamError('OUT_OF_MEMORY', `No ${megabytes} MB are left for ${rows} flows; lower capacity`, {
      cause,
    });
  }
}
