// Finds user code that keeps a packet, or its bytes, beyond the call: the option `debug`. What is lent is a copy, looked
// for after each call wherever user code can keep things within our sight (scratch space, metrics, a classifier's own
// fields), and made unusable after the packet's last call, so that what was kept elsewhere fails when it is used.
import { NfstreamError } from '../errors.ts';
import type { Flow } from '../flow/flow.ts';
import type { PacketColumns } from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';
import type { NFStreamClassifier } from './classifier.ts';
import { Packet } from './packet.ts';

/** How deep, and at how many values, a look goes. */
const MAX_DEPTH = 5;
const MAX_VALUES = 10_000;

const ADVICE = 'they are valid during the call only: keep a copy, as packet.payload.slice() makes one';

/** Stands behind what was taken back: whatever is asked of it is a mistake. */
const TAKEN_BACK = new Proxy(Object.create(null) as object, {
  get(_target, name) {
    throw new NfstreamError('PACKET_KEPT', `"${String(name)}" of a packet, or of its bytes, after the call; ${ADVICE}`);
  },
});

export class PacketGuard {
  readonly #batch: PacketBatch;
  readonly #columns: PacketColumns;
  #packet: Packet | undefined;
  readonly #lent: Uint8Array<ArrayBuffer>[] = [];

  constructor(batch: PacketBatch, columns: PacketColumns) {
    this.#batch = batch;
    this.#columns = columns;
  }

  /** A view of its own on a row, for all calls that this packet is handed to. */
  open(row: number): Packet {
    const packet = new Packet(this.#batch, this.#columns, (bytes) => this.#lend(bytes));
    Packet.move(packet, row);
    this.#packet = packet;
    return packet;
  }

  #lend(bytes: Uint8Array): Uint8Array {
    const copy = new Uint8Array(bytes);
    this.#lent.push(copy);
    return copy;
  }

  /** What a call left behind, as an error that says where; undefined when nothing is found. */
  findKept(flow: Flow, classifier: NFStreamClassifier | undefined): NfstreamError | undefined {
    const places: [string, unknown][] = [
      ['flow.classifiers', flow.classifiers],
      ['flow.metrics', flow.metrics],
    ];
    if (classifier !== undefined) places.push(['this', classifier]);
    const seen = new Set<unknown>();
    for (const [name, value] of places) {
      const path = this.#search(name, value, MAX_DEPTH, seen);
      if (path !== undefined)
        return new NfstreamError('PACKET_KEPT', `a packet or bytes of it stay in ${path}; ${ADVICE}`);
    }
    return undefined;
  }

  #search(path: string, value: unknown, depth: number, seen: Set<unknown>): string | undefined {
    if (typeof value !== 'object' || value === null || seen.has(value) || seen.size >= MAX_VALUES) return undefined;
    if (value === this.#packet || this.#isLent(value)) return path;
    seen.add(value);
    if (depth === 0 || ArrayBuffer.isView(value)) return undefined;
    for (const [name, inner] of entriesOf(value)) {
      const found = this.#search(`${path}.${name}`, inner, depth - 1, seen);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #isLent(value: object): boolean {
    const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
    return this.#lent.some((bytes) => bytes.buffer === buffer);
  }

  /** Takes everything back. */
  close(): void {
    for (const bytes of this.#lent) {
      structuredClone(bytes.buffer, { transfer: [bytes.buffer] });
      Object.setPrototypeOf(bytes, TAKEN_BACK);
    }
    this.#lent.length = 0;
    if (this.#packet !== undefined) Object.setPrototypeOf(this.#packet, TAKEN_BACK);
    this.#packet = undefined;
  }
}

function entriesOf(value: object): Iterable<[unknown, unknown]> {
  if (value instanceof Map) return value.entries();
  if (value instanceof Set) return [...value].entries();
  return Object.entries(value);
}
