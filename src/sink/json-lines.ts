// JSON Lines: one flow a line, each line what `JSON.stringify(flow.toJSON())` gives, byte for byte, with LF after it.
//
// The columns come from the schema, so the text is put together here instead of building an object for each flow first.
// JSON escapes line ends and lone surrogates, so nothing that the network sent can break a line or the encoding.
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Column } from '../flow/schema.ts';
import { jsonText } from './json-text.ts';
import { isFiniteNumber, isListOf } from './list-of.ts';
import type { Output } from './output.ts';
import type { SinkColumns } from './sink.ts';
import { TextSink } from './text-sink.ts';

const QUOTE = 0x22;
const END_OF_LINE = Buffer.from('}\n');
const NULL = Buffer.from('null');

/** ASCII characters that JSON has as they are. */
const PLAIN = 1;
const CLASSES = Uint8Array.from({ length: 128 }, (_, code) =>
  code < 0x20 || code === QUOTE || code === 0x5c ? 0 : PLAIN,
);

export class JsonLinesSink extends TextSink {
  readonly #columns: readonly Column[];
  /** What stands before each value: the brace or comma and the name. */
  readonly #prefixes: readonly Uint8Array[];

  constructor(output: Output, { record }: SinkColumns) {
    super(output);
    this.#columns = record;
    this.#prefixes = record.map(({ name }, i) => Buffer.from(`${i === 0 ? '{' : ','}${JSON.stringify(name)}:`));
  }

  protected override line(batch: FlowBatch, row: number): void {
    const { store } = batch;
    const metrics = batch.metrics(row);
    const columns = this.#columns;
    const writer = this.writer;
    for (let i = 0; i < columns.length; i++) {
      const value = columns[i].read(store, row, metrics);
      writer.copy(this.#prefixes[i]);
      if (typeof value === 'number') {
        if (Number.isFinite(value)) writer.number(value);
        else writer.copy(NULL);
      } else if (typeof value === 'string') {
        this.#text(value);
      } else {
        this.#other(value, batch, row);
      }
    }
    writer.copy(END_OF_LINE);
  }

  #text(text: string): void {
    const writer = this.writer;
    writer.byte(QUOTE);
    if (writer.plainText(text, CLASSES, PLAIN)) {
      writer.byte(QUOTE);
    } else {
      writer.text(JSON.stringify(text).slice(1));
    }
  }

  #other(value: unknown, batch: FlowBatch, row: number): void {
    if (isListOf(value, isFiniteNumber)) this.writer.numbers(value);
    else this.writer.text(jsonText(value, () => batch.flow(row)) ?? 'null');
  }
}
