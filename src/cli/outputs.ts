// The files of a run: flows and counters.
import { NDPI_FIELDS } from '../flow/fields/ndpi.ts';
import { PROCESS_FIELDS } from '../flow/fields/process.ts';
import type { UserCode } from '../plugin/plugin.ts';
import { CsvSink } from '../sink/csv.ts';
import { JsonLinesSink } from '../sink/json-lines.ts';
import { type Output, type OutputOptions, openOutput } from '../sink/output.ts';
import type { Sink } from '../sink/sink.ts';
import type { MeterArguments } from './meter-arguments.ts';

export class Outputs {
  /** Null where no flows are asked for. */
  sink: Sink | null = null;
  stats: Output | null = null;
  readonly #opened: Output[] = [];

  /**
   * `onFailure` is called when flows could not be written.
   * @throws NfstreamError OUTPUT_FAILED; then none is left open.
   */
  async open(
    args: MeterArguments,
    userCode: UserCode,
    { hasNdpi, isLive, onFailure }: { hasNdpi: boolean; isLive: boolean; onFailure: () => void },
  ): Promise<void> {
    const { flows, stats } = args;
    try {
      // A live run may last for weeks: its rows are there to be followed, and a crash leaves them.
      if (flows !== null) {
        const output = await this.#open(flows.target, { direct: isLive, onFailure });
        this.sink = sinkOf(args, userCode, hasNdpi, output);
      }
      if (stats !== null) this.stats = await this.#open(stats);
    } catch (error) {
      this.unlink();
      throw error;
    }
  }

  async #open(target: string, options: OutputOptions = {}): Promise<Output> {
    const output = await openOutput(target, options);
    this.#opened.push(output);
    return output;
  }

  /** Removes what is not finished, at once. */
  unlink(): void {
    for (const output of this.#opened) output.unlink();
  }
}

function sinkOf(
  { flows, options }: MeterArguments,
  { userMetrics, userClassifiers }: UserCode,
  hasNdpi: boolean,
  output: Output,
): Sink {
  if (flows?.format !== 'csv') return new JsonLinesSink(output);
  const metrics: string[] = hasNdpi ? NDPI_FIELDS.map(({ name }) => name) : [];
  if (options.systemVisibility) metrics.push(...PROCESS_FIELDS.map(({ name }) => name));
  metrics.push(...Object.keys(userMetrics), ...userClassifiers.map(({ name }) => name));
  // A classifier may write more than what bears its name.
  return new CsvSink(output, { metrics, hasOtherMetrics: userClassifiers.length > 0 });
}
