// The options of a Streamer: names, defaults, what each takes. A wrong option throws at construction and says which.
import { boolean, integer, invalid, nearest, oneOf, seconds } from './check-option.ts';
import { NFStreamClassifier } from './classifier/classifier.ts';
import { MAX_CLASSIFIERS } from './classifier/labeller.ts';
import { NDPI_FIELDS } from './classifier/ndpi-fields.ts';
import { PROCESS_FIELDS } from './classifier/process-fields.ts';
import { NfstreamError } from './errors.ts';
import { CLASSIC } from './flow/schema.ts';
import type { UserMetric } from './metric/metric.ts';
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
  /** Seconds after its start at which the next packet ends a flow and starts another (default 60). */
  activeTimeout?: number;
  /** Seconds without a packet after which a flow has ended (default 30). */
  inactiveTimeout?: number;
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
  /** Read a capture at the pace at which it was recorded (1), so many times faster, or at once ('max'), with a live run's expiry. */
  replaySpeed?: number | 'max';
  /** Meters side by side, each in a thread of its own (default 1). A flow's packets all come to the same one. */
  meters?: number;
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
  /** Infinity where not given, as `packets`. */
  duration: number;
  packets: number;
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
  activeTimeout: 60,
  inactiveTimeout: 30,
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
  const taken: Taken = { ndpi: options.enableNdpi !== false, process: options.systemVisibility === true };
  const userMetrics = metrics(options.userMetrics, taken);
  const source = checkSource(options.source);
  const resolved = {
    source,
    interfaces: interfacesOf(source),
    capacity: integer('capacity', options.capacity, 1, MAX_CAPACITY, DEFAULTS.capacity),
    onCapacity: oneOf('onCapacity', options.onCapacity, ['drop', 'export'], DEFAULTS.onCapacity),
    activeTimeout: seconds('activeTimeout', options.activeTimeout, DEFAULTS.activeTimeout),
    inactiveTimeout: seconds('inactiveTimeout', options.inactiveTimeout, DEFAULTS.inactiveTimeout),
    userMetrics,
    userClassifiers: classifiers(options.userClassifiers, taken, userMetrics),
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
    packets: packets(options.packets),
    replaySpeed: replaySpeed(options.replaySpeed),
    meters: integer('meters', options.meters, 1, MAX_METERS, DEFAULTS.meters),
    plugins: plugins(options.plugins),
    systemVisibility: boolean('systemVisibility', options.systemVisibility, DEFAULTS.systemVisibility),
    debug: boolean('debug', options.debug, DEFAULTS.debug),
    handleSigint: boolean('handleSigint', options.handleSigint, DEFAULTS.handleSigint),
  };
  refuseTogether(resolved);
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

function packets(value: unknown): number {
  if (value === undefined || value === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
  return integer('packets', value, 0, Number.MAX_SAFE_INTEGER, 0);
}

function replaySpeed(value: unknown): number | 'max' | undefined {
  if (value === undefined || value === 'max') return value;
  if (typeof value !== 'number' || !(value > 0 && value < Number.POSITIVE_INFINITY)) {
    throw invalid('replaySpeed', 'a number above 0 (1 is the recorded pace) or "max"', value);
  }
  return value;
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

function metrics(value: unknown, taken: Taken): Readonly<Record<string, UserMetric>> {
  if (value === undefined) return {};
  const expected = 'an object of functions by metric name';
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Map)
    throw invalid('userMetrics', expected, value);
  for (const [name, metric] of Object.entries(value)) {
    if (typeof metric !== 'function') throw invalid(`userMetrics.${name}`, 'a function', metric);
    refuseTaken(`userMetrics.${name}`, name, taken);
    if (name === '__proto__' || name === '') throw invalid('userMetrics', 'names that a record can hold', name);
  }
  return value as Readonly<Record<string, UserMetric>>;
}

/** Whose names user code can't have, besides the columns'. */
interface Taken {
  readonly ndpi: boolean;
  readonly process: boolean;
}

/** Both kinds of user code put values under their names beside the columns and what built-in classifiers find. */
function refuseTaken(what: string, name: string, taken: Taken): void {
  const owners = [
    { owner: 'a core column', has: true, columns: CLASSIC },
    { owner: 'a finding of nDPI', has: taken.ndpi, columns: NDPI_FIELDS },
    { owner: 'a finding of systemVisibility', has: taken.process, columns: PROCESS_FIELDS },
  ];
  const found = owners.find(({ has, columns }) => has && columns.some((column) => column.name === name));
  if (found === undefined) return;
  throw new NfstreamError('INVALID_OPTION', `${what} has the name of ${found.owner}; choose another`);
}

function classifiers(
  value: unknown,
  taken: Taken,
  userMetrics: Readonly<Record<string, UserMetric>>,
): readonly NFStreamClassifier[] {
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const names = new Set<string>();
  for (const item of list) {
    if (!(item instanceof NFStreamClassifier)) {
      throw invalid('userClassifiers', 'an instance of NFStreamClassifier or a list of them', item);
    }
    if (typeof item.name !== 'string' || item.name === '' || item.name === '__proto__') {
      throw invalid(`the name of a ${item.constructor.name || 'class'} in userClassifiers`, 'text', item.name);
    }
    refuseTaken(`The classifier "${item.name}"`, item.name, taken);
    if (Object.hasOwn(userMetrics, item.name)) {
      throw new NfstreamError(
        'INVALID_OPTION',
        `The classifier "${item.name}" has the name of a user metric; choose another`,
      );
    }
    if (!Number.isInteger(item.concurrency) || item.concurrency < 1) {
      throw invalid(`concurrency of the classifier "${item.name}"`, 'an integer, 1 or more', item.concurrency);
    }
    if (names.has(item.name)) {
      throw new NfstreamError('INVALID_OPTION', `userClassifiers has two classifiers named "${item.name}"`);
    }
    names.add(item.name);
  }
  if (list.length >= MAX_CLASSIFIERS) {
    throw invalid('userClassifiers', `fewer than ${MAX_CLASSIFIERS} classifiers`, value);
  }
  return list as readonly NFStreamClassifier[];
}
