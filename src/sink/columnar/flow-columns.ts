// Batches of flows become Arrow record batches: what Parquet, Arrow files and tables in memory are made from.
//
//   flows, 64 at a time ──► a buffer for each column ──► a record batch of at most so many rows
//
// Nothing is made for a row: cells go straight from a flow's record into the columns' buffers.
import { type Data, makeData, RecordBatch, Schema, Struct } from 'apache-arrow';
import type { FlowBatch } from '../../flow/flow-batch.ts';
import type { Column, FlowMetrics } from '../../flow/schema.ts';
import { version } from '../../version.ts';
import { type ColumnBuffer, columnBuffer, type Rows } from './column-buffer.ts';
import { MetricColumn } from './metric-column.ts';
import type { DictionaryTexts } from './texts.ts';

/** What makes a record batch end before it has its rows: long texts and lists of user code. */
const MOST_BYTES = 1 << 26;

export interface BatchOptions {
  /** Of a record batch. */
  readonly mostRows: number;
  /** Whether texts that repeat are indexes into dictionaries, which all record batches share. */
  readonly hasDictionaries: boolean;
}

export class FlowColumns {
  readonly #columns: readonly ColumnBuffer[];
  readonly #mostRows: number;
  #rows = 0;
  /** All rows that were added, with those of record batches. */
  total = 0;
  #schema: Schema | undefined;
  /** What the row after the last one met. */
  #failure: { readonly error: unknown } | undefined;

  constructor(columns: readonly Column[], { mostRows, hasDictionaries }: BatchOptions) {
    this.#columns = columns.map((column) =>
      column.type === 'any' ? new MetricColumn(column) : columnBuffer(column, hasDictionaries),
    );
    this.#mostRows = mostRows;
  }

  /** Rows that no record batch has yet. */
  get rows(): number {
    return this.#rows;
  }

  /**
   * Adds a batch's flows, and calls `full` with each record batch that has its rows.
   * @throws NfstreamError USER_METRIC_FAILED for a value that its column does not hold. The rows before it stay; none
   *   comes behind them any more.
   */
  add(batch: FlowBatch, full: (recordBatch: RecordBatch) => void): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    const metrics: FlowMetrics[] = [];
    for (let row = 0; row < batch.count; row++) metrics.push(batch.metrics(row));
    for (let begin = 0, end = 0; begin < batch.count; begin = end) {
      end = Math.min(batch.count, begin + this.#mostRows - this.#rows);
      this.#addRows({ batch, metrics, begin, end });
      if (this.#rows === this.#mostRows || this.#bytes() >= MOST_BYTES) full(this.take());
    }
  }

  #addRows(rows: Rows): void {
    let taken = rows;
    for (const column of this.#columns) {
      try {
        column.add(taken);
      } catch (error) {
        // Columns that follow can only fail earlier.
        this.#failure = { error };
        taken = { ...rows, end: rows.begin + column.length - this.#rows };
      }
    }
    const count = taken.end - taken.begin;
    this.#rows += count;
    this.total += count;
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  #bytes(): number {
    let bytes = 0;
    for (const column of this.#columns) bytes += column.bytes;
    return bytes;
  }

  /** The rows since the last record batch, or none. */
  take(): RecordBatch {
    const length = this.#rows;
    // Where a row failed, some columns have a part of it.
    const children = this.#columns.map((column) => {
      const data = column.take();
      return data.length === length ? data : data.slice(0, length);
    });
    this.#rows = 0;
    return recordBatch(this.schema, length, children);
  }

  /** To be read after `take`: the first rows decide about the columns of metrics. */
  get schema(): Schema {
    this.#schema ??= new Schema(
      this.#columns.map(({ field }) => field),
      new Map([['nfstream.version', version()]]),
    );
    return this.#schema;
  }

  /** The dictionaries, by the place of their column; whole when all record batches are taken. */
  dictionaries(): Map<number, DictionaryTexts> {
    const found = new Map<number, DictionaryTexts>();
    for (const [i, { dictionary }] of this.#columns.entries()) if (dictionary !== undefined) found.set(i, dictionary);
    return found;
  }
}

/** Columns of which no two have one name: the second gets `_1` behind its own. A metric may be called as a column is. */
export function uniquelyNamed(columns: readonly Column[]): Column[] {
  const taken = new Set<string>();
  return columns.map((column) => {
    // Names are UTF-8 in files, where a lone surrogate is U+FFFD.
    const name = Buffer.from(column.name).toString();
    let unique = name;
    for (let i = 1; taken.has(unique); i++) unique = `${name}_${i}`;
    taken.add(unique);
    return unique === column.name ? column : { ...column, name: unique };
  });
}

export function recordBatch(schema: Schema, length: number, children: Data[]): RecordBatch {
  const type = new Struct(schema.fields);
  return new RecordBatch(schema, makeData({ type, length, nullCount: 0, children }));
}
