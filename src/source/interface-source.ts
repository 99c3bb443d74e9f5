// Packets from network interfaces, as they pass.
//
//   interface ──► kernel's buffer ──► read (one copy, native) ──► batch
//
// The kernel's buffer is the only queue. While packets wait there, `read` takes them batch by batch; when none do, `fill`
// sleeps until the kernel hands the next ones over, which costs nothing. A consumer that is too slow makes the buffer run
// full: the kernel drops, and says how many. Packets of several interfaces come in the order of their time stamps: a flow
// that is behind in one buffer must not end by what is read from another.
import { loadCapture } from '../native/capture.ts';
import { CaptureLane } from './capture-lane.ts';
import { MAX_FANOUT_GROUP } from './fanout-program.ts';
import { InterfaceCapture, type InterfaceOptions } from './interface-capture.ts';
import { LiveClock } from './live-clock.ts';
import {
  type CaptureCounters,
  type Clock,
  type PacketBatch,
  type PacketSource,
  type SlabPool,
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
/**
 * A busy link is looked at so often, instead of at each block that the kernel hands over (hundreds a second): waking up
 * costs more than metering what one block holds. `npm run bench:live`.
 */
const REST_MS = 20;
/** Packets since the last rest that make a link busy. */
const BUSY_ROWS = 256;
/** What arrives during a rest may fill this part of the kernel's buffer. */
const REST_SHARE = 1 / 8;
/** Besides its bytes, a packet takes so many of the kernel's buffer. */
const RING_BYTES_A_PACKET = 80;

export class InterfaceSource implements PacketSource {
  readonly name: string;
  readonly position = 0;
  readonly size = null;
  readonly clock: Clock = { now: () => this.#caughtUpMs };
  bytesRead = 0;
  readonly #captures: readonly InterfaceCapture[];
  /** Empty where there is one interface, which reads into the batch itself. */
  readonly #lanes: readonly CaptureLane[];
  readonly #time: LiveClock;
  /** ms from a packet's arrival to the moment at which it can be read. */
  readonly #handoverMs: number;
  #batch: PacketBatch | undefined;
  /** Whose turn it is among packets of one time. */
  #turn = 0;
  #readsInARow = 0;
  readonly #restMs: number;
  readonly #restBytes: number;
  /** When the last fill was asked for, and what had been read by then. */
  #filledMs: number;
  #filledPackets = 0;
  #filledBytes = 0;
  #caughtUpMs = Number.NEGATIVE_INFINITY;
  #packetsRead = 0;
  #queueHighWater = 0;
  #sampledMs = Number.NEGATIVE_INFINITY;
  readonly #slabs: SlabPool | undefined;
  /** Lets the pending `fill` end. */
  #wake: (() => void) | null = null;
  /** When capture was told to stop: what had arrived by then is still read. */
  #stoppedMs = Number.POSITIVE_INFINITY;
  #isOver = false;
  /** The last packets were given. */
  #isLast = false;
  /** Of one interface; what the others had captured by then goes first. */
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
    this.#lanes = this.#captures.length > 1 ? this.#captures.map((capture) => new CaptureLane(capture)) : [];
    this.#time = time;
    this.#slabs = options.slabs;
    this.#handoverMs = HANDOVER_SLACK_MS + (options.immediate ? 0 : options.batchTimeoutMs);
    this.#restMs = options.immediate ? 0 : Math.min(REST_MS, options.batchTimeoutMs / 2);
    this.#restBytes = options.bufferSize * REST_SHARE;
    this.#filledMs = time.now();
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
    const counters: CaptureCounters = {
      received: 0,
      droppedByKernel: 0,
      droppedByInterface: 0,
      queueHighWater: 0,
      interfacesDown: 0,
    };
    for (const capture of this.#captures) capture.addCounters(counters);
    const { received, droppedByKernel } = counters;
    this.#queueHighWater = Math.max(this.#queueHighWater, received - droppedByKernel - this.#packetsRead);
    counters.queueHighWater = this.#queueHighWater;
    return counters;
  }

  read(batch: PacketBatch): number {
    batch.count = 0;
    if (this.#isOver) return SOURCE_END;
    if (this.#isLast) return this.#end();
    if (this.#readsInARow >= READS_IN_A_ROW) return SOURCE_WAIT;
    if (batch !== this.#batch) this.#attach(batch);
    const askedMs = this.#time.now();
    const rows = this.#lanes.length > 0 ? this.#merge(batch) : this.#readOne(batch);
    if (rows === 0) {
      if (this.#failure !== null && this.#lanes.length === 0) return this.#end();
      this.#caughtUpMs = askedMs - this.#handoverMs;
      return askedMs < this.#stoppedMs + this.#handoverMs ? SOURCE_WAIT : this.#end();
    }
    this.#readsInARow++;
    this.#caughtUpMs = Number.NEGATIVE_INFINITY;
    this.#time.read(batch.timeMs, batch.clockMs, rows);
    batch.count = rows;
    let bytes = 0;
    for (let row = 0; row < rows; row++) bytes += batch.capturedLength[row];
    this.bytesRead += bytes;
    // Where packets go on to arrive, a flood must not hold the end up.
    if (batch.clockMs[rows - 1] >= this.#stoppedMs + this.#handoverMs) this.#isLast = true;
    return rows;
  }

  #end(): number {
    this.#isOver = true;
    if (this.#failure !== null) throw this.#failure.error;
    return SOURCE_END;
  }

  #readOne(batch: PacketBatch): number {
    const capture = this.#captures[0];
    const rows = this.#try(() => capture.read(0, 0));
    this.#packetsRead += rows;
    batch.linkType.fill(capture.linkType, 0, rows);
    return rows;
  }

  /** Rows of all interfaces in the order of time, as far as it is known what comes next. */
  #merge(batch: PacketBatch): number {
    for (const lane of this.#lanes) if (lane.isEmpty) this.#packetsRead += this.#try(() => lane.refill());
    let rows = 0;
    while (rows < batch.capacity) {
      const lane = this.#earliest();
      if (lane === null) break;
      lane.give(batch, rows++);
      // What waits in its buffer by now may be earlier than what the others have.
      if (lane.isEmpty) break;
    }
    return rows;
  }

  /** The lane that has the earliest packet; of several, the one whose turn it is. */
  #earliest(): CaptureLane | null {
    const lanes = this.#lanes;
    let earliest: CaptureLane | null = null;
    let turn = 0;
    for (let i = 0; i < lanes.length; i++) {
      const at = this.#turn + i < lanes.length ? this.#turn + i : this.#turn + i - lanes.length;
      const lane = lanes[at];
      if (lane.isEmpty || (earliest !== null && lane.nextMs >= earliest.nextMs)) continue;
      earliest = lane;
      turn = at + 1;
    }
    if (earliest !== null) this.#turn = turn < lanes.length ? turn : 0;
    return earliest;
  }

  /** Rows that `read` gives; 0 where it fails: that ends the run, after what the others' buffers hold by now. */
  #try(read: () => number): number {
    try {
      return read();
    } catch (error) {
      this.#failure ??= { error };
      this.stop();
      return 0;
    }
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
    try {
      for (const capture of this.#captures) capture.lookAgain();
    } catch (error) {
      return Promise.reject(this.#over(error));
    }
    if (hasMore) return new Promise((resolve) => setImmediate(resolve));
    const restMs = this.#restFor();
    return new Promise((resolve, reject) => {
      let timer: NodeJS.Timeout | undefined;
      this.#wake = () => {
        clearTimeout(timer);
        this.#wake = null;
        resolve();
      };
      try {
        const waitMs = restMs > 0 ? restMs : this.#arm(timeoutMs ?? Number.POSITIVE_INFINITY);
        if (waitMs < Number.POSITIVE_INFINITY) timer = setTimeout(() => this.#wake?.(), waitMs);
      } catch (error) {
        this.#wake = null;
        reject(this.#over(error) as Error);
      }
    });
  }

  /** How long not to look, ms: 0 where the link is not busy, or so busy that its packets need the room. */
  #restFor(): number {
    const now = this.#time.now();
    const rows = this.#packetsRead - this.#filledPackets;
    const bytes = this.bytesRead - this.#filledBytes + rows * RING_BYTES_A_PACKET;
    const elapsedMs = Math.max(1, now - this.#filledMs);
    this.#filledMs = now;
    this.#filledPackets = this.#packetsRead;
    this.#filledBytes = this.bytesRead;
    if (rows < BUSY_ROWS || this.isDraining) return 0;
    const restMs = Math.min(this.#restMs, (this.#restBytes / bytes) * elapsedMs);
    return restMs < 1 ? 0 : restMs;
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
    const room = this.#captures[0].snaplen + FRAME_ROOM;
    this.#batch = batch;
    const size = room * this.#captures.length;
    batch.bytes = this.#slabs?.takeSlab(size) ?? new Uint8Array(size);
    batch.view = new DataView(batch.bytes.buffer, batch.bytes.byteOffset, size);
    batch.clockMs = new Float64Array(batch.capacity);
    if (this.#lanes.length === 0) this.#captures[0].attach(batch);
    this.#lanes.forEach((lane, i) => {
      lane.attach(batch.bytes.subarray(i * room, (i + 1) * room), i * room);
    });
  }

  /** Asks how many packets wait in the kernel's buffers, now and then: it takes a system call. */
  #sample(): void {
    const now = this.#time.now();
    if (now - this.#sampledMs < SAMPLE_MS) return;
    this.#sampledMs = now;
    void this.capture;
  }
}

/** A fanout group is one interface's. Numbers go on at 1 after the last one. */
function withGroup(options: InterfaceOptions, index: number): InterfaceOptions {
  const { fanout } = options;
  if (fanout === undefined) return options;
  return { ...options, fanout: { ...fanout, group: ((fanout.group - 1 + index) % MAX_FANOUT_GROUP) + 1 } };
}
