// Reads an expected file: NFStream 6's CSV, one row a flow, which becomes what a record of the schema nfstream6 is as
// plain data, so that the two can be compared column by column.
import { readFileSync } from 'node:fs';

/**
 * A flow: a value for each column.
 * @typedef {Record<string, string | number | readonly number[]>} Row
 * @typedef {'integer' | 'float' | 'list' | 'text' | 'information' | 'order'} ColumnClass how a column is compared:
 * exactly; to 1e-9 of its value; number by number; exactly; not (the version of nDPI decides); not (rows come in
 * another order)
 */

/** What nDPI found: another version finds other things. */
const BY_NDPI = new Set([
  'application_name',
  'application_category_name',
  'application_is_guessed',
  'application_confidence',
  'requested_server_name',
  'client_fingerprint',
  'server_fingerprint',
  'user_agent',
  'content_type',
]);

/** @param {string} column @returns {ColumnClass} */
export function classOf(column) {
  if (column === 'id') return 'order';
  if (BY_NDPI.has(column)) return 'information';
  if (column.startsWith('splt_')) return 'list';
  if (/_(mean|stddev)_/.test(column)) return 'float';
  return /_(ip|mac|oui)$/.test(column) ? 'text' : 'integer';
}

/**
 * @param {string} path
 * @returns {{ columns: string[], rows: Row[] }}
 */
export function readExpected(path) {
  const lines = readFileSync(path, 'utf8').split(/\r?\n/).filter(Boolean).map(splitLine);
  const [columns = [], ...rows] = lines;
  const readers = columns.map((column) => READERS[classOf(column)]);
  return {
    columns,
    rows: rows.map((cells) => Object.fromEntries(columns.map((column, i) => [column, readers[i](cells[i])]))),
  };
}

const READERS = {
  integer: Number,
  float: Number,
  order: Number,
  list: JSON.parse,
  text: String,
  information: String,
};

/** One line of CSV: quotes around cells with commas, doubled inside. @param {string} line */
export function splitLine(line) {
  const cells = line.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? [];
  // The last match is the empty one at the line's end.
  return cells
    .slice(0, line.endsWith(',') ? undefined : -1)
    .map((cell) => cell.replace(/,$/, ''))
    .map((cell) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell));
}
