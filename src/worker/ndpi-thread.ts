// nDPI in a thread of its own, for two meters without user code: one meters, the other one is nDPI.
//
//   this thread:  packets of flows, ends of flows ──► events ──► nDPI's thread
//                 records of ended flows wait     ◄── findings ◄──┘
//
// nDPI is about half of the work, and takes few of a flow's packets: so the halves are about even, little is copied, and
// nothing is to be merged. Everything comes to it in the order in which it would come within one thread, so what it finds
// out is the same. It also gets packets that it has no more use for, until it is seen here that it has not.
import type { Worker } from 'node:worker_threads';
import type { Dissector } from '../classifier/dissector.ts';
import type { Endings } from '../classifier/endings.ts';
import type { NdpiOptions } from '../classifier/ndpi-flows.ts';
import type { Packet } from '../classifier/packet.ts';
import type { Findings } from '../flow/fields/ndpi.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { RecordStore } from '../flow/record.ts';
import * as record from '../flow/record.ts';
import type { ResolvedOptions } from '../options.ts';
import { FindingsReceiver } from './handed-metrics.ts';
import { ENDED, EXPORTED, IS_FIRST, NdpiEvents, PASSED, SLOT_SHIFT } from './ndpi-events.ts';
import type { AnswerMessage, FromNdpi, ThroughWith, ToNdpi } from './ndpi-worker.ts';
import { errorOf } from './remote-error.ts';
import { crashOf, exitOf } from './thread-failure.ts';
import { startThread } from './thread-start.ts';

// Own constants are folded into the code, imported ones are not.
const { RECORD_WORDS } = record;

const NAME = 'meter 2 of 2, which is nDPI,';
/** Buffers on their way beyond which no more packets are read. */
const BUFFERS = 12;
/** As `NdpiFlows` has it: packets that can't be shown are told of only for as long as it counts them. */
const PATIENCE = 8;

/** Whether these options leave it to one thread to meter and to another one to look at packets. */
export function dissectsApart(options: ResolvedOptions): boolean {
  const { meters, enableNdpi, interfaces, plugins, systemVisibility } = options;
  return meters === 2 && enableNdpi && interfaces === null && plugins.length === 0 && !systemVisibility;
}

export class NdpiThread implements Dissector, Endings {
  readonly name = 'ndpi';
  readonly endings = this;
  readonly #options: NdpiOptions;
  readonly #dissections: number;
  #worker: Worker | undefined;
  #store: RecordStore | undefined;
  /** By slot: packets that nDPI may still want, and packets that can't be shown that it would still count. */
  #wanted = new Int32Array(0);
  #patience = new Int32Array(0);
  /** By slot: which of its flows this is, counting those that events are about, and which of them nDPI is through with. */
  #flowsOf = new Int32Array(0);
  #through: ThroughWith = new Int32Array(new SharedArrayBuffer(0));
  /** By slot: whether no event was about its flow yet. */
  #isNew = new Uint8Array(0);
  /** To be filled on. */
  #events = new NdpiEvents();
  readonly #usualBytes = this.#events.buffer.byteLength;
  /** Buffers on their way. */
  #sent = 0;
  readonly #spare: ArrayBuffer[] = [];
  readonly #receiver = new FindingsReceiver();
  /** Of flows in batches that have not left, in the order of their ends. */
  #findings: Findings[] = [];
  #taken = 0;
  #waiting: Promise<void> | undefined;
  #wake: () => void = () => {};
  #isGone = false;
  failure: { readonly error: unknown } | undefined;

  constructor(options: { readonly dissections: number }) {
    this.#options = { dissections: options.dissections };
    this.#dissections = options.dissections;
  }

  start(): void {
    this.#worker = startThread('ndpi-worker', { workerData: this.#options, name: 'nfstream nDPI' });
    this.#worker.on('message', (message: FromNdpi) => {
      if ('error' in message) this.#fail(errorOf(message.error));
      else this.#receive(message);
    });
    this.#worker.on('error', (error) => this.#fail(crashOf(NAME, error)));
    this.#worker.on('exit', (code) => this.#fail(exitOf(NAME, code)));
  }

  begin(slot: number, store: RecordStore): void {
    if (this.#store === undefined) this.#makeRoom(store);
    this.#wanted[slot] = this.#dissections;
    this.#patience[slot] = this.#dissections * PATIENCE;
    // One that no event was about is none to the other thread.
    if (this.#isNew[slot] === 0) this.#flowsOf[slot]++;
    this.#isNew[slot] = 1;
  }

  #makeRoom(store: RecordStore): void {
    const { rows } = store;
    this.#store = store;
    this.#wanted = new Int32Array(rows);
    this.#patience = new Int32Array(rows);
    this.#isNew = new Uint8Array(rows);
    this.#flowsOf = new Int32Array(rows);
    this.#through = new Int32Array(new SharedArrayBuffer(rows * 4));
    this.#post({ through: this.#through });
  }

  wants(slot: number): boolean {
    return this.#wanted[slot] > 0 && this.#through[slot] !== this.#flowsOf[slot];
  }

  /** HOT PATH. */
  show(packet: Packet, slot: number): undefined {
    const at = packet.ipAt;
    const end = packet.ipEnd;
    if (packet.isLaterFragment || end - at < packet.ipSize) {
      this.#tell(slot, PASSED);
      if (--this.#patience[slot] === 0) this.#wanted[slot] = 0;
      return;
    }
    if (!this.#events.hasRoom(end - at)) this.#sendFor(end - at);
    this.#events.show(this.#headOf(slot), packet.bytes, at, end, packet.timestamp);
    this.#wanted[slot]--;
  }

  end(slot: number): undefined {
    this.#tell(slot, ENDED);
  }

  findings(slot: number): undefined {
    this.#tell(slot, EXPORTED);
  }

  #tell(slot: number, kind: number): void {
    if (!this.#events.hasRoom(0)) this.#sendFor(0);
    this.#events.tell(this.#headOf(slot), kind, (this.#store as RecordStore).words, slot * RECORD_WORDS);
  }

  #headOf(slot: number): number {
    const head = slot << SLOT_SHIFT;
    if (this.#isNew[slot] === 0) return head;
    this.#isNew[slot] = 0;
    return head | IS_FIRST;
  }

  /** Sends the events, and makes room for a packet of so many bytes. */
  #sendFor(packetBytes: number): void {
    this.#send();
    if (!this.#events.hasRoom(packetBytes)) this.#events = NdpiEvents.forPacket(packetBytes);
  }

  #send(): void {
    const { buffer, filled } = this.#events;
    if (filled === 0) return;
    this.#events = new NdpiEvents(this.#spare.pop());
    this.#sent++;
    this.#post({ buffer, filled }, [buffer]);
  }

  #post(message: ToNdpi, transfer: ArrayBuffer[] = []): void {
    if (!this.#isGone) this.#worker?.postMessage(message, transfer);
  }

  #receive({ buffer, findings }: AnswerMessage): void {
    this.#sent--;
    if (buffer.byteLength === this.#usualBytes) this.#spare.push(buffer);
    this.#findings.push(...this.#receiver.receive(findings));
    this.#awake();
  }

  #fail(error: unknown): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.failure = { error };
    this.#awake();
  }

  #awake(): void {
    this.#waiting = undefined;
    this.#wake();
  }

  isSettled({ count }: FlowBatch): boolean {
    return this.#isGone || this.#findings.length - this.#taken >= count;
  }

  complete(batch: FlowBatch): void {
    const there = Math.min(batch.count, this.#findings.length - this.#taken);
    for (let row = 0; row < there; row++) batch.label(row, this.#findings[this.#taken++]);
    // Its findings went with the thread.
    while (batch.count > there) batch.remove(batch.count - 1);
    if (this.#taken < 4096) return;
    this.#findings = this.#findings.slice(this.#taken);
    this.#taken = 0;
  }

  get isBehind(): boolean {
    return !this.#isGone && this.#sent >= BUFFERS;
  }

  get oldest(): Promise<void> | undefined {
    if (this.#isGone) return undefined;
    this.#send();
    if (this.#sent === 0) return undefined;
    this.#waiting ??= new Promise((resolve) => {
      this.#wake = resolve;
    });
    return this.#waiting;
  }

  async exit(): Promise<void> {
    this.#isGone = true;
    await this.#worker?.terminate();
  }
}
