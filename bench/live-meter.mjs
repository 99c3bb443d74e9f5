// One live run of the library in a process of its own: live-meter.mjs INDEX INTERFACE OPTIONS-AS-JSON
//
// INDEX is the module to run. Takes every flow, as a program would. Says when it captures; ends at SIGTERM and prints the
// ledger as JSON; at SIGUSR2 prints it as it stands.
import { pathToFileURL } from 'node:url';

const [index, name, options] = process.argv.slice(2);
const { Streamer } = await import(pathToFileURL(index).href);
const streamer = new Streamer({ source: { interface: name }, ...JSON.parse(options) });
const print = (event) => {
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  console.log(JSON.stringify({ event, memory: { heapUsed, external, arrayBuffers }, stats: streamer.stats }));
};
process.on('SIGTERM', () => streamer.stop());
process.on('SIGUSR2', () => print('sample'));
await streamer.open();
print('ready');
let packets = 0;
for await (const flow of streamer) packets += flow.src_to_dst_pkts + flow.dst_to_src_pkts;
if (packets !== streamer.stats.packets_metered)
  console.error(`${packets} packets in flows: not those that were metered`);
print('end');
