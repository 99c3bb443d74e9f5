// Finds user code that keeps a packet, or its bytes, beyond the call: the option `debug`. What is lent is a copy, looked
// for after each call wherever user code can keep things within our sight (scratch space, metrics, a classifier's own
// fields), and made unusable after the packet's last call, so that what was kept elsewhere fails when it is used.
import { NfstreamError } from '../errors.ts';
import type { Flow } from '../flow/flow.ts';
import type { PacketColumns } from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';
import type { NFStreamClassifier } from './classifier.ts';
import { Packet } from './packet.ts';

/** How deep, at how many objects, and at how many entries of each a look goes: it is taken after every call. */
const MAX_DEPTH = 5;
const MAX_OBJECTS = 10_000;
const MAX_ENTRIES = 1000;

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
    if (typeof value !== 'object' || value === null || seen.has(value) || seen.size >= MAX_OBJECTS) return undefined;
    if (value === this.#packet || this.#isLent(value)) return path;
    seen.add(value);
    if (depth === 0 || ArrayBuffer.isView(value)) return undefined;
    let entries = 0;
    for (const [name, inner] of entriesOf(value)) {
      if (++entries > MAX_ENTRIES) break;
      const found = this.#search(`${path}.${name}`, inner, depth - 1, seen);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #isLent(value: object): boolean {
    const buffer = ArrayBuffer.isView(value) ? value.buffer : value;
    // The batch's own buffer is what `packet.bytes` gives.
    return buffer === this.#batch.bytes.buffer || this.#lent.some((bytes) => bytes.buffer === buffer);
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

/** One after the other: few of a long list are looked at. What a getter gives is made for us, not kept. */
function* entriesOf(value: object): Generator<[unknown, unknown]> {
  let i = 0;
  if (value instanceof Map) yield* value.entries();
  else if (value instanceof Set) for (const inner of value) yield [i++, inner];
  else if (Array.isArray(value)) yield* value.entries();
  else {
    for (const name in value) {
      const property = Object.getOwnPropertyDescriptor(value, name);
      if (property !== undefined && 'value' in property) yield [name, property.value];
    }
  }
}
