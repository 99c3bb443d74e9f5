// Parquet: typed columns, compressed, in row groups of bounded size.
//
// What a column holds is decided here (columnar/); encoding is the Rust library's business (columnar/parquet-encoder.ts).
// Texts that repeat, and everything else that does within a row group, are dictionary pages by the encoder's own choice.
import type { RecordBatch } from 'apache-arrow';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { FlowColumns, uniquelyNamed } from './columnar/flow-columns.ts';
import { ParquetEncoder } from './columnar/parquet-encoder.ts';
import type { Output } from './output.ts';
import type { Sink, SinkColumns } from './sink.ts';

/** Rows that are handed to the encoder at once: it holds the thread up for as long as they take, some 20 ms. */
const BATCH_ROWS = 4096;
/** The row groups of most writers have 100,000 to a million rows; memory asks for fewer, compression for more. */
const ROW_GROUP_ROWS = 131_072;

export type ParquetCompression = 'zstd' | 'snappy' | 'none';

export interface ParquetOptions {
  /** Default 'zstd'. */
  readonly compression?: ParquetCompression | undefined;
  /** Default 131,072. */
  readonly rowGroupRows?: number | undefined;
}

export class ParquetSink implements Sink {
  readonly #output: Output;
  readonly #columns: FlowColumns;
  readonly #encoder: ParquetEncoder;
  /** Record batches that have their rows. */
  #full: RecordBatch[] = [];

  private constructor(output: Output, columns: FlowColumns, encoder: ParquetEncoder) {
    this.#output = output;
    this.#columns = columns;
    this.#encoder = encoder;
  }

  static async open(output: Output, { table }: SinkColumns, options: ParquetOptions = {}): Promise<ParquetSink> {
    const { compression = 'zstd', rowGroupRows = ROW_GROUP_ROWS } = options;
    const columns = uniquelyNamed(table);
    return new ParquetSink(
      output,
      new FlowColumns(columns, { mostRows: Math.min(rowGroupRows, BATCH_ROWS), hasDictionaries: false }),
      new ParquetEncoder(output, { compression, rowGroupRows, columns }),
    );
  }

  get rows(): number {
    return this.#columns.total;
  }

  get bytes(): number {
    return this.#output.bytes;
  }

  write(batch: FlowBatch): Promise<void> | void {
    this.#columns.add(batch, (recordBatch) => this.#full.push(recordBatch));
    if (this.#full.length > 0) return this.#encode();
  }

  async #encode(): Promise<void> {
    const recordBatches = this.#full;
    this.#full = [];
    for (const recordBatch of recordBatches) await this.#encoder.write(recordBatch);
  }

  async close(): Promise<void> {
    try {
      // A file without rows has its columns all the same.
      if (this.#columns.rows > 0 || this.rows === 0) this.#full.push(this.#columns.take());
      await this.#encode();
      await this.#encoder.close();
    } catch (error) {
      await this.#output.abandon();
      throw error;
    }
    await this.#output.close();
  }

  async abandon(): Promise<void> {
    await this.#encoder.abandon();
    await this.#output.abandon();
  }

  unlink(): void {
    this.#output.unlink();
  }
}
