// Who runs in the benchmark, and on what terms. Everybody reads the same file from the page cache and writes to
// /dev/null, as standard output: by its name, some would change its owner or delete it when they run as root. What is
// not installed is left out and named.
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const METER = fileURLToPath(new URL('meter.mjs', import.meta.url));
export const CLI = fileURLToPath(new URL('../bin/nfstream.js', import.meta.url));
// softflowd deletes it when it ends.
const PID_FILE = join(tmpdir(), `bench-softflowd-${process.pid}.pid`);
const PYTHON = `
import sys
from nfstream import NFStreamer
for flow in NFStreamer(source=sys.argv[1], n_dissections=int(sys.argv[2]), n_meters=int(sys.argv[3])): pass
`;

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {(path: string, out: string) => string[]} command `out`: a path for a file, which is not there yet
 * @property {boolean} [isOurs]
 * @property {boolean} [tellsInside] prints JSON with `wallSeconds`: what it took inside the process, without its start
 * @property {string} [against] the contender beside whose time its own is put
 * @property {string} [target] of targets.mjs, about the ratio of these two
 * @property {boolean} [judgesInside] the target is about the time inside the process
 * @property {string} [memoryTarget] of targets.mjs, about its peak memory
 */

/** @param {object} options @param {Partial<Contender>} rest @returns {Partial<Contender>} */
function library(options, { unit, ...rest } = {}) {
  const more = unit === undefined ? [] : [unit];
  const command = (path) => [process.execPath, METER, path, JSON.stringify(options), ...more];
  return { command, isOurs: true, tellsInside: true, ...rest };
}

/** @returns {Partial<Contender>} */
function cli(...flags) {
  const command = (path, out) => [process.execPath, CLI, path, ...flags.map((flag) => (flag === 'OUT' ? out : flag))];
  return { command, isOurs: true };
}

/** @returns {Partial<Contender>} */
function python(dissections, meters) {
  return { command: (path) => ['python3', '-c', PYTHON, path, String(dissections), String(meters)] };
}

const TCPDUMP = 'tcpdump -w /dev/null';
const NDPI_READER = 'ndpiReader -q';
const ITERATED = 'Streamer, no nDPI';
const ITERATED_NDPI = 'Streamer, nDPI';
const NDPI_TWO = 'Streamer, nDPI, two meters';
const PYTHON_PLAIN = 'Python NFStream, no nDPI';
const PYTHON_NDPI = 'Python NFStream, nDPI';

/** In the order in which they run; who is compared runs next to whom it is compared with. @type {Contender[]} */
export const CONTENDERS = [
  { name: TCPDUMP, command: (path) => ['tcpdump', '-n', '-r', path, '-w', '-'] },
  {
    name: ITERATED,
    ...library({ enableNdpi: false }),
    against: TCPDUMP,
    target: 'iteration / tcpdump',
    judgesInside: true,
    memoryTarget: 'peak MB',
  },
  { name: 'Streamer.batches(), no nDPI', ...library({ enableNdpi: false }, { unit: 'batches' }), against: TCPDUMP },
  {
    name: 'nfstream F -o flows.csv, no nDPI',
    ...cli('--no-ndpi', '-o', 'OUT'),
    against: TCPDUMP,
    target: 'CSV / tcpdump',
  },
  { name: 'nfstream F, JSON, no nDPI', ...cli('--no-ndpi'), against: TCPDUMP },
  { name: 'Streamer, no nDPI, two meters', ...library({ enableNdpi: false, meters: 2 }), against: ITERATED },
  { name: NDPI_READER, command: (path) => ['ndpiReader', '-i', path, '-q'] },
  { name: ITERATED_NDPI, ...library({}), against: NDPI_READER, target: 'nDPI / ndpiReader' },
  { name: NDPI_TWO, ...library({ meters: 2 }), against: ITERATED_NDPI, target: 'nDPI, two meters / one' },
  { name: 'nfstream F, JSON, nDPI', ...cli(), against: NDPI_READER },
  {
    // IPv6 too, and as many live flows as we keep.
    name: 'softflowd -r',
    command: (path) => ['softflowd', '-6', '-m', '524288', '-c', 'none', '-p', PID_FILE, '-r', path],
    against: TCPDUMP,
  },
  { name: 'argus -w /dev/null', command: (path) => ['argus', '-r', path, '-w', '-'], against: TCPDUMP },
  { name: PYTHON_PLAIN, ...python(0, 1), against: ITERATED, target: 'Python / ours' },
  { name: PYTHON_NDPI, ...python(20, 1), against: NDPI_TWO, target: 'Python, nDPI / ours' },
  { name: 'Python NFStream, nDPI, two meters', ...python(20, 2), against: NDPI_TWO },
];

/** @param {Contender} contender */
function isInstalled({ isOurs, command }) {
  if (isOurs) return true;
  const [program] = command('', '');
  if (program === 'python3') return spawnSync('python3', ['-c', 'import nfstream'], { stdio: 'ignore' }).status === 0;
  return spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin" command -v ${program}`], { stdio: 'ignore' }).status === 0;
}

/** @param {readonly Contender[]} wanted @returns {{ present: Contender[], absent: string[] }} */
export function findContenders(wanted) {
  const present = wanted.filter(isInstalled);
  return { present, absent: wanted.filter((one) => !present.includes(one)).map(({ name }) => name) };
}
