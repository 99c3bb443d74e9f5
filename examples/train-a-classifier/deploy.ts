// The models at work: labels the flows of a capture while it is read.
//
//   jiti deploy.ts CAPTURE MODELS NAME...
//
// writes a line for each flow to MODELS/deployed.jsonl: its id, and what each of the named models said.
import { readFileSync, writeFileSync } from 'node:fs';
import { DecisionTreeClassifier } from 'ml-cart';
import { type NFStreamClassifier, OnnxClassifier, Streamer } from 'nfstream';
import { flowId, flowOptions, toJsonLines } from './captures.ts';
import { EARLY_PACKETS, features, userMetrics } from './features.ts';
import { ThreeSizes } from './three-sizes.ts';

const [source, folder, ...names] = process.argv.slice(2);

const classifiers: Record<string, () => NFStreamClassifier> = {
  three_sizes: () => {
    const { labels, tree: json } = JSON.parse(readFileSync(`${folder}/three_sizes.model.json`, 'utf8'));
    const tree = DecisionTreeClassifier.load(json);
    return new ThreeSizes((sizes) => labels[tree.predict([sizes])[0]]);
  },
  forest: () => new OnnxClassifier({ name: 'forest', model: `${folder}/forest.onnx`, features, threshold: 0.5 }),
  forest_early: () =>
    new OnnxClassifier({
      name: 'forest_early',
      model: `${folder}/forest_early.onnx`,
      features,
      threshold: 0.5,
      at: { packets: EARLY_PACKETS },
    }),
};

const rows: Record<string, unknown>[] = [];
for await (const flow of new Streamer({
  source,
  userMetrics,
  userClassifiers: names.map((name) => classifiers[name]()),
  ...flowOptions,
})) {
  rows.push({ flow: flowId(flow), ...Object.fromEntries(names.map((name) => [name, flow.metrics[name]])) });
}
writeFileSync(`${folder}/deployed.jsonl`, toJsonLines(rows));

console.log(`${folder}/deployed.jsonl: ${rows.length} flows`);
for (const name of names) {
  const answered = rows.filter((row) => (row[name] as { label: string | null }).label !== null).length;
  console.log(`${name}: labelled ${answered}, abstained from ${rows.length - answered}`);
}
