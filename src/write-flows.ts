// A run's flows into files: what `streamer.to` does, and what the command line does with several outputs.
import { NfstreamError } from './errors.ts';
import type { FlowBatch } from './flow/flow-batch.ts';
import type { TargetSink } from './sink/sink.ts';

/** What became of a run's flows. */
export interface WrittenFlows {
  /** Flows written, to each target. */
  rows: number;
  /** Paths of the files, in the order in which they were finished. */
  files: string[];
}

/**
 * Writes all batches to all sinks and finishes them. Whatever ends the run, flows so far are kept: files get their names.
 * They are given up where there are none because the run failed, and where one of the sinks failed it is given up and
 * the run ends. Rejects with the first failure.
 */
export async function writeFlows(
  batches: AsyncIterable<FlowBatch>,
  sinks: readonly TargetSink[],
): Promise<WrittenFlows> {
  const failures: unknown[] = [];
  const failed = new Set<TargetSink>();
  const attempt = async (sink: TargetSink, work: () => Promise<void> | void) => {
    try {
      await work();
    } catch (error) {
      failures.push(error);
      failed.add(sink);
    }
  };
  let rows = 0;
  try {
    for await (const batch of batches) {
      rows += batch.count;
      for (const sink of sinks) {
        const wait = trying(sink, batch, attempt);
        if (wait !== undefined) await wait;
      }
      if (failures.length > 0) break;
    }
  } catch (error) {
    failures.push(error);
  }
  const isKept = rows > 0 || failures.every(isDamage);
  for (const sink of sinks) {
    if (failed.has(sink) || !isKept) await sink.abandon();
    else await attempt(sink, () => sink.close());
  }
  if (failures.length > 0) throw failures[0];
  return { rows, files: sinks.flatMap(({ files }) => files) };
}

/** HOT PATH: most writes are done when they return, and then nothing is awaited. */
function trying(
  sink: TargetSink,
  batch: FlowBatch,
  attempt: (sink: TargetSink, work: () => Promise<void> | void) => Promise<void>,
): Promise<void> | undefined {
  try {
    const wait = sink.write(batch);
    return wait === undefined ? undefined : attempt(sink, () => wait);
  } catch (error) {
    return attempt(sink, () => {
      throw error;
    });
  }
}

/** What was read before the damage is good, even if it is nothing. */
function isDamage(error: unknown): boolean {
  return error instanceof NfstreamError && /_CAPTURE$|^DAMAGED_/.test(error.code) && error.code !== 'NOT_A_CAPTURE';
}
