// Meters a capture to a table that any trainer reads: a row for each flow, its id and label, then the features.
//
//   jiti table.ts CAPTURE LABELS.json TABLE.csv [early]
//
// With `early`, features are read at a flow's packet number EARLY_PACKETS, as `at: { packets }` of OnnxClassifier does;
// without, at its end. A flow whose server is not in LABELS.json has an empty label: trainers leave it out, and predict it.
import { writeFileSync } from 'node:fs';
import { type Flow, NFStreamClassifier, type Packet, Streamer } from 'nfstream';
import { flowId, flowOptions, readLabels } from './captures.ts';
import { EARLY_PACKETS, features, readFeatures, userMetrics } from './features.ts';

/** Leaves the features of one moment in `flow.metrics.snapshot`. */
class Snapshot extends NFStreamClassifier {
  readonly #packets: number;

  constructor(packets: number) {
    super('snapshot');
    this.#packets = packets;
  }

  override onFlowMeasured(_packet: Packet, flow: Flow): boolean {
    if (flow.src_to_dst_pkts + flow.dst_to_src_pkts < this.#packets) return false;
    flow.metrics.snapshot = readFeatures(flow);
    return true;
  }

  override onFlowTerminate(flow: Flow): void {
    flow.metrics.snapshot ??= readFeatures(flow);
  }
}

const [source, labelsFile, table, moment] = process.argv.slice(2);
const labelOf = readLabels(labelsFile);
const lines = [['flow', 'label', ...features].join(',')];
for await (const flow of new Streamer({
  source,
  userMetrics,
  userClassifiers: new Snapshot(moment === 'early' ? EARLY_PACKETS : Number.POSITIVE_INFINITY),
  ...flowOptions,
})) {
  lines.push([flowId(flow), labelOf(flow), ...Object.values(flow.metrics.snapshot as object)].join(','));
}
writeFileSync(table, `${lines.join('\n')}\n`);
console.log(`${table}: ${lines.length - 1} flows`);
