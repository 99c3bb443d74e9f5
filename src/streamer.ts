// The façade: options in, an async iterable of flows out. It builds the stages and hands them to the pipeline.
import type { Table } from 'apache-arrow';
import { buildPipeline } from './build-pipeline.ts';
import { invalid } from './check-option.ts';
import { type BuiltIn, builtInClassifiers, refuseNamesOf } from './classifier/built-in.ts';
import type { Direction } from './classifier/classifier.ts';
import type { Packet } from './classifier/packet.ts';
import { NfstreamError } from './errors.ts';
import type { NdpiMetrics } from './flow/fields/ndpi.ts';
import type { ProcessMetrics } from './flow/fields/process.ts';
import type { Flow } from './flow/flow.ts';
import type { FlowBatch } from './flow/flow-batch.ts';
import { kernelFor } from './flow/flow-table.ts';
import {
  type AnyRecord,
  type FieldValues,
  type FlowMetrics,
  type FlowRecord,
  type MetricValue,
  type Nfstream6NdpiValues,
  type Nfstream6ProcessValues,
  type Nfstream6Record,
  type SpltValues,
  type StatisticsValues,
  tableColumns,
} from './flow/schema.ts';
import { FlowIterator } from './flow-iterator.ts';
import { Kernel } from './kernel/kernel.ts';
import { type Metering, OneMeter } from './metering.ts';
import { type ResolvedOptions, resolveOptions, type StreamerOptions } from './options.ts';
import { PacketFilter } from './packet/filter.ts';
import { PacketDecoder } from './packet/packet-decoder.ts';
import { FilterAndDecode } from './packet/packet-stage.ts';
import { packetSourceOf } from './packet-source.ts';
import type { UserCode } from './plugin/plugin.ts';
import { PluginMetering } from './plugin/plugin-metering.ts';
import { metricNamesOf, recordShapeOf } from './record-shape.ts';
import type { SinkOptions } from './sink/open-sink.ts';
import type { SinkColumns } from './sink/sink.ts';
import { emptyStats, type StreamerStats } from './stats.ts';
import { MeterGroup } from './worker/meter-group.ts';
import { dissectsApart, NdpiThread } from './worker/ndpi-thread.ts';
import type { WrittenFlows } from './write-flows.ts';

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

/** What systemVisibility adds, where it is known to be on. */
type ProcessPart<Options> = Options extends { readonly systemVisibility: infer Enabled }
  ? [Enabled] extends [true]
    ? ProcessMetrics
    : unknown
  : unknown;

/** Each user metric has the type that its function returns. */
type UserPart<Options> = Options extends { readonly userMetrics: infer Metrics }
  ? { [Name in keyof Metrics]: Metrics[Name] extends (...args: never) => infer Value ? Value : never }
  : unknown;

/** The columns that feature groups add, where they are known to be on. */
type StatisticsPart<Options> = Options extends { readonly statistics: true } ? StatisticsValues : unknown;
type SpltPart<Options> = Options extends { readonly splt: infer Packets extends number }
  ? [Packets] extends [0]
    ? unknown
    : SpltValues
  : unknown;

/** What `nfstream6` has, and what options add to it there. */
type Nfstream6Part<Options> = Omit<Nfstream6Record, 'tunnel_id'> &
  TunnelPart<Options> &
  NdpiColumnsPart<Options> &
  UdpsPart<Options> &
  (Options extends { readonly systemVisibility: true } ? Nfstream6ProcessValues : unknown);
type TunnelPart<Options> = Options extends { readonly decodeTunnels: infer Decodes }
  ? [Decodes] extends [true | undefined]
    ? Pick<Nfstream6Record, 'tunnel_id'>
    : unknown
  : Pick<Nfstream6Record, 'tunnel_id'>;
type NdpiColumnsPart<Options> = NdpiPart<Options> extends NdpiMetrics ? Nfstream6NdpiValues : unknown;
type UdpsPart<Options> = Options extends
  | { readonly userMetrics: object }
  | { readonly userClassifiers: object }
  | { readonly plugins: string | readonly string[] }
  ? { udps: UserPart<Options> & FlowMetrics }
  : unknown;

/** Columns by their names; those of metrics have the types that their functions return. */
type FieldsPart<Options, Names extends readonly unknown[]> = {
  [N in Names[number] & string]: N extends 'metrics'
    ? MetricsOf<Options>
    : N extends keyof FieldValues
      ? FieldValues[N]
      : MetricOf<Options, N>;
};
type MetricOf<Options, Name extends string> = Options extends {
  readonly userMetrics: { readonly [N in Name]: (...args: never) => infer Value };
}
  ? Value
  : unknown;

/**
 * The columns of the schema, unless `fields` says others; any where that is only known at run time: where an option is
 * there that may be undefined. (What has none of them does not extend an object of optional ones alone.)
 */
type SchemaPart<Options> = Options extends { readonly fields: infer Names extends readonly unknown[] }
  ? FieldsPart<Options, Names>
  : Options extends { readonly fields?: readonly unknown[] }
    ? AnyRecord<MetricsOf<Options>>
    : Options extends { readonly schema: infer Schema }
      ? [Schema] extends ['nfstream6']
        ? Nfstream6Part<Options> & StatisticsPart<Options> & SpltPart<Options>
        : [Schema] extends ['classic']
          ? ClassicPart<Options>
          : AnyRecord<MetricsOf<Options>>
      : Options extends { readonly schema?: string }
        ? AnyRecord<MetricsOf<Options>>
        : ClassicPart<Options>;
type ClassicPart<Options> = FlowRecord<MetricsOf<Options>> & StatisticsPart<Options> & SpltPart<Options>;

/** The record as plain data for a Streamer with these options: what `flow.toJSON()` gives. */
export type RecordOf<Options> = SchemaPart<Options> & object;

/** A flow of a Streamer with these options. */
export type FlowOf<Options> = Flow<MetricsOf<Options>, RecordOf<Options>>;

/** The type of `flow.metrics` for a Streamer with these options. */
export type MetricsOf<Options> = NdpiPart<Options> & ProcessPart<Options> & UserPart<Options> & FlowMetrics;

/**
 * Meters a capture into bidirectional flows: `for await (const flow of new Streamer({ source })) ...`.
 * It can be iterated once. `Options` and `Names`, those of the user metrics, are inferred.
 */
export class Streamer<const Options extends InferredOptions = InferredOptions, Names extends string = string>
  implements AsyncIterable<FlowOf<Options>>, AsyncDisposable
{
  readonly #options: ResolvedOptions;
  readonly #filter: PacketFilter | null;
  readonly #builtIn: BuiltIn;
  #metering: Metering | undefined;
  #isIterated = false;
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
    const { bpfFilter, snaplen, userClassifiers } = this.#options;
    // An interface's filter runs in the kernel.
    this.#filter = bpfFilter === undefined || this.isLive ? null : new PacketFilter(bpfFilter, snaplen);
    this.#builtIn = builtInClassifiers(this.#options);
    refuseNamesOf(this.#builtIn, userClassifiers);
  }

  /** Whether the source is one or more interfaces, not captures. */
  get isLive(): boolean {
    return this.#options.interfaces !== null;
  }

  /** What was read, metered, skipped and exported so far. During the run and after it; see docs/counters.md. */
  get stats(): StreamerStats {
    if (this.#metering === undefined) return emptyStats();
    const until = this.#endedAt === 0 ? performance.now() : this.#endedAt;
    return this.#metering.stats(this.#startedAt === 0 ? 0 : (until - this.#startedAt) / 1000);
  }

  /** Stored bytes of the source consumed so far and in all (null when unknown), for a progress display. */
  get progress(): { position: number; size: number | null } {
    return this.#metering?.progress ?? { position: 0, size: null };
  }

  /**
   * Opens the source before flows are asked for: an interface captures from now on, and rights that are needed for that
   * can be given up. Rejects with SOURCE_*, CAPTURE_* or INTERFACE_*; iterating does so likewise where this was not called.
   */
  async open(): Promise<void> {
    this.#metering ??= this.#build();
    await this.#metering.open();
  }

  /** Ends the run: no more packets are read, and the flows that are live now come with `export_reason` 2. */
  stop(): void {
    this.#isStopped = true;
    this.#metering?.wake();
  }

  /**
   * Flow by flow, in the order they end. When the source is damaged, rejects with NfstreamError after all flows up to
   * the damage; when user code throws, after the flows that had ended by then.
   */
  [Symbol.asyncIterator](): AsyncGenerator<FlowOf<Options>, void> {
    return this.#keep(new FlowIterator<FlowOf<Options>>(this.#batches()));
  }

  /** The same flows in batches, as they leave the meter: what sinks read. */
  batches(): AsyncGenerator<FlowBatch, void> {
    return this.#keep(this.#batches());
  }

  /**
   * Meters the source into files, by the endings of their names, and finishes them: .jsonl, .csv, .parquet, .arrow,
   * .arrows, .duckdb; `-` is standard output. Files get their names when they are whole, also where the run ends early.
   * Rejects as iterating does, after the flows so far were written, and with OUTPUT_* or SINK_UNAVAILABLE.
   */
  async to(target: string | readonly string[], options: SinkOptions = {}): Promise<WrittenFlows> {
    // Before a file is opened: what an earlier run wrote there stays.
    this.#refuseTwice();
    const targets = typeof target === 'string' ? [target] : target;
    if (Array.isArray(targets) && targets.length === 0) throw invalid('target', 'a path or a list of paths', targets);
    const { SinkGroup } = await import('./sink/sink-group.ts');
    const { writeFlows } = await import('./write-flows.ts');
    const stop = () => this.stop();
    const sinks = await SinkGroup.open(targets, await this.sinkColumns(), {
      direct: this.isLive,
      onFailure: stop,
      ...options,
    });
    return writeFlows(this.batches(), sinks, stop);
  }

  /** Meters the source into an Arrow table in memory (apache-arrow): all flows at once, for captures that fit. */
  async toArrow(): Promise<Table> {
    const { ArrowTableBuilder } = await import('./sink/arrow-table.ts');
    const builder = new ArrowTableBuilder(await this.sinkColumns());
    for await (const batch of this.batches()) builder.add(batch);
    return builder.finish();
  }

  /** The columns of this run's flows, for sinks. Loads plugins, whose metrics are columns, too. */
  async sinkColumns(): Promise<SinkColumns> {
    const { userMetrics, userClassifiers } = await this.#userCode();
    const userCode = { userMetrics, userClassifiers };
    const record = recordShapeOf(this.#options, userCode).columns;
    return { record, table: tableColumns(record, this.#options, metricNamesOf(userCode)) };
  }

  async #userCode(): Promise<UserCode> {
    if (this.#options.plugins.length === 0) return this.#options;
    this.#metering ??= this.#build();
    if (this.#metering instanceof PluginMetering) return this.#metering.userCode();
    const { loadUserCode } = await import('./plugin/user-code.ts');
    return loadUserCode(this.#options);
  }

  /** Ends the run and closes everything; `await using` calls it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.stop();
    for (const iterator of this.#iterators) await iterator.return();
    // Opened, and not iterated: a run that is over at once closes everything.
    if (!this.#isIterated && this.#metering !== undefined) for await (const _ of this.batches());
  }

  #keep<T>(iterator: AsyncGenerator<T, void>): AsyncGenerator<T, void> {
    this.#iterators.push(iterator);
    return iterator;
  }

  async *#batches(): AsyncGenerator<FlowBatch, void> {
    this.#refuseTwice();
    const { signal, handleSigint, maxFlows } = this.#options;
    this.#isIterated = true;
    this.#metering ??= this.#build();
    const metering = this.#metering;
    this.#startedAt = performance.now();
    const stop = () => this.stop();
    if (signal?.aborted) this.#isStopped = true;
    signal?.addEventListener('abort', stop, { once: true });
    if (handleSigint) process.once('SIGINT', stop);
    const cancelDuration = after(this.#options.duration, stop);
    try {
      let hasWarned = false;
      let exported = 0;
      for await (const batch of metering.flows(() => this.#isStopped)) {
        if (!hasWarned && metering.isFull) {
          hasWarned = true;
          warnOfCapacity(this.#options);
        }
        batch.count = Math.min(batch.count, maxFlows - exported);
        batch.number(exported);
        exported += batch.count;
        yield batch;
        if (exported === maxFlows) break;
      }
    } finally {
      this.#endedAt = performance.now();
      signal?.removeEventListener('abort', stop);
      process.off('SIGINT', stop);
      cancelDuration();
    }
  }

  #refuseTwice(): void {
    if (!this.#isIterated) return;
    throw new NfstreamError('ALREADY_ITERATED', 'A Streamer can be iterated once; make another to meter it again');
  }

  #build(): Metering {
    const options = this.#options;
    const { decodeTunnels, fragments, snaplen } = options;
    const isApart = dissectsApart(options);
    const areSeveral = options.meters > 1 && !isApart;
    const kernel = areSeveral ? Kernel.forDecoding() : kernelFor(options.capacity, recordShapeOf(options));
    const source = packetSourceOf(options, kernel);
    const decoder = new PacketDecoder({ decodeTunnels, fragments, snaplen }, kernel.capacity, kernel);
    const packets = new FilterAndDecode(this.#filter, decoder);
    if (areSeveral) return new MeterGroup(options, source, packets, kernel);
    const build = ({ userMetrics, userClassifiers }: UserCode) => {
      refuseNamesOf(this.#builtIn, userClassifiers);
      return buildPipeline(options, {
        source,
        packets,
        kernel,
        builtIn: isApart ? { ...this.#builtIn, ndpi: new NdpiThread(options) } : this.#builtIn,
        userClassifiers,
        userMetrics,
      });
    };
    return options.plugins.length > 0 ? new PluginMetering(options, build) : new OneMeter(build(options));
  }
}

const MAX_TIMER_MS = 0x7fff_ffff;

/** Calls `then` after so many seconds, which may be more than a timer takes; never after Infinity. Returns what cancels it. */
function after(seconds: number, then: () => void): () => void {
  const until = performance.now() + seconds * 1000;
  let timer: NodeJS.Timeout | undefined;
  const wait = () => {
    const left = until - performance.now();
    if (left <= 0) then();
    else if (left < Number.POSITIVE_INFINITY) timer = setTimeout(wait, Math.min(left, MAX_TIMER_MS));
  };
  wait();
  return () => clearTimeout(timer);
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
