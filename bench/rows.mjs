// The rows of the benchmark's table: all parts give the same kind.
import { print } from './table.mjs';

/**
 * @typedef {object} Row
 * @property {string} part the capture, or what else it belongs to
 * @property {string} what
 * @property {number} [wall] seconds, whole process
 * @property {number} [inside] seconds inside the process, without its start
 * @property {number} [cpu] seconds
 * @property {number} [rate] packets a second
 * @property {number} [rss] peak memory in bytes
 * @property {string} [figure] what a target is about, or worth knowing beside
 * @property {readonly { text: string, failure: string | null }[]} [verdicts] of targets.mjs
 */

const COLUMNS = ['', '', 'wall s', 'inside s', 'CPU s', 'Mpkt/s', 'peak MB', 'figure', 'target'];

/** @param {readonly Row[]} rows @param {boolean} markdown */
export function printRows(rows, markdown) {
  const cells = rows.map(({ part, what, wall, inside, cpu, rate, rss, figure = '', verdicts = [] }) => [
    part,
    what,
    number(wall, 1, 2),
    number(inside, 1, 2),
    number(cpu, 1, 2),
    number(rate, 1e6, 2),
    number(rss, 1e6, 0),
    figure,
    verdicts.flatMap(({ text }) => (text === '' ? [] : [text])).join('; '),
  ]);
  print([COLUMNS, ...cells], { markdown, text: [1, 7] });
}

function number(value = Number.NaN, unit = 1, digits = 0) {
  return Number.isNaN(value) ? '' : (value / unit).toFixed(digits);
}

/** @param {readonly Row[]} rows @returns {string[]} */
export function failuresOf(rows) {
  return rows.flatMap(({ verdicts = [] }) => verdicts.flatMap(({ failure }) => failure ?? []));
}
