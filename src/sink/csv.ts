// CSV after RFC 4180: a header, then one flow a line. The columns are a table's, with metrics spread into a column for
// each. docs/cli.md states the rules; these are the decisions behind them:
//
//   line end   LF instead of the RFC's CRLF: cut, awk and diff take CR for data; CSV readers take either.
//   null       nothing between the commas, while an empty text is "": PostgreSQL tells them apart this way.
//   quoting    where a separator, quote or control character needs it, and around texts with blanks at an end or a
//              first character that a spreadsheet could take for a formula. Nothing is put before such a text: the
//              data stay what they are, and quotes don't disarm a formula either.
import type { FlowBatch } from '../flow/flow-batch.ts';
import { jsonText } from './json-text.ts';
import { isFiniteNumber, isListOf } from './list-of.ts';
import type { Output } from './output.ts';
import type { SinkColumns } from './sink.ts';
import { TextSink } from './text-sink.ts';

const COMMA = 0x2c;
const QUOTE = 0x22;
const LINE_FEED = 0x0a;

/** What ASCII characters may stand for in a cell without quotes: its first, its last, any other. */
const FIRST = 1;
const INNER = 2;
const LAST = 4;
const CLASSES = Uint8Array.from({ length: 128 }, (_, code) => {
  if (code < 0x20 || code === COMMA || code === QUOTE) return 0;
  if (code === 0x20) return INNER;
  return '=+-@'.includes(String.fromCharCode(code)) ? INNER | LAST : FIRST | INNER | LAST;
});

const FORM = {
  text: ['', ''],
  pair: ['"[', ']"'],
  // NaN and the infinities are null, as in JSON.
  missing: '',
  end: '\n',
} as const;

export class CsvSink extends TextSink {
  constructor(output: Output, { table }: SinkColumns) {
    super(output, table, { ...FORM, prefixes: table.map((_, i) => (i === 0 ? '' : ',')) });
    table.forEach(({ name }, i) => {
      if (i > 0) this.writer.byte(COMMA);
      this.#text(name);
    });
    this.writer.byte(LINE_FEED);
  }

  protected override cell(value: unknown, batch: FlowBatch, row: number): void {
    if (typeof value === 'number') {
      if (Number.isFinite(value)) this.writer.number(value);
    } else if (typeof value === 'string') {
      this.#text(value);
    } else if (value !== null && value !== undefined) {
      this.#other(value, batch, row);
    }
  }

  #text(text: string): void {
    const { length } = text;
    if (length === 0) {
      this.writer.byte(QUOTE);
      this.writer.byte(QUOTE);
      return;
    }
    const first = text.charCodeAt(0);
    const last = text.charCodeAt(length - 1);
    const isPlain = first < 0x80 && last < 0x80 && (CLASSES[first] & FIRST) !== 0 && (CLASSES[last] & LAST) !== 0;
    if (isPlain && this.writer.plainText(text, CLASSES, INNER)) return;
    this.writer.text(NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  }

  /** A list becomes its JSON text, and so does an object. */
  #other(value: unknown, batch: FlowBatch, row: number): void {
    if (isListOf(value, isFiniteNumber)) this.#numbers(value);
    else this.#text(jsonText(value, () => batch.flow(row)) ?? '');
  }

  #numbers(list: readonly number[]): void {
    const writer = this.writer;
    const isQuoted = list.length > 1;
    if (isQuoted) writer.byte(QUOTE);
    writer.numbers(list);
    if (isQuoted) writer.byte(QUOTE);
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NEEDS_QUOTES = /^[\s=+\-@]|[\x00-\x1f",\u2028\u2029]|\s$/;
