// npm run bench [-- CAPTURE...] [-- --runs N]
//
// Prints a table for each capture: wall and CPU time (medians), peak memory, and wall time as a ratio to tcpdump and to
// ndpiReader of the same run. Contenders take turns (A B C, A B C, ...), so a slow minute of the machine hits all; who
// takes over ten seconds runs once.
// Without CAPTURE it makes the three of captures.mjs. The memory part measures bytes for a live flow, and whether a
// capture ten times as long takes more memory.
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { CAPTURES, capture } from './captures.mjs';
import { findContenders } from './contenders.mjs';
import { hasGnuTime, measure, median } from './measure.mjs';
import { measureMemory } from './memory.mjs';

/** Who takes longer runs once. */
const SLOW_SECONDS = 10;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '3' } },
});
const runs = Number(values.runs);
const { present, absent } = findContenders();

console.log(`${cpuModel()}, Node ${process.version}, ${runs} runs each, medians`);
if (absent.length > 0) console.log(`not installed: ${absent.join(', ')}`);
if (!hasGnuTime) console.log('no CPU time and memory without GNU time (Debian: apt-get install time)');

const paths = positionals.length > 0 ? positionals : Object.keys(CAPTURES).map((name) => capture(name));
for (const path of paths) await compare(path);
if (positionals.length === 0) await measureMemory();

/** @param {string} path */
async function compare(path) {
  const packets = countPackets(path);
  console.log(`\n${basename(path)}: ${packets.toLocaleString('en')} packets, ${mega(statSync(path).size)} MB`);
  /** @type {Map<string, import('./measure.mjs').Cost[]>} */
  const costs = new Map(present.map(({ name }) => [name, []]));
  const failed = new Set();
  for (let run = 0; run < runs; run++) {
    for (const { name, command } of present) {
      if (failed.has(name) || costs.get(name).some(({ wall }) => wall > SLOW_SECONDS)) continue;
      try {
        costs.get(name).push(await measure(command(path)));
      } catch (error) {
        failed.add(name);
        console.error(`${name}: ${error.message}`);
      }
    }
  }
  const wall = Object.fromEntries(
    [...costs].map(([name, all]) => [name.split(' ')[0], median(all.map((c) => c.wall))]),
  );
  print([
    ['', 'wall s', 'CPU s', 'Mpkt/s', 'peak MB', 'x tcpdump', 'x ndpiReader', 'target'],
    ...present.filter(({ name }) => !failed.has(name)).map((one) => row(one, costs.get(one.name), wall, packets)),
  ]);
}

function row({ name, against, target }, all, reference, packets) {
  const wall = median(all.map((cost) => cost.wall));
  const ratio = (to) => (to === undefined ? '-' : (wall / to).toFixed(2));
  const verdict = () => {
    if (against === undefined || reference[against] === undefined) return '';
    return `<= ${target} x ${against}: ${wall / reference[against] <= target ? 'met' : 'NOT MET'}`;
  };
  return [
    name,
    wall.toFixed(2),
    median(all.map((cost) => cost.cpu)).toFixed(2),
    (packets / wall / 1e6).toFixed(2),
    mega(median(all.map((cost) => cost.rss))),
    ratio(reference.tcpdump),
    ratio(reference.ndpiReader),
    verdict(),
  ];
}

/** @param {string[][]} rows */
function print(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((cells) => cells[column].length)));
  for (const cells of rows) {
    console.log(
      cells.map((cell, i) => (i === 0 || i === 7 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join('  '),
    );
  }
}

/** By ourselves, once, which also brings the file into the page cache. @param {string} path */
function countPackets(path) {
  const meter = fileURLToPath(new URL('meter.mjs', import.meta.url));
  const { stdout, stderr, status } = spawnSync(process.execPath, [meter, path, '{"enableNdpi":false}', 'batches']);
  if (status !== 0) throw new Error(`${path}: ${stderr}`);
  return JSON.parse(stdout.toString()).packets_read;
}

function mega(bytes) {
  return Number.isNaN(bytes) ? '-' : (bytes / 1e6).toFixed(0);
}

function cpuModel() {
  const model = spawnSync('sh', ['-c', "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1"]).stdout.toString();
  return model.trim() || process.arch;
}
