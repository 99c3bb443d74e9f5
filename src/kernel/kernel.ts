// The kernel as the stages see it: a memory with the columns of one batch and the tables of one meter, and the passes over
// them. The passes are written in AssemblyScript (kernel/) and compiled to WebAssembly, which runs them without the checks
// and loads that JavaScript makes for every element of a typed array: a third of the time a packet.
//
//   memory   [ columns of a batch | index | records | rows beside the records ]
//
// The tables have room for all flows from the beginning: what no flow has used takes address space and no memory. So the
// memory never moves, and views of it stay valid.
import { NfstreamError } from '../errors.ts';
import { KERNEL } from './wasm.ts';

/** Owner of `Passes.take`: all rows are the meter's. */
export const ALL_ROWS = -1;

const LINE_BYTES = 128;
const PAGE_BYTES = 1 << 16;

/** What kernel/index.ts exports to be called. Places are bytes. */
interface Passes {
  decode(count: number, bytes: number, snaplen: number, followsTunnels: number): number;
  setTables(index: number, records: number, extra: number, extraBytes: number, seed: number): void;
  setTimeouts(inactiveMs: number, activeMs: number): void;
  setIndexSize(entries: number): void;
  move(count: number, by: number): void;
  take(count: number, owner: number, clockMs: number, hasClocks: number): number;
  hash(own: number, isGiven: number): void;
  find(own: number): number;
  findOne(i: number): number;
  count(from: number, to: number, settled: number, first: number, hasSizes: number): number;
}

/** What is used of Node.js' WebAssembly, which its types leave to those of browsers. */
declare namespace WebAssembly {
  class Module {
    constructor(binary: Uint8Array);
  }
  class Memory {
    constructor(descriptor: { readonly initial: number });
    readonly buffer: ArrayBuffer;
    readonly slots: number;
  }
  class Instance {
    constructor(module: Module, imports: { readonly env: { readonly memory: Memory } });
    readonly exports: object;
  }
}

/** And the places of its columns, each a global. */
type Places = Record<string, { readonly value: number }>;

/** What the memory is to hold. */
export interface KernelTables {
  /** Slots, each with a record and a row beside it. */
  readonly slots: number;
  readonly recordBytes: number;
  readonly extraBytes: number;
  /** Entries of the index at most. */
  readonly indexEntries: number;
}

/** Pieces of memory for the bytes of captures, which the kernel decodes only where they lie in its own. */
const SLABS = 4;
const SLAB_BYTES = (1 << 22) + (1 << 17);

let compiled: WebAssembly.Module | undefined;

export class Kernel {
  readonly passes: Passes;
  /** What the hash of a key begins with. */
  readonly seed: number;
  /** Of the tables. */
  readonly slots: number;
  readonly buffer: ArrayBuffer;
  /** Rows of a batch at most. */
  readonly capacity: number;
  readonly timeMs: Float64Array;
  readonly clockMs: Float64Array;
  readonly key: Int32Array;
  readonly wireLength: Uint32Array;
  /** Hashes that came with the batch, by row. */
  readonly givenHashes: Int32Array;
  /** What rows count for, where that is not `wireLength`. */
  readonly sizes: Uint32Array;
  readonly status: Uint8Array;
  readonly tcpFlags: Uint8Array;
  readonly owners: Uint8Array;
  readonly isLaterFragment: Uint8Array;
  readonly frameAt: Int32Array;
  readonly capturedLength: Int32Array;
  readonly linkType: Int32Array;
  readonly srcMacAt: Int32Array;
  readonly dstMacAt: Int32Array;
  readonly ipAt: Int32Array;
  readonly ipSize: Int32Array;
  readonly transportAt: Int32Array;
  readonly payloadAt: Int32Array;
  readonly ipEnd: Int32Array;
  /** Written by `take`: the latest clock up to each row, and which rows are the meter's. */
  readonly clocks: Float64Array;
  readonly rows: Int32Array;
  /** Rows that are not metered, by status. */
  readonly skipped: Float64Array;
  /** Of each of `rows`: its key's hash, and `slot * 2 + direction` of its flow or -1. */
  readonly hashes: Int32Array;
  readonly found: Int32Array;
  readonly index: Int32Array;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly extraWords: Int32Array;
  readonly extra: Float64Array;
  /** The bytes of a batch's columns that go from one thread to another: all, those without clocks, those without frames either. */
  readonly batchBytes: { readonly all: Buffer; readonly frames: Buffer; readonly short: Buffer };
  /** Where the slabs begin that nobody has. */
  readonly #slabs: number[];

  /** @throws NfstreamError OUT_OF_MEMORY */
  constructor({ slots, recordBytes, extraBytes, indexEntries }: KernelTables, seed: number = randomSeed()) {
    compiled ??= new WebAssembly.Module(Buffer.from(KERNEL, 'base64'));
    // Those of the columns are known to be few.
    const tables = indexEntries * 4 + slots * (recordBytes + extraBytes);
    const bytes = PAGE_BYTES + tables + SLABS * SLAB_BYTES + 4 * LINE_BYTES;
    const memory = allocate(Math.ceil(bytes / PAGE_BYTES), slots);
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    this.passes = exports as unknown as Passes;
    this.seed = seed;
    this.slots = slots;
    const place = (name: string): number => (exports as unknown as Places)[name].value;
    const { buffer } = memory;
    this.buffer = buffer;
    const rows = place('ROWS');
    this.capacity = rows;
    this.timeMs = new Float64Array(buffer, place('TIMES'), rows);
    this.clockMs = new Float64Array(buffer, place('CLOCKS_IN'), rows);
    this.clocks = new Float64Array(buffer, place('CLOCKS'), rows);
    this.key = new Int32Array(buffer, place('KEYS'), (rows * place('KEY_BYTES')) / 4);
    const bytesAt = (name: string) => new Uint8Array(buffer, place(name), rows);
    const wordsAt = (name: string) => new Int32Array(buffer, place(name), rows);
    this.wireLength = new Uint32Array(buffer, place('WIRE_LENGTHS'), rows);
    this.sizes = new Uint32Array(buffer, place('SIZES'), rows);
    this.givenHashes = wordsAt('HASHES_IN');
    this.rows = wordsAt('OWN_ROWS');
    this.hashes = wordsAt('HASHES');
    this.found = wordsAt('FOUND');
    this.frameAt = wordsAt('FRAMES');
    this.capturedLength = wordsAt('CAPTURED');
    this.linkType = wordsAt('LINK_TYPES');
    this.srcMacAt = wordsAt('SRC_MACS');
    this.dstMacAt = wordsAt('DST_MACS');
    this.ipAt = wordsAt('IPS');
    this.ipSize = wordsAt('IP_SIZES');
    this.transportAt = wordsAt('TRANSPORTS');
    this.payloadAt = wordsAt('PAYLOADS');
    this.ipEnd = wordsAt('IP_ENDS');
    this.status = bytesAt('STATUS');
    this.tcpFlags = bytesAt('TCP_FLAGS');
    this.owners = bytesAt('OWNERS');
    this.isLaterFragment = bytesAt('LATER_FRAGMENT');
    this.skipped = new Float64Array(buffer, place('SKIPPED'), place('STATUSES'));

    const upTo = (name: string) => Buffer.from(buffer, place('TIMES'), place(name) - place('TIMES'));
    this.batchBytes = { all: upTo('BATCH_END'), frames: upTo('CLOCKS_IN'), short: upTo('LATER_FRAGMENT') };

    const index = place('TABLES');
    const records = toLine(index + indexEntries * 4);
    const extra = toLine(records + slots * recordBytes);
    this.index = new Int32Array(buffer, index, indexEntries);
    this.words = new Int32Array(buffer, records, (slots * recordBytes) / 4);
    this.doubles = new Float64Array(buffer, records, (slots * recordBytes) / 8);
    this.extraWords = new Int32Array(buffer, extra, (slots * extraBytes) / 4);
    this.extra = new Float64Array(buffer, extra, (slots * extraBytes) / 8);
    this.passes.setTables(index, records, extra, extraBytes, seed);
    const slabs = toLine(extra + slots * extraBytes);
    this.#slabs = Array.from({ length: SLABS }, (_, i) => slabs + i * SLAB_BYTES);
  }

  /** One that only decodes and hashes. */
  static forDecoding(): Kernel {
    return new Kernel({ slots: 0, recordBytes: 0, extraBytes: 0, indexEntries: 0 });
  }

  /** `size` bytes for the frames of a capture: of the kernel's memory while it has that many, else others. */
  takeSlab(size: number): Uint8Array {
    const at = size <= SLAB_BYTES ? this.#slabs.pop() : undefined;
    if (at !== undefined) return new Uint8Array(this.buffer, at, size);
    // Not zeroed: every byte is written before it is read.
    const { buffer, byteOffset } = Buffer.allocUnsafeSlow(size);
    return new Uint8Array(buffer, byteOffset, size);
  }

  /** What `takeSlab` gave is not read any more. */
  giveBack(slab: Uint8Array): void {
    if (slab.buffer === this.buffer) this.#slabs.push(slab.byteOffset);
  }
}

/** At random, so that nobody can tell which flows will crowd the index. */
function randomSeed(): number {
  return (Math.random() * 0x1_0000_0000) | 0;
}

function toLine(place: number): number {
  return Math.ceil(place / LINE_BYTES) * LINE_BYTES;
}

function allocate(pages: number, slots: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages });
  } catch (cause) {
    const megabytes = Math.ceil((pages * PAGE_BYTES) / 1e6);
    // V8 keeps some GB of address space free behind each memory, whatever its size.
    const consequence = 'lower capacity, or lift the limit of address space (ulimit -v)';
    throw new NfstreamError('OUT_OF_MEMORY', `No ${megabytes} MB are left for ${slots} flows; ${consequence}`, {
      cause,
    });
  }
}
