// A run of the library with a clock around each stage, twice a batch. Stages are clocked where their classes are defined, so
// that the run is the product's own, however it is put together.
import { load } from './dist.mjs';

export const STAGES = ['wait', 'parse', 'decode', 'look up', 'update', 'hand over'];

const { Streamer } = await load('streamer.js');
const { CaptureSource } = await load('source/capture-source.js');
const { FilterAndDecode } = await load('packet/packet-stage.js');
const { FlowMeter } = await load('flow/meter.js');

/** Milliseconds so far; `end`: in flows that the end of the source ended. */
const spent = { wait: 0, parse: 0, decode: 0, 'look up': 0, meter: 0, end: 0 };
let packets = 0;
let live = 0;
let onBatch = () => {};

clock(CaptureSource.prototype, 'read', 'parse');
clock(FilterAndDecode.prototype, 'apply', 'decode');
clock(FlowMeter.prototype, 'meter', 'meter', (meter, [batch]) => {
  packets += batch.count;
  live = meter.flowsLive;
  onBatch();
});
clock(FlowMeter.prototype, 'terminate', 'end');
const { fill } = CaptureSource.prototype;
CaptureSource.prototype.fill = async function clockedFill(...given) {
  const since = performance.now();
  await fill.apply(this, given);
  spent.wait += performance.now() - since;
};
clockPasses(['take', 'hash', 'find']);

function clock(prototype, method, stage, afterwards = () => {}) {
  const call = prototype[method];
  prototype[method] = function clocked(...given) {
    const since = performance.now();
    const answer = call.apply(this, given);
    spent[stage] += performance.now() - since;
    afterwards(this, given);
    return answer;
  };
}

/** Clocks the kernel's passes of a look-up. Nobody but the meter has them, so that happens where they are instantiated. */
function clockPasses(names) {
  const { Instance } = WebAssembly;
  WebAssembly.Instance = function ClockedInstance(...given) {
    const instance = new Instance(...given);
    if (!names.every((pass) => pass in instance.exports)) return instance;
    const exports = { ...instance.exports };
    for (const pass of names) {
      exports[pass] = (...row) => {
        const since = performance.now();
        const answer = instance.exports[pass](...row);
        spent['look up'] += performance.now() - since;
        return answer;
      };
    }
    return { exports };
  };
}

/**
 * Meters a capture with one meter, and says for every so many packets what each of STAGES took of each, ns, and all together.
 * One at a time.
 * @param {object} options of a Streamer
 * @param {number} [every] packets
 */
export async function timeStages(options, every = Number.POSITIVE_INFINITY) {
  for (const stage of Object.keys(spent)) spent[stage] = 0;
  packets = 0;
  const samples = [];
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  let last = { packets: 0, atMs: startedMs, ...spent };
  const sample = () => {
    const now = { packets, atMs: performance.now(), ...spent };
    const cost = (stage) => ((now[stage] - last[stage]) * 1e6) / (packets - last.packets);
    const ns = Object.fromEntries(['wait', 'parse', 'decode', 'look up'].map((stage) => [stage, cost(stage)]));
    ns.update = cost('meter') - ns['look up'];
    const all = cost('atMs');
    ns['hand over'] = all - Object.values(ns).reduce((sum, value) => sum + value, 0);
    samples.push({ packets, live, all, ns });
    last = now;
  };
  onBatch = () => {
    if (packets >= last.packets + every) sample();
  };
  let flows = 0;
  for await (const batch of new Streamer(options).batches()) flows += batch.count;
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  if (samples.length === 0) sample();
  return { packets, flows, samples, endSeconds: spent.end / 1000, wallSeconds, cpuSeconds: (user + system) / 1e6 };
}
