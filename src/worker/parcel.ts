// Decoded rows on their way to all meters at once: a few batches, each a window of columns, and where somebody looks at
// packets the bytes of their frames, all in memory that the threads share. Nothing is copied for a meter.
//
//   [ count, first of each window | window 0 | window 1 | ... | bytes of frames ]
//
//   window: [ timeMs | clockMs | key | wireLength | hash | frame columns | status | flags | owner | later fragment ]
//                     └─ only where time goes on by itself   └── only with frames ──┘                └─ likewise
//
// Offsets of frames are into the bytes of the parcel. The reader fills a parcel, every meter reads it and lets the reader
// know, who fills it anew then: whoever keeps bytes of a packet beyond the call finds others there.
import { KEY_WORDS, type PacketColumns } from '../packet/packet-columns.ts';
import { BATCH_CAPACITY, type PacketBatch } from '../source/source.ts';

const ROWS = BATCH_CAPACITY;
/** Where a window begins in its columns, and so each of them: a multiple of what an element takes. */
const HEAD_DOUBLES = 2;

/** What is in a parcel besides what always is. */
export interface ParcelShape {
  /** Somebody looks at packets, not at their columns alone. */
  readonly hasFrames: boolean;
  /** `clockMs` is not `timeMs`. */
  readonly hasClock: boolean;
}

/** A parcel as it is sent. */
export interface ParcelText {
  readonly id: number;
  readonly buffer: SharedArrayBuffer;
  readonly windows: number;
  /** Windows filled. */
  readonly filled: number;
  /** Whether it comes again. */
  readonly isKept: boolean;
}

/** Shared memory seen as columns. */
export class Parcel {
  readonly id: number;
  readonly buffer: SharedArrayBuffer;
  /** Whether it is filled again once it was read. */
  readonly isKept: boolean;
  readonly #windows: Window[];
  readonly #heads: Float64Array;
  /** A Buffer for its `fill`, which copies. */
  readonly #bytes: Buffer<SharedArrayBuffer>;
  readonly #view: DataView;
  readonly #hasFrames: boolean;
  /** Windows filled. */
  filled = 0;
  #bytesFilled = 0;

  private constructor(id: number, buffer: SharedArrayBuffer, windows: number, shape: ParcelShape, isKept: boolean) {
    this.id = id;
    this.buffer = buffer;
    this.isKept = isKept;
    this.#hasFrames = shape.hasFrames;
    this.#heads = new Float64Array(buffer, 0, windows * HEAD_DOUBLES);
    const taken = new Taken(buffer, this.#heads.byteLength);
    this.#windows = Array.from({ length: windows }, () => new Window(taken, shape));
    this.#bytes = Buffer.from(buffer, taken.at);
    this.#view = new DataView(buffer, taken.at);
  }

  /** One to be filled, with room for so many batches and bytes of frames. */
  static make(id: number, windows: number, frameBytes: number, shape: ParcelShape, isKept: boolean): Parcel {
    const bytes = windows * (HEAD_DOUBLES * 8 + windowBytes(shape)) + (shape.hasFrames ? frameBytes : 0);
    return new Parcel(id, new SharedArrayBuffer(bytes), windows, shape, isKept);
  }

  /** One that came. */
  static received({ id, buffer, windows, isKept }: ParcelText, shape: ParcelShape): Parcel {
    return new Parcel(id, buffer, windows, shape, isKept);
  }

  /** What to send of it. */
  get text(): ParcelText {
    const { id, buffer, filled, isKept } = this;
    return { id, buffer, windows: this.#windows.length, filled, isKept };
  }

  /** Bytes of frames that there is room for. */
  get frameRoom(): number {
    return this.#bytes.length;
  }

  /** Whether there is room for one more batch with so many bytes of frames. */
  hasRoom(frameBytes: number): boolean {
    return this.filled < this.#windows.length && this.#bytesFilled + frameBytes <= this.#bytes.length;
  }

  /** Whatever was in it has been read. */
  clear(): void {
    this.filled = 0;
    this.#bytesFilled = 0;
  }

  /**
   * Copies what the source has read, with the bytes of frames at `[from, to)`, and shows the rows in `batch` and `columns` for
   * the packet stage to fill. There must be room.
   */
  append(read: PacketBatch, from: number, to: number, batch: PacketBatch, columns: PacketColumns): void {
    const at = this.filled++;
    const window = this.#windows[at];
    this.#heads[at * HEAD_DOUBLES] = read.count;
    this.#heads[at * HEAD_DOUBLES + 1] = read.first;
    window.copyRows(read);
    if (window.frames !== null) {
      // `set` copies into shared memory word by word, which takes three times as long.
      this.#bytes.fill(read.bytes.subarray(from, to), this.#bytesFilled, this.#bytesFilled + to - from);
      window.frames.copyRows(read, this.#bytesFilled - from);
      this.#bytesFilled += to - from;
    }
    this.show(at, batch, columns);
  }

  /** Points a batch and its columns at window number `at`. */
  show(at: number, batch: PacketBatch, columns: PacketColumns): void {
    this.#windows[at].show(batch, columns);
    batch.count = this.#heads[at * HEAD_DOUBLES];
    batch.first = this.#heads[at * HEAD_DOUBLES + 1];
    if (!this.#hasFrames) return;
    batch.bytes = this.#bytes;
    batch.view = this.#view;
  }

  /** The number of its last row in the source. */
  get last(): number {
    const at = (this.filled - 1) * HEAD_DOUBLES;
    return this.#heads[at] + this.#heads[at + 1] - 1;
  }
}

/** The columns of one batch. */
class Window {
  readonly timeMs: Float64Array;
  readonly clockMs: Float64Array;
  readonly key: Int32Array;
  readonly wireLength: Uint32Array;
  readonly hashes: Int32Array;
  readonly frames: FrameColumns | null;
  readonly status: Uint8Array;
  readonly tcpFlags: Uint8Array;
  readonly owners: Uint8Array;

  constructor(taken: Taken, { hasFrames, hasClock }: ParcelShape) {
    const { buffer } = taken;
    this.timeMs = new Float64Array(buffer, taken.take(ROWS * 8), ROWS);
    this.clockMs = hasClock ? new Float64Array(buffer, taken.take(ROWS * 8), ROWS) : this.timeMs;
    this.key = taken.words(ROWS * KEY_WORDS);
    this.wireLength = new Uint32Array(buffer, taken.take(ROWS * 4), ROWS);
    this.hashes = taken.words(ROWS);
    this.frames = hasFrames ? new FrameColumns(taken) : null;
    this.status = taken.bytes(ROWS);
    this.tcpFlags = taken.bytes(ROWS);
    this.owners = taken.bytes(ROWS);
  }

  /** HOT PATH. */
  copyRows({ count, timeMs, clockMs, wireLength }: PacketBatch): void {
    const { timeMs: times, clockMs: clocks, wireLength: lengths } = this;
    for (let row = 0; row < count; row++) {
      times[row] = timeMs[row];
      lengths[row] = wireLength[row];
    }
    if (clocks !== times) for (let row = 0; row < count; row++) clocks[row] = clockMs[row];
  }

  show(batch: PacketBatch, columns: PacketColumns): void {
    batch.timeMs = this.timeMs;
    batch.clockMs = this.clockMs;
    batch.wireLength = this.wireLength;
    batch.owners = this.owners;
    batch.hashes = this.hashes;
    columns.status = this.status;
    columns.key = this.key;
    columns.tcpFlags = this.tcpFlags;
    this.frames?.show(batch, columns);
  }
}

/** Those that only whoever looks at packets reads. */
class FrameColumns {
  readonly frameAt: Int32Array;
  readonly capturedLength: Int32Array;
  readonly #srcMacAt: Int32Array;
  readonly #dstMacAt: Int32Array;
  readonly #ipAt: Int32Array;
  readonly #ipSize: Int32Array;
  readonly #transportAt: Int32Array;
  readonly #payloadAt: Int32Array;
  readonly #ipEnd: Int32Array;
  readonly #isLaterFragment: Uint8Array;

  constructor(taken: Taken) {
    this.frameAt = taken.words(ROWS);
    this.capturedLength = taken.words(ROWS);
    this.#srcMacAt = taken.words(ROWS);
    this.#dstMacAt = taken.words(ROWS);
    this.#ipAt = taken.words(ROWS);
    this.#ipSize = taken.words(ROWS);
    this.#transportAt = taken.words(ROWS);
    this.#payloadAt = taken.words(ROWS);
    this.#ipEnd = taken.words(ROWS);
    this.#isLaterFragment = taken.bytes(ROWS);
  }

  /** HOT PATH. `by`: how far the frames were moved. */
  copyRows({ count, frameAt, capturedLength }: PacketBatch, by: number): void {
    const { frameAt: places, capturedLength: lengths } = this;
    for (let row = 0; row < count; row++) {
      places[row] = frameAt[row] + by;
      lengths[row] = capturedLength[row];
    }
  }

  show(batch: PacketBatch, columns: PacketColumns): void {
    batch.frameAt = this.frameAt;
    batch.capturedLength = this.capturedLength;
    columns.srcMacAt = this.#srcMacAt;
    columns.dstMacAt = this.#dstMacAt;
    columns.ipAt = this.#ipAt;
    columns.ipSize = this.#ipSize;
    columns.transportAt = this.#transportAt;
    columns.payloadAt = this.#payloadAt;
    columns.ipEnd = this.#ipEnd;
    columns.isLaterFragment = this.#isLaterFragment;
  }
}

/** Of `Window`. */
function windowBytes({ hasFrames, hasClock }: ParcelShape): number {
  const doubles = hasClock ? 2 : 1;
  const words = KEY_WORDS + 2 + (hasFrames ? 9 : 0);
  return ROWS * (doubles * 8 + words * 4 + 3 + (hasFrames ? 1 : 0));
}

/** Memory, piece by piece. */
class Taken {
  readonly buffer: SharedArrayBuffer;
  at: number;

  constructor(buffer: SharedArrayBuffer, at: number) {
    this.buffer = buffer;
    this.at = at;
  }

  take(bytes: number): number {
    this.at += bytes;
    return this.at - bytes;
  }

  words(count: number): Int32Array {
    return new Int32Array(this.buffer, this.take(count * 4), count);
  }

  bytes(count: number): Uint8Array {
    return new Uint8Array(this.buffer, this.take(count), count);
  }
}
