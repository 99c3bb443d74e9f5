// What runs in nDPI's thread: the events of another thread's flows, in their order, to nDPI.
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { NdpiFlows, type NdpiOptions } from '../classifier/ndpi-flows.ts';
import type { Findings } from '../flow/fields/ndpi.ts';
import { FindingsSender, type SharedFindings } from './handed-metrics.ts';
import {
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

/** By slot: which flow of the slot, counted from 1, nDPI is through with. Written here, and read where there is no hurry. */
export type ThroughWith = Int32Array<SharedArrayBuffer>;

/** What comes: events, or other memory for what is shared. */
export type ToNdpi = EventsMessage | { readonly through: ThroughWith };

interface EventsMessage {
  readonly buffer: ArrayBuffer;
  readonly filled: number;
}

export interface AnswerMessage {
  /** To be filled anew. */
  readonly buffer: ArrayBuffer;
  /** Of the flows that were exported, in their order. */
  readonly findings: SharedFindings;
}

/** What goes back: answers, or what went wrong. */
export type FromNdpi = AnswerMessage | { readonly error: ErrorText };

class NdpiWorker {
  readonly #flows: NdpiFlows;
  readonly #sender = new FindingsSender();
  #through: ThroughWith = new Int32Array(new SharedArrayBuffer(0));
  /** By slot: flows that it has had. */
  #flowsOf = new Int32Array(0);

  constructor(options: NdpiOptions) {
    this.#flows = new NdpiFlows(options);
    this.#flows.start();
  }

  answer({ buffer, filled }: EventsMessage): AnswerMessage {
    const { words, doubles, bytes } = new NdpiEvents(buffer);
    const flows = this.#flows;
    const findings: Findings[] = [];
    for (let at = 0; at < filled; at = nextEvent(words, at)) {
      const head = words[at >> 2];
      const slot = head >>> SLOT_SHIFT;
      const kind = head & KIND;
      if ((head & IS_FIRST) !== 0) {
        flows.begin(slot, this.#flowsOf.length);
        this.#flowsOf[slot]++;
      }
      if (!flows.isDone(slot)) {
        const key = keyOf(at);
        if (kind === SHOWN) {
          const from = packetOf(at);
          const to = from + words[(at >> 2) + 1];
          if (flows.show(slot, bytes, from, to, doubles[(at >> 3) + 1])) this.#through[slot] = this.#flowsOf[slot];
        } else if (kind === PASSED) {
          flows.pass(slot, words, key);
        } else flows.end(slot, words, key);
      }
      if (kind === EXPORTED) findings.push(flows.findings(slot) as Findings);
    }
    return { buffer, findings: this.#sender.hand(findings) };
  }

  /** Before any event: with room for as many slots as there may be. */
  share(through: ThroughWith): void {
    this.#through = through;
    this.#flowsOf = new Int32Array(through.length);
  }
}

const port = parentPort as MessagePort;
try {
  const worker = new NdpiWorker(workerData as NdpiOptions);
  port.on('message', (message: ToNdpi) => {
    if ('through' in message) {
      worker.share(message.through);
      return;
    }
    const answer = worker.answer(message);
    port.postMessage(answer satisfies FromNdpi, [answer.buffer, answer.findings.places.buffer as ArrayBuffer]);
  });
} catch (error) {
  port.postMessage({ error: textOf(error) } satisfies FromNdpi);
}
