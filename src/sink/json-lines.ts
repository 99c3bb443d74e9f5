// JSON Lines: one flow a line, each line what `JSON.stringify(flow.toJSON())` gives, byte for byte, with LF after it.
//
// The columns come from the schema, so the text is put together here instead of building an object for each flow first.
// JSON escapes line ends and lone surrogates, so nothing that the network sent can break a line or the encoding.
import type { FlowBatch } from '../flow/flow-batch.ts';
import { jsonText } from './json-text.ts';
import { isFiniteNumber, isListOf } from './list-of.ts';
import type { Output } from './output.ts';
import type { SinkColumns } from './sink.ts';
import { TextSink } from './text-sink.ts';

const QUOTE = 0x22;

/** ASCII characters that JSON has as they are. */
const PLAIN = 1;
const CLASSES = Uint8Array.from({ length: 128 }, (_, code) =>
  code < 0x20 || code === QUOTE || code === 0x5c ? 0 : PLAIN,
);

const FORM = { text: ['"', '"'], pair: ['[', ']'], missing: 'null', end: '}\n' } as const;

export class JsonLinesSink extends TextSink {
  constructor(output: Output, { record }: SinkColumns) {
    const prefixes = record.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);
    super(output, record, { ...FORM, prefixes });
  }

  protected override cell(value: unknown, batch: FlowBatch, row: number): void {
    if (typeof value === 'number' && Number.isFinite(value)) this.writer.number(value);
    else if (typeof value === 'string') this.#text(value);
    else this.#other(value, batch, row);
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
