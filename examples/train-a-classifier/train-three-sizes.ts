// Trains the decision tree of the first version on one capture and tries it on another, all inside Node.
//
//   jiti train-three-sizes.ts TRAIN.pcap TEST.pcap LABELS.json OUT
//
// writes OUT/three_sizes.model.json, and what the tree says about TEST: OUT/three_sizes.predictions.jsonl
import { writeFileSync } from 'node:fs';
import { DecisionTreeClassifier } from 'ml-cart';
import { Streamer } from 'nfstream';
import { flowId, flowOptions, readLabels, toJsonLines } from './captures.ts';
import { confusionMatrix } from './confusion.ts';
import { ThreeSizes, type ThreeSizesResult } from './three-sizes.ts';

const [trainCapture, testCapture, labelsFile, out] = process.argv.slice(2);
const labelOf = readLabels(labelsFile);

/** The table: one row a flow, collected by the classifier that will serve the tree later. */
async function meter(source: string) {
  const rows: { flow: string; sizes: number[]; label: string }[] = [];
  const collector = new ThreeSizes(() => '');
  for await (const flow of new Streamer({ source, userClassifiers: collector, ...flowOptions })) {
    const { sizes } = flow.metrics.three_sizes as unknown as ThreeSizesResult;
    rows.push({ flow: flowId(flow), sizes, label: labelOf(flow) });
  }
  return rows;
}

const train = (await meter(trainCapture)).filter(({ label }) => label !== '');
if (train.length === 0)
  throw new Error(`Expected flows to the addresses of ${labelsFile} in ${trainCapture}: there are none`);
const labels = [...new Set(train.map(({ label }) => label))].sort();
const tree = new DecisionTreeClassifier({ minNumSamples: 4, maxDepth: 12 });
tree.train(
  train.map(({ sizes }) => sizes),
  train.map(({ label }) => labels.indexOf(label)), // ml-cart knows classes by number
);
writeFileSync(`${out}/three_sizes.model.json`, JSON.stringify({ labels, tree }));

const test = await meter(testCapture);
const predicted = tree.predict(test.map(({ sizes }) => sizes)).map((index) => labels[index]);
writeFileSync(
  `${out}/three_sizes.predictions.jsonl`,
  toJsonLines(test.map(({ flow }, i) => ({ flow, label: predicted[i] }))),
);

console.log(`three_sizes: a decision tree on three packet sizes, from ${train.length} flows`);
console.log(
  `on the other capture: ${confusionMatrix(test.map(({ label }, i) => ({ truth: label, predicted: predicted[i] })))}`,
);
