// What is printed and returned when something is wrong: one line that says what was expected, and the code's exit code.
import { chmodSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { pcap } from './capture.ts';
import { bash, nfstream, ROOT, temporaryFolder } from './run.ts';

const file = temporaryFolder();
const source = file('one.pcap', pcap([{}]));

/** In this process, which is much quicker than a child; only for what ends before anything is read or written. */
async function inProcess(args: readonly string[]): Promise<{ code: number; stderr: string }> {
  const write = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  try {
    const code = await main(args);
    return { code, stderr: write.mock.calls.map(([text]) => text).join('') };
  } finally {
    write.mockRestore();
  }
}

describe('wrong usage', () => {
  it.each([
    [['--sumary'], 'Unknown flag --sumary; did you mean --summary?'],
    [['--inactiveTimeout', '5'], 'Unknown flag --inactiveTimeout; did you mean --inactive-timeout?'],
    [['-x'], 'Unknown flag -x; see --help'],
    [['--no-ndpi'], 'Expected SOURCE, a capture file, - or an interface, but received none; see --help'],
    [[''], 'Expected a capture file, - or an interface for SOURCE but received ""'],
    [['-', '-'], 'Expected standard input at most once for SOURCE but received "-" and "-"'],
    [
      ['/dev/stdin', 'a.pcap', '-', '/proc/self/fd/0'],
      'Expected standard input at most once for SOURCE but received "/dev/stdin" and "-" and "/proc/self/fd/0"',
    ],
    [
      ['a.pcap', '--format', 'xml'],
      'Expected json, csv, parquet, arrow, arrows or duckdb for --format but received "xml"',
    ],
    [
      ['a.pcap', '-o', 'x.json', '--format', 'csv'],
      'Expected json, which the ending of "x.json" stands for, or none, for --format but received "csv"',
    ],
    [
      ['a.pcap', '--compression', 'gzip', '-o', 'a.pq'],
      'Expected "zstd" or "snappy" or "none" for --compression but received "gzip"',
    ],
    [
      ['a.pcap', '--compression', 'zstd'],
      'Expected a Parquet file among the outputs for --compression but received none',
    ],
    [
      ['a.pcap', '-o', 'a.csv', '--rotate-rows', '0'],
      'Expected an integer from 1 to 9007199254740991 for --rotate-rows but received 0',
    ],
    [
      ['a.pcap', '-o', 'a.csv', '--rotate-bytes', '64MB'],
      'Expected a number of bytes, such as 64M, for --rotate-bytes but received "64MB"',
    ],
    [
      ['a.pcap', '-o', 'a.csv', '--rotate-seconds', '1m'],
      'Expected a number of seconds above 0, 2000000 at most for --rotate-seconds but received "1m"',
    ],
    [
      ['a.pcap', '--rotate-rows', '5'],
      'Expected files for --rotate-rows, --rotate-bytes and --rotate-seconds but received "-", which is no file',
    ],
    [['a.pcap', '--format'], 'Expected FORMAT for --format but received nothing'],
    [['a.pcap', '-o', ''], 'Expected FILE for -o but received ""'],
    [['a.pcap', '--quiet=1'], 'Expected no value for --quiet but received "1"'],
    [['a.pcap', '-q', '--quiet'], 'Expected --quiet once but received it again'],
    [
      ['a.pcap', '--stats', '--quiet'],
      'Expected FILE for --stats but received the flag --quiet; if it is meant, write --stats=--quiet',
    ],
    [['a.pcap', '-o', '-q'], 'Expected FILE for -o but received the flag -q; if it is meant, write -o ./-q'],
    [
      ['a.pcap', '-o', 'a.xlsx'],
      'Expected a name ending in .jsonl .ndjson .json .csv .parquet .pq .arrow .feather .ipc .arrows .duckdb .ddb, ' +
        'or --format, for --output but received "a.xlsx"',
    ],
    [
      ['a.pcap', '-o', 'x.json', '--stats', 'x.json'],
      'Expected another file for --stats than for --output but received "x.json" for both',
    ],
    [
      ['doctor', 'a.pcap'],
      'Expected only options for doctor but received "a.pcap"; a capture file of that name is ./doctor',
    ],
    [['-i', ''], 'Expected NAME for -i but received ""'],
    [
      ['eth0', '--user', 'nobody', '--reconnect'],
      'Expected --user or --reconnect but received both: the interface could not be opened again without the rights ' +
        'that --user gives up',
    ],
    [
      ['a.pcap', '--metrics-port', '65536'],
      'Expected an integer from 0 to 65535 for --metrics-port but received "65536"',
    ],
    [['a.pcap', '--metrics-port=0x10'], 'Expected an integer from 0 to 65535 for --metrics-port but received "0x10"'],
    [['a.pcap', '--metrics-address', '::1'], 'Expected --metrics-port with --metrics-address but received "::1" alone'],
    [
      ['interfaces', 'eth0'],
      'Expected only options for interfaces but received "eth0"; a capture file of that name is ./interfaces',
    ],
    [['build-native', '--only', 'x'], 'Expected ndpi or capture for --only but received "x"'],
    [['help', 'me'], 'Expected interfaces, fields, doctor, build-native, help or nothing for help but received "me"'],
  ])('%j', async (args, message) => {
    expect(await inProcess(args)).toEqual({ code: 2, stderr: `nfstream: ${message} [USAGE]\n` });
  });

  it('ends the process with exit code 2, and nothing on standard output', async () => {
    const stderr = 'nfstream: Unknown flag --quite; did you mean --quiet? [USAGE]\n';
    expect(await nfstream(['--quite'])).toEqual({ code: 2, signal: null, stdout: '', stderr });
  });

  it('shows what to type when nothing was typed', async () => {
    const { code, stdout, stderr } = await nfstream([]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^usage: nfstream SOURCE/);
  });

  it('does not replace a capture by its flows', async () => {
    const refused = `nfstream: Expected a file that is no SOURCE for --output but received "${source}" [USAGE]\n`;
    expect((await nfstream([source, '--format=csv', '-o', source])).stderr).toBe(refused);
    expect(await nfstream([source, '--no-ndpi', '--stats', source])).toMatchObject({ code: 2 });
    expect((await bash(`nfstream - --format=csv -o '${source}' < '${source}'`)).stderr).toBe(refused);
  });
});

describe('wrong values', () => {
  it.each([
    ['--capacity', '1e3', 'an integer from 1 to 16777216', '"1e3"'],
    ['--capacity', '0x10', 'an integer from 1 to 16777216', '"0x10"'],
    ['--capacity', '0', 'an integer from 1 to 16777216', '0'],
    ['--capacity', '-1', 'an integer from 1 to 16777216', '-1'],
    ['--capacity', '1.5', 'an integer from 1 to 16777216', '1.5'],
    ['--capacity', ' 5', 'an integer from 1 to 16777216', '" 5"'],
    ['--snaplen', 'all', 'an integer from 1 to 2147483647', '"all"'],
    ['--dissections', '70000', 'an integer from 0 to 65535', '70000'],
    ['--active-timeout', '-0.5', 'a number of seconds, 0 or more (Infinity for never)', '-0.5'],
    ['--inactive-timeout', '1m', 'a number of seconds, 0 or more (Infinity for never)', '"1m"'],
    ['--fragments', 'drop', '"assign" or "ignore"', '"drop"'],
    ['--on-capacity', 'stop', '"drop" or "export"', '"stop"'],
    ['--buffer-size', '1', 'an integer from 65536 to 2147483647', '1'],
    ['--batch-timeout-ms', '0', 'an integer from 1 to 10000', '0'],
    ['--duration', '1m', 'a number of seconds, 0 or more (Infinity for never)', '"1m"'],
    ['--packets', '1.5', 'an integer from 0 to 9007199254740991', '1.5'],
    ['--replay-speed', '0', 'a number above 0 (1 is the recorded pace) or "max"', '0'],
    ['--replay-speed', 'fast', 'a number above 0 (1 is the recorded pace) or "max"', '"fast"'],
    ['--meters', '0', 'an integer from 1 to 64 or "auto"', '0'],
    ['--meters', 'all', 'an integer from 1 to 64 or "auto"', '"all"'],
  ])('%s %s is refused by the name of the flag', async (flag, value, expected, received) => {
    const stderr = `nfstream: Expected ${expected} for ${flag} but received ${received} [INVALID_OPTION]\n`;
    expect(await inProcess([source, flag, value])).toEqual({ code: 2, stderr });
  });

  it.each([
    [['--fields', 'src2dst_max_ps'], '"src2dst_max_ps", which takes --statistics'],
    [['--fields', 'splt_ps'], '"splt_ps", which takes --splt N'],
    [['--fields', 'process_id'], '"process_id", which takes --system-visibility'],
    [['--fields', 'udps'], '"udps", which takes --plugin'],
    [['--fields', 'application_name', '--no-ndpi'], '"application_name", which --no-ndpi turns off'],
    [['--fields', 'tunnel_id', '--no-decode-tunnels'], '"tunnel_id", which --no-decode-tunnels turns off'],
  ])('%j is refused with the flag that turns it on, or off', async (args, received) => {
    const stderr = `nfstream: Expected fields that are measured for --fields but received ${received} [INVALID_OPTION]\n`;
    expect(await inProcess([source, ...args])).toEqual({ code: 2, stderr });
  });

  it('--filter is refused with what libpcap says', async () => {
    const { code, stderr } = await nfstream([source, '--filter', 'tcp prot 5']);
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^nfstream: [^\n]* for --filter [^\n]*"tcp prot 5"[^\n]*syntax error[^\n]* \[INVALID_FILTER\]\n$/,
    );
  });
});

describe('what fails', () => {
  const text = file('text.txt', 'this is no capture\n');
  const empty = file('empty.pcap', '');
  const cut = file('cut.pcap', pcap([{}, { at: 1 }]).subarray(0, -5));
  it.each([
    ['SOURCE_NOT_FOUND', [file('none.pcap')]],
    ['SOURCE_NOT_FOUND', [file('new\nline.pcap')]],
    ['SOURCE_NOT_FOUND', [file('one for snaplen 5.pcap')]],
    ['SOURCE_IS_DIRECTORY', [ROOT]],
    ['NOT_A_CAPTURE', [text]],
    ['EMPTY_CAPTURE', [empty]],
    ['TRUNCATED_CAPTURE', [cut]],
    ['OUTPUT_FAILED', [source, '-o', file('none/flows.csv')]],
  ] as const)('%s: one line with the file, and its exit code', async (code, args) => {
    const finished = await nfstream([...args, '--no-ndpi']);
    expect(finished.code).toBe(ERROR_CODES[code].exit);
    const place = (args.at(-1) ?? '').replace('\n', '\\n');
    const [line, ...more] = finished.stderr.split('\n');
    expect(more).toEqual(['']);
    expect(line).toMatch(new RegExp(`^nfstream: .* \\[${code}\\]$`));
    expect(line).toContain(place);
  });

  it.skipIf(process.getuid?.() === 0)('SOURCE_DENIED (skipped for root, who may read anything)', async () => {
    const denied = file('denied.pcap', pcap([{}]));
    chmodSync(denied, 0);
    const { code, stderr } = await nfstream([denied, '--no-ndpi']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/ \[SOURCE_DENIED\]\n$/);
  });

  it('NDPI_UNAVAILABLE says how to go on without', async () => {
    const { code, stdout, stderr } = await nfstream([source], { env: { NFSTREAM_NATIVE: 'off' } });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^nfstream: .*NFSTREAM_NATIVE=off; without labels it works: --no-ndpi \[NDPI_UNAVAILABLE\]\n$/,
    );
    const missing = await nfstream([source], { env: { NFSTREAM_NATIVE: file('nowhere') } });
    expect(missing.stderr).toMatch(
      /Tried:\n.*nowhere[\s\S]*npx nfstream build-native\n.*--no-ndpi \[NDPI_UNAVAILABLE\]\n$/,
    );
    expect(await nfstream([source, '--no-ndpi'], { env: { NFSTREAM_NATIVE: 'off' } })).toMatchObject({ code: 0 });
  });

  it('FILTER_UNAVAILABLE names the flag', async () => {
    const { code, stderr } = await nfstream([source, '--no-ndpi', '--filter', 'tcp'], {
      env: { NFSTREAM_NATIVE: 'off' },
    });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^nfstream: --filter needs libpcap, [^\n]* \[FILTER_UNAVAILABLE\]\n$/);
  });

  it('shows the stack with --debug or NFSTREAM_DEBUG=1 only', async () => {
    const args = [file('none.pcap'), '--no-ndpi'];
    const stack = /\[SOURCE_NOT_FOUND\]\nNfstreamError: [\s\S]*\n {4}at /;
    expect((await nfstream([...args, '--debug'])).stderr).toMatch(stack);
    expect((await nfstream(args, { env: { NFSTREAM_DEBUG: '1' } })).stderr).toMatch(stack);
    expect((await nfstream(args, { env: { NFSTREAM_DEBUG: '0' } })).stderr).not.toMatch(/ {4}at /);
  });
});
