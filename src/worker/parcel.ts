// Decoded rows on their way to a meter's thread: columns and, where somebody looks at packets, the bytes of their frames,
// in one buffer that goes there and back.
//
//   [ timeMs | clockMs | number | key | wireLength | frame columns | flags | later fragment | bytes of frames ]
//                                                     └──── only with frames ────┘  └──── only with frames ────┘
//
// Each column has room for the parcel's `capacity` of rows. Offsets are into the bytes of the same parcel. The buffer is
// transferred, not shared: whoever keeps bytes of a packet beyond the call finds them gone, not those of another packet.
import { KEY_WORDS, type PacketColumns } from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';

/** timeMs, clockMs, number, key, wireLength, flags. */
const ROW_BYTES = 8 + 8 + 8 + KEY_WORDS * 4 + 4 + 1;
/** frameAt, capturedLength, srcMacAt, dstMacAt, ipAt, ipSize, transportAt, payloadAt, ipEnd, later fragment. */
const FRAME_ROW_BYTES = 9 * 4 + 1;
/** Shorter frames are copied byte by byte: what `set` needs first costs more. */
const SHORT_BYTES = 64;

/** Bytes of a buffer with this much room. */
export function parcelBytes(rows: number, frameBytes: number, hasFrames: boolean): number {
  return hasFrames ? rows * (ROW_BYTES + FRAME_ROW_BYTES) + frameBytes : rows * ROW_BYTES;
}

/** A buffer seen as columns. */
export class Parcel {
  readonly buffer: ArrayBuffer;
  /** Rows that there is room for; a multiple of 8. */
  readonly capacity: number;
  /** Rows filled. */
  count = 0;
  /** Where the frames of all rows lie. */
  readonly bytes: Uint8Array;
  readonly #hasFrames: boolean;
  readonly #timeMs: Float64Array;
  readonly #clockMs: Float64Array;
  /** What number each row has in the source. */
  readonly #numbers: Float64Array;
  readonly #key: Int32Array;
  readonly #wireLength: Uint32Array;
  readonly #tcpFlags: Uint8Array;
  readonly #frameAt: Int32Array;
  readonly #capturedLength: Int32Array;
  readonly #srcMacAt: Int32Array;
  readonly #dstMacAt: Int32Array;
  readonly #ipAt: Int32Array;
  readonly #ipSize: Int32Array;
  readonly #transportAt: Int32Array;
  readonly #payloadAt: Int32Array;
  readonly #ipEnd: Int32Array;
  readonly #isLaterFragment: Uint8Array;
  /** Bytes of frames filled. */
  #bytesFilled = 0;

  constructor(buffer: ArrayBuffer, capacity: number, hasFrames: boolean) {
    this.buffer = buffer;
    this.capacity = capacity;
    this.#hasFrames = hasFrames;
    const frameRows = hasFrames ? capacity : 0;
    let at = 0;
    const take = (bytes: number) => {
      at += bytes;
      return at - bytes;
    };
    const words = (count: number) => new Int32Array(buffer, take(count * 4), count);
    this.#timeMs = new Float64Array(buffer, take(capacity * 8), capacity);
    this.#clockMs = new Float64Array(buffer, take(capacity * 8), capacity);
    this.#numbers = new Float64Array(buffer, take(capacity * 8), capacity);
    this.#key = words(capacity * KEY_WORDS);
    this.#wireLength = new Uint32Array(buffer, take(capacity * 4), capacity);
    this.#frameAt = words(frameRows);
    this.#capturedLength = words(frameRows);
    this.#srcMacAt = words(frameRows);
    this.#dstMacAt = words(frameRows);
    this.#ipAt = words(frameRows);
    this.#ipSize = words(frameRows);
    this.#transportAt = words(frameRows);
    this.#payloadAt = words(frameRows);
    this.#ipEnd = words(frameRows);
    this.#tcpFlags = new Uint8Array(buffer, take(capacity), capacity);
    this.#isLaterFragment = new Uint8Array(buffer, take(frameRows), frameRows);
    this.bytes = new Uint8Array(buffer, at);
  }

  /** A buffer that came with `count` rows. */
  static received(buffer: ArrayBuffer, capacity: number, hasFrames: boolean, count: number): Parcel {
    const parcel = new Parcel(buffer, capacity, hasFrames);
    parcel.count = count;
    return parcel;
  }

  /** Whether there is room for so many more rows with frames of so many bytes. */
  hasRoom(rows: number, frameBytes: number): boolean {
    if (this.count + rows > this.capacity) return false;
    return !this.#hasFrames || this.#bytesFilled + frameBytes <= this.bytes.length;
  }

  /** HOT PATH: copies one row, which there must be room for. Nothing is allocated for short frames. */
  push(batch: PacketBatch, columns: PacketColumns, row: number, clockMs: number, number: number): void {
    const to = this.count++;
    this.#timeMs[to] = batch.timeMs[row];
    this.#clockMs[to] = clockMs;
    this.#numbers[to] = number;
    const { key } = columns;
    const ownKey = this.#key;
    const at = row * KEY_WORDS;
    const toAt = to * KEY_WORDS;
    for (let i = 0; i < KEY_WORDS; i++) ownKey[toAt + i] = key[at + i];
    this.#wireLength[to] = batch.wireLength[row];
    this.#tcpFlags[to] = columns.tcpFlags[row];
    if (this.#hasFrames) this.#pushFrame(batch, columns, row, to);
  }

  #pushFrame(batch: PacketBatch, columns: PacketColumns, row: number, to: number): void {
    const from = batch.bytes;
    const at = batch.frameAt[row];
    const length = batch.capturedLength[row];
    const toAt = this.#bytesFilled;
    const { bytes } = this;
    if (length <= SHORT_BYTES) for (let i = 0; i < length; i++) bytes[toAt + i] = from[at + i];
    else bytes.set(from.subarray(at, at + length), toAt);
    this.#bytesFilled = toAt + length;
    const by = toAt - at;
    this.#frameAt[to] = toAt;
    this.#capturedLength[to] = length;
    this.#srcMacAt[to] = columns.srcMacAt[row] < 0 ? -1 : columns.srcMacAt[row] + by;
    this.#dstMacAt[to] = columns.dstMacAt[row] < 0 ? -1 : columns.dstMacAt[row] + by;
    this.#ipAt[to] = columns.ipAt[row] + by;
    this.#ipSize[to] = columns.ipSize[row];
    this.#transportAt[to] = columns.transportAt[row] + by;
    this.#payloadAt[to] = columns.payloadAt[row] + by;
    this.#ipEnd[to] = columns.ipEnd[row] + by;
    this.#isLaterFragment[to] = columns.isLaterFragment[row];
  }

  /** Copies `count` rows from `from` on into the first ones of a batch and of its columns. */
  copyTo(batch: PacketBatch, columns: PacketColumns, from: number, count: number): void {
    const to = from + count;
    batch.count = count;
    batch.timeMs.set(this.#timeMs.subarray(from, to));
    batch.clockMs.set(this.#clockMs.subarray(from, to));
    batch.first = this.#numbers[from];
    batch.wireLength.set(this.#wireLength.subarray(from, to));
    columns.key.set(this.#key.subarray(from * KEY_WORDS, to * KEY_WORDS));
    columns.tcpFlags.set(this.#tcpFlags.subarray(from, to));
    if (!this.#hasFrames) return;
    batch.bytes = this.bytes;
    batch.frameAt.set(this.#frameAt.subarray(from, to));
    batch.capturedLength.set(this.#capturedLength.subarray(from, to));
    columns.srcMacAt.set(this.#srcMacAt.subarray(from, to));
    columns.dstMacAt.set(this.#dstMacAt.subarray(from, to));
    columns.ipAt.set(this.#ipAt.subarray(from, to));
    columns.ipSize.set(this.#ipSize.subarray(from, to));
    columns.transportAt.set(this.#transportAt.subarray(from, to));
    columns.payloadAt.set(this.#payloadAt.subarray(from, to));
    columns.ipEnd.set(this.#ipEnd.subarray(from, to));
    columns.isLaterFragment.set(this.#isLaterFragment.subarray(from, to));
  }

  /** The view over the frames' bytes. */
  view(): DataView {
    return new DataView(this.buffer, this.bytes.byteOffset, this.bytes.byteLength);
  }
}
