// One of several interfaces of a source, on its way into their common batch: frames are copied natively into a stretch of
// the batch's bytes that is this lane's own, their columns into its own columns, from which rows are given one by one, so
// that rows of all lanes can be given in the order of time.
//
//   bytes     [ lane 0 | lane 1 | ... ]        a batch's frames lie in all of them
//   held      [ given | to be given ]          read anew once all were given
//                     ^ at          ^ count
//
// Invariant: a stretch is not written while rows of it may still be in use, which is until the source's next `read`.
import type { InterfaceCapture } from './interface-capture.ts';
import { PacketBatch } from './source.ts';

export class CaptureLane {
  readonly capture: InterfaceCapture;
  readonly #held = new PacketBatch();
  /** Where the lane's stretch of the batch's bytes begins. */
  #base = 0;
  #at = 0;
  #linkType = 0;

  constructor(capture: InterfaceCapture) {
    this.capture = capture;
  }

  /** `bytes` begin at `base` of the batch's. */
  attach(bytes: Uint8Array, base: number): void {
    this.#base = base;
    this.#held.bytes = bytes;
    this.capture.attach(this.#held);
  }

  get isEmpty(): boolean {
    return this.#at === this.#held.count;
  }

  /** Time stamp of the next row; there must be one. */
  get nextMs(): number {
    return this.#held.timeMs[this.#at];
  }

  /** Reads anew, when all was given. Returns the rows read. @throws as `InterfaceCapture.read`. */
  refill(): number {
    const held = this.#held;
    this.#at = 0;
    held.count = 0;
    held.count = this.capture.read(0, 0);
    this.#linkType = this.capture.linkType;
    return held.count;
  }

  /** HOT PATH: gives the next row as row `row` of `batch`. */
  give(batch: PacketBatch, row: number): void {
    const held = this.#held;
    const at = this.#at++;
    batch.timeMs[row] = held.timeMs[at];
    batch.frameAt[row] = this.#base + held.frameAt[at];
    batch.capturedLength[row] = held.capturedLength[at];
    batch.wireLength[row] = held.wireLength[at];
    batch.linkType[row] = this.#linkType;
  }
}
