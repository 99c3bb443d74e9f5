#!/usr/bin/env node
// Prints the tables of docs/ that come from code: the data dictionary from the field table, the error codes from their
// list. `npm run docs` writes them; `npm run docs -- --check` says whether they are up to date (a test calls it).
import { readFileSync, writeFileSync } from 'node:fs';
import * as duckdb from '@duckdb/node-api';
import { ERROR_CODES } from '../dist/errors.js';
import { NDPI_FIELDS } from '../dist/flow/fields/ndpi.js';
import { PROCESS_FIELDS } from '../dist/flow/fields/process.js';
import { FIELDS, SCHEMAS } from '../dist/flow/schema.js';
import { SCHEMA_DEFAULTS } from '../dist/options.js';
import { columnBuffer } from '../dist/sink/columnar/column-buffer.js';
import { Kinds } from '../dist/sink/duckdb-columns.js';

/** @param {string[][]} rows */
const table = (rows) =>
  [rows[0], rows[0].map(() => '---'), ...rows.slice(1)]
    .map((row) => `| ${row.join(' | ')} |`.replace(/ {2,}/g, ' '))
    .join('\n');

/** @typedef {import('../dist/flow/schema.js').Field} Field */

/** A type in a word that the table of types explains. */
function typeName({ type, size = 'int64' }) {
  switch (type) {
    case 'integer':
      return size;
    case 'flag-count':
      return `[${size}, ${size}]`;
    case 'integer-list':
      return `list of ${size}`;
    case 'number-list':
      return 'list of numbers';
    case 'string-list':
      return 'list of strings';
    case 'timestamp':
      return 'time';
    default:
      return type;
  }
}

/** What being a column of a schema turns on needs no mention. */
const TURNED_ON_BY = {
  statistics: '`statistics`',
  splt: '`splt`',
  ndpi: '`enableNdpi` (default)',
  processes: '`systemVisibility`',
  tunnels: '`decodeTunnels` (default)',
  userCode: 'code of yours',
};

/** @param {readonly Field[]} fields */
const fieldTable = (fields) =>
  table([
    ['column', 'type', 'unit', 'meaning', 'turned on by', 'IPFIX element'],
    ...fields.map((field) => [
      `\`${field.name}\``,
      typeName(field),
      field.unit ?? '',
      field.meaning,
      TURNED_ON_BY[field.feature] ?? '',
      field.ipfix ?? '',
    ]),
  ]);

/** The columns of a schema, with the types that they have unless `exactTimes` says otherwise. */
function schemaTable(name) {
  const { exactTimes } = SCHEMA_DEFAULTS[name];
  const fields = SCHEMAS[name].map((field) => FIELDS.get(field));
  return fieldTable(fields.map((field) => ({ ...field, type: (exactTimes && field.exactType) || field.type })));
}

const schemaNames = new Set(Object.values(SCHEMAS).flat());
const findings = new Set([...NDPI_FIELDS, ...PROCESS_FIELDS].map(({ name }) => name));
const others = [...FIELDS.values()].reverse().filter(({ name }) => !schemaNames.has(name) && !findings.has(name));

const ndpi = table([
  ['metric', 'type', 'meaning', 'nDPI', 'IPFIX element'],
  ...NDPI_FIELDS.map((f) => [`\`${f.name}\``, typeName(f), f.meaning, f.versions ?? '', f.ipfix ?? '']),
]);

const processes = table([
  ['metric', 'type', 'meaning'],
  ...PROCESS_FIELDS.map((f) => [`\`${f.name}\``, typeName(f), f.meaning]),
]);

const JSON_FORM = {
  string: 'string',
  integer: 'number',
  number: 'number',
  timestamp: 'number, ms',
  'flag-count': 'array of two',
  'integer-list': 'array',
  'number-list': 'array',
  'string-list': 'array',
  object: 'object',
};
const CSV_FORM = { ...JSON_FORM, string: 'text', 'flag-count': '`"[1,0]"`', object: 'JSON text' };
for (const list of ['integer-list', 'number-list', 'string-list']) CSV_FORM[list] = 'JSON text';

/** The logical type with which Parquet's columns are read. */
const PARQUET = {
  Utf8: 'STRING',
  Float64: 'DOUBLE',
  Int64: 'INT64',
  Int32: 'INT32',
  Uint16: 'INT32, UINT_16',
  Uint8: 'INT32, UINT_8',
};

function parquetType(arrow) {
  const list = /^(?:FixedSize)?List(?:\[\d+\])?<(.*)>$/.exec(arrow);
  if (list !== null) return `LIST of ${parquetType(list[1])}`;
  if (arrow.startsWith('Timestamp')) return 'INT64, TIMESTAMP (UTC, µs)';
  if (!(arrow in PARQUET)) throw new Error(`What is Arrow's ${arrow} in Parquet?`);
  return PARQUET[arrow];
}

/** Plain values first, then what holds several. */
const rank = (name) =>
  ['string', 'uint8', 'uint16', 'int', 'number', 'time', '[', 'list', 'object'].findIndex((begin) =>
    name.startsWith(begin),
  );

const kinds = new Kinds(duckdb);
const typeRows = new Map();
for (const field of FIELDS.values()) {
  for (const type of [field.type, field.exactType ?? field.type]) {
    const column = { ...field, type };
    const arrow = String(columnBuffer(column, false).field.type);
    const binary = [parquetType(arrow), arrow, kinds.of(column).sql].map((name) => `\`${name}\``);
    typeRows.set(typeName(column), [typeName(column), JSON_FORM[type], CSV_FORM[type], ...binary]);
  }
}
const types = table([
  ['type', 'JSON Lines', 'CSV', 'Parquet', 'Arrow', 'DuckDB'],
  ...[...typeRows.values()].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)),
]);

const errors = table([
  ['code', 'meaning', 'exit code'],
  ...Object.entries(ERROR_CODES).map(([code, { meaning, exit }]) => [`\`${code}\``, meaning, String(exit)]),
]);

const DICTIONARY = 'docs/data-dictionary.md';
const SECTIONS = [
  [DICTIONARY, 'classic', schemaTable('classic')],
  [DICTIONARY, 'ndpi', ndpi],
  [DICTIONARY, 'processes', processes],
  [DICTIONARY, 'nfstream6', schemaTable('nfstream6')],
  [DICTIONARY, 'others', fieldTable(others)],
  [DICTIONARY, 'types', types],
  ['docs/errors.md', 'codes', errors],
];

let stale = 0;
for (const [file, name, text] of SECTIONS) {
  const url = new URL(`../${file}`, import.meta.url);
  const before = readFileSync(url, 'utf8');
  const section = new RegExp(`(<!-- ${name} -->\n)[^]*?(<!-- /${name} -->)`);
  if (!section.test(before)) throw new Error(`${file} has no section <!-- ${name} --> ... <!-- /${name} -->`);
  const after = before.replace(section, (_, open, close) => `${open}\n${text}\n\n${close}`);
  if (after === before) continue;
  if (process.argv.includes('--check')) {
    console.error(`${file}: the section "${name}" is out of date; run: npm run docs`);
    stale += 1;
  } else {
    writeFileSync(url, after);
    console.error(`${file}: wrote the section "${name}"`);
  }
}
process.exitCode = stale === 0 ? 0 : 1;
