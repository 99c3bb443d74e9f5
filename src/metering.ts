// What the Streamer drives: one meter in this thread (below), or several in threads of their own (worker/).
import type { FlowBatch } from './flow/flow-batch.ts';
import { meterFlows, type Pipeline } from './pipeline.ts';
import { type StreamerStats, statsOf } from './stats.ts';

export interface Metering {
  /** Opens the source; safe to call twice. Rejects with SOURCE_*, CAPTURE_* or INTERFACE_* when it can't be had. */
  open(): Promise<void>;

  /**
   * Meters the whole source, once. `isStopped` is asked once for each batch of packets; after a stop the live flows are
   * handed over. However it is ended, all is closed then. Rejects after the last flow with what went wrong.
   */
  flows(isStopped: () => boolean): AsyncGenerator<FlowBatch, void>;

  /** `isStopped` is true now: no wait for packets may hold the end up. Never throws. */
  wake(): void;

  /** The counters as they stand. */
  stats(seconds: number): StreamerStats;

  /** Whether flows had to go because the table was full. */
  readonly isFull: boolean;

  readonly progress: { readonly position: number; readonly size: number | null };
}

export class OneMeter implements Metering {
  readonly #pipeline: Pipeline;
  #opening: Promise<void> | undefined;

  constructor(pipeline: Pipeline) {
    this.#pipeline = pipeline;
  }

  open(): Promise<void> {
    this.#opening ??= this.#pipeline.source.open();
    return this.#opening;
  }

  flows(isStopped: () => boolean): AsyncGenerator<FlowBatch, void> {
    return meterFlows(this.#pipeline, () => this.open(), isStopped);
  }

  wake(): void {
    this.#pipeline.source.stop();
  }

  stats(seconds: number): StreamerStats {
    return statsOf(this.#pipeline, seconds);
  }

  get isFull(): boolean {
    const { meter } = this.#pipeline;
    return meter.flowsEvicted + meter.exported.capacity > 0;
  }

  get progress(): { position: number; size: number | null } {
    const { position, size } = this.#pipeline.source;
    return { position, size };
  }
}
