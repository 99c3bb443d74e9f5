// DuckDB as a reader of what sinks wrote: a program that is not ours.
import { DuckDBInstance } from '@duckdb/node-api';

/** Rows of a query, as JSON has them (numbers of 64 bits are texts); in the database at `path`, or in none. */
export async function query(sql: string, path = ':memory:'): Promise<Record<string, unknown>[]> {
  const instance = await DuckDBInstance.create(path);
  const connection = await instance.connect();
  try {
    return (await connection.runAndReadAll(sql)).getRowObjectsJson();
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

/** One column of a CSV file, a text or null for each row. As hexadecimal digits on the way: the client drops U+FEFF. */
export async function readCsvByDuckdb(path: string, column: string): Promise<(string | null)[]> {
  const rows = await query(
    `SELECT hex(encode("${column}")) AS cell FROM read_csv('${path}', header = true, delim = ',', quote = '"', ` +
      `escape = '"', all_varchar = true, allow_quoted_nulls = false)`,
  );
  return rows.map(({ cell }) => (cell === null ? null : Buffer.from(cell as string, 'hex').toString('utf8')));
}
