// One run of the library in a process of its own: meter.mjs CAPTURE OPTIONS-AS-JSON [batches]
//
// Takes every flow, as a program would, or every batch of flows, and prints the ledger as JSON.
import { Streamer } from '../dist/index.js';

const [source, options, unit] = process.argv.slice(2);
const streamer = new Streamer({ source, ...JSON.parse(options) });
let packets = 0;
if (unit === 'batches') {
  for await (const batch of streamer.batches()) packets += batch.count;
} else {
  for await (const flow of streamer) packets += flow.src_to_dst_pkts + flow.dst_to_src_pkts;
}
console.log(JSON.stringify({ ...streamer.stats, seen: packets }));
