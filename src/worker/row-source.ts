// Rows that another thread has read, filtered and decoded, as a source and a packet stage at once: what it reads is
// decoded already.
import { METERED, PacketColumns } from '../packet/packet-columns.ts';
import type { PacketStage } from '../packet/packet-stage.ts';
import { type Clock, type PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from '../source/source.ts';
import type { Parcel } from './parcel.ts';

/** Whoever has the rows brought here. */
export interface RowFeed {
  /** User code has started: rows may come. */
  opened(): void;
  /** All rows of a parcel were read. */
  emptied(parcel: Parcel): void;
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
  readonly columns = new PacketColumns();
  /**
   * Null, for time is the packets' own, until the rows have ended: then the last of all rows, also of other meters, says
   * which flows were inactive.
   */
  clock: Clock | null;
  readonly #feed: RowFeed;
  readonly #parcels: Parcel[] = [];
  /** Rows of the first parcel that were read. */
  #at = 0;
  #batch: PacketBatch | undefined;
  /** Rows up to here were handed over. */
  #clockMs = Number.NEGATIVE_INFINITY;
  #hasEnded = false;
  #isOver = false;
  #wake: (() => void) | null = null;

  /** @param hasClock whether time goes on without packets */
  constructor(hasClock: boolean, feed: RowFeed) {
    this.clock = hasClock ? { now: () => this.#now() } : null;
    this.#feed = feed;
  }

  /** The next rows. */
  add(parcel: Parcel): void {
    this.#parcels.push(parcel);
    this.#wake?.();
  }

  /** Every row before this time was added. */
  tell(clockMs: number): void {
    this.#clockMs = clockMs;
  }

  /** There are no more rows; `clockMs` is the clock at the last one of all meters. */
  end(clockMs: number): void {
    this.#clockMs = clockMs;
    this.#hasEnded = true;
    this.#wake?.();
  }

  async open(): Promise<void> {
    this.#feed.opened();
  }

  read(batch: PacketBatch): number {
    batch.count = 0;
    if (this.#isOver) return SOURCE_END;
    let [parcel] = this.#parcels;
    if (parcel !== undefined && this.#at === parcel.count) {
      this.#parcels.shift();
      this.#at = 0;
      this.#feed.emptied(parcel);
      [parcel] = this.#parcels;
    }
    if (parcel !== undefined) return this.#give(parcel, batch);
    if (!this.#hasEnded) return SOURCE_WAIT;
    this.clock ??= { now: () => this.#now() };
    this.#isOver = true;
    // One wait more, for the meter to look at the clock.
    return SOURCE_WAIT;
  }

  #give(parcel: Parcel, batch: PacketBatch): number {
    if (batch !== this.#batch) {
      this.#batch = batch;
      batch.clockMs = new Float64Array(batch.capacity);
    }
    if (this.#at === 0) batch.view = parcel.view();
    const rows = Math.min(batch.capacity, parcel.count - this.#at);
    parcel.copyTo(batch, this.columns, this.#at, rows);
    this.#at += rows;
    return rows;
  }

  apply(batch: PacketBatch): void {
    this.columns.status.fill(METERED, 0, batch.count);
  }

  fill(timeoutMs?: number): Promise<void> {
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

  #now(): number {
    return this.#parcels.length > 0 ? Number.NEGATIVE_INFINITY : this.#clockMs;
  }
}
