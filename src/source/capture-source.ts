// One capture as a PacketSource: buffers its bytes, recognises the format, hands whole records on as batches.
//
//   slab   [ headroom 128 KiB | chunk 1 MiB ]        two of them, allocated when needed
//                       ^ at           ^ end
//
// While one slab is parsed, the feeder fills the next one. A record that crosses the slab's end is carried by copying
// its beginning into the headroom before the next chunk. A slab with much room left is filled on instead, so small
// files and slow streams use one slab. Bytes in memory are used in place, a megabyte at a time.
//
// Invariant: nothing is written to bytes that the batch of the last `read` may point into. New bytes go behind `end`
// or into the other slab, and slabs change only in `fill`, after `read` returned SOURCE_WAIT.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { NfstreamError, type NfstreamErrorCode } from '../errors.ts';
import type { ByteOrigin } from './byte-feeder.ts';
import { DecompressedBytes } from './decompressed-bytes.ts';
import { FileOrigin } from './file-bytes.ts';
import { describeBytes, MAGIC_BYTES, mayBecomeCapture, recogniseCapture } from './recognise.ts';
import type { RecordParser } from './record-parser.ts';
import { type PacketBatch, type PacketSource, type SlabPool, SOURCE_END, SOURCE_WAIT } from './source.ts';

const CHUNK_BYTES = 1 << 20;
/** Each wait for a file costs about 0.1 ms: 4 MB metered 1.2 GB a tenth faster than 1 MB, 8 MB no faster. */
const FILE_CHUNK_BYTES = 1 << 22;
const HEADROOM_BYTES = 1 << 17;
/** Bytes after which the event loop gets a turn, even where all of them were there. */
const TURN_BYTES = 1 << 19;

/** Bytes and a view over exactly the same bytes. */
class Slab {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A slab over `bytes`' `[from, to)`, always a plain Uint8Array: one class of object keeps later stages fast. */
  static over(bytes: Uint8Array, from: number, to: number): Slab {
    return new Slab(new Uint8Array(bytes.buffer, bytes.byteOffset + from, to - from));
  }
}

/** What the feeder answered: `count` bytes at `at` of `slab`, or a failure. */
interface Arrival {
  slab: Slab;
  at: number;
  count: number;
  failure: unknown;
}

export interface CaptureSourceOptions {
  /** Bytes read at once. */
  chunkBytes?: number;
  /** Where memory for them comes from. */
  slabs?: SlabPool | undefined;
}

export class CaptureSource implements PacketSource {
  readonly clock = null;
  readonly capture = null;
  readonly isDraining = false;
  private readonly origin: ByteOrigin;
  private chunkBytes: number;
  private readonly slabs: SlabPool | undefined;
  /** Those that are to be given back. */
  private readonly taken = new Set<Uint8Array>();
  private feeder: DecompressedBytes | null = null;
  private parser: RecordParser | null = null;
  private slab = new Slab(new Uint8Array(0));
  private spare: Slab | null = null;
  /** Where bytes that lie in memory are copied to. */
  private copy: Slab | null = null;
  private at = 0;
  private end = 0;
  /** Offset in the capture of the slab's first byte; may be negative, as it is in the headroom. */
  private base = 0;
  private arriving: Promise<Arrival> | null = null;
  private opening: Promise<void> | null = null;
  private filling: Promise<void> | null = null;
  private isWaiting = true;
  private isComplete = false;
  private failure: unknown;
  private isOver = false;
  private isClosed = false;
  private bytesSinceTurn = 0;

  constructor(origin: ByteOrigin, options: CaptureSourceOptions = {}) {
    this.origin = origin;
    this.chunkBytes = options.chunkBytes ?? CHUNK_BYTES;
    this.slabs = options.slabs;
  }

  get name(): string {
    return this.origin.name;
  }

  get size(): number | null {
    return this.origin.size;
  }

  get bytesRead(): number {
    return this.base + this.at;
  }

  get position(): number {
    return this.feeder?.isCompressed ? this.feeder.position : this.bytesRead;
  }

  /** Looks whether the source can be had, without opening it. Rejects with SOURCE_* where not. */
  async probe(): Promise<void> {
    await this.origin.probe();
  }

  open(): Promise<void> {
    if (this.isClosed) return Promise.resolve();
    this.opening ??= this.openOnce();
    return this.opening;
  }

  private async openOnce(): Promise<void> {
    try {
      this.feeder = new DecompressedBytes(this.origin, await this.origin.open());
      if (this.chunkBytes === CHUNK_BYTES && this.origin instanceof FileOrigin && this.origin.isSeekable)
        this.chunkBytes = FILE_CHUNK_BYTES;
    } catch (error) {
      this.isOver = true;
      throw error;
    }
  }

  read(batch: PacketBatch): number {
    batch.count = 0;
    if (this.isOver || this.isClosed) return SOURCE_END;
    const parser = this.parser ?? this.recognise();
    if (parser !== null) {
      const { slab } = this;
      const rows = parser.parse(batch, slab.view, this.at, this.end);
      this.at = parser.next;
      if (rows > 0) {
        batch.bytes = slab.bytes;
        batch.view = slab.view;
        batch.count = rows;
        return rows;
      }
      if (parser.damage !== null) {
        const { code, problem } = parser.damage;
        throw this.over(code, `${problem} at byte ${this.bytesRead}`, this.bytesRead);
      }
    }
    if (!this.isComplete) {
      this.isWaiting = true;
      return SOURCE_WAIT;
    }
    this.isOver = true;
    if (this.failure !== undefined) throw this.failure;
    if (parser === null) throw this.noCapture();
    const left = this.end - this.at;
    if (left === 0 && this.bytesRead > 0) return SOURCE_END;
    const needs = `needs ${parser.need} bytes, ${left} are there`;
    const problem = `the capture ends inside ${parser.inside} at byte ${this.bytesRead} (${needs})`;
    throw this.over('TRUNCATED_CAPTURE', problem, this.bytesRead);
  }

  fill(): Promise<void> {
    if (!this.isWaiting || this.isComplete || this.isClosed) return Promise.resolve();
    this.filling ??= this.fillOnce().finally(() => {
      this.filling = null;
    });
    return this.filling;
  }

  stop(): void {
    // A fill that waits for input (a pipe, say) must not hold the end up.
    this.close().catch(() => {});
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.opening?.catch(() => {});
    await this.feeder?.close();
    for (const slab of this.taken) this.slabs?.giveBack(slab);
  }

  private newSlab(size: number): Slab {
    // Not zeroed: every byte is written before it is read.
    if (this.slabs === undefined) return Slab.over(Buffer.allocUnsafeSlow(size), 0, size);
    const slab = this.slabs.takeSlab(size);
    this.taken.add(slab);
    return new Slab(slab);
  }

  /** Takes bytes in until the next record is whole, or there are no more. */
  private async fillOnce(): Promise<void> {
    await this.open();
    const { feeder } = this;
    if (feeder === null || this.isClosed) return;
    do {
      const before = this.end - this.at;
      if (feeder.resident) this.takeResident(feeder.resident);
      else await this.takeArrival(feeder);
      this.bytesSinceTurn += this.end - this.at - before;
      if (this.bytesSinceTurn >= TURN_BYTES) {
        this.bytesSinceTurn = 0;
        await nextTurn();
      }
    } while (!this.isComplete && !this.isClosed && this.end - this.at < this.needed());
    this.isWaiting = false;
  }

  /** Bytes that must be buffered before anything can be read. */
  private needed(): number {
    return this.parser?.need ?? MAGIC_BYTES;
  }

  /** Moves the window on over bytes that lie in memory as a whole: in place, or in a slab where one is wished for. */
  private takeResident(all: Uint8Array): void {
    const from = this.bytesRead;
    const to = Math.min(all.length, from + Math.max(this.chunkBytes, this.needed()));
    if (this.slabs !== undefined && to - from <= this.chunkBytes) {
      this.copy ??= this.newSlab(this.chunkBytes);
      this.copy.bytes.set(all.subarray(from, to));
      this.slab = this.copy;
    } else this.slab = Slab.over(all, from, to);
    this.base = from;
    this.at = 0;
    this.end = to - from;
    this.isComplete = to === all.length;
  }

  /** Waits for what is being read, makes it the window's new end, and has the next bytes read meanwhile. */
  private async takeArrival(feeder: DecompressedBytes): Promise<void> {
    this.arriving ??= this.readAhead(feeder);
    const arrival = await this.arriving;
    this.arriving = null;
    if (this.isClosed) return;
    if (arrival.failure !== undefined || arrival.count === 0) {
      this.failure = arrival.failure;
      this.isComplete = true;
      return;
    }
    if (arrival.slab !== this.slab) this.moveTo(arrival);
    else this.end += arrival.count;
    this.arriving = this.readAhead(feeder);
  }

  /** Starts the next read, behind the window's end where there is room, else into the other slab. */
  private readAhead(feeder: DecompressedBytes): Promise<Arrival> {
    let { slab, end: at } = this;
    if (slab.bytes.length - at < this.chunkBytes / 2 || slab.bytes.length === 0) {
      this.spare ??= this.newSlab(HEADROOM_BYTES + this.chunkBytes);
      slab = this.spare;
      at = HEADROOM_BYTES;
    }
    const to = Math.min(slab.bytes.length, at + this.chunkBytes);
    return feeder.readInto(slab.bytes, at, to).then(
      (count) => ({ slab, at, count, failure: undefined }),
      (failure: unknown) => ({ slab, at, count: 0, failure }),
    );
  }

  /** Carries what is left of the window in front of the bytes that arrived in the other slab. */
  private moveTo(arrival: Arrival): void {
    const left = this.slab.bytes.subarray(this.at, this.end);
    const offset = this.bytesRead;
    const old = this.slab;
    if (left.length <= arrival.at) {
      this.slab = arrival.slab;
      this.at = arrival.at - left.length;
    } else {
      // A record larger than the headroom: a slab that holds all of it.
      this.slab = this.newSlab(Math.max(this.needed(), left.length + arrival.count) + this.chunkBytes);
      this.slab.bytes.set(arrival.slab.bytes.subarray(arrival.at, arrival.at + arrival.count), left.length);
      this.at = 0;
    }
    this.slab.bytes.set(left, this.at);
    this.end = this.at + left.length + arrival.count;
    this.base = offset - this.at;
    if (this.slab === arrival.slab) this.spare = old.bytes.length > HEADROOM_BYTES ? old : null;
    else if (this.taken.delete(old.bytes)) this.slabs?.giveBack(old.bytes);
  }

  private recognise(): RecordParser | null {
    if (this.end - this.at < MAGIC_BYTES) return null;
    this.parser = recogniseCapture(this.slab.view, this.at);
    if (this.parser === null) throw this.noCapture();
    return this.parser;
  }

  /** Why the whole source, or its first bytes, are no capture. */
  private noCapture(): NfstreamError {
    const start = this.slab.bytes.subarray(this.at, this.end);
    if (start.length === 0) return this.over('EMPTY_CAPTURE', 'expected a capture and received no bytes at all', 0);
    if (start.length < MAGIC_BYTES && mayBecomeCapture(start)) {
      const needs = `needs 24 bytes, ${start.length} are there`;
      return this.over('TRUNCATED_CAPTURE', `the capture ends inside the file header at byte 0 (${needs})`, 0);
    }
    const expected = 'expected a pcap or pcapng capture, plain or compressed with gzip, zstd or lz4,';
    return this.over('NOT_A_CAPTURE', `${expected} and received ${describeBytes(start)}`, 0);
  }

  /** Ends the source and makes the error that says why. */
  private over(code: NfstreamErrorCode, problem: string, offset: number): NfstreamError {
    this.isOver = true;
    return new NfstreamError(code, `${this.name}: ${problem}`, { file: this.name, offset });
  }
}
