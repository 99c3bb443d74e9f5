// The function to read first: bytes in, finished flows out.
//
//   source -> filter -> decode -> meter (-> user code) -> flows
//
// Packets move in batches; everything between two awaits is synchronous. Damage in the source ends the run like the
// end of the source does, after every flow so far was handed over, and is thrown then.
import type { Labeller } from './classifier/labeller.ts';
import type { FlowBatch } from './flow/flow-batch.ts';
import type { FlowMeter } from './flow/meter.ts';
import type { PacketFilter } from './packet/filter.ts';
import { METERED, SKIP_ABANDONED } from './packet/packet-columns.ts';
import type { PacketDecoder } from './packet/packet-decoder.ts';
import { type PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from './source/source.ts';

export interface Pipeline {
  readonly source: PacketSource;
  readonly batch: PacketBatch;
  readonly filter: PacketFilter | null;
  readonly decoder: PacketDecoder;
  readonly meter: FlowMeter;
  /** Null where no user code and no nDPI wants to see flows. */
  readonly labeller: Labeller | null;
  /** Rows that the source gave. The meter counts what became of each. */
  packetsRead: number;
}

/** Flows ended at once when the source has ended, so that a million of them never stand in memory twice. */
const TERMINATE_AT_ONCE = 1024;

/** Meters the whole source. `isStopped` is asked once for each batch; after a stop the live flows are handed over. */
export async function* meterFlows(pipeline: Pipeline, isStopped: () => boolean): AsyncGenerator<FlowBatch, void> {
  const { source, batch, meter, filter } = pipeline;
  const run = new Run(pipeline);
  try {
    await source.open();
    while (!isStopped() && run.isSound) {
      try {
        const rows = source.read(batch);
        if (rows === SOURCE_END) break;
        if (rows === SOURCE_WAIT) {
          // Whoever waits for flows must not wait for packets.
          yield* meter.takeFinished();
          await source.fill();
          continue;
        }
      } catch (error) {
        // DIFFERS: NFStream never ends on a capture that breaks off (kind truncated).
        // A stop closes the source under a pending fill: no damage.
        if (!isStopped()) run.damage = { error };
        break;
      }
      run.meterBatch();
      if (meter.hasFullBatch) yield* meter.takeFinished();
    }
    while (run.endSome()) yield* meter.takeFinished();
    yield* meter.takeFinished();
  } finally {
    // A consumer that broke off reads no more flows, but classifiers still see the end of each.
    while (run.endSome()) meter.takeFinished();
    run.exit();
    await source.close();
    run.report();
  }
  if (run.damage !== undefined) throw run.damage.error;
  if (filter?.problem) throw filter.problem;
}

/** What may call user code, and what went wrong. After a failure nothing is asked of user code but its `onExit`. */
class Run {
  readonly #pipeline: Pipeline;
  #failure: { error: unknown } | undefined;
  damage: { error: unknown } | undefined;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  get isSound(): boolean {
    return this.#failure === undefined;
  }

  meterBatch(): void {
    const { batch, filter, decoder, meter } = this.#pipeline;
    this.#pipeline.packetsRead += batch.count;
    this.#attempt(() => {
      decoder.columns.status.fill(METERED, 0, batch.count);
      filter?.apply(batch, decoder.columns);
      decoder.decode(batch);
      meter.meter(batch);
    });
    if (!this.isSound) meter.packetsSkipped[SKIP_ABANDONED] += this.#pipeline.packetsRead - meter.packetsProcessed;
  }

  /** Ends some of the live flows; whether there may be more. */
  endSome(): boolean {
    const { meter } = this.#pipeline;
    return this.isSound && this.#attempt(() => meter.terminate(TERMINATE_AT_ONCE)) === true;
  }

  exit(): void {
    this.#attempt(() => this.#pipeline.labeller?.exit());
  }

  /** Throws the first failure of user code. */
  report(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #attempt<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#failure ??= { error };
      return undefined;
    }
  }
}
