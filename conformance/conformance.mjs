// Runs a Streamer over every capture of a folder that has an expected file, compares, and looks the differences up in
// the register of known ones (differs.json).
//
// The folder: <origin>/<capture> beside expected/<origin>/<capture>.csv. The Streamer class is handed in, so that the
// command line compares the built package and the tests compare the sources.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareFlows } from './compare.mjs';
import { readExpected, rowOf } from './expected.mjs';

/** As the expected files were made; fragments as NFStream has them. */
const OPTIONS = { inactiveTimeout: 120, activeTimeout: 1800, fragments: 'ignore' };

/** @type {{ kinds: Record<string, string>, captures: Record<string, { kind: string, differences: Record<string, number> }> }} */
export const REGISTER = JSON.parse(readFileSync(new URL('differs.json', import.meta.url), 'utf8'));

/**
 * @typedef {object} CaptureReport
 * @property {string} name `<origin>/<capture>`
 * @property {number} expected flows
 * @property {number} equal flows
 * @property {import('./compare.mjs').Difference[]} differences
 * @property {Record<string, number>} reasons differences counted by reason
 * @property {string | undefined} kind of the register's entry, when it explains exactly these differences
 * @property {boolean} isUnexplained there are differences that the register has not, or it has some that are gone
 * @property {string | undefined} damage code of the error that ended the capture
 * @property {number} sameApplication of the equal flows, those with NFStream's application name; information only
 */

/** @param {string} folder @returns {string[]} `<origin>/<capture>` of those that have an expected file, sorted */
export function findCaptures(folder) {
  const origins = readdirSync(join(folder, 'expected'));
  return origins
    .flatMap((origin) => readdirSync(join(folder, 'expected', origin)).map((file) => `${origin}/${file.slice(0, -4)}`))
    .filter((name) => existsSync(join(folder, name)))
    .sort();
}

/**
 * @param {new (options: any) => AsyncIterable<any>} Streamer
 * @param {string} folder
 * @param {string} name
 * @param {{ enableNdpi?: boolean }} [options]
 * @returns {Promise<CaptureReport>}
 */
export async function checkCapture(Streamer, folder, name, { enableNdpi = false } = {}) {
  const rows = [];
  let damage;
  try {
    for await (const flow of new Streamer({ source: join(folder, name), ...OPTIONS, enableNdpi })) {
      rows.push(rowOf(flow.toJSON()));
    }
  } catch (error) {
    // A damaged capture gives its flows up to the damage; anything else is no result.
    if (!/_CAPTURE$/.test(error.code)) throw error;
    damage = error.code;
  }
  const expected = readExpected(join(folder, 'expected', `${name}.csv`));
  const { equal, differences, pairs } = compareFlows(expected, rows);
  const reasons = countReasons(differences);
  const known = REGISTER.captures[name];
  const isExplained = sameCounts(reasons, known?.differences ?? {});
  return {
    name,
    expected: expected.length,
    equal,
    differences,
    reasons,
    kind: isExplained ? known?.kind : undefined,
    isUnexplained: !isExplained,
    damage,
    sameApplication: pairs.filter(([theirs, ours]) => theirs.application === ours.application).length,
  };
}

/** @param {readonly import('./compare.mjs').Difference[]} differences @returns {Record<string, number>} */
function countReasons(differences) {
  /** @type {Record<string, number>} */
  const reasons = {};
  for (const { reason } of differences) reasons[reason] = (reasons[reason] ?? 0) + 1;
  return reasons;
}

function sameCounts(a, b) {
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => a[key] === b[key]);
}
