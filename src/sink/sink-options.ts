// What can be said of outputs: formats by name and by ending, and the options of sinks, checked before anything is opened.
import { boolean, integer, invalid, nearest, oneOf } from '../check-option.ts';
import { NfstreamError } from '../errors.ts';
import { standardDescriptor } from './output.ts';

interface FormatFacts {
  readonly endings: readonly string[];
  /** Bytes that a terminal can't show. */
  readonly isBinary?: true;
}

/** Every format, and the endings that stand for it. */
export const FORMATS = {
  json: { endings: ['.jsonl', '.ndjson', '.json'] },
  csv: { endings: ['.csv'] },
  parquet: { endings: ['.parquet', '.pq'], isBinary: true },
  arrow: { endings: ['.arrow', '.feather', '.ipc'], isBinary: true },
  arrows: { endings: ['.arrows'], isBinary: true },
  duckdb: { endings: ['.duckdb', '.ddb'], isBinary: true },
} as const satisfies Record<string, FormatFacts>;

export type Format = keyof typeof FORMATS;
export const FORMAT_NAMES = Object.keys(FORMATS) as readonly Format[];

export function isBinary(format: Format): boolean {
  const facts: FormatFacts = FORMATS[format];
  return facts.isBinary === true;
}

export const COMPRESSIONS = ['zstd', 'snappy', 'none'] as const;
export type Compression = (typeof COMPRESSIONS)[number];

/** When a file is finished and the next one begun: at the first limit that is reached. */
export interface RotateOptions {
  /** Flows of a file, exactly. */
  readonly rows?: number;
  /** Bytes of a file, looked at after each batch of flows (64 at most). */
  readonly bytes?: number;
  /** Seconds since the first flow of a file, by the wall clock. */
  readonly seconds?: number;
}

export interface SinkOptions {
  /** Format of targets whose ending says none: of standard output, say (default 'json'). */
  readonly format?: Format;
  /** Replace files that are there already, or a database's table (default false: OUTPUT_EXISTS, or rows are added). */
  readonly overwrite?: boolean;
  /** Several files instead of one: `flows.csv` becomes `flows-00000.csv`, `flows-00001.csv`, … */
  readonly rotate?: RotateOptions;
  /** Compression of Parquet (default 'zstd'). */
  readonly compression?: Compression;
  /** Flows of a row group of Parquet at most. */
  readonly rowGroupRows?: number;
  /** Table of a DuckDB database (default 'flows'). */
  readonly table?: string;
  /** Write text under its own name from the start, as a live run does; an existing file is emptied (default false). */
  readonly direct?: boolean;
  /** Called as soon as it is known that an output can not be written. */
  readonly onFailure?: (error: unknown) => void;
}

const OPTION_NAMES: readonly (keyof SinkOptions)[] = [
  ...(['format', 'overwrite', 'rotate', 'compression', 'rowGroupRows', 'table', 'direct', 'onFailure'] as const),
];

/** A target and the format that its flows are written in. */
export interface TargetFormat {
  readonly target: string;
  readonly format: Format;
}

const MOST_ROTATE_SECONDS = 2_000_000;
/** What the encoder counts rows with has 32 bits. */
const MOST_GROUP_ROWS = 2 ** 32 - 1;

/**
 * The targets with their formats, everything said of them checked as far as the file system isn't asked.
 * @throws NfstreamError UNKNOWN_OPTION, or INVALID_OPTION naming the option (`target` for a target) and what it takes.
 */
export function sinkTargets(targets: readonly string[], options: SinkOptions = {}): TargetFormat[] {
  if (!Array.isArray(targets)) throw invalid('target', 'a path or a list of paths', targets);
  for (const name of Object.keys(options)) {
    if ((OPTION_NAMES as readonly string[]).includes(name)) continue;
    throw new NfstreamError(
      'UNKNOWN_OPTION',
      `Unknown option "${name}" of outputs; did you mean "${nearest(name, OPTION_NAMES)}"?`,
    );
  }
  const { format, compression, rowGroupRows, table, rotate, onFailure } = options;
  for (const target of targets)
    if (typeof target !== 'string' || target === '') throw invalid('target', 'a path', target);
  if (format !== undefined && !FORMAT_NAMES.includes(format)) {
    throw invalid('format', `${FORMAT_NAMES.slice(0, -1).join(', ')} or ${FORMAT_NAMES.at(-1)}`, format);
  }
  const resolved = targets.map((target) => ({ target, format: formatOf(target) ?? format ?? defaultFormat(target) }));
  if (format !== undefined && targets.length > 0 && targets.every((target) => formatOf(target) !== null)) {
    const other = resolved.find((sink) => sink.format !== format);
    if (other !== undefined) {
      const message = `Expected ${other.format}, which the ending of ${JSON.stringify(other.target)} stands for, or none`;
      throw new NfstreamError('INVALID_OPTION', `${message}, for format but received ${JSON.stringify(format)}`);
    }
  }
  const needs = (name: string, value: unknown, needed: Format, what: string) => {
    if (value === undefined || resolved.length === 0 || resolved.some((sink) => sink.format === needed)) return;
    throw new NfstreamError('INVALID_OPTION', `Expected ${what} among the outputs for ${name} but received none`);
  };
  oneOf('compression', compression, COMPRESSIONS, 'zstd');
  needs('compression', compression, 'parquet', 'a Parquet file');
  integer('rowGroupRows', rowGroupRows, 1, MOST_GROUP_ROWS, 1);
  needs('rowGroupRows', rowGroupRows, 'parquet', 'a Parquet file');
  if (table !== undefined && (typeof table !== 'string' || /^$|\0/.test(table))) {
    throw invalid('table', 'a name', table);
  }
  needs('table', table, 'duckdb', 'a DuckDB database');
  boolean('overwrite', options.overwrite, false);
  boolean('direct', options.direct, false);
  if (onFailure !== undefined && typeof onFailure !== 'function') throw invalid('onFailure', 'a function', onFailure);
  if (rotate !== undefined) checkRotate(rotate, resolved);
  return resolved;
}

function checkRotate(rotate: RotateOptions, targets: readonly TargetFormat[]): void {
  const isObject = typeof rotate === 'object' && rotate !== null && !Array.isArray(rotate);
  const names = isObject ? Object.keys(rotate) : [];
  const known = ['rows', 'bytes', 'seconds'];
  if (!names.some((name) => rotate[name as keyof RotateOptions] !== undefined)) {
    throw invalid('rotate', 'an object with rows, bytes or seconds', rotate);
  }
  for (const name of names) if (!known.includes(name)) throw invalid('rotate', 'rows, bytes or seconds', name);
  integer('rotate.rows', rotate.rows, 1, Number.MAX_SAFE_INTEGER, 1);
  integer('rotate.bytes', rotate.bytes, 1, Number.MAX_SAFE_INTEGER, 1);
  const { seconds } = rotate;
  if (seconds !== undefined && !(typeof seconds === 'number' && seconds > 0 && seconds <= MOST_ROTATE_SECONDS)) {
    throw invalid('rotate.seconds', `a number of seconds above 0, ${MOST_ROTATE_SECONDS} at most`, seconds);
  }
  for (const { target, format } of targets) {
    if (standardDescriptor(target) !== null) throw notRotated(target, 'which is no file');
    if (format === 'duckdb') throw notRotated(target, 'a database, which takes any number of rows');
  }
}

export function notRotated(target: string, what: string): NfstreamError {
  const message = `Expected files for rotate but received ${JSON.stringify(target)}, ${what}`;
  return new NfstreamError('INVALID_OPTION', message);
}

/** The format that the ending of a path stands for; null where it says none. */
function formatOf(target: string): Format | null {
  const ending = endingOf(target)?.toLowerCase();
  return FORMAT_NAMES.find((name) => (FORMATS[name].endings as readonly string[]).includes(ending ?? '')) ?? null;
}

function endingOf(target: string): string | undefined {
  return /[^./\\](\.[^./\\]+)$/.exec(target)?.[1];
}

/** Standard output, devices and names without an ending get JSON Lines; another ending is a slip, or needs a word. */
function defaultFormat(target: string): Format {
  if (endingOf(target) === undefined) return 'json';
  const endings = Object.values(FORMATS).flatMap((facts) => facts.endings);
  throw new NfstreamError(
    'INVALID_OPTION',
    `Expected a name ending in ${endings.join(' ')}, or format, for target but received ${JSON.stringify(target)}`,
  );
}
