// Runs a Streamer over every capture of a folder that has an expected file, compares, and explains the differences by
// what the capture holds (explain.mjs), never by its name.
//
// The folder: CAPTURE beside expected/CAPTURE.csv, in folders of any depth. The classes are handed in, so that the command
// line compares the built package and the tests compare the sources.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { comparedColumns, compareFlows } from './compare.mjs';
import { classOf, readExpected } from './expected.mjs';
import { explain } from './explain.mjs';
import { isDamage } from './frames.mjs';

/** As the expected files were made; fragments as NFStream has them. Timeouts are the schema's own. */
const OPTIONS = { schema: 'nfstream6', statistics: true, splt: 10, fragments: 'ignore' };

/**
 * @typedef {import('./compare.mjs').Difference} Difference
 * @typedef {import('./frames.mjs').Library} Library
 * @typedef {object} CaptureReport
 * @property {string} name path below the folder
 * @property {readonly string[]} columns compared
 * @property {number} expected flows
 * @property {number} equal flows
 * @property {Difference[]} differences
 * @property {string[]} kinds of each difference, several joined by `+`, '' where it is not explained
 * @property {Record<string, string>[]} columnKinds of each difference, the same for each column that differs
 * @property {string} imitated kinds with which NFStream was imitated to explain them
 * @property {Difference[]} unexplained what differs from the expected flows even then
 * @property {string | undefined} damage code of the error that ended the capture
 * @property {Record<string, number>} agreeing of the equal flows, those with NFStream's value in a column that depends on
 * nDPI's version; information only, empty without nDPI
 */

/** @param {string} folder @returns {string[]} paths below it of captures that have an expected file, sorted */
export function findCaptures(folder) {
  return readdirSync(join(folder, 'expected'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.csv'))
    .map((file) => file.slice(0, -4))
    .filter((name) => existsSync(join(folder, name)))
    .sort();
}

/**
 * @param {Library} library
 * @param {string} folder
 * @param {string} name
 * @param {{ enableNdpi?: boolean }} [options]
 * @returns {Promise<CaptureReport>}
 */
export async function checkCapture(library, folder, name, { enableNdpi = false } = {}) {
  const path = join(folder, name);
  const { rows: ours, damage } = await meter(library, path, enableNdpi);
  const { columns: all, rows: expected } = readExpected(join(folder, 'expected', `${name}.csv`));
  const columns = comparedColumns(all);
  const { pairs, differences } = compareFlows(expected, ours, columns);
  const informing = enableNdpi ? all.filter((column) => classOf(column) === 'information') : [];
  const report = {
    name,
    columns,
    expected: expected.length,
    equal: pairs.length,
    differences,
    kinds: [],
    columnKinds: [],
    imitated: '',
    unexplained: [],
    damage,
    agreeing: Object.fromEntries(
      informing.map((column) => [
        column,
        pairs.filter(([theirs, one]) => theirs[column] === String(one[column])).length,
      ]),
    ),
  };
  if (differences.length === 0) return report;
  const again = async (bytes) => (await meter(library, bytes, false)).rows;
  return { ...report, ...(await explain(library, path, { expected, columns, ours, differences, meter: again })) };
}

/** @returns {Promise<{ rows: import('./expected.mjs').Row[], damage: string | undefined }>} */
async function meter({ Streamer }, source, enableNdpi) {
  const rows = [];
  try {
    for await (const flow of new Streamer({ source, ...OPTIONS, enableNdpi })) rows.push(flow.toJSON());
  } catch (error) {
    if (!isDamage(error)) throw error;
    return { rows, damage: error.code };
  }
  return { rows, damage: undefined };
}

/** @param {readonly string[]} values @returns {Record<string, number>} */
export function countBy(values) {
  /** @type {Record<string, number>} */
  const counts = {};
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}
