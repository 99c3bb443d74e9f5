// One run of the library in a process of its own: meter.mjs CAPTURE OPTIONS-AS-JSON [batches]
//
// Takes every flow, as a program would, or every batch of flows. Prints as JSON the ledger, and what the run took from
// `new Streamer` to its end, without Node's start and the loading of modules: wall and CPU seconds.
import { Streamer } from '../dist/index.js';

const [source, options, unit] = process.argv.slice(2);
const cpu = process.cpuUsage();
const started = performance.now();
const streamer = new Streamer({ source, ...JSON.parse(options) });
let flows = 0;
let packets = 0;
if (unit === 'batches') {
  for await (const batch of streamer.batches()) flows += batch.count;
} else {
  for await (const flow of streamer) {
    flows++;
    packets += flow.src_to_dst_pkts + flow.dst_to_src_pkts;
  }
}
const wallSeconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(cpu);
const { stats } = streamer;
if (unit !== 'batches' && stats.flows_evicted === 0 && packets !== stats.packets_metered)
  throw new Error(`${packets} packets in flows: not the ${stats.packets_metered} that were metered`);
console.log(JSON.stringify({ ...stats, flows, wallSeconds, cpuSeconds: (user + system) / 1e6 }));
