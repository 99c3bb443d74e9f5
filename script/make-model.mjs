// node script/make-model.mjs [FILE]
//
// Writes fixtures/model.onnx, the toy model of docs/models.md: a decision tree with thresholds made up by hand, in the
// form in which scikit-learn's trees are exported. It says what a flow looks like by its bytes.
//
//   dst_to_src_bytes <= 0 ? oneway
//   : src_to_dst_bytes <= 5000 ? (dst_to_src_bytes <= 5000 ? exchange : download)
//   : (dst_to_src_bytes <= 5000 ? upload : upload or exchange)
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { forestModel } from '../test/classifier/onnx-writer.mjs';

const FEATURES = ['src_to_dst_bytes', 'dst_to_src_bytes'];
const LABELS = ['download', 'exchange', 'oneway', 'upload'];
const [SENT, RECEIVED] = [0, 1];

const answered = (threshold, below, above) => ({ feature: RECEIVED, threshold, left: below, right: above });
const leaf = (...weights) => ({ weights });

const tree = answered(0, leaf(0, 0, 1, 0), {
  feature: SENT,
  threshold: 5000,
  left: answered(5000, leaf(0.0625, 0.875, 0, 0.0625), leaf(0.875, 0.125, 0, 0)),
  right: answered(5000, leaf(0, 0.125, 0, 0.875), leaf(0, 0.4375, 0, 0.5625)),
});

const file = process.argv[2] ?? fileURLToPath(new URL('../fixtures/model.onnx', import.meta.url));
const metadata = { feature_names: JSON.stringify(FEATURES) };
writeFileSync(file, forestModel([tree], { features: FEATURES.length, labels: LABELS, metadata }));
