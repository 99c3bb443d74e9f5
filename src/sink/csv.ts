// CSV after RFC 4180: a header, then one flow a line. The columns are the schema's, with `metrics` spread into a column
// for each metric. docs/cli.md states the rules; these are the decisions behind them:
//
//   line end   LF instead of the RFC's CRLF: cut, awk and diff take CR for data; CSV readers take either.
//   null       nothing between the commas, while an empty text is "": PostgreSQL tells them apart this way.
//   quoting    where a separator, quote or control character needs it, and around texts with blanks at an end or a
//              first character that a spreadsheet could take for a formula. Nothing is put before such a text: the
//              data stay what they are, and quotes don't disarm a formula either.
import type { Flow } from '../flow/flow.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { CLASSIC } from '../flow/schema.ts';
import { jsonText } from './json-text.ts';
import type { Output } from './output.ts';
import type { Sink } from './sink.ts';

export interface CsvOptions {
  /** Metrics with a column of their own, in this order. */
  metrics?: readonly string[];
  /** Whether a last column `metrics` holds all other metrics of a flow as one JSON object. */
  hasOtherMetrics?: boolean;
}

export class CsvSink implements Sink {
  readonly #output: Output;
  readonly #metrics: readonly string[];
  readonly #own: ReadonlySet<string>;
  readonly #hasOtherMetrics: boolean;
  #text: string;
  rows = 0;

  constructor(output: Output, options: CsvOptions = {}) {
    this.#output = output;
    this.#own = new Set(options.metrics);
    this.#metrics = [...this.#own];
    this.#hasOtherMetrics = options.hasOtherMetrics ?? false;
    const names: string[] = [];
    for (const { name } of CLASSIC) if (name !== 'metrics') names.push(name);
    names.push(...this.#metrics);
    if (this.#hasOtherMetrics) names.push('metrics');
    this.#text = `${names.map(textCell).join(',')}\n`;
  }

  write(batch: FlowBatch): Promise<void> | void {
    let text = this.#text;
    this.#text = '';
    for (let row = 0; row < batch.count; row++) text += this.#line(batch.flow(row));
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

  #line(flow: Flow): string {
    let line = '';
    for (let i = 0; i < CLASSIC.length; i++) {
      const column = CLASSIC[i];
      switch (column.type) {
        case 'object':
          continue;
        case 'flag-count': {
          const [forth, back] = flow[column.name];
          line += `"[${forth},${back}]",`;
          break;
        }
        default:
          // Addresses and numbers hold nothing that needs a quote.
          line += `${flow[column.name]},`;
      }
    }
    const { metrics } = flow;
    for (const name of this.#metrics) line += `${metricCell(metrics[name], flow)},`;
    if (this.#hasOtherMetrics) line += `${this.#otherMetrics(flow)},`;
    return `${line.slice(0, -1)}\n`;
  }

  #otherMetrics(flow: Flow): string {
    const others = Object.entries(flow.metrics).filter(([name]) => !this.#own.has(name));
    return textCell(jsonText(Object.fromEntries(others), flow) as string);
  }
}

/** A list becomes its JSON text; NaN and the infinities are null, as in JSON. */
function metricCell(value: unknown, flow: Flow): string {
  switch (typeof value) {
    case 'string':
      return textCell(value);
    case 'number':
      return Number.isFinite(value) ? String(value) : '';
    case 'boolean':
      return String(value);
    default:
      return value === null || value === undefined ? '' : textCell(jsonText(value, flow) ?? '');
  }
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
const NEEDS_QUOTES = /^[\s=+\-@]|[\x00-\x1f",\u2028\u2029]|\s$|^$/;

function textCell(text: string): string {
  return NEEDS_QUOTES.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
