// What many captures say together: each column, each kind, the totals.
import { KINDS } from './imitations.mjs';

/**
 * @typedef {import('./conformance.mjs').CaptureReport} CaptureReport
 * @typedef {object} ColumnSummary
 * @property {string} column
 * @property {number} compared flows that both have
 * @property {number} equal
 * @property {number} different
 * @property {number} explained of those that are different
 * @property {Record<string, number>} kinds of those that are explained; `a+b` where it takes both
 *
 * @typedef {object} KindSummary
 * @property {string} name
 * @property {string} text
 * @property {number} flows in which it has a part
 * @property {string[]} captures that show it
 */

/** @param {readonly CaptureReport[]} reports @returns {ColumnSummary[]} */
export function summarizeColumns(reports) {
  /** @type {Map<string, ColumnSummary>} */
  const summaries = new Map();
  for (const { columns, equal, differences, columnKinds } of reports) {
    const paired = differences.filter(({ expected, ours }) => expected !== undefined && ours !== undefined);
    for (const column of columns) {
      const summary = summaries.get(column) ?? {
        column,
        compared: 0,
        equal: 0,
        different: 0,
        explained: 0,
        kinds: {},
      };
      summaries.set(column, summary);
      const different = paired.filter((difference) => difference.columns.includes(column)).length;
      summary.compared += equal + paired.length;
      summary.different += different;
      summary.equal += equal + paired.length - different;
    }
    for (const kindsOf of columnKinds) {
      for (const [column, kinds] of Object.entries(kindsOf)) {
        const summary = summaries.get(column);
        if (kinds === '') continue;
        summary.explained++;
        summary.kinds[kinds] = (summary.kinds[kinds] ?? 0) + 1;
      }
    }
  }
  return [...summaries.values()];
}

/** @param {readonly CaptureReport[]} reports @returns {KindSummary[]} all of them, also those that none shows */
export function summarizeKinds(reports) {
  return KINDS.map(({ name, text }) => {
    const shown = reports
      .map((report) => ({ capture: report.name, flows: report.kinds.filter((kinds) => hasKind(kinds, name)).length }))
      .filter(({ flows }) => flows > 0);
    const flows = shown.reduce((sum, one) => sum + one.flows, 0);
    return { name, text, flows, captures: shown.map(({ capture }) => capture) };
  });
}

function hasKind(kinds, name) {
  return kinds.split('+').includes(name);
}

/**
 * The list in docs/conformance.md: of each kind the captures that show it.
 * @param {readonly CaptureReport[]} reports
 */
export function captureList(reports) {
  return summarizeKinds(reports)
    .map(({ name, flows, captures }) =>
      captures.length === 0
        ? `- \`${name}\`: none of these captures; tests make one`
        : `- \`${name}\`, ${counted(flows)}: ${captures.map((capture) => `\`${capture}\``).join(', ')}`,
    )
    .join('\n');
}

function counted(flows) {
  return flows === 1 ? '1 flow' : `${flows} flows`;
}

const BEGIN = '<!-- captures: begin -->\n';
const END = '\n<!-- captures: end -->';

/** The list in a text. @param {string} text */
export function listIn(text) {
  return text.slice(text.indexOf(BEGIN) + BEGIN.length, text.indexOf(END));
}

/** The text with another list. @param {string} text @param {string} list */
export function withList(text, list) {
  return text.slice(0, text.indexOf(BEGIN) + BEGIN.length) + list + text.slice(text.indexOf(END));
}
