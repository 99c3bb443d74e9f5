// npm run bench [-- CAPTURE...] [-- --only NAME...] [-- --runs N] [-- --quick] [-- --check] [-- --markdown]
//
// Prints one table, the targets beside the figures: for each of the three captures of captures.mjs, or for those given by their
// paths, wall and CPU time (medians), peak memory and ratios of the same run; then memory of a live flow, time a packet
// as the capture grows, and how long it takes to begin.
//
//   wall s    the whole process, Node's start included
//   inside s  from `new Streamer` to the end of the iteration
//
// --only takes captures (mix, small, flows) and parts (memory, growth, start). --quick runs everything once, without rows that no
// target is about, and without the 30 million packets of growth. --check fails when a figure is over its target by more
// than the tolerance, or over what is accepted for it (targets.mjs). --markdown prints the table for docs/performance.md.
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { CAPTURES, capture } from './captures.mjs';
import { compare } from './compare.mjs';
import { CONTENDERS, findContenders } from './contenders.mjs';
import { measureGrowth } from './growth.mjs';
import { hasGnuTime } from './measure.mjs';
import { measureMemory } from './memory.mjs';
import { failuresOf, printRows } from './rows.mjs';
import { measureStart } from './start.mjs';
import { cpuModel } from './table.mjs';
import { TOLERANCE } from './targets.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    only: { type: 'string', multiple: true },
    quick: { type: 'boolean', default: false },
    check: { type: 'boolean', default: false },
    markdown: { type: 'boolean', default: false },
  },
});
const { quick, markdown } = values;
const runs = quick ? 1 : Number(values.runs);
if (!(runs >= 1)) fail(`Expected a number of runs from 1 for --runs, but received ${values.runs}`);

/** By name, what gives their rows. */
const parts = {
  ...Object.fromEntries(Object.keys(CAPTURES).map((name) => [name, () => compareAll(name, capture(name))])),
  memory: () => (hasGnuTime ? measureMemory(Math.min(runs, 3)) : []),
  growth: () => (quick ? [] : measureGrowth(Math.min(runs, 3))),
  start: () => measureStart(),
};
const unknown = values.only?.find((name) => !(name in parts));
if (unknown !== undefined) fail(`Expected one of ${Object.keys(parts).join(', ')} for --only, but received ${unknown}`);

const wanted = quick ? CONTENDERS.filter(isJudged) : CONTENDERS;
const { present, absent } = findContenders(wanted);
console.log(`${cpuModel()}, Node ${process.version}, ${runs} runs, medians\n`);
const rows = [];
if (positionals.length > 0) for (const path of positionals) rows.push(...(await compareAll(basename(path), path)));
else for (const name of values.only ?? Object.keys(parts)) rows.push(...(await parts[name]()));
printRows(rows, markdown);
console.log('');
if (absent.length > 0) console.log(`not installed, so not measured: ${absent.join('; ')}`);
if (!hasGnuTime) console.log('no CPU time and memory without GNU time (Debian: apt-get install time)');
if (values.check) check();

function compareAll(name, path) {
  return compare(name, path, present, runs);
}

/** Whether a target is about it, or about somebody's ratio to it. */
function isJudged({ name, target }) {
  return target !== undefined || CONTENDERS.some((other) => other.target !== undefined && other.against === name);
}

function check() {
  const failures = failuresOf(rows);
  for (const failure of failures) console.log(`worse by more than ${TOLERANCE * 100} %: ${failure}`);
  if (failures.length === 0) console.log(`nothing is worse than allowed by more than ${TOLERANCE * 100} %`);
  process.exitCode = failures.length === 0 ? 0 : 1;
}

/** @param {string} problem */
function fail(problem) {
  console.error(`bench: ${problem}`);
  process.exit(2);
}
