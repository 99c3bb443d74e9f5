// Runs a Streamer over every capture of a folder that has an expected file, compares, and explains the differences by
// what the capture holds (explain.mjs), never by its name.
//
// The folder: CAPTURE beside expected/CAPTURE.csv, in folders of any depth. The classes are handed in, so that the command
// line compares the built package and the tests compare the sources.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { compareFlows } from './compare.mjs';
import { readExpected, rowOf } from './expected.mjs';
import { explain } from './explain.mjs';
import { isDamage } from './frames.mjs';

/** As the expected files were made; fragments as NFStream has them. */
const OPTIONS = { inactiveTimeout: 120, activeTimeout: 1800, fragments: 'ignore' };

/**
 * @typedef {import('./compare.mjs').Difference} Difference
 * @typedef {import('./frames.mjs').Library} Library
 * @typedef {object} CaptureReport
 * @property {string} name path below the folder
 * @property {number} expected flows
 * @property {number} equal flows
 * @property {Difference[]} differences
 * @property {string[]} kinds of each difference, several joined by `+`, '' where it is not explained
 * @property {Record<string, number>} reasons differences counted by reason
 * @property {string} imitated kinds with which NFStream was imitated to explain them
 * @property {Difference[]} unexplained what differs from the expected flows even then
 * @property {string | undefined} damage code of the error that ended the capture
 * @property {number} sameApplication of the equal flows, those with NFStream's application name; information only
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
  const { rows, damage } = await meter(library, path, enableNdpi);
  const expected = readExpected(join(folder, 'expected', `${name}.csv`));
  const { equal, differences, pairs } = compareFlows(expected, rows);
  const report = {
    name,
    expected: expected.length,
    equal,
    differences,
    kinds: [],
    reasons: countBy(differences.map(({ reason }) => reason)),
    imitated: '',
    unexplained: [],
    damage,
    sameApplication: pairs.filter(([theirs, ours]) => theirs.application === ours.application).length,
  };
  if (differences.length === 0) return report;
  const again = async (bytes) => (await meter(library, bytes, false)).rows;
  return { ...report, ...(await explain(library, path, expected, differences, again)) };
}

/** @returns {Promise<{ rows: import('./expected.mjs').Row[], damage: string | undefined }>} */
async function meter({ Streamer }, source, enableNdpi) {
  const rows = [];
  try {
    for await (const flow of new Streamer({ source, ...OPTIONS, enableNdpi })) rows.push(rowOf(flow.toJSON()));
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
