#!/usr/bin/env node
// Prints the tables of docs/ that come from code: the data dictionary from the schema, the error codes from their
// list. `npm run docs` writes them; `npm run docs -- --check` says whether they are up to date (a test calls it).
import { readFileSync, writeFileSync } from 'node:fs';
import { NDPI_FIELDS } from '../dist/flow/fields/ndpi.js';
import { PROCESS_FIELDS } from '../dist/flow/fields/process.js';
import { ERROR_CODES } from '../dist/errors.js';
import { CLASSIC } from '../dist/flow/schema.js';

const TYPES = {
  string: 'string',
  integer: 'integer',
  number: 'number',
  'flag-count': '[integer, integer]',
  'string-list': 'list of strings',
  object: 'object',
};

/** @param {string[][]} rows */
const table = (rows) =>
  [rows[0], rows[0].map(() => '---'), ...rows.slice(1)].map((row) => `| ${row.join(' | ')} |`).join('\n');

const columns = table([
  ['column', 'type', 'unit', 'meaning', 'IPFIX element'],
  ...CLASSIC.map((c) => [`\`${c.name}\``, TYPES[c.type], c.unit ?? '', c.meaning, c.ipfix ?? '']),
]);

const ndpi = table([
  ['metric', 'type', 'meaning', 'nDPI'],
  ...NDPI_FIELDS.map((f) => [`\`${f.name}\``, TYPES[f.type], f.meaning, f.source]),
]);

const processes = table([
  ['metric', 'type', 'meaning'],
  ...PROCESS_FIELDS.map((f) => [`\`${f.name}\``, TYPES[f.type], f.meaning]),
]);

const errors = table([
  ['code', 'meaning', 'exit code'],
  ...Object.entries(ERROR_CODES).map(([code, { meaning, exit }]) => [`\`${code}\``, meaning, String(exit)]),
]);

const SECTIONS = [
  ['docs/data-dictionary.md', 'columns', columns],
  ['docs/data-dictionary.md', 'ndpi', ndpi],
  ['docs/data-dictionary.md', 'processes', processes],
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
