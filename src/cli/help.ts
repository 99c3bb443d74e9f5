// The help texts, put together from the flag tables.
import {
  BUILD_NATIVE_FLAGS,
  DOCTOR_FLAGS,
  FIELDS_FLAGS,
  type Flag,
  type FlagGroup,
  INTERFACES_FLAGS,
  METER_FLAGS,
  RUN_FLAGS,
} from './flags.ts';

export const COMMANDS = ['interfaces', 'fields', 'doctor', 'build-native', 'help'] as const;
export type Command = (typeof COMMANDS)[number];

/** What to type, in a few lines. */
export const USAGE = `usage: nfstream SOURCE... [options]     meter captures or interfaces into flows
       nfstream interfaces              list what can be captured from
       nfstream fields                  list what a flow's record can have
       nfstream doctor                  see what works on this machine
       nfstream help                    all options, examples, exit codes
`;

/** Room for the longest flag; meanings are short enough to stay within 80 columns. */
const FLAG_COLUMNS = 34;

function flagLine({ name, short, value, meaning }: Flag): string {
  const names = `  ${short === undefined ? '    ' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
  const indent = ' '.repeat(FLAG_COLUMNS);
  return `${names.padEnd(FLAG_COLUMNS)}${meaning.join(`\n${indent}`)}\n`;
}

function flagText(groups: readonly FlagGroup[]): string {
  return groups.map(({ title, flags }) => `${title}\n${flags.map(flagLine).join('')}`).join('\n');
}

/** Help of the main job, with all that there is. */
export function mainHelp(): string {
  return `nfstream: packets in, labelled bidirectional flows out

Usage
  nfstream SOURCE... [options]       meter captures or interfaces into flows
  nfstream interfaces [--json]       what can be captured from
  nfstream fields [--schema NAME]    what a flow's record can have
  nfstream doctor [--json]           what works on this machine, and what to run
  nfstream build-native [--only X]   compile the native addons (libpcap, nDPI)
  nfstream help [COMMAND]            this text, or a command's

  SOURCE is a capture file, pcap or pcapng, plain or compressed by gzip, zstd or
  lz4; or - for standard input. Several are metered as one capture in the order
  given. Where there is no such file it is a network interface; several are
  captured from at once, until a signal or an option ends the run. Flows go to
  standard output as JSON Lines, one flow a line, unless the options below say
  otherwise. A file that is named like a command: ./doctor

${flagText([...METER_FLAGS, ...RUN_FLAGS])}
Examples
  nfstream capture.pcap --summary
  nfstream capture.pcapng.gz -o flows.csv
  nfstream monday.pcap tuesday.pcap --filter 'not port 22' --stats stats.json
  tcpdump -i eth0 -U -w - | nfstream - --no-ndpi | head -n 3
  sudo nfstream eth1 --user nobody --duration 60 -o flows.jsonl

Exit codes
  0  done; a live run also when a signal ended it
  1  failed                 129  the terminal is gone (SIGHUP), as with 130
  2  wrong usage            130  interrupted (SIGINT), flows so far are written
  3  damaged input,         143  terminated (SIGTERM), likewise
     metered as far as it goes

Environment
  NO_COLOR=1                  no colours
  NFSTREAM_DEBUG=1            as --debug
  NFSTREAM_NATIVE=FOLDER      take the native addons from FOLDER; off: use none
`;
}

/** Help of a command. */
export function commandHelp(command: Command): string {
  switch (command) {
    case 'doctor':
      return `nfstream doctor: what works on this machine, and what to run where it doesn't

Usage
  nfstream doctor [--json]

${flagText(DOCTOR_FLAGS)}
Exit codes
  0  all works                1  something doesn't
`;
    case 'interfaces':
      return `nfstream interfaces: what can be captured from

Usage
  nfstream interfaces [--json]

${flagText(INTERFACES_FLAGS)}
Exit codes
  0  listed                   1  failed
`;
    case 'fields':
      return `nfstream fields: what a flow's record can have

Usage
  nfstream fields [--schema NAME] [--json | --json-schema]

  Name, type, what turns it on, the schemas that have it, meaning and unit of each
  field. A run has those of --schema, or those that --fields names.

${flagText(FIELDS_FLAGS)}
Exit codes
  0  listed                   2  no such schema
`;
    case 'build-native':
      return `nfstream build-native: compile the native addons with this machine's compiler

Usage
  nfstream build-native [--only ADDON] [--force]

  Two addons, each optional: capture (libpcap) for interfaces and filters, ndpi
  (nDPI) for application labels. Needs a C++17 compiler (CXX names another one) and the
  headers of the libraries; a message says what to install.

${flagText(BUILD_NATIVE_FLAGS)}
Exit codes
  0  built, or up to date     1  failed
`;
    case 'help':
      return mainHelp();
  }
}
