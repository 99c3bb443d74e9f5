// The parcels of a reader: filled, on their way, read by all meters, and back. What is on the way is bounded by them.
import type { Kernel } from '../kernel/kernel.ts';
import { Parcel, type ParcelShape } from './parcel.ts';

export interface PoolOptions {
  readonly shape: ParcelShape;
  /** Whose columns are sent. */
  readonly kernel: Kernel;
  /** Parcels at most, and what each has room for. */
  readonly parcels: number;
  readonly windows: number;
  readonly frameBytes: number;
}

export class ParcelPool {
  readonly #options: PoolOptions;
  readonly #spare: Parcel[] = [];
  /** By id of a parcel that is on its way: how many meters have not read it yet. */
  readonly #readers = new Map<number, number>();
  #made = 0;
  #ids = 0;
  #wake: (() => void) | null = null;

  constructor(options: PoolOptions) {
    this.#options = options;
  }

  /** One to be filled, with room for so many bytes of frames. Null when all are on their way. */
  take(frameBytes: number): Parcel | null {
    const { shape, kernel, parcels, windows } = this.#options;
    if (frameBytes > this.#options.frameBytes) return this.#takeHuge(frameBytes);
    const spare = this.#spare.pop();
    if (spare !== undefined) {
      spare.clear();
      return spare;
    }
    if (this.#made === parcels) return null;
    this.#made++;
    return Parcel.make(this.#ids++, windows, this.#options.frameBytes, shape, kernel, true);
  }

  /** One for a huge frame, in the place of another one, for once. */
  #takeHuge(frameBytes: number): Parcel | null {
    if (this.#spare.pop() === undefined) {
      if (this.#made === this.#options.parcels) return null;
      this.#made++;
    }
    const { shape, kernel } = this.#options;
    return Parcel.make(this.#ids++, 1, frameBytes, shape, kernel, false);
  }

  /** A parcel was sent to so many meters. */
  send(parcel: Parcel, meters: number): void {
    if (meters === 0) this.#takeBack(parcel);
    else this.#readers.set(parcel.id, meters);
  }

  /** A meter has read a parcel, or will never. */
  release(parcel: Parcel): void {
    const readers = (this.#readers.get(parcel.id) ?? 1) - 1;
    if (readers > 0) {
      this.#readers.set(parcel.id, readers);
      return;
    }
    this.#readers.delete(parcel.id);
    this.#takeBack(parcel);
  }

  /** Waits until `take` gives one again. */
  returned(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #takeBack(parcel: Parcel): void {
    if (parcel.isKept) this.#spare.push(parcel);
    else this.#made--;
    this.#wake?.();
    this.#wake = null;
  }
}
