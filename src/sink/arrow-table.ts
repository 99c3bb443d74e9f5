// A table in memory: what `toArrow` gives, as apache-arrow and what builds on it know one.
import {
  type Data,
  type Dictionary,
  type Int32,
  makeData,
  type RecordBatch,
  Table,
  type Utf8,
  Vector,
} from 'apache-arrow';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { FlowColumns, recordBatch, uniquelyNamed } from './columnar/flow-columns.ts';
import type { SinkColumns } from './sink.ts';

const BATCH_ROWS = 65536;

export class ArrowTableBuilder {
  readonly #columns: FlowColumns;
  readonly #batches: RecordBatch[] = [];

  constructor({ table }: SinkColumns) {
    this.#columns = new FlowColumns(uniquelyNamed(table), { mostRows: BATCH_ROWS, hasDictionaries: true });
  }

  /**
   * Adds a batch's flows; they are read before this returns.
   * @throws NfstreamError USER_METRIC_FAILED for a value that is no JSON, or not what its column holds.
   */
  add(batch: FlowBatch): void {
    this.#columns.add(batch, (full) => this.#batches.push(full));
  }

  /** The table of all flows; texts that repeat are dictionaries, one for each column. */
  finish(): Table {
    this.#batches.push(this.#columns.take());
    const schema = this.#columns.schema;
    const dictionaries = [...this.#columns.dictionaries()].map(
      ([i, dictionary]) => [i, new Vector([dictionary.takeDictionary()])] as const,
    );
    const batches = this.#batches.filter(({ numRows }, i) => numRows > 0 || i === 0);
    return new Table(
      schema,
      batches.map(({ numRows, data }) => {
        const children = [...data.children];
        for (const [i, dictionary] of dictionaries) children[i] = withDictionary(children[i], dictionary);
        return recordBatch(schema, numRows, children);
      }),
    );
  }
}

/** The same indexes, into a dictionary that was not known when they were made. */
function withDictionary(data: Data, dictionary: Vector<Utf8>): Data {
  const { type, length, nullCount, nullBitmap, values } = data as Data<Dictionary<Utf8, Int32>>;
  return makeData({ type, length, nullCount, nullBitmap, data: values, dictionary });
}
