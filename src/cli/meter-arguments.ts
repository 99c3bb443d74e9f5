// Parsed flags into what a run needs: the Streamer's options, where flows go and in which formats, what else to print.
import type { StreamerOptions } from '../options.ts';
import { standardDescriptor } from '../sink/output.ts';
import { type SinkOptions, sinkTargets, type TargetFormat } from '../sink/sink-options.ts';
import { withFlagNames } from './flag-names.ts';
import { METER_FLAGS } from './flags.ts';
import { type ParsedFlags, usage } from './parse-flags.ts';
import { isDebugging } from './report-error.ts';

export interface MeterArguments {
  /** What files and interfaces are called, as they were given. */
  readonly sources: readonly string[];
  /** Those of them that can be files. */
  readonly files: readonly string[];
  readonly options: StreamerOptions;
  /** Where flows go; nowhere when only the summary is asked for. */
  readonly outputs: readonly TargetFormat[];
  readonly sinkOptions: SinkOptions;
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

/** @throws NfstreamError USAGE or INVALID_OPTION. The Streamer checks its options' values; see `withFlagNames`. */
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
  const { outputs, sinkOptions } = outputsOf(values, lists.get('output') ?? []);
  const isOnStdout = outputs.some(({ target }) => standardDescriptor(target) === 1);
  const plugins = (lists.get('plugin') ?? []).map(checkPlugin);
  // It costs, and finds what only user code can do wrong.
  const debug = plugins.length > 0 && isDebugging(values.has('debug'));
  const stats = text('stats');
  if (stats !== undefined && stats !== '-' && outputs.some(({ target }) => target === stats)) {
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
  if (plugins.length > 0 && options.meters !== undefined && options.meters !== 1) options.plugins = plugins;
  return {
    sources,
    files: operands,
    options,
    outputs,
    sinkOptions,
    summary: values.has('summary') ? (isOnStdout ? 'stderr' : 'stdout') : null,
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

type Outputs = Pick<MeterArguments, 'outputs' | 'sinkOptions'>;

function outputsOf(values: ParsedFlags['values'], named: readonly string[]): Outputs {
  const sinkOptions = sinkOptionsOf(values);
  const hasFlows = !values.has('summary') || named.length > 0 || values.has('format');
  const all = named.length === 0 && hasFlows ? ['-'] : named;
  try {
    const outputs = sinkTargets(
      all.map((target) => (target === '/dev/stdout' ? '-' : target)),
      sinkOptions,
    );
    return { outputs, sinkOptions };
  } catch (error) {
    throw usage((withFlagNames(error) as Error).message);
  }
}

function sinkOptionsOf(values: ParsedFlags['values']): SinkOptions {
  const options: Record<string, unknown> = {};
  for (const name of ['format', 'compression']) if (values.has(name)) options[name] = values.get(name);
  if (values.has('overwrite')) options['overwrite'] = true;
  const number = (name: string) =>
    values.has(name) ? { [name.slice(7)]: plainNumber(values.get(name) as string) } : {};
  const rotate = {
    ...number('rotate-rows'),
    ...(values.has('rotate-bytes') ? { bytes: bytesOf(values.get('rotate-bytes') as string) } : {}),
    ...number('rotate-seconds'),
  };
  if (Object.keys(rotate).length > 0) options['rotate'] = rotate;
  return options as SinkOptions;
}

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** `1500`, `64M`: K, M, G and T are powers of 1024, as with dd, du and split. */
function bytesOf(text: string): number {
  const [, digits, unit] = /^(\d{1,15})([KMGT]?)$/i.exec(text) ?? [];
  const bytes = Number(digits) * UNITS[(unit ?? '').toUpperCase()];
  if (bytes >= 1 && Number.isSafeInteger(bytes)) return bytes;
  throw usage(`Expected a number of bytes, such as 64M, for --rotate-bytes but received ${JSON.stringify(text)}`);
}

function streamerOptions(values: ParsedFlags['values']): StreamerOptions {
  const options: Record<string, unknown> = { handleSigint: false };
  for (const { name, option, isNumber, isList, sets } of METER_FLAGS.flatMap((group) => group.flags)) {
    const value = values.get(name);
    if (option === undefined || value === undefined) continue;
    if (sets !== undefined) options[option] = sets;
    else if (isList) options[option] = (value as string).split(',');
    else options[option] = isNumber ? plainNumber(value as string) : value;
  }
  return options as unknown as StreamerOptions;
}

/** Plain decimals only: `1e3`, `0x10` and ` 5` stay text, which the Streamer refuses with the range that it takes. */
function plainNumber(text: string): number | string {
  return /^-?\d+(\.\d+)?$/.test(text) || text === 'Infinity' ? Number(text) : text;
}
