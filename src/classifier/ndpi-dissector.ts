// nDPI in the thread that meters: packets and records as it takes them.
import type { Findings } from '../flow/fields/ndpi.ts';
import type { RecordStore } from '../flow/record.ts';
import * as record from '../flow/record.ts';
import type { Dissector } from './dissector.ts';
import { NdpiFlows, type NdpiOptions } from './ndpi-flows.ts';
import type { Packet } from './packet.ts';

// Own constants are folded into the code, imported ones are not.
const { RECORD_WORDS } = record;

export class NdpiDissector implements Dissector {
  readonly name = 'ndpi';
  readonly endings = null;
  readonly #flows: NdpiFlows;
  /** Without packets nDPI guesses, at the first one. */
  readonly #guesses: boolean;

  /** @throws NfstreamError NDPI_UNAVAILABLE when the addon does not load; nDPI itself is started with the run. */
  constructor(options: NdpiOptions = {}) {
    this.#flows = new NdpiFlows(options);
    this.#guesses = options.dissections === 0;
  }

  start(): void {
    this.#flows.start();
  }

  begin(slot: number, store: RecordStore): void {
    this.#flows.begin(slot, store.rows);
  }

  wants(slot: number): boolean {
    return !this.#flows.isDone(slot);
  }

  show(packet: Packet, slot: number, store: RecordStore): Findings | undefined {
    if (this.#guesses) return this.end(slot, store);
    const flows = this.#flows;
    const at = packet.ipAt;
    const end = packet.ipEnd;
    const isDone =
      packet.isLaterFragment || end - at < packet.ipSize
        ? flows.pass(slot, store.words, slot * RECORD_WORDS)
        : flows.show(slot, packet.bytes, at, end, packet.timestamp);
    return isDone ? flows.findings(slot) : undefined;
  }

  end(slot: number, store: RecordStore): Findings | undefined {
    this.#flows.end(slot, store.words, slot * RECORD_WORDS);
    return this.#flows.findings(slot);
  }

  findings(slot: number): Findings | undefined {
    return this.#flows.findings(slot);
  }

  exit(): void {
    this.#flows.exit();
  }
}
