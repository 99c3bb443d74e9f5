// A run's flows into files: what `streamer.to` does.
import { NfstreamError } from './errors.ts';
import type { FlowBatch } from './flow/flow-batch.ts';
import type { SinkGroup } from './sink/sink-group.ts';

/** What became of a run's flows. */
export interface WrittenFlows {
  /** Flows written, to each target. */
  rows: number;
  /** Paths of the files, in the order of the targets, those of one in the order in which they were finished. */
  files: string[];
}

/**
 * Writes all batches to all sinks and finishes them. Whatever ends the run, flows so far are kept: files get their names. They
 * are given up only where there are none because the run failed. A sink that fails is given up alone; `stop` is called then, and
 * the others get the flows that are live. Rejects with the first failure.
 */
export async function writeFlows(
  batches: AsyncIterable<FlowBatch>,
  sinks: SinkGroup,
  stop: () => void,
): Promise<WrittenFlows> {
  const failures: unknown[] = [];
  let rows = 0;
  try {
    for await (const batch of batches) {
      rows += batch.count;
      await sinks.write(batch);
      if (sinks.areAllGone) break;
      if (sinks.failures.length > 0) stop();
    }
  } catch (error) {
    failures.push(error);
  }
  const isKept = rows > 0 || failures.every(isDamage);
  await (isKept ? sinks.close() : sinks.abandon());
  const [failure] = [...sinks.failures, ...failures];
  if (failure !== undefined) throw failure;
  return { rows, files: sinks.sinks.flatMap(({ files }) => files) };
}

/** What was read before the damage is good, even if it is nothing. */
function isDamage(error: unknown): boolean {
  return error instanceof NfstreamError && /_CAPTURE$|^DAMAGED_/.test(error.code) && error.code !== 'NOT_A_CAPTURE';
}
