// node bench/micro/statistics.mjs [CAPTURE...] [--runs N] [--packets N] [--dist FOLDER]
//
// What measuring statistics and sequences of first packets (splt) costs: CPU and wall time of whole runs with groups of
// features on and off, in both schemas, and what of it is the meter's (stages.mjs). nDPI is off. Each run is a process of
// its own; variants take turns, and a ratio is the median of those of the turns.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { measure, median } from '../measure.mjs';
import { cpuModel, print } from '../table.mjs';

const STAGES = fileURLToPath(new URL('stages.mjs', import.meta.url));
const VARIANTS = ['classic', 'nfstream6'].flatMap((schema) => [
  { name: schema, options: { schema } },
  { name: `${schema}, statistics`, options: { schema, statistics: true }, most: 1.4 },
  { name: `${schema}, splt 10`, options: { schema, splt: 10 }, most: 1.2 },
  { name: `${schema}, both`, options: { schema, statistics: true, splt: 10 } },
]);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '5' },
    packets: { type: 'string' },
    dist: { type: 'string' },
    markdown: { type: 'boolean' },
  },
});
const runs = Number(values.runs);
const pass = ['packets', 'dist'].flatMap((name) => (values[name] === undefined ? [] : [`--${name}`, values[name]]));

console.log(`${cpuModel()}, Node ${process.version}, ${runs} runs each`);
for (const capture of positionals.length > 0 ? positionals : ['mix', 'small']) await compare(capture);

/** @param {string} capture */
async function compare(capture) {
  const costs = new Map(VARIANTS.map(({ name }) => [name, []]));
  for (let turn = 0; turn < runs; turn++) {
    for (const { name, options } of VARIANTS) {
      const asked = ['--json', '--options', JSON.stringify(options), ...pass];
      const { output } = await measure([process.execPath, STAGES, capture, ...asked], { keepOutput: true });
      costs.get(name).push(costOf(JSON.parse(output)));
    }
  }
  console.log(`\n${capture}: ns a packet`);
  print([
    ['', 'meter', 'CPU', 'x off', 'wall', 'x off', 'target'],
    ...VARIANTS.map(({ name, options, most }) => {
      const all = costs.get(name);
      const off = costs.get(options.schema);
      const each = (key) => median(all.map((cost) => cost[key])).toFixed(0);
      const ratio = (key) => median(all.map((cost, turn) => cost[key] / off[turn][key]));
      const isMet = ratio('wall') <= most;
      const verdict = most === undefined ? '' : `wall <= ${most} x off: ${isMet ? 'met' : 'NOT MET'}`;
      return [
        name,
        each('meter'),
        each('cpu'),
        ratio('cpu').toFixed(2),
        each('wall'),
        ratio('wall').toFixed(2),
        verdict,
      ];
    }),
  ]);
}

/** Of the samples the first has the compiler's warm-up: the meter's median leaves it out. */
function costOf({ packets, samples, wallSeconds, cpuSeconds }) {
  return {
    meter: median(samples.map(({ ns }) => ns['look up'] + ns.update)),
    cpu: (cpuSeconds * 1e9) / packets,
    wall: (wallSeconds * 1e9) / packets,
  };
}
