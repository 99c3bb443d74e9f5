// Compares two sets of flows and says how each difference looks. Order does not matter; equal flows pair off first,
// then, within the same endpoints, protocol and VLAN, those that began at the same time, then the rest in time order.
//
// Reasons: `missing` (expected, not ours), `extra` (ours, not expected), otherwise the fields that differ, joined:
// `direction`, `times`, `packets`, `bytes`, `flags`.

/**
 * @typedef {import('./expected.mjs').Row} Row
 * @typedef {{ reason: string, expected?: Row, ours?: Row }} Difference
 */

/** @param {Row} row both directions give the same */
function endpoints(row) {
  return `${[row.src, row.dst].sort().join(' - ')} protocol ${row.protocol} VLAN ${row.vlan}`;
}

/** Equal for rows that are equal; the application does not count. @param {Row} row */
export function identity({ application: _, ...row }) {
  return JSON.stringify(row);
}

/**
 * @param {readonly Row[]} expected
 * @param {readonly Row[]} ours
 * @returns {{ equal: number, differences: Difference[], pairs: [Row, Row][] }} `pairs` are the equal ones
 */
export function compareFlows(expected, ours) {
  /** @type {Map<string, Row[]>} */
  const unpaired = new Map();
  for (const row of ours) push(unpaired, identity(row), row);
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
    const twin = unpaired.get(identity(row))?.pop();
    if (twin !== undefined) pairs.push([row, twin]);
    else groupOf(row).expected.push(row);
  }
  for (const rows of unpaired.values()) for (const row of rows) groupOf(row).ours.push(row);
  const differences = [...groups.values()].flatMap(compareGroup);
  return { equal: pairs.length, differences, pairs };
}

/** @param {{ expected: Row[], ours: Row[] }} group @returns {Difference[]} */
function compareGroup({ expected, ours }) {
  /** @type {Difference[]} */
  const differences = [];
  const rest = [];
  for (const row of expected) {
    const at = ours.findIndex((one) => one.first === row.first);
    if (at < 0) rest.push(row);
    else differences.push(describe(row, ours.splice(at, 1)[0]));
  }
  rest.sort((a, b) => a.first - b.first);
  ours.sort((a, b) => a.first - b.first);
  for (const row of rest) {
    const one = ours.shift();
    differences.push(one === undefined ? { reason: 'missing', expected: row } : describe(row, one));
  }
  return [...differences, ...ours.map((row) => ({ reason: 'extra', ours: row }))];
}

/** @param {Row} expected @param {Row} ours @returns {Difference} */
function describe(expected, ours) {
  const reasons = [];
  if (expected.src !== ours.src || expected.dst !== ours.dst) reasons.push('direction');
  if (expected.first !== ours.first || expected.last !== ours.last) reasons.push('times');
  for (const field of /** @type {const} */ (['packets', 'bytes', 'flags'])) {
    if (expected[field] !== ours[field]) reasons.push(field);
  }
  return { reason: reasons.join(' '), expected, ours };
}

function push(map, key, value) {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
