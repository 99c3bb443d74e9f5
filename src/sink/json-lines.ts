// JSON Lines: one flow a line, each line what `JSON.stringify(flow.toJSON())` gives, byte for byte, with LF after it.
//
// The columns come from the schema, so the text is put together here instead of building an object for each flow first.
// JSON escapes line ends and lone surrogates, so nothing that the network sent can break a line or the encoding.
import type { Flow } from '../flow/flow.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { CLASSIC } from '../flow/schema.ts';
import { jsonText } from './json-text.ts';
import type { Output } from './output.ts';
import type { Sink } from './sink.ts';

/** What stands before each value: the brace or comma and the name. */
const PREFIXES: readonly string[] = CLASSIC.map(({ name }, i) => `${i === 0 ? '{' : ','}${JSON.stringify(name)}:`);

export class JsonLinesSink implements Sink {
  readonly #output: Output;
  rows = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  write(batch: FlowBatch): Promise<void> | void {
    let text = '';
    for (let row = 0; row < batch.count; row++) text += jsonLine(batch.flow(row));
    this.rows += batch.count;
    return this.#output.append(text);
  }

  close(): Promise<void> {
    return this.#output.close();
  }

  abandon(): Promise<void> {
    return this.#output.abandon();
  }
}

function jsonLine(flow: Flow): string {
  let line = '';
  for (let i = 0; i < CLASSIC.length; i++) {
    const column = CLASSIC[i];
    line += PREFIXES[i];
    switch (column.type) {
      case 'integer':
      case 'number': {
        const value = flow[column.name];
        line += Number.isFinite(value) ? value : 'null';
        break;
      }
      case 'flag-count': {
        const [forth, back] = flow[column.name];
        line += `[${forth},${back}]`;
        break;
      }
      default:
        line += jsonText(flow[column.name], flow);
    }
  }
  return `${line}}\n`;
}
