// Columns of every type with cells at will, and what a reader has to say of them: for the sinks with typed columns.
import { DuckDBInstance, DuckDBListValue } from '@duckdb/node-api';
import { DataType, Vector } from 'apache-arrow';
import fc from 'fast-check';
import type { FlowBatch } from '../../src/flow/flow-batch.ts';
import type { Column, ColumnType, FlowMetrics, IntegerSize } from '../../src/flow/schema.ts';
import type { SinkColumns } from '../../src/sink/sink.ts';
import { batchOf, hostileText } from './flows.ts';

/** One flow's cells by column; a column that is missing is null. */
export type Cells = Record<string, unknown>;

/** A column whose cell is the flow's metric of its name. */
export function cellColumn(name: string, type: ColumnType, more: Partial<Column> = {}): Column {
  return { name, type, nullable: true, meaning: '', read: (_store, _row, metrics) => metrics[name] ?? null, ...more };
}

const integerColumn = (size: IntegerSize) => cellColumn(size, 'integer', { size });

/** One of every type that columns have. */
export const TYPED: readonly Column[] = [
  cellColumn('text', 'string'),
  cellColumn('repeated', 'string', { repeats: true }),
  integerColumn('uint8'),
  integerColumn('uint16'),
  integerColumn('int32'),
  integerColumn('int64'),
  cellColumn('number', 'number'),
  cellColumn('time', 'timestamp'),
  cellColumn('pair', 'flag-count'),
  cellColumn('small integers', 'integer-list', { size: 'int32' }),
  cellColumn('integers', 'integer-list'),
  cellColumn('numbers', 'number-list'),
  cellColumn('texts', 'string-list'),
  cellColumn('nothing', 'string', { repeats: true }),
];

export const tableOf = (columns: readonly Column[]): SinkColumns => ({ record: columns, table: columns });

const int64 = () =>
  fc.oneof(
    fc.maxSafeInteger(),
    fc.constantFrom(0, -0, -1, 2 ** 32, -(2 ** 32), 2 ** 31, 2 ** 53, 2 ** 62, -(2 ** 63), 2 ** 63 - 1024),
  );
const time = () =>
  fc.oneof(fc.double({ min: 0, max: 4e12, noNaN: true }), fc.constantFrom(1472393122365.661, 0, -0.5, 1e-4, 9.2e15));
const int32 = () => fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });

/** Cells for `TYPED`. */
export const cells = (): fc.Arbitrary<Cells> =>
  fc.record(
    {
      text: hostileText(),
      repeated: fc.oneof(fc.constantFrom('TLS', 'DNS', ''), hostileText()),
      uint8: fc.nat(255),
      uint16: fc.nat(65535),
      int32: int32(),
      int64: int64(),
      number: fc.oneof(fc.double(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 5e-324)),
      time: time(),
      pair: fc.tuple(int64(), int64()),
      'small integers': fc.array(int32(), { maxLength: 4 }),
      integers: fc.array(int64(), { maxLength: 4 }),
      numbers: fc.array(fc.double(), { maxLength: 4 }),
      texts: fc.array(hostileText(), { maxLength: 4 }),
    },
    { requiredKeys: [] },
  );

/** Batches as a run has them. */
export function batchesOf(rows: readonly Cells[]): FlowBatch[] {
  const batches: FlowBatch[] = [];
  for (let i = 0; i < rows.length; i += 50) {
    batches.push(batchOf(...rows.slice(i, i + 50).map((metrics) => ({ metrics: metrics as FlowMetrics }))));
  }
  return batches;
}

/** What a reader says of a column's cells: 64-bit integers and times (in microseconds) are bigints. */
export function expectedCells(column: Column, rows: readonly Cells[]): unknown[] {
  return rows.map((metrics) => expected(column, column.read(undefined as never, 0, metrics as FlowMetrics)));
}

function expected({ type, size = 'int64' }: Column, value: unknown): unknown {
  const integer = (one: unknown) => (size === 'int64' ? BigInt(one as number) : one);
  if (value === null) return null;
  switch (type) {
    case 'string':
      return inUtf8(value as string);
    case 'integer':
      return integer(value);
    case 'timestamp':
      return BigInt(Math.round((value as number) * 1000));
    case 'flag-count':
    case 'integer-list':
      return (value as number[]).map(integer);
    case 'string-list':
      return (value as string[]).map(inUtf8);
    default:
      return value;
  }
}

/** Lone surrogates are U+FFFD. */
export const inUtf8 = (text: string): string =>
  new TextDecoder('utf-8', { ignoreBOM: true }).decode(new TextEncoder().encode(text));

/**
 * A Parquet file's columns as DuckDB reads them, in the form of `expectedCells`. Texts are hexadecimal digits on the way:
 * DuckDB's client drops U+FEFF.
 */
export async function readByDuckdb(path: string): Promise<Map<string, unknown[]>> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const source = `read_parquet('${path}')`;
    const described = (await connection.runAndReadAll(`DESCRIBE SELECT * FROM ${source}`)).getRowObjectsJson();
    const selected = described.map(({ column_name, column_type }, i) => {
      const name = `"${String(column_name).replaceAll('"', '""')}"`;
      switch (column_type) {
        case 'VARCHAR':
          return `hex(encode(${name})) AS c${i}`;
        case 'VARCHAR[]':
          return `list_transform(${name}, lambda one: hex(encode(one))) AS c${i}`;
        case 'TIMESTAMP WITH TIME ZONE':
          return `epoch_us(${name}) AS c${i}`;
        default:
          return `${name} AS c${i}`;
      }
    });
    const read = (await connection.runAndReadAll(`SELECT ${selected.join(', ')} FROM ${source}`)).getColumns();
    return new Map(
      described.map(({ column_name, column_type }, i) => {
        const isText = String(column_type).startsWith('VARCHAR');
        return [String(column_name), (read[i] ?? []).map((value) => plain(value, isText))];
      }),
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function plain(value: unknown, isText: boolean): unknown {
  if (value instanceof DuckDBListValue) return value.items.map((one) => plain(one, isText));
  if (isText && typeof value === 'string') {
    return new TextDecoder('utf-8', { ignoreBOM: true, fatal: true }).decode(Buffer.from(value, 'hex'));
  }
  return value;
}

/** Types by name, as DuckDB sees the file. */
export async function typesByDuckdb(path: string): Promise<Record<string, unknown>> {
  const instance = await DuckDBInstance.create(':memory:');
  const connection = await instance.connect();
  try {
    const rows = (await connection.runAndReadAll(`DESCRIBE SELECT * FROM read_parquet('${path}')`)).getRowObjectsJson();
    return Object.fromEntries(rows.map((row) => [row['column_name'], row['column_type']]));
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** The cells of an Arrow vector, in the form of `expectedCells`. */
export function arrowCells(vector: Vector): unknown[] {
  return Array.from({ length: vector.length }, (_, i) => arrowCell(vector, i));
}

function arrowCell(vector: Vector, i: number): unknown {
  if (!vector.isValid(i)) return null;
  // What `get` gives for a time is a number of milliseconds.
  if (DataType.isTimestamp(vector.type)) return vector.data.flatMap(({ values }) => [...(values as BigInt64Array)])[i];
  const value = vector.get(i);
  return value instanceof Vector ? arrowCells(value) : value;
}
