// Arrow IPC (arrow.apache.org/docs/format/Columnar.html#serialization-and-interprocess-communication-ipc): record batches,
// uncompressed, as every reader takes them. A stream is for pipes; a file, also known as Feather 2, has a list of its
// batches at the end.
//
// Texts are plain, also those that repeat. A stream would have to replace dictionaries or add to them, a file to add or to
// have them at its end: for each there are readers in use that refuse it (polars 1.44: additions; flechette 2.6: at the
// end) or read other texts (flechette 2.4: replacements). Parquet is the smaller form; a table in memory has dictionaries.
import {
  AsyncByteQueue,
  type RecordBatch,
  RecordBatchFileWriter,
  RecordBatchStreamWriter,
  type RecordBatchWriter,
  type Schema,
} from 'apache-arrow';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { FlowColumns, uniquelyNamed } from './columnar/flow-columns.ts';
import type { Output } from './output.ts';
import type { Sink, SinkColumns } from './sink.ts';

/** 25 MB of the columns of nfstream6, and all that stands in memory. */
const BATCH_ROWS = 65536;
/** Rows that a pipe's reader waits for are written after this time though a record batch could have more. */
const LINGER_MS = 1000;

export interface ArrowOptions {
  readonly format: 'file' | 'stream';
  /** Of a record batch (default 65,536). */
  readonly rowGroupRows?: number | undefined;
}

export class ArrowSink implements Sink {
  readonly #output: Output;
  readonly #columns: FlowColumns;
  readonly #writer: RecordBatchWriter;
  readonly #bytes = new Pieces();
  readonly #lingers: boolean;
  #timer: NodeJS.Timeout | undefined;
  #isBegun = false;
  /** All that was handed to the output, one after the other. */
  #written: Promise<void> = Promise.resolve();

  private constructor(output: Output, { table }: SinkColumns, { format, rowGroupRows = BATCH_ROWS }: ArrowOptions) {
    const isFile = format === 'file';
    this.#output = output;
    this.#columns = new FlowColumns(uniquelyNamed(table), { mostRows: rowGroupRows, hasDictionaries: false });
    this.#writer = isFile ? new RecordBatchFileWriter() : new RecordBatchStreamWriter();
    this.#lingers = !isFile && !output.isFile;
  }

  static async open(output: Output, columns: SinkColumns, options: ArrowOptions): Promise<ArrowSink> {
    return new ArrowSink(output, columns, options);
  }

  get rows(): number {
    return this.#columns.total;
  }

  get bytes(): number {
    return this.#output.bytes;
  }

  write(batch: FlowBatch): Promise<void> | void {
    let isFull = false;
    this.#columns.add(batch, (recordBatch) => {
      this.#encode(recordBatch);
      isFull = true;
    });
    if (isFull) return this.#flush();
    if (this.#lingers) {
      // Who waits next meets the failure.
      this.#timer ??= setTimeout(() => void this.#flushRest().catch(() => {}), LINGER_MS).unref();
    }
  }

  #encode(recordBatch: RecordBatch): void {
    this.#begin(recordBatch.schema);
    this.#writer.write(recordBatch);
  }

  #begin(schema: Schema): void {
    if (this.#isBegun) return;
    this.#isBegun = true;
    this.#writer.reset(this.#bytes, schema);
  }

  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const bytes = this.#bytes.take();
    this.#written = this.#written.then(() => this.#output.append(bytes));
    return this.#written;
  }

  async #flushRest(): Promise<void> {
    if (this.#columns.rows > 0) this.#encode(this.#columns.take());
    await this.#flush();
  }

  async close(): Promise<void> {
    try {
      const rest = this.#columns.take();
      this.#begin(rest.schema);
      if (rest.numRows > 0) this.#writer.write(rest);
      this.#writer.close();
      await this.#flush();
    } catch (error) {
      await this.abandon();
      throw error;
    }
    await this.#output.close();
  }

  async abandon(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#written.catch(() => {});
    await this.#output.abandon();
  }

  unlink(): void {
    this.#output.unlink();
  }
}

/** Where the library's writer puts its bytes, until they are taken. */
class Pieces extends AsyncByteQueue {
  #pieces: Uint8Array[] = [];

  override write(piece: ArrayBufferView): void {
    this.#pieces.push(new Uint8Array(piece.buffer as ArrayBuffer, piece.byteOffset, piece.byteLength));
  }

  take(): Uint8Array {
    const pieces = this.#pieces;
    this.#pieces = [];
    return Buffer.concat(pieces);
  }
}
