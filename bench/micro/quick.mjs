/**
 * What it takes where nothing disturbs: the mean of the quickest tenth. Whatever else the machine does only adds.
 * @param {readonly number[]} times
 */
export function quick(times) {
  const sorted = [...times].sort((a, b) => a - b);
  const best = sorted.slice(0, Math.max(1, Math.floor(sorted.length / 10)));
  return best.reduce((sum, time) => sum + time, 0) / best.length;
}
