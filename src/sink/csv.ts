// CSV after RFC 4180: a header, then one flow a line. The columns are the schema's, with `metrics` spread into a column
// for each metric. docs/cli.md states the rules; these are the decisions behind them:
//
//   line end   LF instead of the RFC's CRLF: cut, awk and diff take CR for data; CSV readers take either.
//   null       nothing between the commas, while an empty text is "": PostgreSQL tells them apart this way.
//   quoting    where a separator, quote or control character needs it, and around texts with blanks at an end or a
//              first character that a spreadsheet could take for a formula. Nothing is put before such a text: the
//              data stay what they are, and quotes don't disarm a formula either.
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Column } from '../flow/schema.ts';
import { jsonText } from './json-text.ts';
import type { Output } from './output.ts';
import type { Sink, SinkColumns } from './sink.ts';

export class CsvSink implements Sink {
  readonly #output: Output;
  readonly #columns: readonly Column[];
  #text: string;
  rows = 0;

  constructor(output: Output, { table }: SinkColumns) {
    this.#output = output;
    this.#columns = table;
    this.#text = `${table.map(({ name }) => textCell(name)).join(',')}\n`;
  }

  write(batch: FlowBatch): Promise<void> | void {
    let text = this.#text;
    this.#text = '';
    for (let row = 0; row < batch.count; row++) text += this.#line(batch, row);
    this.rows += batch.count;
    return this.#output.append(text);
  }

  /** A capture without flows has the header all the same. */
  async close(): Promise<void> {
    await this.#output.append(this.#text);
    this.#text = '';
    return this.#output.close();
  }

  abandon(): Promise<void> {
    return this.#output.abandon();
  }

  #line(batch: FlowBatch, row: number): string {
    const { store } = batch;
    const metrics = batch.metrics(row);
    let line = '';
    for (const { read } of this.#columns) line += `${cell(read(store, row, metrics), batch, row)},`;
    return `${line.slice(0, -1)}\n`;
  }
}

/** A list becomes its JSON text; NaN and the infinities are null, as in JSON. */
function cell(value: unknown, batch: FlowBatch, row: number): string {
  switch (typeof value) {
    case 'string':
      return textCell(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : '';
    case 'boolean':
      return String(value);
    default:
      return value === null || value === undefined ? '' : textCell(jsonText(value, () => batch.flow(row)) ?? '');
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NEEDS_QUOTES = /^[\s=+\-@]|[\x00-\x1f",\u2028\u2029]|\s$|^$/;

function textCell(text: string): string {
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
