// Sinks by name: a target's ending, or `format`, decides what is written there. Formats that take more than Node.js itself
// are loaded when they are asked for.
import { stat } from 'node:fs/promises';
import { isatty } from 'node:tty';
import { NfstreamError } from '../errors.ts';
import { CsvSink } from './csv.ts';
import { JsonLinesSink } from './json-lines.ts';
import { type Output, openOutput, standardDescriptor } from './output.ts';
import { RotatingSink } from './rotating-sink.ts';
import { refuseSameTargets } from './same-target.ts';
import type { Sink, SinkColumns, TargetSink } from './sink.ts';
import { type Format, isBinary, notRotated, type SinkOptions, sinkTargets, type TargetFormat } from './sink-options.ts';

export type { SinkOptions } from './sink-options.ts';

/**
 * Opens a sink for each target: a path, or `-` for standard output. Where one can't be had none is left open.
 * @throws NfstreamError INVALID_OPTION, OUTPUT_EXISTS, OUTPUT_FAILED or SINK_UNAVAILABLE.
 */
export async function openSinks(
  targets: readonly string[],
  columns: SinkColumns,
  options: SinkOptions = {},
): Promise<TargetSink[]> {
  const resolved = sinkTargets(targets, options);
  await refuseSameTargets(targets);
  const sinks: TargetSink[] = [];
  try {
    for (const target of resolved) sinks.push(await openTarget(target, columns, options));
  } catch (error) {
    for (const sink of sinks) await sink.abandon();
    throw error;
  }
  return sinks;
}

/** Opens a sink for one target; see `openSinks`. */
export async function openSink(target: string, columns: SinkColumns, options: SinkOptions = {}): Promise<TargetSink> {
  const [sink] = await openSinks([target], columns, options);
  return sink;
}

async function openTarget(
  { target, format }: TargetFormat,
  columns: SinkColumns,
  options: SinkOptions,
): Promise<TargetSink> {
  const kind = await kindOf(target);
  if (kind === 'stream' && format === 'duckdb') throw refused(target, 'a file for a DuckDB database', 'no file');
  const descriptor = standardDescriptor(target);
  if (descriptor !== null && isBinary(format) && isatty(descriptor)) {
    throw refused(target, `a file or a pipe for ${format}`, 'a terminal');
  }
  const { rotate, onFailure } = options;
  if (rotate === undefined) return new SingleSink(target, kind, await openFormat(target, format, columns, options));
  if (kind === 'stream') throw notRotated(target, 'which is no file');
  // A file of several is one of those that are finished: it is not written under its own name before.
  const each = { ...options, direct: false };
  const open = (part: string) => openFormat(part, format, columns, each);
  return RotatingSink.open(target, open, { limits: rotate, overwrite: options.overwrite ?? false, onFailure });
}

/** A regular file, there or not yet; or a descriptor, device or FIFO. */
async function kindOf(target: string): Promise<'file' | 'stream'> {
  if (standardDescriptor(target) !== null) return 'stream';
  try {
    const facts = await stat(target);
    return facts.isFile() || facts.isDirectory() ? 'file' : 'stream';
  } catch {
    return 'file';
  }
}

async function openFormat(target: string, format: Format, columns: SinkColumns, options: SinkOptions): Promise<Sink> {
  const { overwrite = false, table, compression, rowGroupRows } = options;
  switch (format) {
    case 'json':
      return new JsonLinesSink(await openText(target, options), columns);
    case 'csv':
      return new CsvSink(await openText(target, options), columns);
    case 'duckdb': {
      const { DuckdbSink } = await import('./duckdb.ts');
      return DuckdbSink.open(target, columns, { ...defined({ table }), overwrite });
    }
    case 'parquet': {
      const { ParquetSink } = await import('./parquet.ts');
      const parquet = defined({ compression, rowGroupRows });
      return openBinary(target, options, (output) => ParquetSink.open(output, columns, parquet));
    }
    default: {
      const { ArrowSink } = await import('./arrow.ts');
      const arrow = { format: format === 'arrow' ? 'file' : 'stream' } as const;
      return openBinary(target, options, (output) => ArrowSink.open(output, columns, arrow));
    }
  }
}

function openText(target: string, { direct = false, overwrite = false, onFailure }: SinkOptions): Promise<Output> {
  return openOutput(target, { direct, overwrite, onFailure });
}

/** A file of these formats is none before its last byte: it is never written under its own name. */
async function openBinary(
  target: string,
  { overwrite = false, onFailure }: SinkOptions,
  openOn: (output: Output) => Promise<Sink>,
): Promise<Sink> {
  const output = await openOutput(target, { overwrite, onFailure });
  try {
    return await openOn(output);
  } catch (error) {
    await output.abandon();
    throw error;
  }
}

/** What is given, without what isn't. */
function defined<T extends object>(options: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as never;
}

function refused(target: string, expected: string, what: string): NfstreamError {
  return new NfstreamError('INVALID_OPTION', `Expected ${expected} but received ${JSON.stringify(target)}, ${what}`);
}

/** A format's sink on one target. */
class SingleSink implements TargetSink {
  readonly name: string;
  readonly #kind: 'file' | 'stream';
  readonly #sink: Sink;
  files: readonly string[] = [];

  constructor(name: string, kind: 'file' | 'stream', sink: Sink) {
    this.name = name;
    this.#kind = kind;
    this.#sink = sink;
  }

  get rows(): number {
    return this.#sink.rows;
  }

  get bytes(): number {
    return this.#sink.bytes;
  }

  write(batch: Parameters<Sink['write']>[0]): Promise<void> | void {
    return this.#sink.write(batch);
  }

  async close(): Promise<void> {
    await this.#sink.close();
    if (this.#kind === 'file') this.files = [this.name];
  }

  abandon(): Promise<void> {
    return this.#sink.abandon();
  }

  unlink(): void {
    this.#sink.unlink();
  }
}
