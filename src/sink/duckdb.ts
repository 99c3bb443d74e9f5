// A DuckDB database with a table of flows: a file that DuckDB's shell, Python and R open as it is, or a table more in one
// that is there.
//
// Rows are gathered by column and appended in chunks of DuckDB's own size, through the appender of its Node API; DuckDB
// compresses and writes them in row groups as they come, which memory stays bounded by. All is one transaction, which is
// committed when the sink is closed: a run that fails leaves a database as it was.
import type { DuckDBAppender, DuckDBDataChunk, DuckDBType } from '@duckdb/node-api';
import { NfstreamError } from '../errors.ts';
import { FLOW_BATCH_ROWS, type FlowBatch } from '../flow/flow-batch.ts';
import type { FlowMetrics } from '../flow/schema.ts';
import { type Duckdb, DuckdbColumn, folded, Kinds, tableNames } from './duckdb-columns.ts';
import { DuckdbDatabase, duckdbReason, loadDuckdb } from './duckdb-database.ts';
import { OVERWRITE_HINT, writeFailed } from './output-error.ts';
import type { Sink, SinkColumns } from './sink.ts';

/** Most rows of a chunk (STANDARD_VECTOR_SIZE). */
const CHUNK_ROWS = 2048;

export interface DuckdbOptions {
  /** Name of the table (default `flows`). */
  readonly table?: string;
  /** Replace the table where it is there, with its rows; the database's others stay (default false). */
  readonly overwrite?: boolean;
}

export class DuckdbSink implements Sink {
  readonly #duckdb: Duckdb;
  readonly #target: string;
  readonly #database: DuckdbDatabase;
  readonly #table: string;
  readonly #columns: readonly DuckdbColumn[];
  /** What makes the table; it waits for the first rows, which tell the types of what user code measured. */
  readonly #preparation: readonly string[];
  #appender: DuckDBAppender | undefined;
  #types: readonly DuckDBType[] = [];
  #chunk: DuckDBDataChunk | undefined;
  #waiting = 0;
  rows = 0;
  /** Of the database's file: row groups come into it as they are full. */
  bytes = 0;

  /**
   * Opens or makes the database. Its table, where it is there, has to have these columns: rows are added to it.
   * @throws NfstreamError SINK_UNAVAILABLE, OUTPUT_FAILED, or OUTPUT_EXISTS naming the first column that differs.
   */
  static async open(target: string, { table: columns }: SinkColumns, options: DuckdbOptions = {}): Promise<DuckdbSink> {
    const { table: given = 'flows', overwrite = false } = options;
    // The name that it has as UTF-8.
    const table = Buffer.from(given).toString();
    const duckdb = await loadDuckdb(target);
    const database = await DuckdbDatabase.open(duckdb, target);
    try {
      const kinds = new Kinds(duckdb);
      const names = tableNames(columns.map(({ name }) => name));
      const written = columns.map((column, i) => new DuckdbColumn(names[i], column, kinds));
      const isThere = await hasTable(database, target, table);
      if (isThere && !overwrite) await adoptColumns(database, target, table, written);
      await database.connection.run('BEGIN TRANSACTION');
      const preparation = isThere ? (overwrite ? ['DROP', 'CREATE'] : []) : ['CREATE'];
      return new DuckdbSink(duckdb, target, database, { table, columns: written, preparation });
    } catch (cause) {
      await database.rollBack();
      throw cause instanceof NfstreamError ? cause : failed(target, cause);
    }
  }

  private constructor(
    duckdb: Duckdb,
    target: string,
    database: DuckdbDatabase,
    { table, columns, preparation }: { table: string; columns: DuckdbColumn[]; preparation: string[] },
  ) {
    this.#duckdb = duckdb;
    this.#target = target;
    this.#database = database;
    this.#table = table;
    this.#columns = columns;
    this.#preparation = preparation;
  }

  write(batch: FlowBatch): Promise<void> | void {
    const metrics: FlowMetrics[] = [];
    for (let row = 0; row < batch.count; row++) metrics.push(batch.metrics(row));
    const failure = this.#add(batch, metrics);
    if (failure !== undefined) throw failure.error;
    if (this.#waiting + FLOW_BATCH_ROWS <= CHUNK_ROWS) return;
    if (this.#appender === undefined) return this.#begin().then(() => this.#append());
    this.#append();
  }

  /** Adds a batch's rows; where one does not fit its columns, those before it, and returns why. */
  #add(batch: FlowBatch, metrics: readonly FlowMetrics[]): { readonly error: unknown } | undefined {
    let failure: { readonly error: unknown } | undefined;
    let rows = batch.count;
    for (const column of this.#columns) {
      try {
        column.add(batch, metrics, rows);
      } catch (error) {
        // Columns that follow can only fail earlier.
        failure = { error };
        rows = column.length - this.#waiting;
      }
    }
    this.#waiting += rows;
    this.rows += rows;
    if (failure !== undefined) for (const column of this.#columns) column.cut(this.#waiting);
    return failure;
  }

  /** Makes the table, with the types that the first rows tell. */
  async #begin(): Promise<void> {
    const { connection } = this.#database;
    const kinds = this.#columns.map((column) => column.decide());
    const name = `main.${quoted(this.#table)}`;
    const definitions = this.#columns.map((column, i) => `${quoted(column.name)} ${kinds[i].sql}`).join(', ');
    try {
      for (const step of this.#preparation) {
        await connection.run(step === 'DROP' ? `DROP TABLE ${name}` : `CREATE TABLE ${name} (${definitions})`);
      }
      this.#appender = await connection.createAppender(this.#table, 'main');
      this.#types = kinds.map(({ type }) => type);
    } catch (cause) {
      throw failed(this.#target, cause);
    }
  }

  /** Hands DuckDB the rows that wait. */
  #append(): void {
    const appender = this.#appender as DuckDBAppender;
    try {
      // One chunk for all: DuckDB's own memory of each would wait for Node.js to collect it.
      this.#chunk ??= this.#duckdb.DuckDBDataChunk.create(this.#types);
      const chunk = this.#chunk;
      chunk.reset();
      chunk.setColumns(this.#columns.map((column) => column.take()));
      appender.appendDataChunk(chunk);
      // Into the transaction at once: what waited in the appender would be committed when it is closed.
      appender.flushSync();
      this.bytes = this.#database.bytes;
    } catch (cause) {
      throw failed(this.#target, cause);
    }
    this.#waiting = 0;
  }

  async close(): Promise<void> {
    try {
      if (this.#appender === undefined) await this.#begin();
      if (this.#waiting > 0) this.#append();
      this.#appender?.closeSync();
      this.bytes = await this.#database.commit();
    } catch (cause) {
      await this.abandon();
      throw cause instanceof NfstreamError ? cause : failed(this.#target, cause);
    }
  }

  async abandon(): Promise<void> {
    try {
      this.#appender?.closeSync();
    } catch {
      // It had rows that could not be written.
    }
    await this.#database.rollBack();
  }

  unlink(): void {
    this.#database.unlink();
  }
}

/** Whether there is a table of the name, in any case of its letters: DuckDB takes them for one. */
async function hasTable(database: DuckdbDatabase, target: string, table: string): Promise<boolean> {
  const found = await database.rows(
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_catalog = current_database() AND table_schema = 'main'",
  );
  const same = found.find(({ table_name }) => folded(String(table_name)) === folded(table));
  if (same === undefined) return false;
  if (same['table_type'] === 'BASE TABLE') return true;
  throw new NfstreamError(
    'OUTPUT_EXISTS',
    `${JSON.stringify(target)} has a view named ${JSON.stringify(table)}; give the table another name`,
    { file: target },
  );
}

async function adoptColumns(
  database: DuckdbDatabase,
  target: string,
  table: string,
  columns: readonly DuckdbColumn[],
): Promise<void> {
  const there = (
    await database.rows(
      "SELECT table_name, column_name, data_type FROM duckdb_columns() WHERE database_name = current_database() AND schema_name = 'main' ORDER BY column_index",
    )
  ).filter(({ table_name }) => folded(String(table_name)) === folded(table));
  for (let i = 0; i < Math.max(there.length, columns.length); i++) {
    const column = columns[i];
    const its = there[i];
    const name = String(its?.['column_name']);
    const sql = String(its?.['data_type']);
    if (its !== undefined && column !== undefined && name === column.name && column.adopts(sql)) continue;
    const shown = (of: string, type: string) => `${JSON.stringify(of)}${type}`;
    const expected = column === undefined ? 'none' : shown(column.name, ` ${column.kind?.sql ?? '(a metric)'}`);
    const found = its === undefined ? 'none' : shown(name, ` ${sql}`);
    throw new NfstreamError(
      'OUTPUT_EXISTS',
      `The table ${JSON.stringify(table)} in ${JSON.stringify(target)} has other columns: expected ${expected} as column ` +
        `${i + 1} but found ${found}; ${OVERWRITE_HINT}, or give another table`,
      { file: target },
    );
  }
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

function failed(target: string, cause: unknown): NfstreamError {
  if ((cause as NodeJS.ErrnoException).errno !== undefined) return writeFailed(target, cause);
  const message = `Writing ${JSON.stringify(target)} failed: ${duckdbReason(cause)}`;
  return new NfstreamError('OUTPUT_FAILED', message, { file: target, cause });
}
