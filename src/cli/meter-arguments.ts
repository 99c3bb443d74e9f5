// Parsed flags into what a run needs: the Streamer's options, where flows go and in which format, what else to print.
import { NfstreamError } from '../errors.ts';
import type { StreamerOptions } from '../options.ts';
import { METER_FLAGS } from './flags.ts';
import { type ParsedFlags, usage } from './parse-flags.ts';
import { isDebugging } from './report-error.ts';

const FORMATS = ['json', 'csv'] as const;
export type Format = (typeof FORMATS)[number];

export interface MeterArguments {
  /** What files and interfaces are called, as they were given. */
  readonly sources: readonly string[];
  /** Those of them that can be files. */
  readonly files: readonly string[];
  readonly options: StreamerOptions;
  /** Where flows go; null when only the summary is asked for. */
  readonly flows: { readonly target: string; readonly format: Format } | null;
  /** Where the summary goes; null for none. */
  readonly summary: 'stdout' | 'stderr' | null;
  /** Target of the counters, `/dev/stderr` for standard error; null for none. */
  readonly stats: string | null;
  /** Modules with metrics and classifiers, in the order given; also in `options` where several meters load them. */
  readonly plugins: readonly string[];
  /** Whom the process becomes when the sources are open; null for no change. */
  readonly user: string | null;
  /** Where the counters are served; null for nowhere. */
  readonly metrics: { readonly port: number; readonly address: string } | null;
  readonly isQuiet: boolean;
}

/** Its names, as far as they can be told without asking the system. */
const STANDARD_INPUT = /^(-|\/dev\/stdin|\/(dev|proc\/self)\/fd\/0)$/;

const LOCAL_ADDRESS = '127.0.0.1';

/** @throws NfstreamError USAGE. The options' values are checked by the Streamer; see `withFlagNames`. */
export function meterArguments({ values, lists, operands }: ParsedFlags): MeterArguments {
  const interfaces = lists.get('interface') ?? [];
  const sources = [...operands, ...interfaces];
  if (sources.length === 0) {
    throw usage('Expected SOURCE, a capture file, - or an interface, but received none; see --help');
  }
  if (operands.includes('')) throw usage('Expected a capture file, - or an interface for SOURCE but received ""');
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
  const user = text('user') ?? null;
  if (user !== null && values.has('reconnect')) {
    throw usage(
      'Expected --user or --reconnect but received both: the interface could not be opened again without the rights ' +
        'that --user gives up',
    );
  }
  const source = [...operands, ...interfaces.map((name) => ({ interface: name }))];
  const options: StreamerOptions = { ...streamerOptions(values), source, ...(debug ? { debug } : {}) };
  if (plugins.length > 0 && Number(options.meters) > 1) options.plugins = plugins;
  return {
    sources,
    files: operands,
    options,
    flows: hasFlows ? { target, format } : null,
    summary: values.has('summary') ? (hasFlows && target === '-' ? 'stderr' : 'stdout') : null,
    stats: stats === '-' ? '/dev/stderr' : (stats ?? null),
    plugins,
    user,
    metrics: metricsOf(text('metrics-port'), text('metrics-address')),
    isQuiet: values.has('quiet'),
  };
}

function metricsOf(port: string | undefined, address: string | undefined): MeterArguments['metrics'] {
  if (port === undefined) {
    if (address === undefined) return null;
    throw usage(`Expected --metrics-port with --metrics-address but received ${JSON.stringify(address)} alone`);
  }
  if (/^\d{1,5}$/.test(port) && Number(port) <= 0xffff)
    return { port: Number(port), address: address ?? LOCAL_ADDRESS };
  throw usage(`Expected an integer from 0 to 65535 for --metrics-port but received ${JSON.stringify(port)}`);
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

function streamerOptions(values: ParsedFlags['values']): StreamerOptions {
  const options: Record<string, unknown> = { handleSigint: false };
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

/** Options that are ordinary words: these stand in messages without being meant. */
const WORDS: ReadonlySet<string> = new Set(['duration', 'fragments', 'immediate', 'meters', 'packets', 'reconnect']);

/** The Streamer names its options in messages; whoever typed a flag looks for the flag. */
export function withFlagNames(error: unknown): unknown {
  // A file's name can read like anything, and so can what user code says.
  if (!(error instanceof NfstreamError) || error.file !== undefined || error.code.startsWith('USER_')) return error;
  const { code } = error;
  let { message } = error;
  for (const { name, option } of METER_FLAGS.flatMap((group) => group.flags)) {
    if (option === undefined) continue;
    const end = WORDS.has(option) ? '(?= but received )' : '(?= )';
    message = message.replace(new RegExp(`(^| for )${option}${end}`), `$1--${name}`);
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
    if (option !== undefined && !WORDS.has(option))
      text = text.replace(new RegExp(`\\b(?<!-)${option}\\b`, 'g'), `--${name}`);
  }
  return text;
}
