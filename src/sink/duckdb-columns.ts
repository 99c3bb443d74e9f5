// Columns of a DuckDB table: the type of each, and its cells as DuckDB's Node API takes them.
//
// Types go by the field table; objects are JSON text in a VARCHAR (DuckDB's type JSON checks every text, and hostile ones
// would end the run). Times are TIMESTAMP WITH TIME ZONE: microseconds since the epoch in UTC, whatever the session's zone.
// What user code measured has no type of its own: its first rows tell it, as in Parquet (metric-kind.ts).
import type { DuckDBType, DuckDBValue } from '@duckdb/node-api';
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Column, FlowMetrics, IntegerSize } from '../flow/schema.ts';
import { jsonText } from './json-text.ts';
import { isListOf } from './list-of.ts';
import { CommonKind, isNumber, isText, type MetricKind } from './metric-kind.ts';
import { contentOf, misfit } from './misfit.ts';

export type Duckdb = typeof import('@duckdb/node-api');

/** How the cells of a column are stored. */
export interface Kind {
  /** The type's name, as DuckDB spells it. */
  readonly sql: string;
  readonly type: DuckDBType;
  /** DuckDB's form of a value that is neither null nor undefined; undefined where the value does not fit. */
  readonly cell: (value: unknown) => DuckDBValue | undefined;
}

const TWO_63 = 2n ** 63n;
/** 290309-12-22 BC, and the largest double below the microsecond that stands for infinity. */
const FIRST_TIME = -9_223_372_022_400_000_000;
const LAST_TIME = 2 ** 63 - 1024;

/** Bounds that a JavaScript number can break; those of int64 lie beyond the whole numbers that it holds exactly. */
const INTEGERS = {
  uint8: { sql: 'UTINYINT', min: 0, max: 0xff },
  uint16: { sql: 'USMALLINT', min: 0, max: 0xffff },
  int32: { sql: 'INTEGER', min: -0x8000_0000, max: 0x7fff_ffff },
} as const;

export class Kinds {
  readonly #duckdb: Duckdb;
  readonly #timestamp: Kind;
  /** What a column of user code can be. */
  readonly ofMetrics: Readonly<Record<MetricKind, Kind>>;

  constructor(duckdb: Duckdb) {
    const { VARCHAR, BOOLEAN, DOUBLE, TIMESTAMPTZ, timestampTZValue } = duckdb;
    this.#duckdb = duckdb;
    const text: Kind = {
      sql: 'VARCHAR',
      type: VARCHAR,
      cell: (value) => (typeof value === 'string' ? value : undefined),
    };
    const number: Kind = {
      sql: 'DOUBLE',
      type: DOUBLE,
      cell: (value) => (typeof value === 'number' ? value : undefined),
    };
    const boolean: Kind = {
      sql: 'BOOLEAN',
      type: BOOLEAN,
      cell: (value) => (typeof value === 'boolean' ? value : undefined),
    };
    const json: Kind = { sql: 'VARCHAR', type: VARCHAR, cell: jsonCell };
    this.ofMetrics = { number, boolean, text, numbers: this.#list(number), texts: this.#list(text), json };
    this.#timestamp = {
      sql: 'TIMESTAMP WITH TIME ZONE',
      type: TIMESTAMPTZ,
      cell: (value) => (typeof value === 'number' ? timestampTZValue(microseconds(value)) : undefined),
    };
  }

  /** How a column is stored; undefined where its values have to tell. */
  of({ type, size = 'int64' }: Column): Kind | undefined {
    const { text, number, numbers, texts, json } = this.ofMetrics;
    switch (type) {
      case 'string':
        return text;
      case 'integer':
        return this.#integer(size);
      case 'number':
        return number;
      case 'timestamp':
        return this.#timestamp;
      case 'flag-count':
      case 'integer-list':
        return this.#list(this.#integer(size));
      case 'number-list':
        return numbers;
      case 'string-list':
        return texts;
      case 'object':
        return json;
      case 'any':
        return undefined;
    }
  }

  #integer(size: IntegerSize): Kind {
    const { UTINYINT, USMALLINT, INTEGER, BIGINT } = this.#duckdb;
    if (size === 'int64') return { sql: 'BIGINT', type: BIGINT, cell: int64Cell };
    const { sql, min, max } = INTEGERS[size];
    const type = { uint8: UTINYINT, uint16: USMALLINT, int32: INTEGER }[size];
    const fits = (value: unknown) => Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
    return { sql, type, cell: (value) => (fits(value) ? (value as number) : undefined) };
  }

  #list(of: Kind): Kind {
    const { LIST, listValue } = this.#duckdb;
    return {
      sql: `${of.sql}[]`,
      type: LIST(of.type),
      cell: (value) => {
        if (!Array.isArray(value)) return undefined;
        const items: DuckDBValue[] = [];
        for (const item of value) {
          const cell = of.cell(item);
          if (cell === undefined) return undefined;
          items.push(cell);
        }
        return listValue(items);
      },
    };
  }
}

function int64Cell(value: unknown): DuckDBValue | undefined {
  if (!Number.isInteger(value)) return undefined;
  const integer = BigInt(value as number);
  return integer < TWO_63 && integer >= -TWO_63 ? integer : undefined;
}

/** What a damaged capture says beyond the years that DuckDB has becomes the last that it has. */
function microseconds(ms: number): bigint {
  return BigInt(Math.max(FIRST_TIME, Math.min(LAST_TIME, Math.round(ms * 1000))));
}

/** The JSON text of an object or a list, which was made when it was read. */
class JsonText {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

function jsonCell(value: unknown): string {
  return value instanceof JsonText ? value.text : JSON.stringify(value);
}

/**
 * A value of user code in a form that stays as it is though user code goes on: null, a number, a text, a boolean, a list
 * of numbers or of texts, or JSON.
 * @throws NfstreamError USER_METRIC_FAILED for what is no JSON.
 */
function heldValue(value: unknown, batch: FlowBatch, row: number): unknown {
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (isPlainList(value)) return value.slice();
  const text = jsonText(value ?? undefined, () => batch.flow(row));
  return text === undefined ? null : new JsonText(text);
}

function isPlainList(value: unknown): value is unknown[] {
  return isListOf(value, isNumber) || isListOf(value, isText);
}

/** Those that a type alone tells; VARCHAR are texts or JSON. */
const METRIC_KINDS = ['number', 'boolean', 'numbers', 'texts'] as const;

/** The cells of one column, gathered until a chunk is full. */
export class DuckdbColumn {
  readonly name: string;
  readonly #column: Column;
  readonly #kinds: Kinds;
  readonly #isUserCode: boolean;
  /** Whether a cell can be anything that user code made. */
  readonly #isObject: boolean;
  /** Of what user code left so far, while that decides. */
  readonly #common = new CommonKind();
  #metricKind: MetricKind | undefined;
  /** Whether the table has the column already, for texts. */
  #isVarchar = false;
  #kind: Kind | undefined;
  #cells: unknown[] = [];

  /** @param name As the table has it. */
  constructor(name: string, column: Column, kinds: Kinds) {
    this.name = name;
    this.#column = column;
    this.#kinds = kinds;
    this.#kind = kinds.of(column);
    this.#isUserCode = column.type === 'any';
    this.#isObject = this.#isUserCode || column.type === 'object';
  }

  /** Undefined until the first rows tell. */
  get kind(): Kind | undefined {
    return this.#kind;
  }

  /** Cells that wait. */
  get length(): number {
    return this.#cells.length;
  }

  /** Whether a column of that type takes the cells; one that is undecided will take them from now on. */
  adopts(sql: string): boolean {
    if (this.#kind !== undefined) return this.#kind.sql === sql;
    this.#isVarchar = sql === 'VARCHAR';
    if (this.#isVarchar) return true;
    const metricKind = METRIC_KINDS.find((kind) => this.#kinds.ofMetrics[kind].sql === sql);
    if (metricKind === undefined) return false;
    this.#become(metricKind);
    return true;
  }

  /**
   * Adds the cells of the first `rows` rows.
   * @throws NfstreamError USER_METRIC_FAILED for a value that is no JSON, or not what the column holds; those of the
   *   rows before are there.
   */
  add(batch: FlowBatch, metrics: readonly FlowMetrics[], rows: number): void {
    const { read } = this.#column;
    for (let row = 0; row < rows; row++) {
      const value = read(batch.store, row, metrics[row]);
      this.#cells.push(value === null || value === undefined ? null : this.#cell(value, batch, row));
    }
  }

  #cell(value: unknown, batch: FlowBatch, row: number): unknown {
    const kind = this.#kind;
    const held = this.#isObject ? heldValue(value, batch, row) : value;
    if (held === null) return null;
    if (kind === undefined) {
      this.#common.add(held);
      return held;
    }
    const cell = kind.cell(held);
    if (cell !== undefined) return cell;
    throw misfit(this.name, contentOf(this.#column, this.#metricKind), value, batch, row);
  }

  /** Takes all but the first so many cells back. */
  cut(length: number): void {
    this.#cells.length = length;
  }

  /** The column's type from what was read so far, and its cells in the form of that type. */
  decide(): Kind {
    if (this.#kind !== undefined) return this.#kind;
    const { kind: common } = this.#common;
    const kind = this.#become(this.#isVarchar && common !== 'text' ? 'json' : common);
    this.#cells = this.#cells.map((cell) => (cell === null ? null : kind.cell(cell)));
    return kind;
  }

  #become(metricKind: MetricKind): Kind {
    this.#metricKind = metricKind;
    this.#kind = this.#kinds.ofMetrics[metricKind];
    return this.#kind;
  }

  /** The cells so far, which it forgets. */
  take(): DuckDBValue[] {
    const cells = this.#cells as DuckDBValue[];
    this.#cells = [];
    return cells;
  }
}

/**
 * Names that a DuckDB table can have: none empty, none with NUL, none twice, which they are without regard to the case of
 * ASCII letters. The second of such gets `_1` behind it, as with DuckDB's readers.
 */
export function tableNames(names: readonly string[]): string[] {
  const taken = new Set<string>();
  return names.map((name) => {
    // A lone surrogate is none in UTF-8.
    const clean = Buffer.from(name.replaceAll('\0', '\ufffd')).toString() || '_';
    let unique = clean;
    for (let i = 1; taken.has(folded(unique)); i++) unique = `${clean}_${i}`;
    taken.add(folded(unique));
    return unique;
  });
}

/** As DuckDB compares names. */
export function folded(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
