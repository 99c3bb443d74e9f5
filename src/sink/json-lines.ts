// JSON Lines: one flow a line, each line what `JSON.stringify(flow.toJSON())` gives, byte for byte, with LF after it.
//
// The columns come from the schema, so the text is put together here instead of building an object for each flow first.
// JSON escapes line ends and lone surrogates, so nothing that the network sent can break a line or the encoding.
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Column } from '../flow/schema.ts';
import { jsonText } from './json-text.ts';
import type { Output } from './output.ts';
import type { Sink, SinkColumns } from './sink.ts';

export class JsonLinesSink implements Sink {
  readonly #output: Output;
  readonly #columns: readonly Column[];
  /** What stands before each value: the brace or comma and the name. */
  readonly #prefixes: readonly string[];
  rows = 0;

  constructor(output: Output, { record }: SinkColumns) {
    this.#output = output;
    this.#columns = record;
    this.#prefixes = record.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  }

  write(batch: FlowBatch): Promise<void> | void {
    let text = '';
    for (let row = 0; row < batch.count; row++) text += this.#line(batch, row);
    this.rows += batch.count;
    return this.#output.append(text);
  }

  close(): Promise<void> {
    return this.#output.close();
  }

  abandon(): Promise<void> {
    return this.#output.abandon();
  }

  #line(batch: FlowBatch, row: number): string {
    const { store } = batch;
    const metrics = batch.metrics(row);
    let line = '';
    for (let i = 0; i < this.#columns.length; i++) {
      const { type, read } = this.#columns[i];
      const value = read(store, row, metrics);
      line += this.#prefixes[i];
      if (typeof value === 'number') line += Number.isFinite(value) ? value : 'null';
      else if (type === 'flag-count') line += `[${(value as number[])[0]},${(value as number[])[1]}]`;
      else line += jsonText(value, () => batch.flow(row));
    }
    return `${line}}\n`;
  }
}
