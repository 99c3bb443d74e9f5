// Decoded rows on their way to all meters at once: a few batches, each a window of columns, and where somebody looks at
// packets the bytes of their frames, all in memory that the threads share. Each meter copies the columns into its kernel's, and
// reads frames where they are.
//
//   [ count, first of each window | window 0 | window 1 | ... | bytes of frames ]
//
// A window is a copy of the kernel's columns (kernel/layout.ts), as one piece of memory. Places of frames count from the
// parcel's bytes of frames. The reader fills a parcel, every meter reads it and lets the reader know, who fills it anew then:
// whoever keeps bytes of a packet beyond the call finds others there.
//
// All copying is done by `fill` of Buffers: `set` would copy word by word out of and into shared memory, where every word may
// be another thread's, which takes three times as long.
import type { Kernel } from '../kernel/kernel.ts';
import type { PacketBatch } from '../source/source.ts';

/** What is said of each window beside it. */
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
  readonly windowBytes: number;
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
  readonly #shape: ParcelShape;
  readonly #windowBytes: number;
  readonly #windows: Buffer[];
  readonly #heads: Float64Array;
  readonly #bytes: Buffer<SharedArrayBuffer>;
  readonly #view: DataView;
  /** Windows filled. */
  filled = 0;
  #bytesFilled = 0;

  private constructor({ id, buffer, windows, windowBytes, isKept }: Omit<ParcelText, 'filled'>, shape: ParcelShape) {
    this.id = id;
    this.buffer = buffer;
    this.isKept = isKept;
    this.#shape = shape;
    this.#windowBytes = windowBytes;
    this.#heads = new Float64Array(buffer, 0, windows * HEAD_DOUBLES);
    const from = this.#heads.byteLength;
    this.#windows = Array.from({ length: windows }, (_, i) => Buffer.from(buffer, from + i * windowBytes, windowBytes));
    const framesAt = from + windows * windowBytes;
    this.#bytes = Buffer.from(buffer, framesAt);
    this.#view = new DataView(buffer, framesAt);
  }

  /** One to be filled, with room for so many of the kernel's batches and bytes of frames. */
  static make(
    id: number,
    windows: number,
    frameBytes: number,
    shape: ParcelShape,
    kernel: Kernel,
    isKept: boolean,
  ): Parcel {
    const windowBytes = columnBytes(kernel, shape).length;
    const bytes = windows * (HEAD_DOUBLES * 8 + windowBytes) + (shape.hasFrames ? frameBytes : 0);
    return new Parcel({ id, buffer: new SharedArrayBuffer(bytes), windows, windowBytes, isKept }, shape);
  }

  /** One that came. */
  static received(text: ParcelText, shape: ParcelShape): Parcel {
    return new Parcel(text, shape);
  }

  /** What to send of it. */
  get text(): ParcelText {
    const { id, buffer, filled, isKept } = this;
    return { id, buffer, windows: this.#windows.length, windowBytes: this.#windowBytes, filled, isKept };
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
   * Copies the batch whose columns are the kernel's, with the hashes and owners of its rows and the bytes of frames at
   * `[from, to)`. There must be room. The batch's places are those in the parcel then.
   */
  append(batch: PacketBatch, from: number, to: number, kernel: Kernel): void {
    const at = this.filled++;
    const { count, first, bytes, clockMs } = batch;
    if (this.#shape.hasClock && clockMs !== kernel.clockMs) kernel.clockMs.set(clockMs);
    this.#heads[at * HEAD_DOUBLES] = count;
    this.#heads[at * HEAD_DOUBLES + 1] = first;
    if (this.#shape.hasFrames) {
      kernel.passes.move(count, this.#bytesFilled - from);
      this.#bytes.fill(bytes.subarray(from, to), this.#bytesFilled, this.#bytesFilled + to - from);
      this.#bytesFilled += to - from;
    }
    this.#windows[at].fill(columnBytes(kernel, this.#shape));
  }

  /** Brings window number `at` into the kernel's columns, which are the batch's. */
  show(at: number, batch: PacketBatch, kernel: Kernel): void {
    columnBytes(kernel, this.#shape).fill(this.#windows[at]);
    batch.count = this.#heads[at * HEAD_DOUBLES];
    batch.first = this.#heads[at * HEAD_DOUBLES + 1];
    batch.owners = kernel.owners;
    batch.hashes = kernel.givenHashes;
    batch.clockMs = this.#shape.hasClock ? kernel.clockMs : kernel.timeMs;
    if (!this.#shape.hasFrames) return;
    batch.bytes = this.#bytes;
    batch.view = this.#view;
  }

  /** The number of its last row in the source. */
  get last(): number {
    const at = (this.filled - 1) * HEAD_DOUBLES;
    return this.#heads[at] + this.#heads[at + 1] - 1;
  }
}

/** What of the kernel's columns is in a window. */
function columnBytes({ batchBytes }: Kernel, { hasFrames, hasClock }: ParcelShape): Buffer {
  if (hasClock) return batchBytes.all;
  return hasFrames ? batchBytes.frames : batchBytes.short;
}
