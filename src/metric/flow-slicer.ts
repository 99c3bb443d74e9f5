// Cuts flows into slices of n packets: long flows become records while they live, and models see equal pieces.
import { integer } from '../check-option.ts';
import { type Direction, NFStreamClassifier } from '../classifier/classifier.ts';
import type { Packet } from '../classifier/packet.ts';
import type { Flow } from '../flow/flow.ts';

/** The `export_reason` of a slice that is full, unless the slicer is given another. */
export const EXPORT_SLICED = 3;

/** The largest that a record can hold. */
const MAX_EXPORT_REASON = 0x7fff_ffff;

/** What a `FlowSlicer` is told. */
export interface FlowSlicerOptions {
  /** Packets in a slice, both directions together: 1 or more. */
  packets: number;
  /** The `export_reason` of full slices, above 2; default `EXPORT_SLICED`, 3. */
  exportReason?: number;
  /** The classifier's name, for more than one in a Streamer; default `FlowSlicer`. */
  name?: string;
}

/**
 * A classifier: exports each flow at its n-th packet, both directions together, with an `export_reason` of 3. That
 * packet is the record's last, counted in its columns and metrics; a later one begins another flow, whose source is that
 * packet's. What is left at the end has fewer packets and an ordinary reason. Costs a comparison a packet.
 *
 * @example `userClassifiers: new FlowSlicer({ packets: 100 })`
 * @throws NfstreamError INVALID_OPTION for a number of packets or a reason that is none.
 */
export class FlowSlicer extends NFStreamClassifier {
  readonly #packets: number;
  readonly #exportReason: number;

  constructor(options: FlowSlicerOptions) {
    super(options?.name);
    // Required: null takes the place of a number that is missing, and is refused.
    this.#packets = integer('packets', options?.packets ?? null, 1, Number.MAX_SAFE_INTEGER, 0);
    this.#exportReason = integer(
      'exportReason',
      options?.exportReason,
      EXPORT_SLICED,
      MAX_EXPORT_REASON,
      EXPORT_SLICED,
    );
  }

  override onFlowUpdate(_packet: Packet, flow: Flow, _direction: Direction): void {
    if (flow.src_to_dst_pkts + flow.dst_to_src_pkts >= this.#packets) flow.export_reason = this.#exportReason;
  }
}
