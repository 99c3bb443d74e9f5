// Rows that another thread has read, filtered and decoded, as a source and a packet stage at once: what it shows is
// decoded already.
import type { Kernel } from '../kernel/kernel.ts';
import { PacketColumns } from '../packet/packet-columns.ts';
import type { PacketStage } from '../packet/packet-stage.ts';
import { type Clock, type PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from '../source/source.ts';
import { Parcel, type ParcelShape, type ParcelText } from './parcel.ts';

/** Whoever has the rows brought here. */
export interface RowFeed {
  /** User code has started: rows may come. */
  opened(): void;
  /** All rows of a parcel were metered, and what ended with them has left, unless somebody still works on it. */
  read(parcel: Parcel): void;
  /** Waits for rows, which keeps the thread alive. */
  hold<T>(promise: Promise<T>): Promise<T>;
}

export class RowSource implements PacketSource, PacketStage {
  readonly name = 'rows';
  readonly bytesRead = 0;
  readonly position = 0;
  readonly size = null;
  readonly capture = null;
  readonly isDraining = false;
  readonly problem = null;
  readonly columns: PacketColumns;
  readonly #kernel: Kernel;
  readonly clock: Clock | null;
  readonly #shape: ParcelShape;
  readonly #feed: RowFeed;
  /** By their ids, those that come again. */
  readonly #known = new Map<number, Parcel>();
  readonly #parcels: Parcel[] = [];
  /** Windows of the first parcel that were read. */
  #at = 0;
  /** Rows up to here were handed over. */
  #clockMs = Number.NEGATIVE_INFINITY;
  #hasEnded = false;
  #isOver = false;
  #wake: (() => void) | null = null;

  /** @param kernel whose columns the batch that is read has */
  constructor(shape: ParcelShape, feed: RowFeed, kernel: Kernel) {
    this.columns = new PacketColumns(kernel.capacity, kernel);
    this.#kernel = kernel;
    this.#shape = shape;
    this.clock = shape.hasClock ? { now: () => this.#now() } : null;
    this.#feed = feed;
  }

  /** Whether there are rows, and so an end of a parcel to come, at which flows can leave. */
  get isReading(): boolean {
    return this.clock === null && this.#hasRows;
  }

  /** The next rows. */
  add(text: ParcelText): void {
    const parcel = this.#known.get(text.id) ?? Parcel.received(text, this.#shape);
    if (text.isKept) this.#known.set(text.id, parcel);
    parcel.filled = text.filled;
    this.#parcels.push(parcel);
    this.#wake?.();
  }

  /** Every row before this time was added. */
  tell(clockMs: number): void {
    this.#clockMs = clockMs;
  }

  /** There are no more rows. */
  end(): void {
    this.#hasEnded = true;
    this.#wake?.();
  }

  async open(): Promise<void> {
    this.#feed.opened();
  }

  /** Waits at the end of each parcel, too: flows that ended leave before it goes back. */
  read(batch: PacketBatch): number {
    batch.count = 0;
    if (this.#isOver) return SOURCE_END;
    if (this.#hasRows) {
      this.#parcels[0].show(this.#at++, batch, this.#kernel);
      return batch.count;
    }
    return this.#parcels.length === 0 && this.#hasEnded ? SOURCE_END : SOURCE_WAIT;
  }

  /** The status of each row was set where it was decoded. */
  apply(): void {}

  fill(timeoutMs?: number): Promise<void> {
    if (this.#parcels.length > 0 && !this.#hasRows) {
      this.#at = 0;
      this.#feed.read(this.#parcels.shift() as Parcel);
    }
    if (this.#parcels.length > 0 || this.#hasEnded || this.#isOver) return Promise.resolve();
    const woken = new Promise<void>((resolve) => {
      const timer = timeoutMs === undefined || this.clock === null ? undefined : setTimeout(() => wake(), timeoutMs);
      const wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      this.#wake = wake;
    });
    return this.#feed.hold(woken);
  }

  stop(): void {
    this.#isOver = true;
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.stop();
  }

  /** Whether the first parcel has some that were not read. */
  get #hasRows(): boolean {
    return this.#parcels.length > 0 && this.#at < this.#parcels[0].filled;
  }

  #now(): number {
    return this.#hasRows || this.#parcels.length > 1 ? Number.NEGATIVE_INFINITY : this.#clockMs;
  }
}
