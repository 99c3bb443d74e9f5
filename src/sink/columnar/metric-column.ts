// A column of what user code returned: it has no type until its values tell.
//
// Numbers are doubles, whole ones too, and lists of numbers or of texts are lists. Where values are of several kinds or
// objects, all are JSON text, which any value fits; so they are where the first rows are all null or empty lists, which
// say nothing. The first batch decides; a later value of another kind is an error, as the column can't change any more.
import type { Data, Field } from 'apache-arrow';
import type { FlowBatch } from '../../flow/flow-batch.ts';
import type { Column } from '../../flow/schema.ts';
import { type ColumnBuffer, type Rows, TypedColumn } from './column-buffer.ts';
import { Lists } from './lists.ts';
import { Texts } from './texts.ts';
import { Booleans, Doubles, type Values } from './values.ts';

interface Kind {
  readonly what: string;
  readonly isOne: (value: unknown) => boolean;
  readonly values: () => Values;
}

const isNumber = (value: unknown) => typeof value === 'number';
const isText = (value: unknown) => typeof value === 'string';

const KINDS: readonly Kind[] = [
  { what: 'a number', isOne: isNumber, values: () => new Doubles() },
  { what: 'a boolean', isOne: (value) => typeof value === 'boolean', values: () => new Booleans() },
  { what: 'a text', isOne: isText, values: () => new Texts() },
  {
    what: 'a list of numbers',
    isOne: (value) => Array.isArray(value) && value.every(isNumber),
    values: () => new Lists(new Doubles()),
  },
  {
    what: 'a list of texts',
    isOne: (value) => Array.isArray(value) && value.every(isText),
    values: () => new Lists(new Texts()),
  },
];

/** What a list of no items, which fits two kinds, doesn't tell. */
const saysNothing = (value: unknown) => value === null || (Array.isArray(value) && value.length === 0);

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
  /** Kinds that all of them have. */
  #kinds = KINDS;
  #isTold = false;
  #typed: TypedColumn | undefined;

  constructor(column: Column) {
    this.#column = column;
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
    if (this.#typed === undefined && value !== null) this.#narrow(value);
    if (this.#typed !== undefined) {
      this.#typed.addCell(value, batch, row);
      return;
    }
    // A list is the user's, who may go on with it.
    this.#waiting.push(Array.isArray(value) ? value.slice() : value);
    this.#waitingBytes += CELL_BYTES + lengthOf(value) * 8;
  }

  /** What fits no kind is made JSON at once: it may be none, and the message is to name the flow. */
  #narrow(value: unknown): void {
    this.#kinds = this.#kinds.filter(({ isOne }) => isOne(value));
    if (!saysNothing(value)) this.#isTold = true;
    if (this.#kinds.length === 0) this.#become(undefined);
  }

  #decided(): TypedColumn {
    return this.#typed ?? this.#become(this.#isTold ? this.#kinds[0] : undefined);
  }

  /** JSON text, where it is of no kind. */
  #become(kind: Kind | undefined): TypedColumn {
    const typed =
      kind === undefined
        ? new TypedColumn(this.#column, new Texts(), 'JSON', true)
        : new TypedColumn(this.#column, kind.values(), `${kind.what}, as the first flows have it,`);
    for (const value of this.#waiting) typed.push(typed.isJson && value !== null ? JSON.stringify(value) : value);
    this.#waiting = [];
    this.#typed = typed;
    return typed;
  }

  take(): Data {
    return this.#decided().take();
  }
}
