// Forests with random thresholds, and what they say, by walking them: the truth for tests and the benchmark's load.

/** @typedef {import('./onnx-writer.mjs').Tree} Tree */

/** Numbers from 0 to 1, the same for the same seed (mulberry32). @param {number} seed */
export function randomNumbers(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * Trees of which each asks for features from 0 to `scale`, most branches down to `depth`.
 * @param {{ trees: number, depth: number, features: number, classes: number, scale: number, seed: number }} size
 * @returns {Tree[]}
 */
export function randomForest({ trees, depth, features, classes, scale, seed }) {
  const random = randomNumbers(seed);
  const grow = (/** @type {number} */ left) => {
    if (left === 0 || random() < 0.05) {
      const weights = Array.from({ length: classes }, () => random() ** 4);
      const sum = weights.reduce((a, b) => a + b, 0);
      return { weights: weights.map((weight) => weight / sum) };
    }
    const threshold = Math.fround(random() * scale);
    return { feature: Math.floor(random() * features), threshold, left: grow(left - 1), right: grow(left - 1) };
  };
  return Array.from({ length: trees }, () => grow(depth));
}

/** Mean of the weights of the leaves that a row of features falls into. @param {Tree[]} trees @param {number[]} row */
export function forestProbabilities(trees, row) {
  const leaves = trees.map((root) => {
    let node = root;
    while ('feature' in node) node = Math.fround(row[node.feature]) <= node.threshold ? node.left : node.right;
    return node.weights;
  });
  return leaves[0].map((_, label) => leaves.reduce((sum, weights) => sum + weights[label], 0) / leaves.length);
}
