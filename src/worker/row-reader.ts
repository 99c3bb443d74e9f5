// The reader of several meters: packets of one source, filtered and decoded once, to all of them.
//
//   source -> filter -> decode -> whose row is it? -> rows and frames into a parcel -> the parcel to every meter
//
// All meters read the same rows, each with the same batches and the same time, and each meters its own: what a meter makes
// of them is what a single one would have made of them. Rows of a flow, in both directions, are one meter's. Fragments
// find their flow here. When all parcels are on their way the reader waits, and so does the source: for an interface, the
// kernel.
import { ALL_ROWS, type Kernel } from '../kernel/kernel.ts';
import type { PacketStage } from '../packet/packet-stage.ts';
import { PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from '../source/source.ts';
import type { MeterThread } from './meter-thread.ts';
import { hashAddresses, ownerOf } from './owner.ts';
import type { Parcel, ParcelShape } from './parcel.ts';
import { ParcelPool } from './parcel-pool.ts';

/** Parcels: enough that a meter that is slower for a while holds nobody up. */
const PARCELS = 6;
/** Batches in a parcel: sending one costs about as much as metering 50 rows. */
const PARCEL_WINDOWS = 16;
/** Bytes of their frames: as many as a source has at a time, so that hardly a batch needs a parcel of its own. */
const PARCEL_FRAME_BYTES = 5 << 20;
/** How often meters are told the time, where it goes on by itself. */
const CLOCK_MS = 100;

export interface RowReaderOptions {
  readonly shape: ParcelShape;
  /** Whether flows between the same two addresses are one meter's. */
  readonly byAddresses: boolean;
  readonly maxPackets: number;
  /** Whose columns the packet stage writes, and whose seed hashes begin with. */
  readonly kernel: Kernel;
}

export class RowReader {
  readonly #source: PacketSource;
  readonly #packets: PacketStage;
  readonly #threads: readonly MeterThread[];
  readonly #options: RowReaderOptions;
  readonly #pool: ParcelPool;
  readonly #read: PacketBatch;
  /** To be filled on. */
  #parcel: Parcel | null = null;
  #toldMs = Number.NEGATIVE_INFINITY;
  packetsRead = 0;
  /** What ended the source before its end. */
  damage: { readonly error: unknown } | undefined;

  constructor(source: PacketSource, packets: PacketStage, threads: readonly MeterThread[], options: RowReaderOptions) {
    this.#source = source;
    this.#packets = packets;
    this.#threads = threads;
    this.#options = options;
    const { shape, kernel } = options;
    this.#read = new PacketBatch(kernel.capacity, kernel);
    this.#pool = new ParcelPool({
      shape,
      kernel,
      parcels: PARCELS,
      windows: PARCEL_WINDOWS,
      frameBytes: PARCEL_FRAME_BYTES,
    });
  }

  /** Reads the open source to its end, or until `isStopped`. Never rejects: see `damage`. */
  async read(isStopped: () => boolean): Promise<void> {
    const source = this.#source;
    const read = this.#read;
    const { maxPackets } = this.#options;
    try {
      while (this.packetsRead < maxPackets && this.#threads.some(({ isDone }) => !isDone)) {
        if (isStopped() && !source.isDraining) break;
        const rows = source.read(read);
        if (rows === SOURCE_END) break;
        if (rows === SOURCE_WAIT) {
          this.#flush();
          if (source.clock !== null) this.#tell(source.clock.now());
          await source.fill(source.clock === null ? undefined : CLOCK_MS);
          continue;
        }
        read.count = Math.min(read.count, maxPackets - this.packetsRead);
        read.first = this.packetsRead + 1;
        this.packetsRead += read.count;
        const room = this.#handOver();
        if (room !== undefined) await room;
      }
    } catch (error) {
      // A stop closes the source under a pending fill: no damage.
      if (!isStopped()) this.damage = { error };
    }
    this.#flush();
  }

  /** Lets the meters know that they have all their rows. */
  end(): void {
    for (const thread of this.#threads) thread.send({ type: 'end' });
  }

  /** Decodes the batch, says whose its rows are, and puts it into a parcel. */
  #handOver(): Promise<void> | undefined {
    const read = this.#read;
    const { hasFrames } = this.#options.shape;
    const from = hasFrames ? startOf(read) : 0;
    const to = hasFrames ? endOf(read) : 0;
    if (this.#parcel?.hasRoom(to - from) !== true) {
      this.#flush();
      this.#parcel = this.#pool.take(to - from);
      if (this.#parcel === null) return this.#pool.returned().then(() => this.#handOver());
    }
    this.#packets.apply(read);
    this.#distribute(read);
    this.#parcel.append(read, from, to, this.#options.kernel);
    return undefined;
  }

  /** HOT PATH: hashes each metered row's key, and says whose the row is. */
  #distribute({ count }: PacketBatch): void {
    const { passes, rows, hashes, givenHashes, owners, key, seed } = this.#options.kernel;
    const { byAddresses } = this.#options;
    const meters = this.#threads.length;
    // Rows that are not metered are meter 0's.
    owners.fill(0, 0, count);
    const metered = passes.take(count, ALL_ROWS, 0, 0);
    passes.hash(metered, 0);
    for (let i = 0; i < metered; i++) {
      const row = rows[i];
      const hash = hashes[i];
      givenHashes[row] = hash;
      owners[row] = ownerOf(byAddresses ? hashAddresses(key, row, seed) : hash, meters);
    }
  }

  /** Sends what there is to all meters that are still there. */
  #flush(): void {
    const parcel = this.#parcel;
    this.#parcel = null;
    if (parcel === null) return;
    let meters = 0;
    for (const thread of this.#threads) {
      if (thread.sendParcel(parcel, (read) => this.#pool.release(read))) meters++;
    }
    this.#pool.send(parcel, meters);
  }

  #tell(clockMs: number): void {
    if (!(clockMs >= this.#toldMs + CLOCK_MS)) return;
    this.#toldMs = clockMs;
    for (const thread of this.#threads) thread.send({ type: 'clock', clockMs });
  }
}

/** Where the bytes of a batch's frames begin and end. */
function startOf({ frameAt, count }: PacketBatch): number {
  let start = Number.MAX_SAFE_INTEGER;
  for (let row = 0; row < count; row++) start = Math.min(start, frameAt[row]);
  return start;
}

function endOf({ frameAt, capturedLength, count }: PacketBatch): number {
  let end = 0;
  for (let row = 0; row < count; row++) end = Math.max(end, frameAt[row] + capturedLength[row]);
  return end;
}
