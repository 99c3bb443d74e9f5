// npm run bench:live [-- CAPTURE...] [-- --seconds N] [-- --runs N] [-- --only WORD] [-- --index FILE]
//
// tcpreplay over a veth pair between two network namespaces (bench/live/network.mjs) to one contender at a time: the
// highest rate without a dropped packet, CPU time for a million packets, peak memory. Needs root, and makes and removes
// all it uses. CAPTURE is mix, small (100,000 flows) or few (1,000 flows), all if none is given; --only takes the contenders with that word in their names,
// --index runs another build of the library (its dist/index.js).
//
// A step is a fresh process, warmed up by two seconds of all kinds of traffic and two of the capture's, then some seconds at
// one rate. First everybody takes 150,000 packets/s of mix, 360,000 of the others, then all that tcpreplay can send; who dropped packets is bisected between the two. In each round
// the contenders take turns, so a slow minute of the machine hits all. A step that drops is done once more: it counts if
// it drops again.
//
// tcpreplay has CPU 0, the contender CPU 1 (two meters: both). The kernel copies packets into the contender's buffer on
// the sender's CPU, so nobody's CPU time has that, and "all that tcpreplay can send" differs with who listens.
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { contenders, missingTools, sleep } from './live/contenders.mjs';
import { makeNetwork } from './live/network.mjs';
import { cpuSeconds, residentBytes, waitedSeconds } from './live/process-cost.mjs';
import { LIVE_CAPTURES, send, warmUp } from './live/sender.mjs';
import { printTable, thousands } from './live/table.mjs';
import { median } from './measure.mjs';

/** Where all are compared; of mix it is what nfstream with nDPI has to take. */
const COMMON_RATES = { mix: 150_000, small: 360_000, few: 360_000 };
const WARM_SECONDS = 2;
/** Less than this is not looked for. */
const LEAST_RATE = 20_000;
const BISECTIONS = 3;
const MOST_CPU = 2;
/** tcpdump and softflowd are handed packets a second after their arrival, when few come. */
const HANDOVER_MS = 1100;
const DRAIN_MS = 10_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '4' },
    runs: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    index: { type: 'string', default: fileURLToPath(new URL('../dist/index.js', import.meta.url)) },
  },
});
const seconds = Number(values.seconds);
const present = contenders(values.index).filter(({ name }) => name.includes(values.only));
const missing = missingTools();
if (missing.length > 0) fail(`needs ${missing.join(', ')} (Debian: apt-get install iproute2 util-linux tcpreplay ...)`);
if (cpus().length < 2) fail('needs two CPUs: one for tcpreplay, one for the contender');

/** @type {import('./live/network.mjs').Network} */
let network;
try {
  network = makeNetwork();
} catch (error) {
  fail(`needs the right to make network namespaces (run it as root): ${error.message}`);
}
/** @type {import('./live/contenders.mjs').Listener | null} */
let listening = null;
const cleanUp = () => {
  listening?.kill();
  network.remove();
};
process.on('exit', cleanUp);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

console.log(`${cpus()[0].model}, ${cpus().length} CPUs, Node ${process.version}, ${seconds} s a step`);
console.log('tcpreplay on CPU 0, the contender on CPU 1 (2 meters: both); in-kernel work is done on CPU 0');
for (const name of positionals.length > 0 ? positionals : Object.keys(LIVE_CAPTURES)) await compare(name);
process.exit();

/** @typedef {{ asked: number, rate: number, lost: number, dropped: number, cpu: number, peak: number }} Step */

/** @param {string} name of a capture */
async function compare(name) {
  if (LIVE_CAPTURES[name] === undefined)
    fail(`Expected ${Object.keys(LIVE_CAPTURES).join(' or ')} but received ${name}`);
  const path = LIVE_CAPTURES[name]();
  /** @type {Map<string, Step[]>} */
  const steps = new Map(present.map((contender) => [contender.name, []]));
  const common = COMMON_RATES[name];
  for (let run = 0; run < Number(values.runs); run++) {
    for (const rate of [common, Number.POSITIVE_INFINITY]) {
      for (const contender of present) steps.get(contender.name).push(await stepTwice(path, contender, rate, common));
    }
  }
  for (let i = 0; i < BISECTIONS; i++) {
    for (const contender of present) {
      const { good, bad } = limits(steps.get(contender.name));
      if (bad === undefined) continue;
      const rate = Math.sqrt((good?.rate ?? LEAST_RATE) * bad.rate);
      steps.get(contender.name).push(await stepTwice(path, contender, rate, common));
    }
  }
  report(name, steps);
}

/** The fastest step without a loss below the slowest with one. @param {readonly Step[]} steps */
function limits(steps) {
  const slowest = (a, b) => (b.rate < a.rate ? b : a);
  const losses = steps.filter(({ lost, dropped }) => lost + dropped > 0);
  const bad = losses.length > 0 ? losses.reduce(slowest) : undefined;
  const goods = steps.filter((step) => !losses.includes(step) && step.rate < (bad?.rate ?? Number.POSITIVE_INFINITY));
  const good = goods.length > 0 ? goods.reduce((a, b) => (b.rate > a.rate ? b : a)) : undefined;
  return { good, bad };
}

async function stepTwice(path, contender, rate, common) {
  const first = await step(path, contender, rate, common);
  return first.lost + first.dropped > 0 ? await step(path, contender, rate, common) : first;
}

/** @returns {Promise<Step>} */
async function step(path, { name, cpus: allowed, listen }, rate, common) {
  const before = network.delivered();
  listening = await listen(network, allowed);
  const { pid } = listening;
  await warmUp(network);
  await send(network, path, common, WARM_SECONDS);
  await isIdle(pid);
  const cpuBefore = cpuSeconds(pid);
  const waitedBefore = waitedSeconds(pid);
  const beforeSending = network.delivered();
  const sent = await send(network, path, rate, seconds);
  await isIdle(pid);
  const cpu = cpuSeconds(pid) - cpuBefore;
  const waited = waitedSeconds(pid) - waitedBefore;
  const { peak } = residentBytes(pid);
  const { packets, dropped } = await listening.end();
  listening = null;
  const now = network.delivered();
  const delivered = now - beforeSending;
  const lost = now - before - packets - dropped;
  const said = dropped + lost > 0 ? `${thousands(dropped)} dropped, ${thousands(lost)} missing` : 'no drop';
  const cost = (cpu / delivered) * 1e6;
  console.error(
    `  ${name}: ${thousands(sent.rate)} packets/s, ${said}, ${cost.toFixed(3)} CPU s a million, ${waited.toFixed(2)} s without a CPU`,
  );
  return { asked: rate, rate: sent.rate, lost, dropped, cpu: cost, peak };
}

/** Waits until it has had time to get the last packets, and does nothing any more. @param {number} pid */
async function isIdle(pid) {
  await sleep(HANDOVER_MS);
  const until = performance.now() + DRAIN_MS;
  for (let before = cpuSeconds(pid); performance.now() < until; ) {
    await sleep(100);
    const now = cpuSeconds(pid);
    if (now - before < 0.01) return;
    before = now;
  }
}

/** @param {string} name @param {Map<string, Step[]>} steps */
function report(name, steps) {
  const at = (all, isIt) => median(all.filter(isIt).map(({ cpu }) => cpu));
  const common = COMMON_RATES[name];
  const isCommon = ({ asked }) => asked === common;
  const tcpdump = at(steps.get('tcpdump -w /dev/null') ?? [], isCommon);
  console.log(`\n${name}: packets of ${name === 'mix' ? '412 bytes on average' : '64 bytes'}`);
  printTable([
    ['', 'no drop up to', 'of', `CPU s/M at ${common / 1000}k`, 'x tcpdump', 'CPU s/M at most', 'peak MB', 'target'],
    ...[...steps].map(([contender, all]) => {
      const { good, bad } = limits(all);
      const top = Math.max(...all.map(({ rate }) => rate));
      const cpu = at(all, isCommon);
      return [
        contender,
        good === undefined ? 'none' : thousands(good.rate),
        thousands(top),
        cpu.toFixed(3),
        Number.isNaN(tcpdump) ? '-' : (cpu / tcpdump).toFixed(2),
        good === undefined ? '-' : good.cpu.toFixed(3),
        (Math.max(...all.map(({ peak }) => peak)) / 1e6).toFixed(0),
        verdict(name, contender, { good, bad, ratio: cpu / tcpdump }),
      ];
    }),
  ]);
}

function verdict(capture, contender, { good, bad, ratio }) {
  const met = (isMet) => (isMet ? 'met' : 'NOT MET');
  if (contender.includes('no nDPI')) {
    const cpu = Number.isNaN(ratio) ? '' : `, CPU <= ${MOST_CPU} x tcpdump: ${met(ratio <= MOST_CPU)}`;
    return `no drop at any rate: ${met(bad === undefined)}${cpu}`;
  }
  if (!contender.includes('nDPI') || capture !== 'mix') return '';
  return `no drop at ${thousands(COMMON_RATES.mix)}: ${met(good !== undefined && good.rate > COMMON_RATES.mix * 0.99)}`;
}

/** @param {string} problem */
function fail(problem) {
  console.error(`bench:live: ${problem}`);
  process.exit(1);
}
