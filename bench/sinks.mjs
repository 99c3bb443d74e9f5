// npm run bench:sinks [-- WRITER...] [-- --flows N] [-- --runs N] [-- --no-memory]
//
// What it costs to write flows: flows a second and bytes a flow of each sink, with the columns of nfstream6, without and
// with statistics and the first 10 packets, beside DuckDB's own writer on the same rows and Python NFStream's to_csv. Then
// the memory that a million flows take on their way to Parquet. What it costs to measure them: micro/statistics.mjs.
//
// Each run is a process of its own, on one core where there is taskset: all of its threads share it. `of CPU` counts the
// seconds that the process was at work, `flows/s` those on the clock, which whatever else the machine does adds to.
// Variants take turns (A B C, A B C, ...), so a slow minute of the machine hits all. Flows are made before the clock starts.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { capture } from './captures.mjs';
import { hasGnuTime, measure, median } from './measure.mjs';
import { WRITERS } from './sinks-writers.mjs';
import { cpuModel, print } from './table.mjs';

const SINK_RUN = fileURLToPath(new URL('sinks-run.mjs', import.meta.url));
const CLI = fileURLToPath(new URL('../bin/nfstream.js', import.meta.url));
const hasTaskset = spawnSync('taskset', ['--version']).status === 0;
const oneCore = hasTaskset ? ['taskset', '-c', '0', process.execPath] : [process.execPath];

const MEMORY_TARGET = 1.5e9;
const PYTHON = `
import sys
from nfstream import NFStreamer
NFStreamer(source=sys.argv[1], n_meters=1, n_dissections=0).to_csv(path=sys.argv[2])
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    flows: { type: 'string', default: '1000000' },
    runs: { type: 'string', default: '3' },
    'no-memory': { type: 'boolean' },
  },
});
const runs = Number(values.runs);
const writers = positionals.length > 0 ? positionals : Object.keys(WRITERS);

console.log(
  `${cpuModel()}, Node ${process.version}, ${hasTaskset ? 'one core' : 'all cores (no taskset)'}, ` +
    `${runs} runs each, medians`,
);
capture('mix');
const folder = mkdtempSync(join(tmpdir(), 'bench-sinks-'));
try {
  for (const features of ['none', 'all']) await compareSinks(features);
  await comparePython();
  if (!values['no-memory']) await measureMemory();
} finally {
  rmSync(folder, { recursive: true });
}

/** @param {'none' | 'all'} features */
async function compareSinks(features) {
  // DuckDB copies what the sink for it wrote, so that comes first.
  const ours = [...writers].sort((a, b) => Number(b === 'duckdb') - Number(a === 'duckdb'));
  const theirs = ours.includes('duckdb') ? ours.flatMap((name) => WRITERS[name].beside ?? []) : [];
  const costs = new Map([...ours, ...theirs].map((name) => [name, []]));
  for (let turn = 0; turn < runs; turn++) {
    for (const [name, all] of costs) all.push(await runSink(name, features));
  }
  const rate = (name, seconds) => median(costs.get(name).map((cost) => cost.rows / cost[seconds]));
  const [{ rows, columns }] = costs.get(ours[0]);
  const title = features === 'none' ? '' : ', with statistics and splt 10';
  console.log(`\n${rows.toLocaleString('en')} flows of nfstream6${title}: ${columns} columns`);
  print([
    ['', 'flows/s of CPU', 'flows/s', 'bytes a flow', 'peak MB', "x DuckDB's writer", 'target'],
    ...[...costs].map(([name, all]) => {
      const { target, beside } = WRITERS[name] ?? {};
      const ofCpu = rate(name, 'cpuSeconds');
      return [
        WRITERS[name]?.name ?? `DuckDB's own writer, ${name.split('-').slice(1).join(' ')}`,
        Math.round(ofCpu).toLocaleString('en'),
        Math.round(rate(name, 'wallSeconds')).toLocaleString('en'),
        (all[0].bytes / all[0].rows).toFixed(0),
        mega(median(all.map(({ rss }) => rss))),
        costs.has(beside) ? (ofCpu / rate(beside, 'cpuSeconds')).toFixed(2) : '',
        target === undefined || features === 'all'
          ? ''
          : verdict(`>= ${target.toLocaleString('en')} of CPU`, ofCpu >= target),
      ];
    }),
  ]);
}

async function runSink(name, features) {
  const command = [...oneCore, SINK_RUN, name, features, values.flows, folder];
  const result = JSON.parse((await measure(command, { keepOutput: true })).output);
  if (name !== 'duckdb' && !name.startsWith('copy-')) rmSync(join(folder, `${features}.${WRITERS[name].ending}`));
  return result;
}

/** Whole runs, packets to CSV: its flows can't be made before. */
async function comparePython() {
  if (spawnSync('python3', ['-c', 'import nfstream']).status !== 0) {
    console.log('\nPython NFStream is not installed: no comparison with its to_csv (pip install nfstream)');
    return;
  }
  const path = capture('flows');
  const out = join(folder, 'python.csv');
  const theirs = await measure(['python3', '-c', PYTHON, path, out]);
  rmSync(out);
  const ours = await measure([process.execPath, CLI, path, '--schema', 'nfstream6', '--no-ndpi', '-o', out]);
  console.log(
    `\n${basename(path)} to CSV, whole runs: Python NFStream ${theirs.wall.toFixed(1)} s, ` +
      `nfstream ${ours.wall.toFixed(1)} s`,
  );
}

/** A million flows that are metered while they are written, all columns: a table of live flows and a sink's buffers. */
async function measureMemory() {
  if (!hasGnuTime) return;
  const path = capture('flows');
  const options = ['--schema', 'nfstream6', '--statistics', '--splt', '10', '--no-ndpi', '--on-capacity', 'export'];
  const { rss } = await measure([process.execPath, CLI, path, ...options, '-o', join(folder, 'memory.parquet')]);
  console.log(
    `\na million flows from packets to Parquet, statistics and splt 10, no nDPI: peak ${mega(rss)} MB ` +
      `(target: ${verdict('under 1500 MB', rss < MEMORY_TARGET)})`,
  );
}

function verdict(target, isMet) {
  return `${target}: ${isMet ? 'met' : 'NOT MET'}`;
}

function mega(bytes) {
  return (bytes / 1e6).toFixed(0);
}
