// The function to read first: bytes in, finished flows out.
//
//   source -> filter -> decode -> meter (-> user code) -> flows
//
// Packets move in batches; everything between two awaits is synchronous. Damage in the source ends the run like the
// end of the source does, after every flow so far was handed over, and is thrown then.
import type { Labeller } from './classifier/labeller.ts';
import type { FlowBatch } from './flow/flow-batch.ts';
import type { FlowMeter } from './flow/meter.ts';
import { Outbox } from './outbox.ts';
import { SKIP_ABANDONED } from './packet/packet-columns.ts';
import type { PacketStage } from './packet/packet-stage.ts';
import { type PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from './source/source.ts';

export interface Pipeline {
  readonly source: PacketSource;
  readonly batch: PacketBatch;
  readonly packets: PacketStage;
  readonly meter: FlowMeter;
  /** Null where no user code and no nDPI wants to see flows. */
  readonly labeller: Labeller | null;
  /** Rows after which the run ends; may be Infinity. */
  readonly maxPackets: number;
  /** Rows that the source gave. The meter counts what became of each. */
  packetsRead: number;
}

/** How often flows are looked for that ended although nothing arrives. */
const EXPIRY_MS = 200;

/** Flows ended at once when the source has ended, so that a million of them never stand in memory twice. */
const TERMINATE_AT_ONCE = 1024;

/** Meters the whole source, which `open` opens unless it is. `isStopped` is asked once for each batch; after a stop the live flows are handed over. */
export async function* meterFlows(
  pipeline: Pipeline,
  open: () => Promise<void>,
  isStopped: () => boolean,
): AsyncGenerator<FlowBatch, void> {
  const { source, batch, meter, packets, labeller } = pipeline;
  const run = new Run(pipeline);
  const outbox = new Outbox(meter, labeller?.endings);
  try {
    await run.start();
    if (run.isSound) await open();
    while (run.isSound && pipeline.packetsRead < pipeline.maxPackets) {
      if (isStopped() && !source.isDraining) break;
      try {
        const rows = source.read(batch);
        if (rows === SOURCE_END) break;
        if (rows === SOURCE_WAIT) {
          if (source.clock !== null) run.advance(source.clock.now());
          // Whoever waits for flows must not wait for packets.
          yield* outbox.takeReady();
          const filling = source.fill(meter.flowsLive > 0 ? EXPIRY_MS : undefined);
          if (!outbox.isEmpty) yield* outbox.takeReadyWhile(filling);
          await filling;
          continue;
        }
      } catch (error) {
        // DIFFERS: NFStream never ends on a capture that breaks off (kind truncated).
        // A stop closes the source under a pending fill: no damage.
        if (!isStopped()) run.damage = { error };
        break;
      }
      const pause = run.meterBatch();
      if (pause !== undefined) await pause;
      if (outbox.wantsEmptying) yield* outbox.empty();
    }
    while (run.endSome()) yield* outbox.empty();
    yield* outbox.takeAll();
  } finally {
    // A consumer that broke off reads no more flows, but classifiers still see the end of each.
    while (run.endSome()) await outbox.discard();
    await outbox.discard();
    await run.exit();
    await source.close();
    run.report();
  }
  if (run.damage !== undefined) throw run.damage.error;
  if (packets.problem !== null) throw packets.problem;
}

/** What may call user code, and what went wrong. After a failure user code only sees the end of flows and of the run. */
class Run {
  readonly #pipeline: Pipeline;
  #failure: { error: unknown } | undefined;
  damage: { error: unknown } | undefined;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  get isSound(): boolean {
    return this.#failure === undefined && this.#pipeline.labeller?.endings.failure === undefined;
  }

  async start(): Promise<void> {
    try {
      await this.#pipeline.labeller?.start();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Returns what to wait for before the next batch, if anything. */
  meterBatch(): Promise<void> | undefined {
    const { source, batch, packets, meter, labeller, packetsRead, maxPackets } = this.#pipeline;
    batch.count = Math.min(batch.count, maxPackets - packetsRead);
    if (batch.owners === null) batch.first = packetsRead + 1;
    this.#pipeline.packetsRead += batch.count;
    try {
      packets.apply(batch);
      meter.meter(batch);
      // Time also passes with packets that are not metered; they may be all that comes.
      if (source.clock !== null && batch.count > 0) meter.advance(batch.clockMs[batch.count - 1]);
    } catch (error) {
      meter.packetsSkipped[SKIP_ABANDONED] += this.#pipeline.packetsRead - meter.packetsProcessed;
      this.#fail(error);
      return undefined;
    }
    return labeller?.batchMetered()?.catch((error: unknown) => this.#fail(error));
  }

  /** Time has passed, whether or not packets came. */
  advance(clockMs: number): void {
    try {
      this.#pipeline.meter.advance(clockMs);
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Ends some of the live flows; whether there may be more. */
  endSome(): boolean {
    const { meter, labeller } = this.#pipeline;
    try {
      if (this.isSound) return meter.terminate(TERMINATE_AT_ONCE);
    } catch (error) {
      this.#fail(error);
    }
    labeller?.abandon();
    return false;
  }

  async exit(): Promise<void> {
    try {
      await this.#pipeline.labeller?.exit();
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Throws the first failure of user code. */
  report(): void {
    const failure = this.#failure ?? this.#pipeline.labeller?.endings.failure;
    if (failure !== undefined) throw failure.error;
  }

  #fail(error: unknown): void {
    this.#failure ??= { error };
  }
}
