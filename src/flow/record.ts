// The flow record: 128 bytes, two cache lines that are loaded as a pair, the same layout while a flow lives in the table and
// after its export. The kernel (kernel/layout.ts) counts packets in it.
//
//   byte   0..15  source address             word  0..3  (IPv4: word 0, the rest zero)
//         16..31  destination address        word  4..7
//         32      ports                      word  8     source << 16 | destination
//         36      protocol, version, VLAN    word  9     protocol | version << 8 | VLAN << 16
//         40      tunnel                     word 10     type << 24 | identifier
//         44      segment                    word 11     of the conversation
//         48..55  expiry queue               word 12, 13 previous and next slot (next: free list of unused slots)
//         56      export reason              word 14
//         60      bytes, upper half          word 15     16 bits each way, dst to src above
//         64      start time, ms             double  8   time stamp of the earliest packet
//         72      end time, ms               double  9   time stamp of the latest packet
//         80      clock at the last packet   double 10   what the inactive timeout counts from
//         88      number of the last packet  double 11   in the source; what "least recently used" goes by
//         96      bytes, lower half          word 24, 25 [src to dst, dst to src], as all that follow
//        104      packets                    word 26, 27
//        112      ACK, PSH                   word 28..31 two words each
//
// Words 0..10 are a packet's key as the packet stage wrote it. Once exported, double 6 (the queue) holds the flow's place in
// the order of export, first by DOUBLE_ORDER. What few packets touch and what options add lies beside it, in a row of
// doubles (feature-layout.ts).
import { KEY_WORDS } from '../packet/packet-columns.ts';
import type { FeatureLayout } from './feature-layout.ts';
import type { Column } from './fields/field.ts';

export const RECORD_BYTES = 128;
export const RECORD_WORDS = RECORD_BYTES / 4;
export const RECORD_DOUBLES = RECORD_BYTES / 8;

export const WORD_SEGMENT = KEY_WORDS;
export const WORD_PREVIOUS = 12;
export const WORD_NEXT = 13;
export const WORD_REASON = 14;
export const WORD_BYTES_HIGH = 15;
/** Bytes, packets, ACK and PSH: add the direction (0 or 1). */
export const WORD_BYTES = 24;
export const WORD_PACKETS = 26;
export const WORD_ACK = 28;
export const WORD_PSH = 30;

/**
 * Of an exported flow: what ended it, 2 * the number of the packet whose time did, plus 1 where it was that packet itself, or
 * Infinity: the end of the run. Flows of a run are exported by it, and those alike by the numbers of their last packets.
 */
export const DOUBLE_ORDER = 6;
/** Instead, from when it is known: how many were exported before it. */
export const DOUBLE_ID = 6;
export const DOUBLE_START = 8;
export const DOUBLE_END = 9;
export const DOUBLE_CLOCK = 10;
export const DOUBLE_SEQUENCE = 11;

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

/** Records side by side, seen as words and as doubles, and the rows beside them. */
export class RecordStore {
  readonly shape: RecordShape;
  readonly layout: FeatureLayout;
  readonly rows: number;
  words: Int32Array;
  doubles: Float64Array;
  /** `layout.doubles` for each record, and the same as words. */
  extra: Float64Array;
  extraWords: Int32Array;

  /** Room for `rows` records of its own, or what `memory` has. */
  constructor(rows: number, shape: RecordShape, memory: RecordMemory = ownMemory(rows, shape)) {
    this.shape = shape;
    this.layout = shape.layout;
    this.rows = rows;
    this.words = memory.words;
    this.doubles = memory.doubles;
    this.extra = memory.extra;
    this.extraWords = memory.extraWords;
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
    const memory = memoryOver(records, extra);
    this.words = memory.words;
    this.doubles = memory.doubles;
    this.extra = memory.extra;
    this.extraWords = memory.extraWords;
  }
}

/** Where a store's records lie. */
export type RecordMemory = Pick<RecordStore, 'words' | 'doubles' | 'extra' | 'extraWords'>;

function ownMemory(rows: number, { layout }: RecordShape): RecordMemory {
  return memoryOver(new ArrayBuffer(rows * RECORD_BYTES), new ArrayBuffer(rows * layout.doubles * 8));
}

function memoryOver(records: ArrayBuffer, extra: ArrayBuffer): RecordMemory {
  return {
    words: new Int32Array(records),
    doubles: new Float64Array(records),
    extra: new Float64Array(extra),
    extraWords: new Int32Array(extra),
  };
}
