// One run for user-code.mjs in a process of its own: user-code-run.mjs CAPTURE VARIANT OPTIONS-AS-JSON
//
// Prints as JSON: packets, CPU and wall seconds of the metering alone, and most live flows at once. With --expose-gc also the
// heap that is still referenced, at ten moments; collecting then takes time, so time and memory are different runs.
import { NFStreamClassifier, Streamer } from '../dist/index.js';

/** Garbage is collected after so many finished flows; a tenth of the capture `flows`. */
const FLOWS_BETWEEN_LOOKS = 100_000;

class Counter extends NFStreamClassifier {
  onFlowInit(flow) {
    flow.classifiers[this.name].packets = 0;
  }
  onFlowUpdate(_packet, flow) {
    flow.classifiers[this.name].packets++;
  }
}

class PayloadSum extends NFStreamClassifier {
  onFlowInit(flow) {
    flow.classifiers[this.name].sum = 0;
  }
  onFlowUpdate(packet, flow) {
    const { payload } = packet;
    const end = Math.min(16, payload.length);
    let sum = 0;
    for (let i = 0; i < end; i++) sum += payload[i];
    flow.classifiers[this.name].sum += sum;
  }
}

/** Functions of their own, as ten metrics of a user are. */
const countLonger = (name, bytes) =>
  new Function('packet', 'flow', `return flow.metrics.${name} + (packet.length > ${bytes} ? 1 : 0)`);

const VARIANTS = {
  none: () => ({}),
  oneMetric: () => ({ userMetrics: { count_pkts_gt_666: countLonger('count_pkts_gt_666', 666) } }),
  tenMetrics: () => {
    const names = Array.from({ length: 10 }, (_, i) => `count_pkts_gt_${i * 100}`);
    return { userMetrics: Object.fromEntries(names.map((name, i) => [name, countLonger(name, i * 100)])) };
  },
  counter: () => ({ userClassifiers: new Counter('counter') }),
  payload: () => ({ userClassifiers: new PayloadSum('payload') }),
};

const [source, variant, options = '{}'] = process.argv.slice(2);
const streamer = new Streamer({ source, enableNdpi: false, ...VARIANTS[variant](), ...JSON.parse(options) });
const kept = [];
let flows = 0;
let liveFlows = 0;
const before = process.cpuUsage();
const started = performance.now();
for await (const batch of streamer.batches()) {
  const looksBefore = Math.floor(flows / FLOWS_BETWEEN_LOOKS);
  flows += batch.count;
  if (globalThis.gc === undefined || Math.floor(flows / FLOWS_BETWEEN_LOOKS) === looksBefore) continue;
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  kept.push(heapUsed + arrayBuffers);
  liveFlows = Math.max(liveFlows, streamer.stats.flows_live);
}
const wallSeconds = (performance.now() - started) / 1000;
const { user, system } = process.cpuUsage(before);
const { packets_metered: packets } = streamer.stats;
console.log(JSON.stringify({ packets, cpuSeconds: (user + system) / 1e6, wallSeconds, liveFlows, kept }));
