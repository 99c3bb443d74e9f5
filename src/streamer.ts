// The façade: options in, an async iterable of flows out. It builds the stages and hands them to the pipeline.
import type { Direction, NFStreamClassifier } from './classifier/classifier.ts';
import { Labeller } from './classifier/labeller.ts';
import { NdpiClassifier } from './classifier/ndpi-classifier.ts';
import type { NdpiMetrics } from './classifier/ndpi-fields.ts';
import { Packet } from './classifier/packet.ts';
import { PacketGuard } from './classifier/packet-guard.ts';
import { NfstreamError } from './errors.ts';
import type { Flow } from './flow/flow.ts';
import type { FlowBatch } from './flow/flow-batch.ts';
import { FlowMeter } from './flow/meter.ts';
import type { FlowMetrics, MetricValue } from './flow/schema.ts';
import { type ResolvedOptions, resolveOptions, type StreamerOptions } from './options.ts';
import { PacketFilter } from './packet/filter.ts';
import { PacketDecoder } from './packet/packet-decoder.ts';
import { meterFlows, type Pipeline } from './pipeline.ts';
import { openSource } from './source/open-source.ts';
import { PacketBatch, type PacketSource } from './source/source.ts';
import { emptyStats, type StreamerStats, statsOf } from './stats.ts';

/** A metric among others of these names: each reads as a number in there, also where any other name may be undefined. */
type MetricAmong<Names extends string> = (
  packet: Packet,
  flow: Flow<{ [Name in Names]: number } & Record<string, number>>,
  direction: Direction,
) => MetricValue;

/**
 * What the options' own type is inferred from. Their metrics' is left open there: two types for one function would
 * leave its parameters without any.
 */
type InferredOptions = Omit<StreamerOptions, 'userMetrics'> & { readonly userMetrics?: object };

/** The part of the options that metrics' parameters have their types from. */
interface MetricsAmong<Names extends string> {
  readonly userMetrics?: { readonly [Name in Names]: MetricAmong<Names> };
}

/** Options that there are none: inferring the type of the others would let them pass. */
type NoOther<Options> = { readonly [Name in Exclude<keyof Options, keyof StreamerOptions>]: never };

/** What nDPI adds to `flow.metrics`: all its columns, unless `enableNdpi` is false or only known when it runs. */
type NdpiPart<Options> = Options extends { readonly enableNdpi: infer Enabled }
  ? [Enabled] extends [true | undefined]
    ? NdpiMetrics
    : unknown
  : Options extends { readonly enableNdpi?: boolean }
    ? unknown
    : NdpiMetrics;

/** Each user metric has the type that its function returns. */
type UserPart<Options> = Options extends { readonly userMetrics: infer Metrics }
  ? { [Name in keyof Metrics]: Metrics[Name] extends (...args: never) => infer Value ? Value : never }
  : unknown;

/** The type of `flow.metrics` for a Streamer with these options. */
export type MetricsOf<Options> = NdpiPart<Options> & UserPart<Options> & FlowMetrics;

/**
 * Meters a capture into bidirectional flows: `for await (const flow of new Streamer({ source })) ...`.
 * It can be iterated once. `Options` and `Names`, those of the user metrics, are inferred.
 */
export class Streamer<const Options extends InferredOptions = InferredOptions, Names extends string = string>
  implements AsyncIterable<Flow<MetricsOf<Options>>>, AsyncDisposable
{
  readonly #options: ResolvedOptions;
  readonly #filter: PacketFilter | null;
  readonly #ndpi: NdpiClassifier | null;
  #pipeline: Pipeline | undefined;
  /** The iterators that were handed out, to be closed by `asyncDispose`. */
  readonly #iterators: AsyncGenerator<unknown, void>[] = [];
  #isStopped = false;
  #startedAt = 0;
  #endedAt = 0;

  /**
   * @throws NfstreamError UNKNOWN_OPTION, INVALID_OPTION, INVALID_FILTER, FILTER_UNAVAILABLE or NDPI_UNAVAILABLE.
   */
  constructor(options: Options & NoOther<Options> & MetricsAmong<Names>) {
    this.#options = resolveOptions(options as unknown as StreamerOptions);
    const { bpfFilter, snaplen, enableNdpi, dissections, userClassifiers } = this.#options;
    this.#filter = bpfFilter === undefined ? null : new PacketFilter(bpfFilter, snaplen);
    this.#ndpi = enableNdpi ? new NdpiClassifier({ dissections }) : null;
    const taken = userClassifiers.find((classifier) => classifier.name === this.#ndpi?.name);
    if (taken !== undefined) {
      throw new NfstreamError(
        'INVALID_OPTION',
        `userClassifiers: the name "${taken.name}" is taken by the built-in one`,
      );
    }
  }

  /** What was read, metered, skipped and exported so far. During the run and after it; see docs/counters.md. */
  get stats(): StreamerStats {
    const pipeline = this.#pipeline;
    if (pipeline === undefined) return emptyStats();
    const until = this.#endedAt === 0 ? performance.now() : this.#endedAt;
    return statsOf(pipeline, (until - this.#startedAt) / 1000);
  }

  /** Stored bytes of the source consumed so far and in all (null when unknown), for a progress display. */
  get progress(): { position: number; size: number | null } {
    const source = this.#pipeline?.source;
    return { position: source?.position ?? 0, size: source?.size ?? null };
  }

  /** Ends the run: no more packets are read, and the flows that are live now come with `export_reason` 2. */
  stop(): void {
    this.#isStopped = true;
    // A fill that waits for input (a pipe, say) must not hold the end up.
    this.#pipeline?.source.close().catch(() => {});
  }

  /**
   * Flow by flow, in the order they end. When the source is damaged, rejects with NfstreamError after all flows up to
   * the damage; when user code throws, after the flows that had ended by then.
   */
  [Symbol.asyncIterator](): AsyncGenerator<Flow<MetricsOf<Options>>, void> {
    return this.#keep(this.#flows());
  }

  /** The same flows in batches, as they leave the meter: what sinks read. */
  batches(): AsyncGenerator<FlowBatch, void> {
    return this.#keep(this.#batches());
  }

  /** Ends the run and closes everything; `await using` calls it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    for (const iterator of this.#iterators) await iterator.return();
  }

  #keep<T>(iterator: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
    this.#iterators.push(iterator);
    return iterator;
  }

  async *#flows(): AsyncGenerator<Flow<MetricsOf<Options>>, void> {
    for await (const batch of this.#batches()) {
      for (let row = 0; row < batch.count; row++) yield batch.flow(row) as Flow<MetricsOf<Options>>;
    }
  }

  async *#batches(): AsyncGenerator<FlowBatch, void> {
    if (this.#pipeline !== undefined) {
      throw new NfstreamError('ALREADY_ITERATED', 'A Streamer can be iterated once; make another to meter it again');
    }
    const { signal, handleSigint } = this.#options;
    const pipeline = this.#build();
    this.#pipeline = pipeline;
    this.#startedAt = performance.now();
    const stop = () => this.stop();
    if (signal?.aborted) this.#isStopped = true;
    signal?.addEventListener('abort', stop, { once: true });
    if (handleSigint) process.once('SIGINT', stop);
    try {
      let hasWarned = false;
      for await (const batch of meterFlows(pipeline, () => this.#isStopped)) {
        if (!hasWarned && pipeline.meter.flowsEvicted + pipeline.meter.exported.capacity > 0) {
          hasWarned = true;
          warnOfCapacity(this.#options);
        }
        yield batch;
      }
    } finally {
      this.#endedAt = performance.now();
      signal?.removeEventListener('abort', stop);
      process.off('SIGINT', stop);
    }
  }

  #build(): Pipeline {
    const options = this.#options;
    const source: PacketSource = openSource(options.source);
    const batch = new PacketBatch();
    const { decodeTunnels, fragments, snaplen } = options;
    const decoder = new PacketDecoder({ decodeTunnels, fragments, snaplen });
    const classifiers: NFStreamClassifier[] = this.#ndpi === null ? [] : [this.#ndpi];
    classifiers.push(...options.userClassifiers);
    const hasUserCode = classifiers.length > 0 || Object.keys(options.userMetrics).length > 0;
    const packet = new Packet(batch, decoder.columns);
    const guard = options.debug ? new PacketGuard(batch, decoder.columns) : null;
    const labeller = hasUserCode ? new Labeller(classifiers, options.userMetrics, packet, guard) : null;
    const meter = new FlowMeter(
      {
        capacity: options.capacity,
        activeTimeoutMs: options.activeTimeout * 1000,
        inactiveTimeoutMs: options.inactiveTimeout * 1000,
        onCapacity: options.onCapacity,
      },
      decoder.columns,
      labeller,
    );
    return { source, batch, filter: this.#filter, decoder, meter, labeller, packetsRead: 0 };
  }
}

function warnOfCapacity({ capacity, onCapacity }: ResolvedOptions): void {
  const consequence =
    onCapacity === 'drop'
      ? 'dropped (counted in stats.flows_evicted). Raise capacity, shorten inactiveTimeout, or set onCapacity to "export".'
      : 'exported early, with export_reason -1. Raise capacity or shorten inactiveTimeout.';
  process.emitWarning(`More than ${capacity} flows are live: the least recently used are ${consequence}`, {
    type: 'NfstreamWarning',
    code: 'NFSTREAM_CAPACITY',
  });
}
