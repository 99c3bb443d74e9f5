// The files of a run: flows, any number of times, and counters.
import { NfstreamError } from '../errors.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { openSinks } from '../sink/open-sink.ts';
import { type Output, openOutput } from '../sink/output.ts';
import type { SinkColumns, TargetSink } from '../sink/sink.ts';
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
  /** Of all that was written, what could not be; the first first. */
  readonly failures: unknown[] = [];
  stats: Output | null = null;
  #sinks: readonly TargetSink[] = [];
  /** Those that are still written to. */
  readonly #sound = new Set<TargetSink>();

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
      this.#sinks = await openSinks(
        outputs.map(({ target }) => target),
        columns,
        {
          ...sinkOptions,
          // A live run may last for weeks: its rows are there to be followed, and a crash leaves them.
          direct: isLive,
          onFailure: (error) => {
            if (outputs.length === 1 || !isReaderGone(error)) onFailure();
          },
        },
      );
      for (const sink of this.#sinks) this.#sound.add(sink);
      // Counters are of the run that ended last: nobody has to make room for them.
      if (stats !== null) this.stats = await openOutput(stats, { overwrite: true });
    } catch (error) {
      this.unlink();
      throw error;
    }
  }

  /** Whether flows go nowhere any more, though they were meant to. */
  get areAllGone(): boolean {
    return this.#sinks.length > 0 && this.#sound.size === 0;
  }

  /** Hands flows to all outputs. One that fails is given up; rejects only with what is no output's fault. */
  async write(batch: FlowBatch): Promise<void> {
    const users: NfstreamError[] = [];
    for (const sink of this.#sound) {
      try {
        const wait = sink.write(batch);
        if (wait !== undefined) await wait;
      } catch (error) {
        // User code left what the format can't hold: the rows before it are good, in this output and the others.
        if (error instanceof NfstreamError && error.code.startsWith('USER_')) users.push(error);
        else await this.#giveUp(sink, error);
      }
    }
    if (users.length > 0) throw users[0];
  }

  /** Finishes what is left; a file gets its name now. Never rejects: see `failures`. */
  async close(): Promise<void> {
    for (const sink of this.#sound) {
      try {
        await sink.close();
      } catch (error) {
        await this.#giveUp(sink, error);
      }
    }
  }

  /** Leaves nothing, but for what a pipe or a live run's file has. */
  async abandon(): Promise<void> {
    for (const sink of this.#sound) await sink.abandon();
    this.#sound.clear();
  }

  get written(): WrittenOutput[] {
    return this.#sinks.map(({ name, rows, bytes, files }) => ({ name, rows, bytes, files }));
  }

  /** Removes what is not finished, at once. */
  unlink(): void {
    for (const output of [...this.#sinks, this.stats]) output?.unlink();
  }

  async #giveUp(sink: TargetSink, error: unknown): Promise<void> {
    this.failures.push(error);
    this.#sound.delete(sink);
    await sink.abandon();
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
