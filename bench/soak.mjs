// npm run soak [-- --minutes N] [-- --rate N] [-- --options JSON] [-- --index FILE]
//
// One long live run: tcpreplay sends the mixed capture over and over, by default for an hour at half the 150,000
// packets/s that bench:live asks for with nDPI. Prints memory, drops and flows as they stand, a hundred rows at most, and
// fails when a packet was dropped or resident memory grows: a straight line fitted through the last two thirds, when
// everything has its size, must not rise by more than a twentieth over them. Needs root, as bench:live does.
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { capture } from './captures.mjs';
import { listenNfstream, missingTools, sleep } from './live/contenders.mjs';
import { makeNetwork } from './live/network.mjs';
import { cpuSeconds, residentBytes } from './live/process-cost.mjs';
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
if (!(seconds >= 12 * SAMPLE_S)) fail(`Expected at least a minute for --minutes but received ${values.minutes}`);

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
console.log('minutes   RSS MB  heap MB  other MB       packets   dropped  flows live   exported   evicted   CPU %');
sender = sendOn(network, path, Number(values.rate));
const sent = sender.sent.catch((error) => fail(error.message));
const samples = [];
const started = performance.now();
let cpu = cpuSeconds(meter.pid);
while ((performance.now() - started) / 1000 < seconds) {
  await Promise.race([sleep(SAMPLE_S * 1000), sent]);
  const { stats, memory } = await meter.sample();
  const at = (performance.now() - started) / 1000;
  const sample = { at, rss: residentBytes(meter.pid).now, cpu: cpuSeconds(meter.pid), stats, memory };
  samples.push(sample);
  if (samples.length % Math.ceil(seconds / SAMPLE_S / ROWS) !== 0) continue;
  printSample(sample, (sample.cpu - cpu) / (at - (samples.at(-1 - Math.ceil(seconds / SAMPLE_S / ROWS))?.at ?? 0)));
  cpu = sample.cpu;
}
sender.process.kill('SIGINT');
await Promise.race([sender.sent.catch(() => {}), sleep(5000)]);
await sleep(HANDOVER_MS);
const delivered = network.delivered() - before;
const { stats } = await meter.end();
meter = null;
judge(stats, delivered);

function printSample({ at, rss, stats: s, memory }, share) {
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
    [(share * 100).toFixed(0), 7],
  ];
  console.log(cells.map(([cell, width]) => cell.padStart(width)).join(' '));
}

/** @param {object} s the ledger @param {number} delivered packets that came in at the interface */
function judge(s, delivered) {
  const dropped = s.capture.packets_dropped_by_kernel + s.capture.packets_dropped_by_interface;
  const missing = delivered - s.packets_read - dropped;
  const settled = samples.filter(({ at }) => at > seconds / 3);
  const slope = slopeOf(settled.map(({ at, rss }) => [at, rss]));
  const mean = settled.reduce((sum, { rss }) => sum + rss, 0) / settled.length;
  const growth = (slope * seconds * 2) / 3 / mean;
  const isFlat = growth <= MOST_GROWTH;
  console.log(
    `${thousands(delivered)} packets arrived: ${thousands(dropped)} dropped, ${thousands(missing)} not accounted for`,
  );
  console.log(
    `RSS ${(mean / 1e6).toFixed(0)} MB, by the fit ${(growth * 100).toFixed(1)} % more over the last two thirds ` +
      `(${((slope * 3600) / 1e6).toFixed(1)} MB an hour): ${isFlat ? 'flat' : 'GROWS'}`,
  );
  process.exit(isFlat && dropped === 0 && missing === 0 ? 0 : 1);
}

/** Least squares. @param {readonly (readonly [number, number])[]} points */
function slopeOf(points) {
  const mean = (i) => points.reduce((sum, point) => sum + point[i], 0) / points.length;
  const [x, y] = [mean(0), mean(1)];
  const product = points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0);
  return product / points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0);
}

/** @param {string} problem */
function fail(problem) {
  console.error(`soak: ${problem}`);
  process.exit(1);
}
