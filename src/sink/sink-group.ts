// The outputs of one run: each gets every flow, and one that fails does not take the others with it.
import { NfstreamError } from '../errors.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { openSinks } from './open-sink.ts';
import type { SinkColumns, TargetSink } from './sink.ts';
import type { SinkOptions } from './sink-options.ts';

export class SinkGroup {
  /** What could not be written, the first first. */
  readonly failures: unknown[] = [];
  readonly sinks: readonly TargetSink[];
  /** Those that are still written to. */
  readonly #sound: Set<TargetSink>;

  private constructor(sinks: readonly TargetSink[]) {
    this.sinks = sinks;
    this.#sound = new Set(sinks);
  }

  /** Opens a sink for each target; see `openSinks`. */
  static async open(targets: readonly string[], columns: SinkColumns, options: SinkOptions): Promise<SinkGroup> {
    return new SinkGroup(await openSinks(targets, columns, options));
  }

  /** Whether flows go nowhere any more, though they were meant to. */
  get areAllGone(): boolean {
    return this.sinks.length > 0 && this.#sound.size === 0;
  }

  /** Hands flows to all sinks. One that fails is given up; rejects only with what is no output's fault. */
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

  /** Removes what is not finished, at once. */
  unlink(): void {
    for (const sink of this.sinks) sink.unlink();
  }

  async #giveUp(sink: TargetSink, error: unknown): Promise<void> {
    this.failures.push(error);
    this.#sound.delete(sink);
    await sink.abandon();
  }
}
