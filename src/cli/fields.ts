// What a record can have: `nfstream fields`, the field table for people, as JSON, or as a JSON Schema.

import { NDPI_FIELDS } from '../flow/fields/ndpi.ts';
import { PROCESS_FIELDS } from '../flow/fields/process.ts';
import { jsonSchemaOfSchema } from '../flow/json-schema.ts';
import {
  type ColumnType,
  type Feature,
  FIELDS,
  type Field,
  SCHEMA_NAMES,
  SCHEMAS,
  type SchemaName,
} from '../flow/schema.ts';
import { usage } from './parse-flags.ts';
import { styled, type Terminal, terminalOf } from './terminal.ts';

export interface FieldsOptions {
  /** Only what this schema has, in its order. */
  readonly schema?: string | undefined;
  readonly form: 'table' | 'json' | 'json-schema';
}

/** @throws NfstreamError USAGE for a schema that there is not. */
export function fieldsText({ schema, form }: FieldsOptions): string {
  const name = schema === undefined ? undefined : schemaNamed(schema);
  switch (form) {
    case 'json':
      return `${JSON.stringify(fieldsOf(name).map(jsonOf), null, 2)}\n`;
    case 'json-schema':
      return `${JSON.stringify(jsonSchemaOfSchema(name ?? 'classic'), null, 2)}\n`;
    case 'table':
      return fieldsTable(fieldsOf(name), terminalOf('stdout')) + (name === undefined ? LEGEND : '');
  }
}

function schemaNamed(name: string): SchemaName {
  const found = SCHEMA_NAMES.find((known) => known === name);
  if (found !== undefined) return found;
  throw usage(`Expected ${SCHEMA_NAMES.join(' or ')} for --schema but received ${JSON.stringify(name)}`);
}

/** Those of a schema, or all: the schemas' first, then what is in none of them. */
export function fieldsOf(schema?: SchemaName): Field[] {
  const all = [...SCHEMA_NAMES.flatMap((name) => SCHEMAS[name]), ...[...FIELDS.keys()].reverse()];
  return [...new Set(schema === undefined ? all : SCHEMAS[schema])].map((name) => FIELDS.get(name) as Field);
}

/** In no column of its own with `classic`, but in its `metrics`. */
const FINDINGS: ReadonlySet<string> = new Set([...NDPI_FIELDS, ...PROCESS_FIELDS].map(({ name }) => name));

function schemasOf({ name }: Field): SchemaName[] {
  return SCHEMA_NAMES.filter((schema) => SCHEMAS[schema].includes(name));
}

/** Data have names of data: snake_case. */
function jsonOf(field: Field): Record<string, unknown> {
  const { name, type, exactType, size, nullable, unit, meaning, feature, ipfix } = field;
  return {
    name,
    type,
    exact_type: exactType ?? type,
    size: size ?? (/integer|flag/.test(type) ? 'int64' : null),
    nullable: nullable ?? false,
    unit: unit ?? null,
    meaning,
    turned_on_by: turnedOnBy(feature) || null,
    schemas: schemasOf(field),
    in_metrics: FINDINGS.has(name),
    ipfix: ipfix ?? null,
  };
}

/** In few words; what a schema turns on by having it needs none. */
function turnedOnBy(feature: Feature | undefined): string {
  switch (feature) {
    case 'statistics':
      return '--statistics';
    case 'splt':
      return '--splt N';
    case 'processes':
      return '--system-visibility';
    case 'userCode':
      return '--plugin';
    case 'ndpi':
      return 'nDPI (default)';
    case 'tunnels':
      return 'tunnels (default)';
    default:
      return '';
  }
}

const TYPE_WORDS: Readonly<Record<ColumnType, string>> = {
  string: 'string',
  integer: 'integer',
  number: 'number',
  timestamp: 'number',
  'flag-count': '[int,int]',
  'integer-list': 'integer[]',
  'number-list': 'number[]',
  'string-list': 'string[]',
  object: 'object',
  any: 'any',
};

interface Row {
  readonly cells: readonly string[];
  readonly meaning: string;
}

const HEADING: Row = { cells: ['field', 'type', 'turned on by', 'in'], meaning: 'meaning' };
const GAP = '  ';
const INDENT = '    ';
/** Where less room than this is left beside the cells, meanings stand below. */
const LEAST_MEANING = 40;

const LEGEND = `
metrics: in metrics with the schema classic, and in tables (CSV, Parquet, ...) a
column of its own. What no schema has can be named in --fields, as all others.
`;

/** A line for each field; on a terminal meanings are wrapped to its width, or stand below where it is narrow. */
export function fieldsTable(fields: readonly Field[], terminal: Terminal): string {
  const rows = fields.map(rowOf);
  const widths = HEADING.cells.map((_, i) => Math.max(...[HEADING, ...rows].map(({ cells }) => cells[i].length)));
  const taken = widths.reduce((sum, width) => sum + width + GAP.length, 0);
  const room = terminal.isTerminal ? terminal.columns - taken : Number.POSITIVE_INFINITY;
  const linesOf = ({ cells, meaning }: Row): string[] => {
    const line = cells.map((cell, i) => cell.padEnd(widths[i]) + GAP).join('');
    if (room < LEAST_MEANING) {
      const below = wrapped(meaning, terminal.columns - INDENT.length);
      return [line.trimEnd(), ...below.map((part) => INDENT + part)];
    }
    const [first = '', ...more] = wrapped(meaning, room);
    return [line + first, ...more.map((part) => ' '.repeat(taken) + part)];
  };
  const heading = linesOf(HEADING).map((text) => styled(terminal, 'bold', text));
  return [...heading, ...rows.flatMap(linesOf)].map((text) => `${text}\n`).join('');
}

function rowOf(field: Field): Row {
  const { name, type, feature, unit, meaning } = field;
  const places = [...schemasOf(field), ...(FINDINGS.has(name) ? ['metrics'] : [])];
  const isSaid = unit === undefined || meaning.includes(unit);
  return {
    cells: [name, TYPE_WORDS[type], turnedOnBy(feature), places.join(' ')],
    meaning: isSaid ? meaning : `${meaning} (${unit})`,
  };
}

/** Lines of at most so many characters, broken between words. */
function wrapped(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
