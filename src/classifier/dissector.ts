// nDPI as the labeller sees it: in the same thread (ndpi-dissector.ts), or in one of its own (worker/ndpi-thread.ts).
import type { Findings } from '../flow/fields/ndpi.ts';
import type { RecordStore } from '../flow/record.ts';
import type { Endings } from './endings.ts';
import type { Packet } from './packet.ts';

export interface Dissector {
  readonly name: string;
  /** What flows wait for whose findings come later than their ends; null where they are there by then. */
  readonly endings: Endings | null;
  /** @throws NfstreamError NDPI_UNAVAILABLE */
  start(): void;
  /** A flow began in `slot`. */
  begin(slot: number, store: RecordStore): void;
  /** Whether the flow's packets are wanted; to be asked once for a batch in advance, too: it loads what is asked for. */
  wants(slot: number): boolean;
  /** A packet of a flow whose packets are wanted. Returns what nDPI found out, where that settles it here and now. */
  show(packet: Packet, slot: number, store: RecordStore): Findings | undefined;
  /** nDPI's last word on a flow whose packets are still wanted, if it is known here and now. */
  end(slot: number, store: RecordStore): Findings | undefined;
  /** The flow has ended and is exported, once: what nDPI found out about it; undefined where `endings` brings it. */
  findings(slot: number): Findings | undefined;
  /** No more calls: frees everything. */
  exit(): void | Promise<void>;
}
