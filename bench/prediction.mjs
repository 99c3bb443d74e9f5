// npm run bench:prediction [-- --runs N] [-- --flows N]
//
// What a model costs: flows a second that a forest of 100 trees, depth 10, 10 features, 5 classes predicts on one core,
// by runtime and batch size. `flows/s` counts the CPU time of a run with the model less that of a run without it;
// `whole run` is everything, from packets to labelled flows, by the wall clock.
//
// Each run is a process of its own; variants take turns (A B C, A B C, ...), so a slow minute of the machine hits all.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { capture } from './captures.mjs';
import { measure, median } from './measure.mjs';
import { cpuModel, print } from './table.mjs';

const RUN = fileURLToPath(new URL('prediction-run.mjs', import.meta.url));
const BATCHES = [1, 64, 512, 4096];
const TARGET = 10_000;

const { values } = parseArgs({
  options: { runs: { type: 'string', default: '3' }, flows: { type: 'string', default: '20000' } },
});
const runs = Number(values.runs);

const variants = ['node', 'web'].flatMap((runtime) => BATCHES.map((batchSize) => ({ runtime, batchSize, costs: [] })));
const none = { runtime: 'none', batchSize: 0, costs: [] };
const path = capture('flows');
for (let turn = 0; turn < runs; turn++) for (const variant of [none, ...variants]) await run(variant);

console.log(`${cpuModel()}, Node ${process.version}, one thread, ${runs} runs of ${values.flows} flows, medians`);
print([
  ['', 'batch', 'us a flow', 'flows/s', 'whole run flows/s', 'target'],
  ...variants.map(({ runtime, batchSize, costs }) => {
    const us = median(costs.map((cost, turn) => ((cost.cpuSeconds - none.costs[turn].cpuSeconds) / cost.flows) * 1e6));
    const whole = median(costs.map(({ flows, wallSeconds }) => flows / wallSeconds));
    const rate = 1e6 / us;
    const verdict = `>= ${TARGET}: ${rate >= TARGET ? 'met' : 'NOT MET'}`;
    return [`onnxruntime-${runtime}`, String(batchSize), us.toFixed(1), round(rate), round(whole), verdict];
  }),
]);

async function run({ runtime, batchSize, costs }) {
  const command = [process.execPath, RUN, path, values.flows, runtime, String(batchSize)];
  const { output } = await measure(command, { keepOutput: true });
  costs.push(JSON.parse(output));
}

function round(value) {
  return Number(value.toPrecision(3)).toLocaleString('en');
}
