// Who runs in the benchmark, and on what terms. Everybody reads the same file from the page cache and writes to
// /dev/null, as standard output: by its name, some would change its owner or delete it when they run as root. What is
// not installed is left out and named.
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const METER = fileURLToPath(new URL('meter.mjs', import.meta.url));
const CLI = fileURLToPath(new URL('../bin/nfstream.js', import.meta.url));
// softflowd deletes it when it ends.
const PID_FILE = join(tmpdir(), `bench-softflowd-${process.pid}.pid`);
const PYTHON = `
import sys
from nfstream import NFStreamer
for flow in NFStreamer(source=sys.argv[1], n_dissections=int(sys.argv[2]), n_meters=1): pass
`;

/**
 * @typedef {object} Contender
 * @property {string} name
 * @property {(path: string) => string[]} command
 * @property {'tcpdump' | 'ndpiReader'} [against] whom the target is about
 * @property {number} [target] at most this many times its wall time
 */

/** @type {Contender[]} */
const ALL = [
  { name: 'tcpdump -w /dev/null', command: (path) => ['tcpdump', '-n', '-r', path, '-w', '-'] },
  { name: 'ndpiReader -q', command: (path) => ['ndpiReader', '-i', path, '-q'] },
  {
    name: 'nfstream, library, no nDPI',
    command: (path) => [process.execPath, METER, path, '{"enableNdpi":false}'],
    against: 'tcpdump',
    target: 1.5,
  },
  {
    name: 'nfstream, library, nDPI',
    command: (path) => [process.execPath, METER, path, '{}'],
    against: 'ndpiReader',
    target: 0.9,
  },
  {
    name: 'nfstream, batches, no nDPI',
    command: (path) => [process.execPath, METER, path, '{"enableNdpi":false}', 'batches'],
  },
  { name: 'nfstream CLI, JSON, no nDPI', command: (path) => [process.execPath, CLI, path, '--no-ndpi'] },
  { name: 'nfstream CLI, JSON, nDPI', command: (path) => [process.execPath, CLI, path] },
  {
    // IPv6 too, and as many live flows as we keep.
    name: 'softflowd -r',
    command: (path) => ['softflowd', '-6', '-m', '524288', '-c', 'none', '-p', PID_FILE, '-r', path],
  },
  { name: 'argus -w /dev/null', command: (path) => ['argus', '-r', path, '-w', '-'] },
  { name: 'Python NFStream, no nDPI', command: (path) => ['python3', '-c', PYTHON, path, '0'] },
  { name: 'Python NFStream, nDPI', command: (path) => ['python3', '-c', PYTHON, path, '20'] },
];

/** @param {Contender} contender */
function isInstalled({ name, command }) {
  const [program] = command('');
  if (program === 'python3') return spawnSync('python3', ['-c', 'import nfstream'], { stdio: 'ignore' }).status === 0;
  if (name.includes('CLI')) return spawnSync(process.execPath, [CLI, '--version'], { stdio: 'ignore' }).status === 0;
  return spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin" command -v ${program}`], { stdio: 'ignore' }).status === 0;
}

/** @returns {{ present: Contender[], absent: string[] }} */
export function findContenders() {
  const present = ALL.filter(isInstalled);
  return { present, absent: ALL.filter((one) => !present.includes(one)).map(({ name }) => name) };
}
