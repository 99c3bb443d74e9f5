// One run for prediction.mjs in a process of its own: prediction-run.mjs CAPTURE FLOWS RUNTIME|none BATCHSIZE
//
// Meters the first FLOWS pairs of packets of the capture `flows`, with a model on the given runtime or without. Prints as
// JSON: flows, CPU and wall seconds of the metering alone (the model is loaded before).
import { closeSync, openSync, readSync } from 'node:fs';
import { OnnxClassifier, Streamer } from '../dist/index.js';
import { forestModel } from '../test/classifier/onnx-writer.mjs';
import { randomForest } from '../test/classifier/random-forest.mjs';

const FEATURES = 10;
const CLASSES = 5;
const SCALE = 1000;
const FILE_HEADER_BYTES = 24;
const PACKET_BYTES = 80;

const [path, pairs, runtime, batchSize] = process.argv.slice(2);

/** Numbers spread evenly, so that flows take ways through the trees as different as can be. */
const features = Array.from({ length: FEATURES }, (_, i) => ({
  name: `f${i}`,
  value: (flow) => (flow.src_port * (7919 + 104729 * i) + flow.dst_port) % SCALE,
}));

/** A classifier that tells when its model has been loaded. */
class Measured extends OnnxClassifier {
  async onStart(run) {
    await super.onStart(run);
    started();
  }
}

function classifier() {
  const forest = randomForest({ trees: 100, depth: 10, features: FEATURES, classes: CLASSES, scale: SCALE, seed: 1 });
  const labels = Array.from({ length: CLASSES }, (_, i) => `class${i}`);
  const model = forestModel(forest, { features: FEATURES, labels });
  return new Measured({ name: 'app', model, features, runtime, batchSize: Number(batchSize) });
}

let cpu = process.cpuUsage();
let wall = performance.now();
function started() {
  cpu = process.cpuUsage();
  wall = performance.now();
}

const source = new Uint8Array(FILE_HEADER_BYTES + Number(pairs) * 2 * PACKET_BYTES);
const file = openSync(path, 'r');
readSync(file, source);
closeSync(file);
const userClassifiers = runtime === 'none' ? [] : [classifier()];
started();
let flows = 0;
for await (const batch of new Streamer({ source, enableNdpi: false, userClassifiers }).batches()) flows += batch.count;
const { user, system } = process.cpuUsage(cpu);
console.log(
  JSON.stringify({ flows, cpuSeconds: (user + system) / 1e6, wallSeconds: (performance.now() - wall) / 1000 }),
);
