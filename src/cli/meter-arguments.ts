// Parsed flags into what a run needs: the Streamer's options, where flows go and in which format, what else to print.
import { NfstreamError } from '../errors.ts';
import type { StreamerOptions } from '../options.ts';
import { METER_FLAGS } from './flags.ts';
import { type ParsedFlags, usage } from './parse-flags.ts';
import { isDebugging } from './report-error.ts';

const FORMATS = ['json', 'csv'] as const;
export type Format = (typeof FORMATS)[number];

export interface MeterArguments {
  readonly sources: readonly string[];
  readonly options: StreamerOptions;
  /** Where flows go; null when only the summary is asked for. */
  readonly flows: { readonly target: string; readonly format: Format } | null;
  /** Where the summary goes; null for none. */
  readonly summary: 'stdout' | 'stderr' | null;
  /** Target of the counters, `/dev/stderr` for standard error; null for none. */
  readonly stats: string | null;
  /** Modules with metrics and classifiers, in the order given. */
  readonly plugins: readonly string[];
  readonly isQuiet: boolean;
}

/** Its names, as far as they can be told without asking the system. */
const STANDARD_INPUT = /^(-|\/dev\/stdin|\/(dev|proc\/self)\/fd\/0)$/;

/** @throws NfstreamError USAGE. The options' values are checked by the Streamer; see `withFlagNames`. */
export function meterArguments({ values, lists, operands }: ParsedFlags): MeterArguments {
  if (operands.length === 0) throw usage('Expected SOURCE, a capture file or -, but received none; see --help');
  const empty = operands.indexOf('');
  if (empty >= 0) throw usage('Expected a capture file or - for SOURCE but received ""');
  const standardInputs = operands.filter((operand) => STANDARD_INPUT.test(operand));
  if (standardInputs.length > 1) {
    const received = standardInputs.map((operand) => JSON.stringify(operand)).join(' and ');
    throw usage(`Expected standard input at most once for SOURCE but received ${received}`);
  }
  const text = (name: string) => values.get(name) as string | undefined;
  const output = text('output');
  const format = formatOf(text('format'), output);
  const hasFlows = !values.has('summary') || output !== undefined || values.has('format');
  const target = output === undefined || output === '/dev/stdout' ? '-' : output;
  const plugins = (lists.get('plugin') ?? []).map(checkPlugin);
  // It costs, and finds what only user code can do wrong.
  const debug = plugins.length > 0 && isDebugging(values.has('debug'));
  const stats = text('stats');
  if (stats !== undefined && stats !== '-' && stats === output) {
    throw usage(`Expected another file for --stats than for --output but received ${JSON.stringify(stats)} for both`);
  }
  return {
    sources: operands,
    options: { ...streamerOptions(values, operands), ...(debug ? { debug } : {}) },
    flows: hasFlows ? { target, format } : null,
    summary: values.has('summary') ? (hasFlows && target === '-' ? 'stderr' : 'stdout') : null,
    stats: stats === '-' ? '/dev/stderr' : (stats ?? null),
    plugins,
    isQuiet: values.has('quiet'),
  };
}

const PLUGIN_ENDING = /\.[cm]?[jt]s$/i;

function checkPlugin(file: string): string {
  if (PLUGIN_ENDING.test(file)) return file;
  throw usage(
    `Expected a file ending in .ts .mts .cts .js .mjs .cjs for --plugin but received ${JSON.stringify(file)}`,
  );
}

const FORMAT_OF_ENDING: Readonly<Record<string, Format>> = {
  '.jsonl': 'json',
  '.ndjson': 'json',
  '.json': 'json',
  '.csv': 'csv',
};

function formatOf(format: string | undefined, output: string | undefined): Format {
  if (format !== undefined) {
    if ((FORMATS as readonly string[]).includes(format)) return format as Format;
    throw usage(`Expected json or csv for --format but received ${JSON.stringify(format)}`);
  }
  // Standard output, devices and names without an ending get JSON Lines.
  const ending = /[^./\\](\.[^./\\]+)$/.exec(output ?? '')?.[1];
  if (ending === undefined) return 'json';
  const known = FORMAT_OF_ENDING[ending.toLowerCase()];
  if (known !== undefined) return known;
  throw usage(
    `Expected a name ending in ${Object.keys(FORMAT_OF_ENDING).join(' ')}, or --format, for --output ` +
      `but received ${JSON.stringify(output)}`,
  );
}

function streamerOptions(values: ParsedFlags['values'], operands: readonly string[]): StreamerOptions {
  const options: Record<string, unknown> = { source: operands, handleSigint: false };
  for (const { name, option, isNumber, sets } of METER_FLAGS.flatMap((group) => group.flags)) {
    const value = values.get(name);
    if (option === undefined || value === undefined) continue;
    if (sets !== undefined) options[option] = sets;
    else options[option] = isNumber ? plainNumber(value as string) : value;
  }
  return options as unknown as StreamerOptions;
}

/** Plain decimals only: `1e3`, `0x10` and ` 5` stay text, which the Streamer refuses with the range that it takes. */
function plainNumber(text: string): number | string {
  return /^-?\d+(\.\d+)?$/.test(text) || text === 'Infinity' ? Number(text) : text;
}

/** The Streamer names its options in messages; whoever typed a flag looks for the flag. */
export function withFlagNames(error: unknown): unknown {
  // A file's name can read like anything, and so can what user code says.
  if (!(error instanceof NfstreamError) || error.file !== undefined || error.code.startsWith('USER_')) return error;
  const { code } = error;
  let { message } = error;
  for (const { name, option } of METER_FLAGS.flatMap((group) => group.flags)) {
    if (option !== undefined) message = message.replace(new RegExp(`(^| for )${option}(?= )`), `$1--${name}`);
  }
  if (code === 'NDPI_UNAVAILABLE') {
    message += `${message.includes('\n') ? '\n' : '; '}without labels it works: --no-ndpi`;
  }
  return message === error.message ? error : new NfstreamError(code, message, { cause: error });
}

/** A warning of the Streamer in the words of the flags; it has no words of users that could be taken for options. */
export function warningWithFlagNames(message: string): string {
  let text = message.replace(/\bstats\.(\w+)/, '$1 of --stats');
  for (const { name, option } of METER_FLAGS.flatMap((group) => group.flags)) {
    if (option !== undefined) text = text.replace(new RegExp(`\\b(?<!-)${option}\\b`, 'g'), `--${name}`);
  }
  return text;
}
