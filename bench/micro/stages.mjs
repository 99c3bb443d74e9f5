// node bench/micro/stages.mjs [CAPTURE] [--options JSON] [--every PACKETS] [--packets N] [--json] [--dist FOLDER]
//
// Where the time of a whole run goes, ns a packet, and how that changes as it goes on: a row for each half million packets, so
// that one sees the compiler and caches warm up. CAPTURE is a path or a name of captures.mjs (small by default); nDPI is off
// unless the options say otherwise.
//
//   wait       for bytes, which are read ahead while others are metered
//   parse      records of the capture into columns
//   decode     headers into columns, filters included
//   look up    keys hashed and the batch's flows found, by the kernel (part of the meter, as is the next)
//   update     the rest of the meter: flows begun, counted and ended; nDPI and user code
//   hand over  finished flows on their way out, and whatever is in none of the others
//
// The run is the product's own (pipeline.ts) with a clock around each stage, twice a batch. Seconds in `end`: flows that the end
// of the capture ended.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { capture } from '../captures.mjs';
import { cpuModel, print } from '../table.mjs';
import { args, load, markdown } from './dist.mjs';

const STAGES = ['wait', 'parse', 'decode', 'look up', 'update', 'hand over'];

const { values, positionals } = parseArgs({
  args,
  allowPositionals: true,
  options: {
    options: { type: 'string', default: '{}' },
    every: { type: 'string', default: '500000' },
    packets: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [name = 'small'] = positionals;
const path = existsSync(name) ? name : capture(name);
const packets = values.packets === undefined ? {} : { packets: Number(values.packets) };
const result = await timeStages({ source: path, enableNdpi: false, ...packets, ...JSON.parse(values.options) });
if (values.json) console.log(JSON.stringify(result));
else show(result);

async function timeStages(options) {
  let lookUpMs = 0;
  clockPasses(['take', 'hash', 'find'], (ms) => {
    lookUpMs += ms;
  });
  const pipeline = await build(options);
  const { meterFlows } = await load('pipeline.js');
  const { source, packets, meter } = pipeline;
  const spent = Object.fromEntries(STAGES.map((stage) => [stage, 0]));
  const clocked = (holder, method, count) => {
    const call = holder[method];
    holder[method] = function (...given) {
      const since = performance.now();
      const answer = call.apply(this, given);
      count(performance.now() - since, answer);
      return answer;
    };
  };
  clocked(source, 'read', (ms) => {
    spent.parse += ms;
  });
  clocked(packets, 'apply', (ms) => {
    spent.decode += ms;
  });
  clocked(meter, 'meter', (ms) => {
    spent['look up'] += lookUpMs;
    spent.update += ms - lookUpMs;
    lookUpMs = 0;
    sampleWhenDue();
  });
  let endMs = 0;
  clocked(meter, 'terminate', (ms) => {
    endMs += ms;
  });
  const fill = source.fill.bind(source);
  source.fill = async (...given) => {
    const since = performance.now();
    await fill(...given);
    spent.wait += performance.now() - since;
  };

  const every = Number(values.every);
  const samples = [];
  let last = { packets: 0, atMs: performance.now(), spent: { ...spent } };
  function sampleWhenDue() {
    if (pipeline.packetsRead < last.packets + every) return;
    samples.push(sample());
  }
  function sample() {
    const now = { packets: pipeline.packetsRead, atMs: performance.now(), spent: { ...spent } };
    const count = now.packets - last.packets;
    const ns = Object.fromEntries(STAGES.map((stage) => [stage, ((spent[stage] - last.spent[stage]) * 1e6) / count]));
    const all = ((now.atMs - last.atMs) * 1e6) / count;
    ns['hand over'] = all - Object.values(ns).reduce((sum, value) => sum + value, 0);
    last = now;
    return { packets: now.packets, live: meter.flowsLive, all, ns };
  }

  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  let flows = 0;
  for await (const batch of meterFlows(
    pipeline,
    () => source.open(),
    () => false,
  ))
    flows += batch.count;
  const wallSeconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    packets: pipeline.packetsRead,
    flows,
    samples,
    endSeconds: endMs / 1000,
    wallSeconds,
    cpuSeconds: (user + system) / 1e6,
  };
}

/**
 * Clocks passes of the kernel. Nobody but the meter has it, so that happens where it is instantiated.
 * @param {readonly string[]} names @param {(ms: number) => void} count
 */
function clockPasses(names, count) {
  const { Instance } = WebAssembly;
  WebAssembly.Instance = function clockedInstance(...given) {
    const instance = new Instance(...given);
    if (!names.every((pass) => pass in instance.exports)) return instance;
    const exports = { ...instance.exports };
    for (const pass of names) {
      exports[pass] = (...row) => {
        const since = performance.now();
        const answer = instance.exports[pass](...row);
        count(performance.now() - since);
        return answer;
      };
    }
    return { exports };
  };
}

/** The pipeline of one meter, as a Streamer builds it. */
async function build(given) {
  const { resolveOptions } = await load('options.js');
  const { buildPipeline } = await load('build-pipeline.js');
  const { builtInClassifiers } = await load('classifier/built-in.js');
  const { PacketFilter } = await load('packet/filter.js');
  const { PacketDecoder } = await load('packet/packet-decoder.js');
  const { FilterAndDecode } = await load('packet/packet-stage.js');
  const { packetSourceOf } = await load('packet-source.js');
  const options = resolveOptions(given);
  const { bpfFilter, snaplen, userClassifiers, userMetrics } = options;
  const filter = bpfFilter === undefined ? null : new PacketFilter(bpfFilter, snaplen);
  return buildPipeline(options, {
    source: packetSourceOf(options),
    packets: new FilterAndDecode(filter, new PacketDecoder(options)),
    builtIn: builtInClassifiers(options),
    userClassifiers,
    userMetrics,
  });
}

function show({ packets, flows, samples, endSeconds, wallSeconds, cpuSeconds }) {
  const round = (value) => value.toFixed(0);
  console.log(`${cpuModel()}, Node ${process.version}, ${path}, ${values.options}: ns a packet`);
  print(
    [
      ['packets', ...STAGES, 'all', 'live flows', ''],
      ...samples.map((one) => [
        one.packets.toLocaleString('en'),
        ...STAGES.map((stage) => round(one.ns[stage])),
        round(one.all),
        one.live.toLocaleString('en'),
        '',
      ]),
    ],
    { markdown },
  );
  console.log(
    `${packets.toLocaleString('en')} packets, ${flows.toLocaleString('en')} flows: ${wallSeconds.toFixed(2)} s, ` +
      `${cpuSeconds.toFixed(2)} s of CPU; end ${endSeconds.toFixed(2)} s`,
  );
}
