// THE flag table: every option of the command line, listed once. The parser, the help text and the names in error
// messages come from it; docs/cli.md is compared with it by a test.
import type { StreamerOptions } from '../options.ts';

export interface Flag {
  readonly name: string;
  readonly short?: string;
  /** Stands for the value in the help; a flag without it takes none. */
  readonly value?: string;
  /** The Streamer option that it sets. */
  readonly option?: keyof StreamerOptions;
  /** Whether the option takes a number. */
  readonly isNumber?: true;
  /** Whether the option takes a list, which the flag has with commas. */
  readonly isList?: true;
  /** Whether it may be given several times. */
  readonly isRepeatable?: true;
  /** What the option becomes where the flag takes no value. */
  readonly sets?: boolean;
  /** A few lines for the help. */
  readonly meaning: readonly string[];
}

export interface FlagGroup {
  readonly title: string;
  readonly flags: readonly Flag[];
}

export const METER_FLAGS: readonly FlagGroup[] = [
  {
    title: 'Output',
    flags: [
      {
        name: 'output',
        short: 'o',
        value: 'FILE',
        isRepeatable: true,
        meaning: [
          'write flows to FILE (- is standard output),',
          'by its ending: .jsonl .csv .parquet .arrow',
          '.arrows .duckdb; any number of times',
        ],
      },
      {
        name: 'format',
        value: 'FORMAT',
        meaning: ['of what has no such ending: json (JSON Lines,', 'default), csv, parquet, arrow, arrows, duckdb'],
      },
      { name: 'overwrite', meaning: ['replace files that are there already'] },
      {
        name: 'rotate-rows',
        value: 'N',
        meaning: ['a new file after N flows: flows-00000.csv,', 'flows-00001.csv, ...'],
      },
      { name: 'rotate-bytes', value: 'BYTES', meaning: ['a new file after so many bytes; 64M, 1G'] },
      { name: 'rotate-seconds', value: 'SECONDS', meaning: ['a new file after so many seconds'] },
      { name: 'compression', value: 'HOW', meaning: ['of Parquet: zstd (default), snappy or none'] },
      {
        name: 'summary',
        meaning: ['print a table of applications and talkers;', 'without -o and --format instead of flows'],
      },
      {
        name: 'stats',
        value: 'FILE',
        meaning: ['write the counters as JSON: packets read,', 'metered, skipped; - is standard error'],
      },
    ],
  },
  {
    title: 'Columns',
    flags: [
      {
        name: 'schema',
        value: 'NAME',
        option: 'schema',
        meaning: ['classic (default), or nfstream6: columns and', 'timeouts of Python NFStream 6'],
      },
      {
        name: 'fields',
        value: 'NAMES',
        option: 'fields',
        isList: true,
        meaning: ['columns of your own, with commas between', 'them; nfstream fields lists all'],
      },
      {
        name: 'statistics',
        option: 'statistics',
        sets: true,
        meaning: ['add packet sizes, gaps and flags: 48 columns'],
      },
      {
        name: 'splt',
        value: 'N',
        option: 'splt',
        isNumber: true,
        meaning: ['add direction, size and gap of the first N', 'packets (0)'],
      },
      {
        name: 'accounting-mode',
        value: 'MODE',
        option: 'accountingMode',
        meaning: ['what bytes count: frame (default), ip,', 'transport or payload'],
      },
      {
        name: 'exact-times',
        option: 'exactTimes',
        sets: true,
        meaning: ['nfstream6: times with fractions of a ms'],
      },
    ],
  },
  {
    title: 'Metering',
    flags: [
      {
        name: 'active-timeout',
        value: 'SECONDS',
        option: 'activeTimeout',
        isNumber: true,
        meaning: ['a flow is cut when it lasts longer (60;', '1800 with nfstream6)'],
      },
      {
        name: 'inactive-timeout',
        value: 'SECONDS',
        option: 'inactiveTimeout',
        isNumber: true,
        meaning: ['a flow ends after such a silence (30;', '120 with nfstream6)'],
      },
      {
        name: 'tcp-end',
        option: 'tcpEnd',
        sets: true,
        meaning: ['a TCP flow ends at its FINs, or at a RST'],
      },
      {
        name: 'max-flows',
        value: 'N',
        option: 'maxFlows',
        isNumber: true,
        meaning: ['end the run after so many flows'],
      },
      {
        name: 'filter',
        value: 'FILTER',
        option: 'bpfFilter',
        meaning: ['meter only what a libpcap filter accepts,', "for example 'tcp port 443'"],
      },
      {
        name: 'fragments',
        value: 'HOW',
        option: 'fragments',
        meaning: ['assign later fragments to their flow (default)', 'or ignore them'],
      },
      {
        name: 'no-decode-tunnels',
        option: 'decodeTunnels',
        sets: false,
        meaning: ['meter tunnels, not what they carry'],
      },
      {
        name: 'snaplen',
        value: 'BYTES',
        option: 'snaplen',
        isNumber: true,
        meaning: ['look at the begin of a frame only (65535)'],
      },
      {
        name: 'capacity',
        value: 'FLOWS',
        option: 'capacity',
        isNumber: true,
        meaning: ['live flows at most (524288)'],
      },
      {
        name: 'on-capacity',
        value: 'HOW',
        option: 'onCapacity',
        meaning: ['drop the least recently used flow (default)', 'or export it'],
      },
    ],
  },
  {
    title: 'Applications',
    flags: [
      { name: 'no-ndpi', option: 'enableNdpi', sets: false, meaning: ['no application labels, no native code'] },
      {
        name: 'dissections',
        value: 'PACKETS',
        option: 'dissections',
        isNumber: true,
        meaning: ['packets of a flow that nDPI sees at most (20)'],
      },
    ],
  },
  {
    title: 'Live',
    flags: [
      {
        name: 'interface',
        short: 'i',
        value: 'NAME',
        isRepeatable: true,
        meaning: ['capture from an interface, though a file be', 'named like it; any number of times'],
      },
      {
        name: 'no-promiscuous',
        option: 'promiscuous',
        sets: false,
        meaning: ['only what is meant for this host'],
      },
      {
        name: 'buffer-size',
        value: 'BYTES',
        option: 'bufferSize',
        isNumber: true,
        meaning: ["the kernel's packet buffer (33554432),", 'of each interface'],
      },
      {
        name: 'batch-timeout-ms',
        value: 'MS',
        option: 'batchTimeoutMs',
        isNumber: true,
        meaning: ['packets come in batches of so many ms (50)'],
      },
      {
        name: 'immediate',
        option: 'immediate',
        sets: true,
        meaning: ['packets come one by one, for more CPU time'],
      },
      {
        name: 'reconnect',
        option: 'reconnect',
        sets: true,
        meaning: ['wait for an interface that went down'],
      },
      {
        name: 'duration',
        value: 'SECONDS',
        option: 'duration',
        isNumber: true,
        meaning: ['end the run after so long'],
      },
      {
        name: 'packets',
        value: 'N',
        option: 'packets',
        isNumber: true,
        meaning: ['end the run after so many packets'],
      },
      {
        name: 'replay-speed',
        value: 'SPEED',
        option: 'replaySpeed',
        isNumber: true,
        meaning: ['meter a file as if live: 1 is the recorded', 'pace, 10 ten times faster, max at once'],
      },
      {
        name: 'meters',
        value: 'N',
        option: 'meters',
        isNumber: true,
        meaning: ['threads that meter side by side (1); auto for', 'as many as there are processors'],
      },
      {
        name: 'system-visibility',
        option: 'systemVisibility',
        sets: true,
        meaning: ["name this host's processes (Linux)"],
      },
      {
        name: 'user',
        value: 'NAME',
        meaning: ["root's rights go when the source is open"],
      },
      {
        name: 'metrics-port',
        value: 'PORT',
        meaning: ['serve the counters to Prometheus:', 'http://127.0.0.1:PORT/metrics'],
      },
      {
        name: 'metrics-address',
        value: 'ADDRESS',
        meaning: ['serve them at another address than 127.0.0.1'],
      },
    ],
  },
  {
    title: 'Your own code',
    flags: [
      {
        name: 'plugin',
        value: 'FILE',
        isRepeatable: true,
        meaning: ['metrics and classifiers of a module,', 'TypeScript or JavaScript; any number of times'],
      },
    ],
  },
];

const QUIET: Flag = { name: 'quiet', short: 'q', meaning: ['no progress, no warnings; errors still print'] };
const DEBUG: Flag = { name: 'debug', meaning: ['print the stack of an error'] };
const DEBUG_RUN: Flag = { ...DEBUG, meaning: [...DEBUG.meaning, 'and find packets that plugins keep'] };
const HELP: Flag = { name: 'help', short: 'h', meaning: ['print this help'] };
const VERSION: Flag = { name: 'version', short: 'v', meaning: ['print the version'] };

export const RUN_FLAGS: readonly FlagGroup[] = [{ title: 'Other', flags: [QUIET, DEBUG_RUN, HELP, VERSION] }];

export const DOCTOR_FLAGS: readonly FlagGroup[] = [
  { title: 'Options', flags: [{ name: 'json', meaning: ['print the report as JSON'] }, DEBUG, HELP] },
];

export const INTERFACES_FLAGS: readonly FlagGroup[] = [
  { title: 'Options', flags: [{ name: 'json', meaning: ['print the list as JSON'] }, DEBUG, HELP] },
];

export const FIELDS_FLAGS: readonly FlagGroup[] = [
  {
    title: 'Options',
    flags: [
      { name: 'schema', value: 'NAME', meaning: ['only what a schema has, in its order'] },
      { name: 'json', meaning: ['print the table as JSON'] },
      {
        name: 'json-schema',
        meaning: ['print a JSON Schema of the records of a schema', '(classic unless --schema names one)'],
      },
      DEBUG,
      HELP,
    ],
  },
];

export const BUILD_NATIVE_FLAGS: readonly FlagGroup[] = [
  {
    title: 'Options',
    flags: [
      { name: 'only', value: 'ADDON', meaning: ['build only ndpi or capture'] },
      { name: 'force', meaning: ['compile although nothing changed'] },
      DEBUG,
      HELP,
    ],
  },
];
