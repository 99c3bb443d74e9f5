// Flows made by hand, written into DuckDB databases by the sink.
import { DuckdbSink } from '../../src/sink/duckdb.ts';
import { batchOf, classicColumns, type FlowParts } from './flows.ts';

/** Batches as a run has them: at most 64 flows each. */
export async function write(sink: DuckdbSink, flows: readonly Partial<FlowParts>[]): Promise<void> {
  for (let i = 0; i < flows.length; i += 50) await sink.write(batchOf(...flows.slice(i, i + 50)));
}

export async function writeAll(
  path: string,
  flows: readonly Partial<FlowParts>[],
  metrics: string[] = [],
  options = {},
): Promise<DuckdbSink> {
  const sink = await DuckdbSink.open(path, classicColumns(metrics), options);
  await write(sink, flows);
  await sink.close();
  return sink;
}

/** What a promise rejects with; undefined where it does not. */
export const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(() => undefined).catch((error: unknown) => error);
