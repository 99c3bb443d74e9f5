// A capture at the pace at which it was recorded, or faster or slower: rows of another source when they are due.
//
//   virtual time = first time stamp + (monotonic time since the first packet was read) * speed
//
// A packet is given once virtual time has reached its time stamp, one out of time order when it is reached. A reader that
// falls behind is given all that became due meanwhile. At 'max' nothing waits, and time is the packets' own.
// Invariant: exactly the wrapped source's packets, in its order; its damage is told after the packets before it.
//
//   held   [ given | due | not due yet ]       one batch of the wrapped source; frames are never copied, columns are
//                  ^ at         ^ count
import { type CaptureCounters, type Clock, PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from './source.ts';

/** What a replay waits by. */
export interface ReplayTimer {
  /** Monotonic time, ms. */
  now(): number;
  /** Calls `done` once, `ms` from now; what it returns calls that off. */
  after(ms: number, done: () => void): () => void;
}

/** setTimeout fires at once for more than this. */
const LONGEST_MS = 0x7fff_ffff;
/** The least that setTimeout waits; several packets become due together, and the event loop gets its turn. */
const SHORTEST_MS = 1;

const REAL_TIMER: ReplayTimer = {
  now: () => performance.now(),
  after(ms, done) {
    const timer = setTimeout(done, ms);
    return () => clearTimeout(timer);
  },
};

export class ReplaySource implements PacketSource {
  /** Null at 'max'. Stands at the next packet's time where that is due and not read, at -Infinity where none is known. */
  readonly clock: Clock | null;
  readonly isDraining = false;
  readonly #source: PacketSource;
  /** Infinity for 'max'. */
  readonly #speed: number;
  readonly #timer: ReplayTimer;
  readonly #held = new PacketBatch();
  #at = 0;
  /** The first packet's time, and when it was read. */
  #firstMs = Number.NaN;
  #startedMs = 0;
  /** The wrapped source takes bytes in, and is not read until it has them: a fill may time out, its bytes still come. */
  #filling: Promise<void> | null = null;
  #wake: (() => void) | null = null;
  #isClosed = false;

  /**
   * @param source a capture; it has no clock of its own
   * @param speed above 0: 1 is the recorded pace, 10 ten times as fast
   */
  constructor(source: PacketSource, speed: number | 'max', timer: ReplayTimer = REAL_TIMER) {
    this.#source = source;
    this.#speed = speed === 'max' ? Number.POSITIVE_INFINITY : speed;
    this.#timer = timer;
    this.clock = this.#isPaced ? { now: () => this.#readUpTo() } : null;
  }

  get name(): string {
    return this.#source.name;
  }

  /** Up to a batch's packets ahead of what was given, as `position`. */
  get bytesRead(): number {
    return this.#source.bytesRead;
  }

  get position(): number {
    return this.#source.position;
  }

  get size(): number | null {
    return this.#source.size;
  }

  get capture(): CaptureCounters | null {
    return this.#source.capture;
  }

  open(): Promise<void> {
    return this.#source.open();
  }

  read(batch: PacketBatch): number {
    if (!this.#isPaced) return this.#source.read(batch);
    batch.count = 0;
    if (this.#isClosed) return SOURCE_END;
    const held = this.#held;
    if (this.#at === held.count) {
      if (this.#filling !== null) return SOURCE_WAIT;
      this.#at = 0;
      held.count = 0;
      const rows = this.#source.read(held);
      if (rows <= 0) return rows;
      if (Number.isNaN(this.#firstMs)) {
        this.#firstMs = held.timeMs[0];
        this.#startedMs = this.#timer.now();
      }
    }
    return this.#give(batch);
  }

  async fill(timeoutMs = Number.POSITIVE_INFINITY): Promise<void> {
    if (!this.#isPaced) return this.#source.fill(timeoutMs);
    if (this.#isClosed) return;
    const { timeMs, count } = this.#held;
    if (this.#at < count) {
      // At a speed near zero this is Infinity.
      const dueMs = (timeMs[this.#at] - this.#virtualMs()) / this.#speed;
      return this.#sleep(Math.min(dueMs, timeoutMs));
    }
    this.#filling ??= this.#source.fill().finally(() => {
      this.#filling = null;
    });
    if (timeoutMs === Number.POSITIVE_INFINITY) return this.#filling;
    // Where the time is up first, the failure is the next fill's or read's to tell.
    this.#filling.catch(() => {});
    try {
      await Promise.race([this.#filling, this.#sleep(timeoutMs)]);
    } finally {
      this.#wake?.();
    }
  }

  stop(): void {
    this.close().catch(() => {});
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#wake?.();
    await this.#source.close();
  }

  get #isPaced(): boolean {
    return this.#speed !== Number.POSITIVE_INFINITY;
  }

  #virtualMs(): number {
    return this.#firstMs + (this.#timer.now() - this.#startedMs) * this.#speed;
  }

  #readUpTo(): number {
    const { timeMs, count } = this.#held;
    if (this.#at === count) return Number.NEGATIVE_INFINITY;
    return Math.min(this.#virtualMs(), timeMs[this.#at]);
  }

  /** Moves held rows that are due into `batch`. */
  #give(batch: PacketBatch): number {
    const held = this.#held;
    const { timeMs } = held;
    const virtualMs = this.#virtualMs();
    const end = Math.min(held.count, this.#at + batch.capacity);
    let row = 0;
    for (let at = this.#at; at < end && !(timeMs[at] > virtualMs); at++, row++) {
      batch.timeMs[row] = timeMs[at];
      batch.frameAt[row] = held.frameAt[at];
      batch.capturedLength[row] = held.capturedLength[at];
      batch.wireLength[row] = held.wireLength[at];
      batch.linkType[row] = held.linkType[at];
    }
    if (row === 0) return SOURCE_WAIT;
    this.#at += row;
    batch.bytes = held.bytes;
    batch.view = held.view;
    batch.count = row;
    return row;
  }

  /** Ends after `ms`, or when `#wake` is called; sooner than asked only where `ms` is over 24 days. */
  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      // Of two fills at once the first ends early, which a fill may.
      this.#wake?.();
      const wake = () => {
        cancel();
        this.#wake = null;
        resolve();
      };
      this.#wake = wake;
      const cancel = this.#timer.after(Math.min(Math.max(Math.ceil(ms), SHORTEST_MS), LONGEST_MS), wake);
    });
  }
}
