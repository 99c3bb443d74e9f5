// Outputs as others read them: Python's csv and json, DuckDB, and a reader of Arrow that is not the library that writes it.
import { execFileSync, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { DuckDBInstance, DuckDBListValue, DuckDBTimestampTZValue, type DuckDBValue } from '@duckdb/node-api';
import { Type, tableFromIPC } from '@uwdata/flechette';

export const hasPython = spawnSync('python3', ['--version']).status === 0;

/** Cells are null, booleans, numbers, texts or lists of these; times are whole microseconds. */
export interface ReadTable {
  readonly names: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
}

const PYTHON = `
import csv, json, sys
path, form = sys.argv[1:]
if form == "csv":
    with open(path, encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file, strict=True))
else:
    with open(path, encoding="utf-8", newline="\\n") as file:
        rows = [json.loads(line) for line in file]
json.dump(rows, sys.stdout)
`;

function python(path: string, form: 'csv' | 'json'): unknown[] {
  return JSON.parse(execFileSync('python3', ['-c', PYTHON, path, form], { encoding: 'utf8', maxBuffer: 1 << 28 }));
}

/** Every cell is a text. */
export function csvByPython(path: string): ReadTable {
  const [names, ...rows] = python(path, 'csv') as string[][];
  return { names: names ?? [], rows };
}

export function jsonByPython(path: string): Record<string, unknown>[] {
  return python(path, 'json') as Record<string, unknown>[];
}

/** Lines that DuckDB takes for JSON, as it hands them on. */
export async function jsonByDuckdb(path: string): Promise<Record<string, unknown>[]> {
  const { rows } = await duckdb(
    `SELECT json::VARCHAR FROM read_ndjson_objects('${path}', maximum_object_size = 100000000)`,
  );
  return rows.map(([line]) => JSON.parse(line as string));
}

/** Every cell is a text or null, which is told from an empty text. */
export function csvByDuckdb(path: string): Promise<ReadTable> {
  const options = `header = true, delim = ',', quote = '"', escape = '"', all_varchar = true, allow_quoted_nulls = false`;
  return duckdb(`SELECT * FROM read_csv('${path}', ${options}, parallel = false, max_line_size = 10000000)`);
}

export function parquetByDuckdb(path: string): Promise<ReadTable> {
  return duckdb(`SELECT * FROM read_parquet('${path}', file_row_number = true) ORDER BY file_row_number`).then(
    ({ names, rows }) => ({ names: names.slice(0, -1), rows: rows.map((row) => row.slice(0, -1)) }),
  );
}

export function duckdbTable(path: string): Promise<ReadTable> {
  return duckdb('SELECT * FROM flows', path);
}

async function duckdb(sql: string, path = ':memory:'): Promise<ReadTable> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  try {
    const reader = await connection.runAndReadAll(sql);
    const names = reader.columnNames();
    return { names, rows: reader.getRows().map((row) => row.map(plain)) };
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function plain(value: DuckDBValue): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (value instanceof DuckDBTimestampTZValue) return Number(value.micros);
  if (value instanceof DuckDBListValue) return value.items.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  throw new TypeError(`DuckDB has ${String(value)} where a plain value was expected`);
}

/** A file or a stream. */
export function arrowByFlechette(path: string): ReadTable {
  const table = tableFromIPC(readFileSync(path), { useBigInt: true });
  const columns = table.names.map((_, i) => table.getChildAt(i));
  const rows = Array.from({ length: table.numRows }, (_, row) =>
    columns.map((column) => {
      const value: unknown = column.at(row);
      // It reads times as ms.
      return column.type.typeId === Type.Timestamp ? Math.round((value as number) * 1000) : plainArrow(value);
    }),
  );
  return { names: table.names.map(String), rows };
}

function plainArrow(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as Iterable<unknown>, plainArrow);
  return Array.isArray(value) ? value.map(plainArrow) : value;
}
