// One meter whose user code is still to be loaded: the plugins first, then all as without them.
import type { FlowBatch } from '../flow/flow-batch.ts';
import { type Metering, OneMeter } from '../metering.ts';
import type { ResolvedOptions } from '../options.ts';
import type { Pipeline } from '../pipeline.ts';
import { emptyStats, type StreamerStats } from '../stats.ts';
import type { UserCode } from './plugin.ts';

export class PluginMetering implements Metering {
  readonly #options: ResolvedOptions;
  readonly #build: (userCode: UserCode) => Pipeline;
  #loading: Promise<OneMeter> | undefined;
  #userCode: UserCode | undefined;
  /** Undefined until the plugins are loaded. */
  #meter: OneMeter | undefined;

  /** `build` makes the pipeline of the options' and the plugins' user code. */
  constructor(options: ResolvedOptions, build: (userCode: UserCode) => Pipeline) {
    this.#options = options;
    this.#build = build;
  }

  #load(): Promise<OneMeter> {
    this.#loading ??= import('./user-code.ts').then(async ({ loadUserCode }) => {
      this.#userCode = await loadUserCode(this.#options);
      this.#meter = new OneMeter(this.#build(this.#userCode));
      return this.#meter;
    });
    return this.#loading;
  }

  /** What the plugins define, and the options beside them. */
  async userCode(): Promise<UserCode> {
    await this.#load();
    return this.#userCode as UserCode;
  }

  async open(): Promise<void> {
    await (await this.#load()).open();
  }

  async *flows(isStopped: () => boolean): AsyncGenerator<FlowBatch, void> {
    yield* (await this.#load()).flows(isStopped);
  }

  wake(): void {
    this.#meter?.wake();
  }

  stats(seconds: number): StreamerStats {
    return this.#meter?.stats(seconds) ?? { ...emptyStats(), seconds: Math.round(seconds * 1e6) / 1e6 };
  }

  get isFull(): boolean {
    return this.#meter?.isFull ?? false;
  }

  get progress(): { position: number; size: number | null } {
    return this.#meter?.progress ?? { position: 0, size: null };
  }
}
