// What sinks of text have in common: rows put together in a TextWriter, handed on by the batch.
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Output } from './output.ts';
import type { Sink } from './sink.ts';
import { TextWriter } from './text-writer.ts';

export abstract class TextSink implements Sink {
  readonly #output: Output;
  protected readonly writer = new TextWriter();
  rows = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  get bytes(): number {
    return this.#output.bytes;
  }

  write(batch: FlowBatch): Promise<void> | void {
    let whole = 0;
    try {
      for (let row = 0; row < batch.count; row++) {
        whole = this.writer.length;
        this.line(batch, row);
        this.rows++;
      }
    } catch (error) {
      // What user code left is no JSON: the rows before stay.
      this.writer.cut(whole);
      throw error;
    }
    return this.#output.append(this.writer.take());
  }

  /** Without flows, too: the header of CSV is written then. */
  async close(): Promise<void> {
    await this.#output.append(this.writer.take());
    return this.#output.close();
  }

  abandon(): Promise<void> {
    return this.#output.abandon();
  }

  unlink(): void {
    this.#output.unlink();
  }

  /** HOT PATH. Writes one row. */
  protected abstract line(batch: FlowBatch, row: number): void;
}
