// The options of a Streamer: names, defaults, what each takes. A wrong option throws at construction and says which.
import { availableParallelism } from 'node:os';
import { boolean, integer, invalid, nearest, oneOf, seconds } from './check-option.ts';
import { checkClassifiers, checkMetrics, type Taken } from './check-user-code.ts';
import type { NFStreamClassifier } from './classifier/classifier.ts';
import { NfstreamError } from './errors.ts';
import { ACCOUNTING_MODES, type AccountingMode } from './flow/accounting.ts';
import { SCHEMA_NAMES, type SchemaName } from './flow/schema.ts';
import type { UserMetric } from './metric/metric.ts';
import { recordShapeOf } from './record-shape.ts';
import { checkSource, interfacesOf, type SingleSource, type SourceInput } from './source/open-source.ts';

export interface StreamerOptions {
  /**
   * A capture file's path, `-` for standard input, its bytes, a Readable of them, or a list of these; or the name of a
   * network interface (where there is no such file), `{ interface: name }`, or a list of those.
   */
  source: SourceInput;
  /** Live flows at most (default 524288). */
  capacity?: number;
  /** When one flow more than `capacity` begins: 'drop' (default) or 'export' the least recently used one. */
  onCapacity?: 'drop' | 'export';
  /** Seconds after its start at which the next packet ends a flow and starts another (default 60; 1800 with nfstream6). */
  activeTimeout?: number;
  /** Seconds without a packet after which a flow has ended (default 30; 120 with nfstream6). */
  inactiveTimeout?: number;
  /** End TCP flows a second after a FIN each way or an RST, with `export_reason` -2 (default false). */
  tcpEnd?: boolean;
  /** The columns of records, and the default timeouts: 'classic' (default), or 'nfstream6' for those of Python NFStream 6. */
  schema?: SchemaName;
  /** Columns of one's own instead, in this order: names of fields of any schema, or of metrics. */
  fields?: readonly string[];
  /** Measure packet sizes, gaps between packets and flags, and add the 48 columns of them (default false). */
  statistics?: boolean;
  /** Keep direction, size and gap of so many first packets, and add the columns of them (default 0: none; at most 65535). */
  splt?: number;
  /** What bytes and packet sizes count: 'frame' on the wire (default), 'ip' packet, 'transport' segment, or 'payload'. */
  accountingMode?: AccountingMode;
  /** Times and gaps in ms with their fraction (default) or cut to whole ms, as NFStream has them (default with nfstream6). */
  exactTimes?: boolean;
  /** Functions called for each packet; each returns the metric's new value, which starts at 0. */
  userMetrics?: Readonly<Record<string, UserMetric>>;
  /** One or several classifiers of your own. */
  userClassifiers?: NFStreamClassifier | readonly NFStreamClassifier[];
  /** Label flows with nDPI (default true). */
  enableNdpi?: boolean;
  /** Packets of a flow that nDPI sees at most before it has to guess (default 20). */
  dissections?: number;
  /** Meter only packets that this libpcap filter accepts. */
  bpfFilter?: string;
  /** Look at the first bytes of a frame only (default 65535). */
  snaplen?: number;
  /** Non-first fragments join the flow of their first fragment ('assign', default) or are skipped ('ignore'). */
  fragments?: 'assign' | 'ignore';
  /** Meter what tunnels carry instead of the tunnel (default true). */
  decodeTunnels?: boolean;
  /** Ends the run when aborted: no more packets are read, live flows are exported. */
  signal?: AbortSignal;
  /** Put the interface into promiscuous mode (default true). Live only, as the four that follow. */
  promiscuous?: boolean;
  /** Bytes of the kernel's packet buffer, for each interface (default 32 MiB). */
  bufferSize?: number;
  /** Packets come in batches of so many ms at most (default 50). */
  batchTimeoutMs?: number;
  /** Packets come as they arrive, at more CPU time for each (default false). */
  immediate?: boolean;
  /** Wait for an interface that went down or vanished, instead of ending with INTERFACE_DOWN (default false). */
  reconnect?: boolean;
  /** End the run after so many seconds. */
  duration?: number;
  /** End the run after so many packets. */
  packets?: number;
  /** End the run after so many flows; those that are live then are not exported. */
  maxFlows?: number;
  /** Read a capture at the pace at which it was recorded (1), so many times faster, or at once ('max'), with a live run's expiry. */
  replaySpeed?: number | 'max';
  /**
   * Threads that meter side by side (default 1); 'auto' for as many as there are processors, and 1 where `userMetrics` or
   * `userClassifiers` are given, which can't be sent to threads. A flow's packets are all one meter's.
   */
  meters?: number | 'auto';
  /** Modules with user metrics and classifiers: how these get into several meters. */
  plugins?: string | readonly string[];
  /** Add process_id and process_name of flows that begin or end on this host (Linux; default false). */
  systemVisibility?: boolean;
  /** Look for mistakes in user code, such as a packet kept beyond the call; slow (default false). */
  debug?: boolean;
  /** End the run likewise at the first SIGINT while it is iterated (default true); a second one ends the process. */
  handleSigint?: boolean;
}

export interface ResolvedOptions {
  source: readonly SingleSource[];
  /** The interfaces that `source` names; null where it names captures. */
  interfaces: readonly string[] | null;
  capacity: number;
  onCapacity: 'drop' | 'export';
  activeTimeout: number;
  inactiveTimeout: number;
  tcpEnd: boolean;
  schema: SchemaName;
  /** Undefined for those of the schema. */
  fields: readonly string[] | undefined;
  statistics: boolean;
  splt: number;
  accountingMode: AccountingMode;
  exactTimes: boolean;
  userMetrics: Readonly<Record<string, UserMetric>>;
  userClassifiers: readonly NFStreamClassifier[];
  enableNdpi: boolean;
  dissections: number;
  bpfFilter: string | undefined;
  snaplen: number;
  fragments: 'assign' | 'ignore';
  decodeTunnels: boolean;
  signal: AbortSignal | undefined;
  promiscuous: boolean;
  bufferSize: number;
  batchTimeoutMs: number;
  immediate: boolean;
  reconnect: boolean;
  /** Infinity where not given, as `packets` and `maxFlows`. */
  duration: number;
  packets: number;
  maxFlows: number;
  replaySpeed: number | 'max' | undefined;
  meters: number;
  plugins: readonly string[];
  systemVisibility: boolean;
  debug: boolean;
  handleSigint: boolean;
}

export const DEFAULTS = {
  capacity: 524288,
  onCapacity: 'drop',
  tcpEnd: false,
  schema: 'classic',
  statistics: false,
  splt: 0,
  accountingMode: 'frame',
  enableNdpi: true,
  dissections: 20,
  snaplen: 65535,
  fragments: 'assign',
  decodeTunnels: true,
  promiscuous: true,
  bufferSize: 32 << 20,
  batchTimeoutMs: 50,
  immediate: false,
  reconnect: false,
  meters: 1,
  systemVisibility: false,
  debug: false,
  handleSigint: true,
} as const;

/** Seconds, and whether times are exact, by schema: nfstream6 has the defaults of what it is named after. */
export const SCHEMA_DEFAULTS = {
  classic: { activeTimeout: 60, inactiveTimeout: 30, exactTimes: true },
  nfstream6: { activeTimeout: 1800, inactiveTimeout: 120, exactTimes: false },
} as const satisfies Record<SchemaName, object>;

/** NFStream's most, too. */
const MAX_SPLT = 65535;

/** A record index times its words has to stay a 32-bit integer. */
export const MAX_CAPACITY = 1 << 24;

/** More threads than this do not help any machine. */
const MAX_METERS = 64;

const NAMES: readonly (keyof StreamerOptions)[] = [
  'source',
  'capacity',
  'onCapacity',
  'activeTimeout',
  'inactiveTimeout',
  'tcpEnd',
  'schema',
  'fields',
  'statistics',
  'splt',
  'accountingMode',
  'exactTimes',
  'userMetrics',
  'userClassifiers',
  'enableNdpi',
  'dissections',
  'bpfFilter',
  'snaplen',
  'fragments',
  'decodeTunnels',
  'signal',
  'promiscuous',
  'bufferSize',
  'batchTimeoutMs',
  'immediate',
  'reconnect',
  'duration',
  'packets',
  'maxFlows',
  'replaySpeed',
  'meters',
  'plugins',
  'systemVisibility',
  'debug',
  'handleSigint',
];

/**
 * Checks the options and fills in the defaults.
 * @throws NfstreamError UNKNOWN_OPTION or INVALID_OPTION, naming the option and what it takes.
 */
export function resolveOptions(options: StreamerOptions): ResolvedOptions {
  if (options === null || typeof options !== 'object') {
    throw invalid('options', 'an object with at least a source', options);
  }
  for (const name of Object.keys(options)) {
    if (!(NAMES as readonly string[]).includes(name)) {
      throw new NfstreamError('UNKNOWN_OPTION', `Unknown option "${name}"; did you mean "${nearest(name, NAMES)}"?`);
    }
  }
  const schema = oneOf('schema', options.schema, SCHEMA_NAMES, DEFAULTS.schema);
  const defaults = SCHEMA_DEFAULTS[schema];
  const columns = fields(options.fields);
  const taken: Taken = {
    schema,
    fields: columns,
    ndpi: options.enableNdpi !== false,
    process: options.systemVisibility === true,
  };
  const userMetrics = checkMetrics(options.userMetrics, taken);
  const userClassifiers = checkClassifiers(options.userClassifiers, taken, userMetrics);
  const source = checkSource(options.source);
  const resolved: ResolvedOptions = {
    source,
    interfaces: interfacesOf(source),
    capacity: integer('capacity', options.capacity, 1, MAX_CAPACITY, DEFAULTS.capacity),
    onCapacity: oneOf('onCapacity', options.onCapacity, ['drop', 'export'], DEFAULTS.onCapacity),
    activeTimeout: seconds('activeTimeout', options.activeTimeout, defaults.activeTimeout),
    inactiveTimeout: seconds('inactiveTimeout', options.inactiveTimeout, defaults.inactiveTimeout),
    tcpEnd: boolean('tcpEnd', options.tcpEnd, DEFAULTS.tcpEnd),
    schema,
    fields: columns,
    statistics: boolean('statistics', options.statistics, DEFAULTS.statistics),
    splt: integer('splt', options.splt, 0, MAX_SPLT, DEFAULTS.splt),
    accountingMode: oneOf('accountingMode', options.accountingMode, ACCOUNTING_MODES, DEFAULTS.accountingMode),
    exactTimes: boolean('exactTimes', options.exactTimes, defaults.exactTimes),
    userMetrics,
    userClassifiers,
    enableNdpi: boolean('enableNdpi', options.enableNdpi, DEFAULTS.enableNdpi),
    dissections: integer('dissections', options.dissections, 0, 65535, DEFAULTS.dissections),
    bpfFilter: filter(options.bpfFilter),
    snaplen: integer('snaplen', options.snaplen, 1, 0x7fff_ffff, DEFAULTS.snaplen),
    fragments: oneOf('fragments', options.fragments, ['assign', 'ignore'], DEFAULTS.fragments),
    decodeTunnels: boolean('decodeTunnels', options.decodeTunnels, DEFAULTS.decodeTunnels),
    signal: signal(options.signal),
    promiscuous: boolean('promiscuous', options.promiscuous, DEFAULTS.promiscuous),
    bufferSize: integer('bufferSize', options.bufferSize, 1 << 16, 0x7fff_ffff, DEFAULTS.bufferSize),
    batchTimeoutMs: integer('batchTimeoutMs', options.batchTimeoutMs, 1, 10_000, DEFAULTS.batchTimeoutMs),
    immediate: boolean('immediate', options.immediate, DEFAULTS.immediate),
    reconnect: boolean('reconnect', options.reconnect, DEFAULTS.reconnect),
    duration: seconds('duration', options.duration, Number.POSITIVE_INFINITY),
    packets: limit('packets', options.packets, 0),
    maxFlows: limit('maxFlows', options.maxFlows, 1),
    replaySpeed: replaySpeed(options.replaySpeed),
    meters: meters(options.meters, Object.keys(userMetrics).length + userClassifiers.length > 0),
    plugins: plugins(options.plugins),
    systemVisibility: boolean('systemVisibility', options.systemVisibility, DEFAULTS.systemVisibility),
    debug: boolean('debug', options.debug, DEFAULTS.debug),
    handleSigint: boolean('handleSigint', options.handleSigint, DEFAULTS.handleSigint),
  };
  refuseTogether(resolved);
  recordShapeOf(resolved);
  return resolved;
}

/** Options that are right each, and not together. */
function refuseTogether(options: ResolvedOptions): void {
  const { interfaces, replaySpeed, systemVisibility, meters, userMetrics, userClassifiers } = options;
  const refuse = (message: string) => {
    throw new NfstreamError('INVALID_OPTION', message);
  };
  if (interfaces !== null && replaySpeed !== undefined) {
    refuse(`Expected a capture for replaySpeed but received the interface ${interfaces[0]}`);
  }
  if (interfaces === null && systemVisibility) {
    refuse('Expected an interface for systemVisibility but received a capture, whose processes nobody knows any more');
  }
  if (meters > 1 && (Object.keys(userMetrics).length > 0 || userClassifiers.length > 0)) {
    const name = userClassifiers.length > 0 ? 'userClassifiers' : 'userMetrics';
    refuse(
      `Expected 1 for meters with ${name}, which can't be sent to threads; name the module that exports them in plugins`,
    );
  }
}

function filter(value: unknown): string | undefined {
  if (value === undefined || value === null || value === '') return undefined;
  if (typeof value !== 'string') throw invalid('bpfFilter', 'a libpcap filter such as "tcp port 443"', value);
  return value;
}

function limit(name: string, value: unknown, least: number): number {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  return integer(name, value, least, Number.MAX_SAFE_INTEGER, 0);
}

function fields(value: unknown): readonly string[] | undefined {
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length === 0) throw invalid('fields', 'a list of names of fields', value);
  for (const name of value)
    if (typeof name !== 'string' || name === '') throw invalid('fields', 'names of fields', name);
  return value as readonly string[];
}

function replaySpeed(value: unknown): number | 'max' | undefined {
  if (value === undefined || value === 'max') return value;
  if (typeof value !== 'number' || !(value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw invalid('replaySpeed', 'a number above 0 (1 is the recorded pace) or "max"', value);
  }
  return value;
}

function meters(value: unknown, hasFunctions: boolean): number {
  if (value === 'auto') return hasFunctions ? 1 : Math.min(availableParallelism(), MAX_METERS);
  if (value === undefined) return DEFAULTS.meters;
  if (Number.isInteger(value) && (value as number) >= 1 && (value as number) <= MAX_METERS) return value as number;
  throw invalid('meters', `an integer from 1 to ${MAX_METERS} or "auto"`, value);
}

function plugins(value: unknown): readonly string[] {
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  for (const file of list) {
    if (typeof file !== 'string' || file === '') throw invalid('plugins', 'a path or a list of paths', file);
  }
  return list as readonly string[];
}

function signal(value: unknown): AbortSignal | undefined {
  if (value === undefined) return undefined;
  if (!(value instanceof AbortSignal)) throw invalid('signal', 'an AbortSignal', value);
  return value;
}
