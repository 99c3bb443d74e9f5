// What records are as JSON, as a JSON Schema (draft 2020-12): for programs that check or generate from it. Printed from
// the field table, as everything that says what a record has.
import type { Column, IntegerSize } from './fields/field.ts';
import { FIELDS, type Field, SCHEMAS, type SchemaName, tableColumns } from './schema.ts';

type JsonType = 'array' | 'integer' | 'null' | 'number' | 'object' | 'string';

/** The part of JSON Schema that records take. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly title?: string;
  readonly description?: string;
  readonly type?: JsonType | readonly JsonType[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: JsonSchema;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean;
}

/** What a schema takes from the options of a run. */
export interface RecordOptions {
  /** The columns that a table has for an object's values: those that are known by name. */
  readonly spread: (column: Column) => readonly Column[];
  /** Whether a record may lack a column, or a finding; none is by default. */
  readonly isOptional?: (name: string) => boolean;
}

const DRAFT = 'https://json-schema.org/draft/2020-12/schema';

/** Of records with these columns, as `flow.toJSON()` and JSON Lines have them. */
export function jsonSchemaOf(columns: readonly Column[], title: string, options: RecordOptions): JsonSchema {
  const describe = (column: Column) => (column.type === 'object' ? objectSchema(column, options) : valueSchema(column));
  return {
    $schema: DRAFT,
    title,
    type: 'object',
    properties: Object.fromEntries(columns.map((column) => [column.name, describe(column)])),
    required: requiredOf(columns, options),
    additionalProperties: false,
  };
}

/** Of all records that a schema can have, whatever is turned on or off. */
export function jsonSchemaOfSchema(name: SchemaName): JsonSchema {
  const columns = SCHEMAS[name].map((field) => widest(FIELDS.get(field) as Field));
  const all = { enableNdpi: true, systemVisibility: true };
  return jsonSchemaOf(columns, `Record of the schema ${name}`, {
    spread: (column) => tableColumns([column], all, { names: [], hasOthers: true }),
    isOptional: (field) => !IN_EVERY_RECORD.has(FIELDS.get(field)?.feature),
  });
}

/** Those that being a column turns on. */
const IN_EVERY_RECORD: ReadonlySet<Field['feature']> = new Set([undefined, 'directions', 'macs']);

/** `exactTimes` makes numbers of integers, which are numbers as well. */
function widest(field: Field): Column {
  return field.exactType === undefined ? field : { ...field, type: field.exactType };
}

function requiredOf(columns: readonly Column[], { isOptional }: RecordOptions): string[] {
  return columns.map(({ name }) => name).filter((name) => isOptional?.(name) !== true);
}

/** The values that a table spreads into columns, and others where user code may write them. */
function objectSchema(column: Column, options: RecordOptions): JsonSchema {
  const prefix = column.name === 'metrics' ? '' : `${column.name}.`;
  const spread = options.spread(column);
  const values = spread
    .filter(({ type }) => type !== 'object')
    .map((value) => ({ ...value, name: value.name.slice(prefix.length) }));
  // Whether user code writes a value is its own business.
  const findings = values.filter(({ type }) => type !== 'any');
  return {
    type: 'object',
    description: column.meaning,
    properties: Object.fromEntries(values.map((value) => [value.name, valueSchema(value)])),
    required: requiredOf(findings, options),
    additionalProperties: findings.length < spread.length,
  };
}

function valueSchema(column: Column): JsonSchema {
  const { meaning, unit, nullable } = column;
  const description = unit === undefined ? meaning : `${meaning} (${unit})`;
  const { type, ...rest } = typeSchema(column);
  if (type === undefined) return { description };
  return { type: nullable ? [type as JsonType, 'null'] : type, description, ...rest };
}

function typeSchema({ type, size }: Column): JsonSchema {
  switch (type) {
    case 'string':
      return { type: 'string' };
    case 'integer':
      return integerOf(size);
    case 'number':
    case 'timestamp':
      return { type: 'number' };
    case 'flag-count':
      return { type: 'array', items: integerOf(size), minItems: 2, maxItems: 2 };
    case 'integer-list':
      return { type: 'array', items: integerOf(size) };
    case 'number-list':
      return { type: 'array', items: { type: 'number' } };
    case 'string-list':
      return { type: 'array', items: { type: 'string' } };
    case 'object':
      return { type: 'object' };
    case 'any':
      return {};
  }
}

function integerOf(size: IntegerSize = 'int64'): JsonSchema {
  switch (size) {
    case 'uint8':
      return { type: 'integer', minimum: 0, maximum: 0xff };
    case 'uint16':
      return { type: 'integer', minimum: 0, maximum: 0xffff };
    case 'int32':
      return { type: 'integer', minimum: -0x8000_0000, maximum: 0x7fff_ffff };
    case 'int64':
      return { type: 'integer' };
  }
}
