// One metering in a process of its own: features-run.mjs CAPTURE OPTIONS-AS-JSON
//
// Takes every batch of flows and prints CPU and wall time as JSON. nDPI is off.
import { Streamer } from '../dist/index.js';

const [source, options] = process.argv.slice(2);
const streamer = new Streamer({ source, enableNdpi: false, ...JSON.parse(options) });
const startedMs = performance.now();
const cpu = process.cpuUsage();
let flows = 0;
for await (const batch of streamer.batches()) flows += batch.count;
const { user, system } = process.cpuUsage(cpu);
const { packets_read: packets } = streamer.stats;
const wallSeconds = (performance.now() - startedMs) / 1000;
console.log(JSON.stringify({ packets, flows, wallSeconds, cpuSeconds: (user + system) / 1e6 }));
