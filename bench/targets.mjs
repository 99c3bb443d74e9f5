// What the benchmark holds the project to. Each target is about one figure: the ratio of two times in one run, bytes, or
// milliseconds.

/** `--check` fails when a figure is over its target, or over what is accepted for it, by more than this part of it. */
export const TOLERANCE = 0.1;

/**
 * @typedef {object} Target
 * @property {string} name
 * @property {number} [most] the figure is to be at most this
 * @property {number} [least] or at least this
 * @property {string} [unit] for the table; none for ratios
 * @property {readonly string[]} [captures] those that it is about; all by default
 * @property {Record<string, number>} [accepted] where it is known not to be met, by capture: the figure that was accepted,
 *   for the reasons in docs/performance.md. It is printed as NOT MET all the same; `--check` fails where it gets worse
 */

const targets = {
  'iteration / tcpdump': { most: 1.0, captures: ['mix', 'small'], accepted: { mix: 1.3, small: 1.24 } },
  'nDPI / ndpiReader': { most: 0.6 },
  'nDPI, two meters / one': { most: 0.58, accepted: { mix: 0.84, small: 0.92, flows: 0.82 } },
  'Python / ours': { least: 45 },
  'Python, nDPI / ours': { least: 12 },
  'CSV / tcpdump': { most: 1.6, accepted: { mix: 2.0, small: 1.95, flows: 10.2 } },
  'bytes a live flow': { most: 200, unit: 'bytes' },
  'peak MB': { most: 500, unit: 'MB', captures: ['flows'] },
  'last / first packets': { most: 1.1 },
  'version, ms': { most: 80, unit: 'ms' },
  'hundred packets, ms': { most: 250, unit: 'ms' },
};

/** @type {Record<string, Target>} by name */
export const TARGETS = Object.fromEntries(Object.entries(targets).map(([name, target]) => [name, { name, ...target }]));

/**
 * What the table says of a figure, and what `--check` says of it: null where that is nothing.
 * @param {Target} target
 * @param {string} capture or the part of the benchmark
 * @param {number} figure
 * @returns {{ text: string, failure: string | null }} an empty text where the target is not about this capture
 */
export function judge({ name, most, least, unit = '', captures, accepted }, capture, figure) {
  if (captures !== undefined && !captures.includes(capture)) return { text: '', failure: null };
  const excess = (bound) => (least === undefined ? figure / bound : bound / figure);
  const target = most ?? least;
  const known = accepted?.[capture];
  const bound = `${least === undefined ? '<=' : '>='} ${target} ${unit}`.trimEnd();
  const isMet = excess(target) <= 1;
  const missed = known === undefined ? 'NOT MET' : `NOT MET (${known} accepted)`;
  const isWorse = !isMet && excess(known ?? target) > 1 + TOLERANCE;
  const failure = `${capture}: ${name} is ${figure.toPrecision(3)}, target ${bound}`;
  return {
    text: `${bound}: ${isMet ? 'met' : missed}`,
    failure: isWorse ? `${failure}${known === undefined ? '' : `, ${known} accepted`}` : null,
  };
}
