// The files of a run: flows, any number of times, and counters.
import type { FlowBatch } from '../flow/flow-batch.ts';
import { type Output, openOutput } from '../sink/output.ts';
import type { SinkColumns } from '../sink/sink.ts';
import { SinkGroup } from '../sink/sink-group.ts';
import { formatCount, formatUnit } from './format.ts';
import type { MeterArguments } from './meter-arguments.ts';
import { isReaderGone } from './report-error.ts';

/** What became of one `-o`, as --stats has it. */
export interface WrittenOutput {
  name: string;
  rows: number;
  bytes: number;
  /** Files that were finished, in their order. */
  files: readonly string[];
}

export class Outputs {
  #group: SinkGroup | null = null;
  stats: Output | null = null;

  /**
   * Opens what flows go to, then what counters go to. `onFailure` is called when some could not be written and the run
   * has no use any more.
   * @throws NfstreamError OUTPUT_*, SINK_UNAVAILABLE or INVALID_OPTION; then none is left open.
   */
  async open(
    { outputs, sinkOptions, stats }: MeterArguments,
    columns: SinkColumns,
    { isLive, onFailure }: { isLive: boolean; onFailure: () => void },
  ): Promise<void> {
    try {
      const targets = outputs.map(({ target }) => target);
      this.#group = await SinkGroup.open(targets, columns, {
        ...sinkOptions,
        // A live run may last for weeks: its rows are there to be followed, and a crash leaves them.
        direct: isLive,
        onFailure: (error) => {
          if (outputs.length === 1 || !isReaderGone(error)) onFailure();
        },
      });
      // Counters are of the run that ended last: nobody has to make room for them.
      if (stats !== null) this.stats = await openOutput(stats, { overwrite: true });
    } catch (error) {
      this.unlink();
      throw error;
    }
  }

  /** Of all that was written, what could not be; the first first. */
  get failures(): readonly unknown[] {
    return this.#group?.failures ?? [];
  }

  /** Whether flows go nowhere any more, though they were meant to. */
  get areAllGone(): boolean {
    return this.#group?.areAllGone ?? false;
  }

  /** Hands flows to all outputs. One that fails is given up; rejects only with what is no output's fault. */
  async write(batch: FlowBatch): Promise<void> {
    await this.#group?.write(batch);
  }

  /** Finishes what is left; a file gets its name now. Never rejects: see `failures`. */
  async close(): Promise<void> {
    await this.#group?.close();
  }

  /** Leaves nothing, but for what a pipe or a live run's file has. */
  async abandon(): Promise<void> {
    await this.#group?.abandon();
  }

  get written(): WrittenOutput[] {
    const sinks = this.#group?.sinks ?? [];
    return sinks.map(({ name, rows, bytes, files }) => ({ name, rows, bytes, files }));
  }

  /** Removes what is not finished, at once. */
  unlink(): void {
    this.#group?.unlink();
    this.stats?.unlink();
  }
}

/** `1,234 flows in flows.csv, 33 kB`: a text for each output that has files. */
export function outputTexts(written: readonly WrittenOutput[]): string[] {
  return written
    .filter(({ files }) => files.length > 0)
    .map(({ rows, bytes, files }) => {
      const flows = `${formatCount(rows)} ${rows === 1 ? 'flow' : 'flows'}`;
      const last = files.length === 1 ? '' : ` to ${files.at(-1)} (${formatCount(files.length)} files)`;
      return `${flows} in ${files[0]}${last}, ${formatUnit(bytes, 'B')}`;
    });
}
