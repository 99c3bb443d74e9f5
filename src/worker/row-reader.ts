// The reader of several meters: packets of one source, filtered and decoded, to the meter that the hash of their flow says.
//
//   source -> filter -> decode -> hash of the key % meters -> that meter's parcel -> its thread
//
// Rows of a flow, in both directions, go to one meter in their order, and each row has the clock of the whole capture
// with it: what a meter makes of its rows is what a single one would have made of them. Fragments find their flow here.
// For nDPI they go by the flow's addresses alone: it knows some flows (STUN, Zoom, TINC) by what it saw between the same
// hosts before, and each meter has an nDPI of its own.
// When a meter has no parcel left the reader waits, and so does the source: for an interface, the kernel.
import { randomInt } from 'node:crypto';
import { hashKey } from '../flow/key.ts';
import * as packet from '../packet/packet-columns.ts';
import type { PacketStage } from '../packet/packet-stage.ts';
import { PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from '../source/source.ts';
import type { StreamerStats } from '../stats.ts';
import type { MeterThread } from './meter-thread.ts';
import { type Parcel, parcelBytes } from './parcel.ts';

// Own constants are folded into the code, imported ones are not.
const { KEY_PORTS, KEY_WORDS, METERED, SKIP_REASONS } = packet;

/** Rows and bytes of frames that a parcel takes. */
const PARCEL_ROWS = 2048;
const PARCEL_FRAME_BYTES = 1 << 19;
/** Bytes of frames that are handed over at a time, unless one frame has more. */
const CHUNK_BYTES = 1 << 16;
/** How often meters are told the time, where it goes on by itself. */
const CLOCK_MS = 100;

export class RowReader {
  readonly #source: PacketSource;
  readonly #packets: PacketStage;
  readonly #threads: readonly MeterThread[];
  readonly #hasFrames: boolean;
  readonly #byAddresses: boolean;
  readonly #maxPackets: number;
  readonly #batch = new PacketBatch();
  readonly #seed = randomInt(2 ** 31);
  /** A key of addresses alone. */
  readonly #words = new Int32Array(KEY_WORDS);
  /** By meter; null where the meter is gone. */
  readonly #parcels: (Parcel | null)[] = [];
  /** The latest clock of all rows that are metered. */
  #clockMs = Number.NEGATIVE_INFINITY;
  #toldMs = Number.NEGATIVE_INFINITY;
  packetsRead = 0;
  /** By status, as the meter counts. */
  readonly #skipped = new Float64Array(SKIP_REASONS.length);
  /** What ended the source before its end. */
  damage: { readonly error: unknown } | undefined;

  constructor(
    source: PacketSource,
    packets: PacketStage,
    threads: readonly MeterThread[],
    options: { readonly hasFrames: boolean; readonly byAddresses: boolean; readonly maxPackets: number },
  ) {
    this.#source = source;
    this.#packets = packets;
    this.#threads = threads;
    this.#hasFrames = options.hasFrames;
    this.#byAddresses = options.byAddresses;
    this.#maxPackets = options.maxPackets;
  }

  /** Reads the open source to its end, or until `isStopped`. Never rejects: see `damage`. */
  async read(isStopped: () => boolean): Promise<void> {
    const source = this.#source;
    const batch = this.#batch;
    try {
      while (this.packetsRead < this.#maxPackets && this.#threads.some(({ isDone }) => !isDone)) {
        if (isStopped() && !source.isDraining) break;
        const rows = source.read(batch);
        if (rows === SOURCE_END) break;
        if (rows === SOURCE_WAIT) {
          this.#flush();
          if (source.clock !== null) this.#tell(source.clock.now());
          await source.fill(source.clock === null ? undefined : CLOCK_MS);
          continue;
        }
        batch.count = Math.min(batch.count, this.#maxPackets - this.packetsRead);
        this.packetsRead += batch.count;
        this.#packets.apply(batch);
        await this.#handOver();
      }
    } catch (error) {
      // A stop closes the source under a pending fill: no damage.
      if (!isStopped()) this.damage = { error };
    }
    this.#flush();
  }

  /** Lets the meters know that they have all their rows. */
  end(): void {
    for (const thread of this.#threads) thread.send({ type: 'end', clockMs: this.#clockMs });
  }

  /** Adds the rows that no meter got to `sum`. */
  addTo(sum: StreamerStats): void {
    this.#skipped.forEach((count, status) => {
      if (status === METERED) return;
      sum.packets_skipped[SKIP_REASONS[status] as packet.SkipReason] += count;
      sum.packets_read += count;
    });
  }

  /** HOT PATH, but for the waits: chunks that every meter has room for, whoever gets them. */
  async #handOver(): Promise<void> {
    const { count } = this.#batch;
    for (let row = 0; row < count; ) {
      const from = row;
      let bytes = 0;
      do bytes += this.#batch.capturedLength[row++];
      while (row < count && bytes + this.#batch.capturedLength[row] <= CHUNK_BYTES);
      for (let i = 0; i < this.#threads.length; i++) {
        while (!this.#makeRoom(i, row - from, bytes)) await this.#threads[i].parcelReturned();
      }
      this.#distribute(from, row);
    }
  }

  /** Sees to a parcel of meter `i` with room for so much. False when all of its parcels are on their way. */
  #makeRoom(i: number, rows: number, bytes: number): boolean {
    const thread = this.#threads[i];
    const parcel = this.#parcels[i];
    if (thread.isDone) {
      this.#parcels[i] = null;
      return true;
    }
    if (parcel?.hasRoom(rows, bytes)) return true;
    // An empty one that is too small for a huge frame.
    if (parcel?.count === 0) thread.takeBack(parcel);
    else this.#flushOne(i);
    const frameBytes = Math.max(PARCEL_FRAME_BYTES, bytes);
    this.#parcels[i] = thread.takeParcel(parcelBytes(PARCEL_ROWS, frameBytes, this.#hasFrames), PARCEL_ROWS);
    return this.#parcels[i] !== null;
  }

  #distribute(from: number, to: number): void {
    const batch = this.#batch;
    const { clockMs } = batch;
    const { columns } = this.#packets;
    const { status, key } = columns;
    const parcels = this.#parcels;
    const meters = parcels.length;
    const seed = this.#seed;
    const skipped = this.#skipped;
    const byAddresses = this.#byAddresses;
    // Of all packets read, those in this batch are the last.
    const before = this.packetsRead - batch.count;
    let clock = this.#clockMs;
    for (let row = from; row < to; row++) {
      if (status[row] !== METERED) {
        skipped[status[row]]++;
        continue;
      }
      if (clockMs[row] > clock) clock = clockMs[row];
      const at = row * KEY_WORDS;
      const hash = byAddresses ? this.#hashAddresses(key, at) : hashKey(key, at, seed);
      const meter = (hash >>> 0) % meters;
      parcels[meter]?.push(batch, columns, row, clock, before + row + 1);
    }
    this.#clockMs = clock;
  }

  #hashAddresses(key: Int32Array, at: number): number {
    const words = this.#words;
    // The ports and what follows them stay 0.
    for (let i = 0; i < KEY_PORTS; i++) words[i] = key[at + i];
    return hashKey(words, 0, this.#seed);
  }

  #flush(): void {
    for (let i = 0; i < this.#parcels.length; i++) this.#flushOne(i);
  }

  #flushOne(i: number): void {
    const parcel = this.#parcels[i];
    if (parcel === undefined || parcel === null || parcel.count === 0) return;
    this.#parcels[i] = null;
    this.#threads[i].sendParcel(parcel);
  }

  #tell(clockMs: number): void {
    if (!(clockMs >= this.#toldMs + CLOCK_MS)) return;
    this.#toldMs = clockMs;
    for (const thread of this.#threads) thread.send({ type: 'clock', clockMs });
  }
}
