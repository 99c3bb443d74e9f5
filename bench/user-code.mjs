// npm run bench:user-code [-- CAPTURE...] [-- --runs N] [-- --no-memory]
//
// What user code costs: nanoseconds a packet without any, with one and ten metrics, with a classifier that counts
// and with one that reads payload; nDPI is off. And what it keeps: memory of a metric over a million flows.
//
// Each run is a process of its own, which meters once and prints its figures. Variants take turns (A B C, A B C, ...), so
// a slow minute of the machine hits all; `over none` is the median of the differences within a turn. CPU time counts the
// collector's threads, too; wall time suffers from whatever else the machine does.
// Without CAPTURE it takes `small` and `mix` of captures.mjs.
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { capture } from './captures.mjs';
import { hasGnuTime, measure, median } from './measure.mjs';
import { cpuModel, print } from './table.mjs';

const RUN = fileURLToPath(new URL('user-code-run.mjs', import.meta.url));

/** Names are those of user-code-run.mjs. */
const VARIANTS = {
  none: 'none',
  oneMetric: 'one metric (packets > 666 bytes)',
  tenMetrics: 'ten metrics',
  counter: 'a classifier counting in its scratch space',
  payload: 'a classifier summing 16 payload bytes',
};
const TARGET_NS = 60;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { runs: { type: 'string', default: '5' }, 'no-memory': { type: 'boolean' } },
});
const runs = Number(values.runs);

console.log(`${cpuModel()}, Node ${process.version}, no nDPI, ${runs} runs each, medians`);
const paths = positionals.length > 0 ? positionals : [capture('small'), capture('mix')];
for (const path of paths) await compareTime(path);
if (!values['no-memory']) await compareMemory(capture('flows'));

/** @param {string} path */
async function compareTime(path) {
  const names = Object.keys(VARIANTS);
  /** @type {Record<string, { cpu: number, wall: number }[]>} in ns a packet */
  const costs = Object.fromEntries(names.map((name) => [name, []]));
  let packets = 0;
  // The first turn brings the file into the page cache.
  for (let turn = -1; turn < runs; turn++) {
    for (const name of turn < 0 ? ['none'] : names) {
      const result = await run(path, name);
      packets = result.packets;
      const perPacket = (seconds) => (seconds * 1e9) / packets;
      if (turn >= 0) costs[name].push({ cpu: perPacket(result.cpuSeconds), wall: perPacket(result.wallSeconds) });
    }
  }
  console.log(`\n${basename(path)}: ${packets.toLocaleString('en')} packets`);
  print([
    ['', 'CPU ns a packet', 'over none', 'x none', 'wall ns', 'over none', 'target'],
    ...names.map((name) => {
      const each = (value) => costs[name].map((cost, turn) => value(cost, costs.none[turn]));
      const over = median(each(({ cpu }, none) => cpu - none.cpu));
      return [
        VARIANTS[name],
        median(each(({ cpu }) => cpu)).toFixed(0),
        over.toFixed(0),
        median(each(({ cpu }, none) => cpu / none.cpu)).toFixed(2),
        median(each(({ wall }) => wall)).toFixed(0),
        median(each(({ wall }, none) => wall - none.wall)).toFixed(0),
        name === 'oneMetric' ? `CPU over none <= ${TARGET_NS}: ${over <= TARGET_NS ? 'met' : 'NOT MET'}` : '',
      ];
    }),
  ]);
}

/**
 * With a short inactive timeout few of the million flows are live at a time, and the memory must be that of the few:
 * what is still referenced after a tenth of the flows and after all but the last, and the peak of a run that nothing
 * disturbs. @param {string} path
 */
async function compareMemory(path) {
  const rows = [['', 'live flows', 'heap kept, first to last tenth', 'peak MB', 'target']];
  for (const inactiveTimeout of [1, 30]) {
    for (const name of ['none', 'oneMetric']) {
      const { kept, packets, liveFlows } = await run(path, name, { inactiveTimeout }, ['--expose-gc']);
      const [first, last] = [kept[0], kept[kept.length - 1]];
      const { rss } = await measure([process.execPath, RUN, path, name, JSON.stringify({ inactiveTimeout })]);
      // Unless it is bounded it grows by a million flows, some hundred bytes each.
      const isFlat = last - first < 10e6;
      rows.push([
        `${VARIANTS[name]}, inactive timeout ${inactiveTimeout} s`,
        liveFlows.toLocaleString('en'),
        `${mega(first)} -> ${mega(last)} MB`,
        hasGnuTime ? mega(rss) : '-',
        inactiveTimeout === 1 ? `flat: ${isFlat ? 'met' : 'NOT MET'}` : '',
      ]);
      if (rows.length === 2) console.log(`\n${basename(path)}: ${packets.toLocaleString('en')} packets, memory`);
    }
  }
  print(rows);
}

/** @param {string} path @param {string} variant @param {object} [options] @param {string[]} [nodeFlags] */
async function run(path, variant, options = {}, nodeFlags = []) {
  const command = [process.execPath, ...nodeFlags, RUN, path, variant, JSON.stringify(options)];
  const { output } = await measure(command, { keepOutput: true });
  return JSON.parse(output);
}

function mega(bytes) {
  return (bytes / 1e6).toFixed(1);
}
