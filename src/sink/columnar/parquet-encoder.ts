// Arrow record batches in, the bytes of a Parquet file out, by parquet-wasm: Apache's Rust implementation as WebAssembly.
//
// The library turns a stream of record batches into a stream of bytes and takes the next batch when it has encoded the
// one before. So at most one batch is on its way here, and in WebAssembly's memory stands what is encoded of the row group
// that is being written.
import { ReadableStream, type ReadableStreamDefaultController } from 'node:stream/web';
import { Table as ArrowTable, type RecordBatch, tableToIPC } from 'apache-arrow';
import {
  Compression,
  Encoding,
  Table,
  transformParquetStream,
  type WriterProperties,
  WriterPropertiesBuilder,
} from 'parquet-wasm';
import { NfstreamError } from '../../errors.ts';
import type { Column } from '../../flow/schema.ts';
import { version } from '../../version.ts';
import type { Output } from '../output.ts';
import { writeFailed } from '../output-error.ts';
import type { ParquetCompression } from '../parquet.ts';

const CODECS = { zstd: Compression.ZSTD, snappy: Compression.SNAPPY, none: Compression.UNCOMPRESSED } as const;

export interface EncoderOptions {
  readonly compression: ParquetCompression;
  readonly rowGroupRows: number;
  /** With the names that they have in the file. */
  readonly columns: readonly Column[];
}

export class ParquetEncoder {
  readonly #output: Output;
  #controller!: ReadableStreamDefaultController;
  /** Fulfilled when the library wants a batch, which it does when it is done with the one before. */
  #wanted = signal();
  /** All that comes out, written. */
  readonly #written: Promise<void>;

  constructor(output: Output, options: EncoderOptions) {
    this.#output = output;
    const batches = new ReadableStream(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#wanted.give(),
      },
      { highWaterMark: 0 },
    );
    this.#written = this.#writeAll(batches, properties(options));
    // The failure is met by whoever waits next.
    this.#written.catch(() => {});
  }

  /** Fulfilled when the batch is encoded. Rejects with OUTPUT_FAILED, also for what earlier batches met. */
  async write(recordBatch: RecordBatch): Promise<void> {
    await this.#untilWanted();
    this.#wanted = signal();
    const table = Table.fromIPCStream(tableToIPC(new ArrowTable([recordBatch]), 'stream'));
    this.#controller.enqueue(table.recordBatch(0));
    table.free();
    await this.#untilWanted();
  }

  #untilWanted(): Promise<void> {
    return Promise.race([this.#wanted.given, this.#written]);
  }

  async #writeAll(batches: ReadableStream, writerProperties: WriterProperties): Promise<void> {
    try {
      const bytes = await transformParquetStream(batches as globalThis.ReadableStream, writerProperties);
      for await (const piece of bytes) await this.#output.append(piece);
    } catch (error) {
      throw error instanceof NfstreamError ? error : writeFailed(this.#output.name, error);
    }
  }

  /** Writes the end of the file; the output stays open. */
  async close(): Promise<void> {
    this.#controller.close();
    await this.#written;
  }

  /** Ends without an end of the file. */
  async abandon(): Promise<void> {
    try {
      this.#controller.error(new Error('The file is given up'));
    } catch {
      // It ended by itself.
    }
    await this.#written.catch(() => {});
  }
}

function properties({ compression, rowGroupRows, columns }: EncoderOptions): WriterProperties {
  let builder = new WriterPropertiesBuilder()
    .setCompression(CODECS[compression])
    .setMaxRowGroupSize(rowGroupRows)
    .setCreatedBy(`nfstream version ${version()}`)
    .setKeyValueMetadata(new Map([['nfstream.version', version()]]));
  for (const { name, type, size = 'int64' } of columns) {
    // Times, numbers and counts: their differences are small. Measured with the columns of nfstream6: two thirds of
    // the time and of the bytes that the library's choice, a dictionary where it pays, took.
    if (type === 'timestamp' || (type === 'integer' && size === 'int64')) {
      builder = builder.setColumnDictionaryEnabled(name, false).setColumnEncoding(name, Encoding.DELTA_BINARY_PACKED);
    }
  }
  return builder.build();
}

interface Signal {
  readonly given: Promise<void>;
  give(): void;
}

function signal(): Signal {
  let give = () => {};
  const given = new Promise<void>((fulfil) => {
    give = fulfil;
  });
  return { given, give };
}
