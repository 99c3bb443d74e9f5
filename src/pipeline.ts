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
import { METERED } from './packet/packet-columns.ts';
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
}

/** Flows ended at once when the source has ended, so that a million of them never stand in memory twice. */
const TERMINATE_AT_ONCE = 1024;

/** Meters the whole source. `isStopped` is asked once for each batch; after a stop the live flows are handed over. */
export async function* meterFlows(pipeline: Pipeline, isStopped: () => boolean): AsyncGenerator<FlowBatch, void> {
  const { source, batch, filter, decoder, meter, labeller } = pipeline;
  let damage: { error: unknown } | undefined;
  let failure: { error: unknown } | undefined;

  /** Runs what may call user code. After a failure nothing is asked of user code but its `onExit`. */
  const attempt = (work: () => boolean): boolean => {
    try {
      return work();
    } catch (error) {
      failure = { error };
      return false;
    }
  };
  const meterBatch = () => {
    decoder.columns.status.fill(METERED, 0, batch.count);
    filter?.apply(batch, decoder.columns);
    decoder.decode(batch);
    meter.meter(batch);
    return true;
  };
  const endSome = () => meter.terminate(TERMINATE_AT_ONCE);

  try {
    await source.open();
    while (!isStopped()) {
      try {
        const rows = source.read(batch);
        if (rows === SOURCE_END) break;
        if (rows === SOURCE_WAIT) {
          await source.fill();
          continue;
        }
      } catch (error) {
        // A stop closes the source under a pending fill: no damage.
        if (!isStopped()) damage = { error };
        break;
      }
      if (!attempt(meterBatch)) break;
      if (meter.hasFullBatch) yield* meter.takeFinished();
    }
    while (failure === undefined && attempt(endSome)) yield* meter.takeFinished();
    yield* meter.takeFinished();
  } finally {
    // A consumer that broke off reads no more flows, but classifiers still see the end of each.
    while (failure === undefined && attempt(endSome)) meter.takeFinished();
    attempt(() => {
      labeller?.exit();
      return true;
    });
    await source.close();
  }
  const first = failure ?? damage;
  if (first !== undefined) throw first.error;
}
