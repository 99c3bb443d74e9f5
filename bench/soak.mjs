// npm run soak [-- --minutes N] [-- --rate N] [-- --options JSON] [-- --index FILE]
//
// One long live run: tcpreplay sends the mixed capture over and over, by default for an hour at half the 150,000
// packets/s that bench:live asks for with nDPI. Prints memory, drops and flows as they stand, a hundred rows at most, and
// fails when a packet was dropped or resident memory grows. Memory goes up and down with the garbage collector, in one
// to two minutes: it grows where both its highest and its lowest in the last third of the run are more than a twentieth
// above those of the second third. Needs root, as bench:live does. "no CPU": seconds for which it could have run, and
// others had its CPU; drops then are the machine's doing.
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { capture } from './captures.mjs';
import { listenNfstream, missingTools, sleep } from './live/contenders.mjs';
import { makeNetwork } from './live/network.mjs';
import { cpuSeconds, residentBytes, waitedSeconds } from './live/process-cost.mjs';
import { sendOn } from './live/sender.mjs';
import { thousands } from './live/table.mjs';

const SAMPLE_S = 5;
const ROWS = 100;
const MOST_GROWTH = 0.05;
const HANDOVER_MS = 500;

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '60' },
    rate: { type: 'string', default: '75000' },
    options: { type: 'string', default: '{}' },
    index: { type: 'string', default: fileURLToPath(new URL('../dist/index.js', import.meta.url)) },
  },
});
const seconds = Number(values.minutes) * 60;
const missing = missingTools(['ip', 'taskset', 'tcpreplay']);
if (missing.length > 0) fail(`needs ${missing.join(', ')}`);
if (!(seconds >= 300)) fail(`Expected at least 5 for --minutes, to tell growth, but received ${values.minutes}`);

let network;
try {
  network = makeNetwork();
} catch (error) {
  fail(`needs the right to make network namespaces (run it as root): ${error.message}`);
}
let meter = null;
let sender = null;
process.on('exit', () => {
  sender?.process.kill('SIGKILL');
  meter?.kill();
  network.remove();
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

const path = capture('mix');
const before = network.delivered();
meter = await listenNfstream(network, cpus().length > 1 ? '1' : '0', values.index, JSON.parse(values.options));
console.log(
  `${cpus()[0].model}, Node ${process.version}: ${thousands(Number(values.rate))} packets/s, ${values.options}`,
);
console.log(
  'minutes   RSS MB  heap MB  other MB       packets   dropped  flows live   exported   evicted   CPU %  no CPU s',
);
sender = sendOn(network, path, Number(values.rate));
const sent = sender.sent.catch((error) => fail(error.message));
const samples = [];
const started = performance.now();
const every = Math.ceil(seconds / SAMPLE_S / ROWS);
let printed = { at: 0, cpu: cpuSeconds(meter.pid), waited: waitedSeconds(meter.pid) };
while ((performance.now() - started) / 1000 < seconds) {
  await Promise.race([sleep(SAMPLE_S * 1000), sent]);
  const { stats, memory } = await meter.sample();
  const at = (performance.now() - started) / 1000;
  const { pid } = meter;
  const sample = { at, rss: residentBytes(pid).now, cpu: cpuSeconds(pid), waited: waitedSeconds(pid), stats, memory };
  samples.push(sample);
  if (samples.length % every !== 0) continue;
  printSample(sample, printed);
  printed = sample;
}
sender.process.kill('SIGINT');
await Promise.race([sender.sent.catch(() => {}), sleep(5000)]);
await sleep(HANDOVER_MS);
const delivered = network.delivered() - before;
const { stats } = await meter.end();
meter = null;
judge(stats, delivered);

function printSample({ at, rss, cpu, waited, stats: s, memory }, before) {
  const exported = Object.values(s.flows_exported).reduce((sum, count) => sum + count, 0);
  const mega = (bytes) => (bytes / 1e6).toFixed(1);
  const cells = [
    [(at / 60).toFixed(1), 7],
    [mega(rss), 8],
    [mega(memory.heapUsed), 8],
    [mega(memory.external + memory.arrayBuffers), 9],
    [thousands(s.packets_read), 13],
    [thousands(s.capture.packets_dropped_by_kernel), 9],
    [thousands(s.flows_live), 11],
    [thousands(exported), 10],
    [thousands(s.flows_evicted), 9],
    [((100 * (cpu - before.cpu)) / (at - before.at)).toFixed(0), 7],
    [(waited - before.waited).toFixed(2), 9],
  ];
  console.log(cells.map(([cell, width]) => cell.padStart(width)).join(' '));
}

/** @param {object} s the ledger @param {number} delivered packets that came in at the interface */
function judge(s, delivered) {
  const dropped = s.capture.packets_dropped_by_kernel + s.capture.packets_dropped_by_interface;
  const missing = delivered - s.packets_read - dropped;
  const third = (i) => samples.filter(({ at }) => at > (seconds * i) / 3 && at <= (seconds * (i + 1)) / 3 + SAMPLE_S);
  const ends = (part) => [Math.min, Math.max].map((end) => end(...part.map(({ rss }) => rss)) / 1e6);
  const [second, last] = [ends(third(1)), ends(third(2))];
  const isFlat = last.some((size, i) => size <= second[i] * (1 + MOST_GROWTH));
  const range = ([low, high]) => `${low.toFixed(0)} to ${high.toFixed(0)} MB`;
  console.log(
    `${thousands(delivered)} packets arrived: ${thousands(dropped)} dropped, ${thousands(missing)} not accounted for`,
  );
  console.log(
    `RSS ${range(second)} in the second third, ${range(last)} in the last: ${isFlat ? 'flat' : 'GROWS'}; ` +
      `without a CPU for ${samples.at(-1).waited.toFixed(1)} s`,
  );
  process.exit(isFlat && dropped === 0 && missing === 0 ? 0 : 1);
}

/** @param {string} problem */
function fail(problem) {
  console.error(`soak: ${problem}`);
  process.exit(1);
}
