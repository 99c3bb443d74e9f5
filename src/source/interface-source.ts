// Packets from network interfaces, as they pass.
//
//   interface ──► kernel's buffer ──► read (one copy, native) ──► batch
//
// The kernel's buffer is the only queue. While packets wait there, `read` takes them batch by batch; when none do, `fill`
// sleeps until the kernel hands the next ones over, which costs nothing. A consumer that is too slow makes the buffer run
// full: the kernel drops, and says how many. Several interfaces take turns.
import { loadCapture } from '../native/capture.ts';
import { MAX_FANOUT_GROUP } from './fanout-program.ts';
import { InterfaceCapture, type InterfaceOptions } from './interface-capture.ts';
import { LiveClock } from './live-clock.ts';
import {
  type CaptureCounters,
  type Clock,
  type PacketBatch,
  type PacketSource,
  SOURCE_END,
  SOURCE_WAIT,
} from './source.ts';

/** Room for frames in a batch, besides the largest possible one. */
const FRAME_ROOM = 1 << 18;
/** Batches in a row before timers and signals get their turn: some ms of work. */
const READS_IN_A_ROW = 16;
/** The kernel hands packets over this much after the batch timeout at the latest: its timer's grain, and a busy machine. */
const HANDOVER_SLACK_MS = 50;
const SAMPLE_MS = 100;

export class InterfaceSource implements PacketSource {
  readonly name: string;
  readonly position = 0;
  readonly size = null;
  readonly clock: Clock = { now: () => this.#caughtUpMs };
  bytesRead = 0;
  readonly #captures: readonly InterfaceCapture[];
  readonly #time: LiveClock;
  /** ms from a packet's arrival to the moment at which it can be read. */
  readonly #handoverMs: number;
  #batch: PacketBatch | undefined;
  #bytes = new Uint8Array(0);
  /** Whose turn it is. */
  #turn = 0;
  #readsInARow = 0;
  #caughtUpMs = Number.NEGATIVE_INFINITY;
  #packetsRead = 0;
  #queueHighWater = 0;
  #sampledMs = Number.NEGATIVE_INFINITY;
  /** Lets the pending `fill` end. */
  #wake: (() => void) | null = null;
  /** When capture was told to stop: what had arrived by then is still read. */
  #stoppedMs = Number.POSITIVE_INFINITY;
  #isOver = false;
  /** Met after packets of other interfaces were read, which go first. */
  #failure: { error: unknown } | null = null;

  constructor(
    names: readonly string[],
    options: InterfaceOptions,
    time: LiveClock = new LiveClock(),
    load: typeof loadCapture = loadCapture,
  ) {
    this.name = names.join(', ');
    this.#captures = names.map(
      (name, i) => new InterfaceCapture(name, withGroup(options, i), () => this.#wake?.(), load),
    );
    this.#time = time;
    this.#handoverMs = HANDOVER_SLACK_MS + (options.immediate ? 0 : options.batchTimeoutMs);
  }

  async open(): Promise<void> {
    try {
      for (const capture of this.#captures) capture.open();
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Begins to capture where the captures were opened on hold (`fanout`). */
  release(): void {
    for (const capture of this.#captures) capture.release();
  }

  get isDraining(): boolean {
    return !this.#isOver && this.#stoppedMs < Number.POSITIVE_INFINITY;
  }

  get capture(): CaptureCounters {
    const counters = { received: 0, droppedByKernel: 0, droppedByInterface: 0, queueHighWater: this.#queueHighWater };
    for (const capture of this.#captures) capture.addCounters(counters);
    return counters;
  }

  read(batch: PacketBatch): number {
    batch.count = 0;
    if (this.#isOver) return SOURCE_END;
    if (this.#failure !== null) throw this.#over(this.#failure.error);
    if (this.#readsInARow >= READS_IN_A_ROW) return SOURCE_WAIT;
    if (batch !== this.#batch) this.#attach(batch);
    const askedMs = this.#time.now();
    const rows = this.#readCaptures(batch);
    if (rows === 0) {
      if (this.#failure !== null) throw this.#over((this.#failure as { error: unknown }).error);
      this.#caughtUpMs = askedMs - this.#handoverMs;
      if (askedMs < this.#stoppedMs + this.#handoverMs) return SOURCE_WAIT;
      this.#isOver = true;
      return SOURCE_END;
    }
    this.#readsInARow++;
    this.#caughtUpMs = Number.NEGATIVE_INFINITY;
    this.#time.read(batch.timeMs, batch.clockMs, rows);
    batch.count = rows;
    this.#packetsRead += rows;
    // Where packets go on to arrive, a flood must not hold the end up.
    if (batch.clockMs[rows - 1] >= this.#stoppedMs + this.#handoverMs) this.#isOver = true;
    return rows;
  }

  #readCaptures(batch: PacketBatch): number {
    const captures = this.#captures;
    let rows = 0;
    let at = 0;
    for (let i = 0; i < captures.length; i++) {
      const capture = captures[(this.#turn + i) % captures.length];
      const from = rows;
      try {
        rows += capture.read(rows, at);
      } catch (error) {
        this.#failure = { error };
        break;
      }
      if (rows === from) continue;
      batch.linkType.fill(capture.linkType, from, rows);
      for (let row = from; row < rows; row++) this.bytesRead += batch.capturedLength[row];
      at = batch.frameAt[rows - 1] + batch.capturedLength[rows - 1];
    }
    if (captures.length > 1) this.#turn = (this.#turn + 1) % captures.length;
    return rows;
  }

  /** Nothing is read after an error. */
  #over(error: unknown): unknown {
    this.#isOver = true;
    return error;
  }

  fill(timeoutMs?: number): Promise<void> {
    const hasMore = this.#readsInARow >= READS_IN_A_ROW;
    this.#readsInARow = 0;
    this.#sample();
    if (this.#isOver) return Promise.resolve();
    if (hasMore) return new Promise((resolve) => setImmediate(resolve));
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      try {
        const waitMs = this.#arm(timeoutMs ?? Number.POSITIVE_INFINITY);
        if (waitMs < Number.POSITIVE_INFINITY) timer = setTimeout(() => this.#wake?.(), waitMs);
      } catch (error) {
        this.#wake = null;
        reject(this.#over(error) as Error);
      }
    });
  }

  /** Has every capture call when packets come. Returns the ms after which to look again in any case. */
  #arm(timeoutMs: number): number {
    let waitMs = timeoutMs;
    for (const capture of this.#captures) waitMs = Math.min(waitMs, capture.wait());
    if (!this.isDraining) return waitMs;
    return Math.min(waitMs, Math.max(1, this.#stoppedMs + this.#handoverMs - this.#time.now()));
  }

  stop(): void {
    if (this.#isOver || this.isDraining) return;
    this.#stoppedMs = this.#time.now();
    for (const capture of this.#captures) capture.finish();
    this.#wake?.();
  }

  async close(): Promise<void> {
    this.#isOver = true;
    for (const capture of this.#captures) capture.close();
    this.#wake?.();
  }

  #attach(batch: PacketBatch): void {
    const largest = Math.max(...this.#captures.map(({ snaplen }) => snaplen));
    this.#batch = batch;
    this.#bytes = new Uint8Array(largest + FRAME_ROOM);
    batch.bytes = this.#bytes;
    batch.view = new DataView(this.#bytes.buffer);
    batch.clockMs = new Float64Array(batch.capacity);
    for (const capture of this.#captures) capture.attach(batch);
  }

  /** Asks how many packets wait in the kernel's buffers, now and then: it takes a system call. */
  #sample(): void {
    const now = this.#time.now();
    if (now - this.#sampledMs < SAMPLE_MS) return;
    this.#sampledMs = now;
    const { received, droppedByKernel } = this.capture;
    this.#queueHighWater = Math.max(this.#queueHighWater, received - droppedByKernel - this.#packetsRead);
  }
}

/** A fanout group is one interface's. Numbers go on at 1 after the last one. */
function withGroup(options: InterfaceOptions, index: number): InterfaceOptions {
  const { fanout } = options;
  if (fanout === undefined) return options;
  return { ...options, fanout: { ...fanout, group: ((fanout.group - 1 + index) % MAX_FANOUT_GROUP) + 1 } };
}
