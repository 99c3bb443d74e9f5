// One capture, all contenders: they take turns (A B C, A B C, ...), so a slow minute of the machine hits all, and a ratio is
// the median of those of the turns. Who takes long runs once, and is compared with the other's median.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measure, median } from './measure.mjs';
import { judge, TARGETS } from './targets.mjs';

/** Who takes longer runs once. */
const SLOW_SECONDS = 20;

/**
 * @typedef {import('./contenders.mjs').Contender} Contender
 * @typedef {import('./measure.mjs').Cost & { inside: number, packets: number }} Cost `inside`: seconds inside the process,
 *   without its start; NaN, and `packets` 0, where the contender does not tell
 * @typedef {import('./rows.mjs').Row} Row
 */

/**
 * @param {string} name of the capture
 * @param {string} path
 * @param {readonly Contender[]} contenders
 * @param {number} runs
 * @returns {Promise<Row[]>}
 */
export async function compare(name, path, contenders, runs) {
  /** @type {Map<string, Cost[]>} */
  const costs = new Map(contenders.map((contender) => [contender.name, []]));
  const failed = new Set();
  // Into the page cache.
  await measure(['cat', path]);
  for (let turn = 0; turn < runs; turn++) {
    for (const contender of contenders) {
      const all = costs.get(contender.name);
      if (failed.has(contender) || all.some(({ wall }) => wall > SLOW_SECONDS)) continue;
      try {
        all.push(await run(contender, path));
      } catch (error) {
        failed.add(contender);
        console.error(`${contender.name}: ${error.message}`);
      }
    }
  }
  const packets = Math.max(...[...costs.values()].flat().map((cost) => cost.packets));
  return contenders.map((contender) =>
    failed.has(contender)
      ? failure(name, contender)
      : row(name, contender, costs.get(contender.name), costs.get(contender.against) ?? [], packets),
  );
}

/** @param {Contender} contender @returns {Promise<Cost>} */
async function run({ command, tellsInside = false }, path) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-out-'));
  try {
    const cost = await measure(command(path, join(folder, 'flows.csv')), { keepOutput: tellsInside });
    if (!tellsInside) return { ...cost, inside: Number.NaN, packets: 0 };
    const { wallSeconds, packets_read } = JSON.parse(cost.output);
    return { ...cost, inside: wallSeconds, packets: packets_read };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} part @param {Contender} contender @returns {Row} */
function failure(part, { name, isOurs }) {
  const verdict = { text: 'failed', failure: isOurs ? `${part}: ${name} failed` : null };
  return { part, what: name, verdicts: [verdict] };
}

/** @param {string} part @param {Contender} contender @param {Cost[]} all @param {Cost[]} others @returns {Row} */
function row(part, contender, all, others, packets) {
  const { name, against, target, judgesInside, memoryTarget } = contender;
  const middle = (key) => median(all.map((cost) => cost[key]));
  const [wall, inside, cpu, rss] = ['wall', 'inside', 'cpu', 'rss'].map(middle);
  const made = { part, what: name, wall, inside, cpu, rss, rate: packets > 0 ? packets / wall : Number.NaN };
  const verdicts = [];
  if (others.length > 0) {
    const whole = ratio(all, others, 'wall');
    const ofInside = ratio(all, others, 'inside');
    made.figure = judgesInside
      ? `${digits(ofInside)} inside, ${digits(whole)} whole x ${against}`
      : `${digits(whole)} x ${against}`;
    if (target !== undefined) verdicts.push(judge(TARGETS[target], part, judgesInside ? ofInside : whole));
  }
  if (memoryTarget !== undefined && !Number.isNaN(rss)) verdicts.push(judge(TARGETS[memoryTarget], part, rss / 1e6));
  return { ...made, verdicts };
}

/** Of times of the same turns to the other's wall time. @param {Cost[]} all @param {Cost[]} others @param {'wall' | 'inside'} key */
function ratio(all, others, key) {
  if (all.length !== others.length)
    return median(all.map((cost) => cost[key])) / median(others.map(({ wall }) => wall));
  return median(all.map((cost, turn) => cost[key] / others[turn].wall));
}

function digits(value) {
  return value.toPrecision(3);
}
