// Flows on their way out of a meter's thread, with what the main thread needs to know besides to merge them with those of
// other meters. A message costs as much as handing over some ten flows, so they gather while rows are read.
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Pipeline } from '../pipeline.ts';
import { FlowSender, type HandedFlows, unsendable } from './handed-flows.ts';
import { FLOWS_AHEAD, FLOWS_TAKEN, type FromMeter } from './messages.ts';
import type { Parcel } from './parcel.ts';

export interface OutletOptions {
  send(message: FromMeter, transfer: ArrayBuffer[]): void;
  /** User code may keep its flows, and then needs their records. */
  readonly areKept: boolean;
}

export class FlowOutlet {
  readonly #options: OutletOptions;
  readonly #sender = new FlowSender();
  #gathered: HandedFlows[] = [];
  /** Batches that were not taken, those that gather included. */
  #ahead = 0;
  /** DOUBLE_ORDER of the last flows that the rows so far can have ended; and up to where all of these have left. */
  #readOrder = Number.NEGATIVE_INFINITY;
  #order = Number.NEGATIVE_INFINITY;
  #toldOrder = Number.NEGATIVE_INFINITY;

  constructor(options: OutletOptions) {
    this.#options = options;
  }

  /** Whether those before have to be taken before there are more. */
  get isFull(): boolean {
    return this.#ahead >= FLOWS_AHEAD;
  }

  taken(batches: number): void {
    this.#ahead -= batches;
  }

  /** Adds flows, and sends them where they have gathered or `isUrgent`. @throws NfstreamError what can not be sent */
  add(batch: FlowBatch, pipeline: Pipeline, isUrgent: boolean): void {
    this.#gathered.push(this.#sender.hand(batch, pipeline.labeller !== null));
    this.#ahead++;
    if (flowsWaiting(pipeline) === 0) this.#order = this.#readOrder;
    if (!isUrgent && !this.isFull && this.#gathered.length < FLOWS_TAKEN && !this.#options.areKept) return;
    try {
      this.flush();
    } catch (error) {
      throw unsendable(batch, error);
    }
  }

  /** All rows of a parcel were read. */
  read(parcel: Parcel, pipeline: Pipeline): void {
    this.#readOrder = 2 * parcel.last + 1;
    if (flowsWaiting(pipeline) === 0) this.#order = this.#readOrder;
    this.#send(parcel.id);
  }

  /** Sends what there is to tell. */
  flush(): void {
    if (this.#gathered.length > 0 || this.#order > this.#toldOrder) this.#send(undefined);
  }

  #send(parcel: number | undefined): void {
    const flows = this.#gathered;
    const order = this.#order;
    this.#gathered = [];
    this.#toldOrder = order;
    const transfer = this.#options.areKept ? [] : flows.flatMap(({ records, extra }) => [records, extra]);
    this.#options.send({ type: 'flows', flows, order, parcel }, transfer);
  }
}

/** Flows that have ended and still wait for their classifiers, or for flows before them that do. */
function flowsWaiting({ meter }: Pipeline): number {
  const { inactive, active, termination, user, capacity, tcp_end } = meter.exported;
  const sent = inactive + active + termination + user + capacity + tcp_end;
  return meter.flowsStarted - meter.flowsLive - meter.flowsEvicted - sent;
}
