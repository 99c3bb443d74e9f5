// Compares two sets of flows column by column and says how each difference looks. Order does not matter; equal flows
// pair off first, then, within the same endpoints, protocol and VLAN, those that began at the same time, then the rest
// in time order.
//
// A difference has both rows and the columns that differ, or one row: `missing` (expected, not ours) or `extra` (ours,
// not expected).
import { classOf } from './expected.mjs';

/**
 * @typedef {import('./expected.mjs').Row} Row
 * @typedef {{ columns: readonly string[], expected?: Row, ours?: Row }} Difference
 */

/** Of the greater of two numbers, what they may differ by and be equal: they are sums taken in another order. */
const RELATIVE_TOLERANCE = 1e-9;

const COMPARED = new Set(['integer', 'float', 'list', 'text']);

/** Those of an expected file's columns that are compared. @param {readonly string[]} columns */
export function comparedColumns(columns) {
  return columns.filter((column) => COMPARED.has(classOf(column)));
}

/** Equal for rows that are the same in each of `columns`. @param {Row} row @param {readonly string[]} columns */
export function identity(row, columns) {
  return JSON.stringify(columns.map((column) => row[column]));
}

/**
 * @param {readonly Row[]} expected
 * @param {readonly Row[]} ours
 * @param {readonly string[]} columns to compare
 * @returns {{ pairs: [Row, Row][], differences: Difference[] }} `pairs` are equal
 */
export function compareFlows(expected, ours, columns) {
  const exact = columns.filter((column) => classOf(column) !== 'float');
  /** @type {Map<string, Row[]>} */
  const unpaired = new Map();
  for (const row of ours) push(unpaired, identity(row, exact), row);
  /** @type {[Row, Row][]} */
  const pairs = [];
  /** @type {Map<string, { expected: Row[], ours: Row[] }>} */
  const groups = new Map();
  const groupOf = (row) => {
    const key = endpoints(row);
    if (!groups.has(key)) groups.set(key, { expected: [], ours: [] });
    return groups.get(key);
  };
  for (const row of expected) {
    const alike = unpaired.get(identity(row, exact)) ?? [];
    const at = alike.findIndex((one) => differingColumns(row, one, columns).length === 0);
    if (at >= 0) pairs.push([row, alike.splice(at, 1)[0]]);
    else groupOf(row).expected.push(row);
  }
  for (const rows of unpaired.values()) for (const row of rows) groupOf(row).ours.push(row);
  const differences = [...groups.values()].flatMap((group) => compareGroup(group, columns));
  return { pairs, differences };
}

/** Both directions give the same. @param {Row} row */
function endpoints({ src_ip, src_port, dst_ip, dst_port, protocol, vlan_id }) {
  return `${[`${src_ip} ${src_port}`, `${dst_ip} ${dst_port}`].sort().join(' - ')} ${protocol} ${vlan_id}`;
}

/** @param {{ expected: Row[], ours: Row[] }} group @param {readonly string[]} columns @returns {Difference[]} */
function compareGroup({ expected, ours }, columns) {
  /** @type {Difference[]} */
  const differences = [];
  const rest = [];
  const pair = (row, one) =>
    differences.push({ columns: differingColumns(row, one, columns), expected: row, ours: one });
  for (const row of expected) {
    const at = ours.findIndex((one) => begin(one) === begin(row));
    if (at < 0) rest.push(row);
    else pair(row, ours.splice(at, 1)[0]);
  }
  rest.sort((a, b) => begin(a) - begin(b));
  ours.sort((a, b) => begin(a) - begin(b));
  for (const row of rest) {
    const one = ours.shift();
    if (one === undefined) differences.push({ columns: [], expected: row });
    else pair(row, one);
  }
  return [...differences, ...ours.map((row) => ({ columns: [], ours: row }))];
}

/** @param {Row} row @returns {number} */
function begin(row) {
  return /** @type {number} */ (row.bidirectional_first_seen_ms);
}

/** @param {Row} expected @param {Row} ours @param {readonly string[]} columns */
function differingColumns(expected, ours, columns) {
  return columns.filter((column) => !isEqual(expected[column], ours[column], classOf(column)));
}

function isEqual(expected, ours, columnClass) {
  if (columnClass === 'float') return isNear(expected, ours);
  if (columnClass !== 'list') return expected === ours;
  return Array.isArray(ours) && expected.length === ours.length && expected.every((value, i) => value === ours[i]);
}

function isNear(a, b) {
  // False for what is no number.
  return Math.abs(a - b) <= RELATIVE_TOLERANCE * Math.max(Math.abs(a), Math.abs(b));
}

function push(map, key, value) {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
