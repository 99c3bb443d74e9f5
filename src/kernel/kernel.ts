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

const LINE_BYTES = 128;
const PAGE_BYTES = 1 << 16;

/** What kernel/index.ts exports to be called. Places are bytes. */
interface Passes {
  setTables(index: number, records: number, extra: number, extraBytes: number, seed: number): void;
  setTimeouts(inactiveMs: number, activeMs: number): void;
  setIndexSize(entries: number): void;
  take(count: number, owner: number, clockMs: number): number;
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
  }
  class Instance {
    constructor(module: Module, imports: { readonly env: { readonly memory: Memory } });
    readonly exports: object;
  }
}

/** And the places of its columns, each a global. */
type Places = Record<string, { readonly value: number }>;

/** The tables' sizes. */
export interface KernelTables {
  /** Slots, each with a record and a row beside it. */
  readonly slots: number;
  readonly recordBytes: number;
  readonly extraBytes: number;
  /** Entries of the index at most. */
  readonly indexEntries: number;
}

let compiled: WebAssembly.Module | undefined;

export class Kernel {
  readonly passes: Passes;
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

  /** @throws NfstreamError OUT_OF_MEMORY */
  constructor({ slots, recordBytes, extraBytes, indexEntries }: KernelTables, seed: number) {
    compiled ??= new WebAssembly.Module(Buffer.from(KERNEL, 'base64'));
    // Those of the columns are known to be few.
    const bytes = PAGE_BYTES + indexEntries * 4 + slots * (recordBytes + extraBytes) + 3 * LINE_BYTES;
    const memory = allocate(Math.ceil(bytes / PAGE_BYTES), slots);
    const { exports } = new WebAssembly.Instance(compiled, { env: { memory } });
    this.passes = exports as unknown as Passes;
    const place = (name: string): number => (exports as unknown as Places)[name].value;
    const { buffer } = memory;
    const rows = place('ROWS');
    this.capacity = rows;
    this.timeMs = new Float64Array(buffer, place('TIMES'), rows);
    this.clockMs = new Float64Array(buffer, place('CLOCKS_IN'), rows);
    this.clocks = new Float64Array(buffer, place('CLOCKS'), rows);
    this.key = new Int32Array(buffer, place('KEYS'), (rows * place('KEY_BYTES')) / 4);
    this.wireLength = new Uint32Array(buffer, place('WIRE_LENGTHS'), rows);
    this.givenHashes = new Int32Array(buffer, place('HASHES_IN'), rows);
    this.sizes = new Uint32Array(buffer, place('SIZES'), rows);
    this.rows = new Int32Array(buffer, place('OWN_ROWS'), rows);
    this.hashes = new Int32Array(buffer, place('HASHES'), rows);
    this.found = new Int32Array(buffer, place('FOUND'), rows);
    this.status = new Uint8Array(buffer, place('STATUS'), rows);
    this.tcpFlags = new Uint8Array(buffer, place('TCP_FLAGS'), rows);
    this.owners = new Uint8Array(buffer, place('OWNERS'), rows);
    this.skipped = new Float64Array(buffer, place('SKIPPED'), place('STATUSES'));

    const index = place('TABLES');
    const records = toLine(index + indexEntries * 4);
    const extra = toLine(records + slots * recordBytes);
    this.index = new Int32Array(buffer, index, indexEntries);
    this.words = new Int32Array(buffer, records, (slots * recordBytes) / 4);
    this.doubles = new Float64Array(buffer, records, (slots * recordBytes) / 8);
    this.extraWords = new Int32Array(buffer, extra, (slots * extraBytes) / 4);
    this.extra = new Float64Array(buffer, extra, (slots * extraBytes) / 8);
    this.passes.setTables(index, records, extra, extraBytes, seed);
  }
}

function toLine(place: number): number {
  return Math.ceil(place / LINE_BYTES) * LINE_BYTES;
}

function allocate(pages: number, slots: number): WebAssembly.Memory {
  try {
    return new WebAssembly.Memory({ initial: pages });
  } catch (cause) {
    const megabytes = Math.ceil((pages * PAGE_BYTES) / 1e6);
    throw new NfstreamError('OUT_OF_MEMORY', `No ${megabytes} MB are left for ${slots} flows; lower capacity`, {
      cause,
    });
  }
}
