// What runs in nDPI's thread: the events of another thread's flows, in their order, to nDPI.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { NdpiFlows, type NdpiOptions } from '../classifier/ndpi-flows.ts';
import type { Findings } from '../flow/fields/ndpi.ts';
import { FindingsSender, type SharedFindings } from './handed-metrics.ts';
import {
  ENDED,
  EXPORTED,
  IS_FIRST,
  KIND,
  keyOf,
  NdpiEvents,
  nextEvent,
  PASSED,
  packetOf,
  SHOWN,
  SLOT_SHIFT,
} from './ndpi-events.ts';
import { type ErrorText, textOf } from './remote-error.ts';

export interface EventsMessage {
  readonly buffer: ArrayBuffer;
  readonly filled: number;
}

export interface AnswerMessage {
  /** To be filled anew. */
  readonly buffer: ArrayBuffer;
  /** Of the flows that were exported, in their order. */
  readonly findings: SharedFindings;
  /** Slots whose flows want no more packets: of flows that became so with these events, and have not ended. */
  readonly done: Int32Array<ArrayBuffer>;
}

/** What goes back: answers, or what went wrong. */
export type FromNdpi = AnswerMessage | { readonly error: ErrorText };

class NdpiWorker {
  readonly #flows: NdpiFlows;
  readonly #sender = new FindingsSender();
  /** By slot: whether its flow has ended. */
  #ended = new Uint8Array(0);

  constructor(options: NdpiOptions) {
    this.#flows = new NdpiFlows(options);
    this.#flows.start();
  }

  answer({ buffer, filled }: EventsMessage): AnswerMessage {
    const { words, doubles, bytes } = new NdpiEvents(buffer);
    const flows = this.#flows;
    const findings: Findings[] = [];
    const done: number[] = [];
    for (let at = 0; at < filled; at = nextEvent(words, at)) {
      const head = words[at >> 2];
      const slot = head >>> SLOT_SHIFT;
      const kind = head & KIND;
      if ((head & IS_FIRST) !== 0) {
        if (slot >= this.#ended.length) this.#makeRoom(slot);
        flows.begin(slot, this.#ended.length);
        this.#ended[slot] = 0;
      }
      if (!flows.isDone(slot)) {
        const key = keyOf(at);
        if (kind === SHOWN) {
          const from = packetOf(at);
          const to = from + words[(at >> 2) + 1];
          if (flows.show(slot, bytes, from, to, doubles[(at >> 3) + 1])) done.push(slot);
        } else if (kind === PASSED) {
          if (flows.pass(slot, words, key)) done.push(slot);
        } else flows.end(slot, words, key);
      }
      if (kind === EXPORTED) findings.push(flows.findings(slot) as Findings);
      if (kind === EXPORTED || kind === ENDED) this.#ended[slot] = 1;
    }
    const live = done.filter((slot) => this.#ended[slot] === 0);
    return { buffer, findings: this.#sender.hand(findings), done: Int32Array.from(live) };
  }

  #makeRoom(slot: number): void {
    const ended = this.#ended;
    this.#ended = new Uint8Array(Math.max(1024, slot * 2));
    this.#ended.set(ended);
  }
}

const port = parentPort as MessagePort;
try {
  const worker = new NdpiWorker(workerData as NdpiOptions);
  port.on('message', (message: EventsMessage) => {
    const answer = worker.answer(message);
    const { buffer, findings, done } = answer;
    port.postMessage(answer satisfies FromNdpi, [buffer, findings.places.buffer as ArrayBuffer, done.buffer]);
  });
} catch (error) {
  port.postMessage({ error: textOf(error) } satisfies FromNdpi);
}
