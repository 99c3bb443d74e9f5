// A column of what user code returned: it has no type until its values tell (metric-kind.ts). Those of the first batch
// decide; a later value of another kind is an error, as the column can't change any more.
import type { Data, Field } from 'apache-arrow';
import type { FlowBatch } from '../../flow/flow-batch.ts';
import type { Column } from '../../flow/schema.ts';
import { CommonKind, type MetricKind } from '../metric-kind.ts';
import { type ColumnBuffer, type Rows, TypedColumn } from './column-buffer.ts';
import { Lists } from './lists.ts';
import { Texts } from './texts.ts';
import { Booleans, Doubles, type Values } from './values.ts';

const VALUES: Readonly<Record<MetricKind, () => Values>> = {
  number: () => new Doubles(),
  boolean: () => new Booleans(),
  text: () => new Texts(),
  numbers: () => new Lists(new Doubles()),
  texts: () => new Lists(new Texts()),
  json: () => new Texts(),
};

const CELL_BYTES = 8;

function lengthOf(value: unknown): number {
  return typeof value === 'string' || Array.isArray(value) ? value.length : 0;
}

export class MetricColumn implements ColumnBuffer {
  readonly dictionary = undefined;
  readonly #column: Column;
  /** The first values, until they have a column. */
  #waiting: unknown[] = [];
  #waitingBytes = 0;
  readonly #kind = new CommonKind();
  #typed: TypedColumn | undefined;

  constructor(column: Column) {
    this.#column = column;
  }

  get length(): number {
    return this.#typed?.length ?? this.#waiting.length;
  }

  get bytes(): number {
    return this.#typed?.bytes ?? this.#waitingBytes;
  }

  get field(): Field {
    return this.#decided().field;
  }

  add(rows: Rows): void {
    if (this.#typed !== undefined) {
      this.#typed.add(rows);
      return;
    }
    const { batch, metrics, begin, end } = rows;
    for (let row = begin; row < end; row++) {
      this.#push(this.#column.read(batch.store, row, metrics[row]) ?? null, batch, row);
    }
  }

  #push(value: unknown, batch: FlowBatch, row: number): void {
    if (this.#typed === undefined && value !== null) {
      this.#kind.add(value);
      // Made JSON at once: it may be none, and the message is to name the flow.
      if (this.#kind.isNone) this.#decided();
    }
    if (this.#typed !== undefined) {
      this.#typed.addCell(value, batch, row);
      return;
    }
    // A list is the user's, who may go on with it.
    this.#waiting.push(Array.isArray(value) ? value.slice() : value);
    this.#waitingBytes += CELL_BYTES + lengthOf(value) * 8;
  }

  #decided(): TypedColumn {
    if (this.#typed !== undefined) return this.#typed;
    const { kind } = this.#kind;
    const typed = new TypedColumn(this.#column, VALUES[kind](), kind);
    for (const value of this.#waiting) typed.push(kind === 'json' && value !== null ? JSON.stringify(value) : value);
    this.#waiting = [];
    this.#typed = typed;
    return typed;
  }

  take(): Data {
    return this.#decided().take();
  }
}
