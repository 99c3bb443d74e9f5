// One column of a batch in the making: cells read from flow records into the buffers of its type.
//
// A column's type comes from the field table. What user code wrote over a finding may not fit it: that is an error, which
// names column and value, never a cell that is something else than what was measured. Any cell may be null, as user code
// may also take a finding away.
import { type Data, Field } from 'apache-arrow';
import { NfstreamError } from '../../errors.ts';
import type { FlowBatch } from '../../flow/flow-batch.ts';
import type { Column, FlowMetrics } from '../../flow/schema.ts';
import { jsonText } from '../json-text.ts';
import { Lists, Pairs } from './lists.ts';
import { DictionaryTexts, Texts } from './texts.ts';
import { Bits, Doubles, Integers, NO_NULLS, SmallIntegers, Timestamps, type Values } from './values.ts';

/** Rows of a batch of flows. */
export interface Rows {
  readonly batch: FlowBatch;
  /** The metrics of each flow of the batch. */
  readonly metrics: readonly FlowMetrics[];
  readonly begin: number;
  readonly end: number;
}

/** What becomes a column. */
export interface ColumnBuffer {
  /** What the cells take in memory. */
  readonly bytes: number;
  /** @throws NfstreamError USER_METRIC_FAILED where a value does not fit the column. */
  add(rows: Rows): void;
  /** Hands over the cells that were added, and begins anew. */
  take(): Data;
  /** What the column is called and holds; to be read after `take`. */
  readonly field: Field;
  /** Where its cells are indexes into one. */
  readonly dictionary: DictionaryTexts | undefined;
}

/** The buffer of a column of any type but `any`. */
export function columnBuffer(column: Column, hasDictionaries: boolean): ColumnBuffer {
  switch (column.type) {
    case 'string': {
      const isRepeating = column.repeats === true && hasDictionaries;
      return new TypedColumn(column, isRepeating ? new DictionaryTexts() : new Texts(), 'a text');
    }
    case 'integer':
      return new TypedColumn(column, integers(column), `an integer (${column.size ?? 'int64'})`);
    case 'number':
      return new TypedColumn(column, new Doubles(), 'a number');
    case 'timestamp':
      return new TypedColumn(column, new Timestamps(), 'a time in ms');
    case 'flag-count':
      return new TypedColumn(column, new Pairs(integers(column)), 'two integers');
    case 'integer-list':
      return new TypedColumn(column, new Lists(integers(column)), 'a list of integers');
    case 'number-list':
      return new TypedColumn(column, new Lists(new Doubles()), 'a list of numbers');
    case 'string-list':
      return new TypedColumn(column, new Lists(new Texts()), 'a list of texts');
    case 'object':
      return new TypedColumn(column, new Texts(), 'JSON', true);
    case 'any':
      throw new TypeError('The type of a metric shows in its values');
  }
}

function integers({ size = 'int64' }: Column): Values {
  return size === 'int64' ? new Integers() : new SmallIntegers(size);
}

export class TypedColumn implements ColumnBuffer {
  readonly #column: Column;
  readonly #values: Values;
  /** What it takes, for messages. */
  readonly #expected: string;
  /** Whether its cells are JSON texts. */
  readonly isJson: boolean;
  readonly field: Field;
  /** Which cells are there, from the first null on. */
  #valid: Bits | undefined;
  #nullCount = 0;

  /**
   * @param expected What it takes, for messages.
   * @param isJson Whether its cells are the JSON texts of the values.
   */
  constructor(column: Column, values: Values, expected: string, isJson = false) {
    this.#column = column;
    this.#values = values;
    this.#expected = expected;
    this.isJson = isJson;
    this.field = new Field(column.name, values.type, true);
  }

  get bytes(): number {
    return this.#values.bytes;
  }

  get dictionary(): DictionaryTexts | undefined {
    return this.#values instanceof DictionaryTexts ? this.#values : undefined;
  }

  // HOT PATH: 40 to 90 cells of each flow. Column by column, so that the code and buffers of one stay warm.
  add(rows: Rows): void {
    const { batch, metrics, begin, end } = rows;
    const { store } = batch;
    const { read } = this.#column;
    for (let row = begin; row < end; row++) this.addCell(read(store, row, metrics[row]), batch, row);
  }

  /** Adds the value of a row of the batch. */
  addCell(value: unknown, batch: FlowBatch, row: number): void {
    const cell = this.isJson ? jsonText(value ?? undefined, () => batch.flow(row)) : value;
    if (!this.push(cell)) throw this.#misfit(value, batch, row);
  }

  /** Adds a cell; false where it does not fit. */
  push(cell: unknown): boolean {
    if (cell === null || cell === undefined) {
      this.#pushNull();
      return true;
    }
    this.#valid?.push(true);
    return this.#values.push(cell);
  }

  #pushNull(): void {
    if (this.#valid === undefined) {
      this.#valid = new Bits();
      for (let i = 0; i < this.#values.length; i++) this.#valid.push(true);
    }
    this.#valid.push(false);
    this.#values.skip();
    this.#nullCount++;
  }

  #misfit(value: unknown, batch: FlowBatch, row: number): NfstreamError {
    const flow = batch.flow(row);
    const where = `${flow.ip_src}:${flow.src_port} -> ${flow.ip_dst}:${flow.dst_port} (protocol ${flow.ip_protocol})`;
    const shown = String(jsonText(value, () => flow)).slice(0, 100);
    const column = JSON.stringify(this.#column.name);
    return new NfstreamError(
      'USER_METRIC_FAILED',
      `Expected ${this.#expected} for the column ${column} but received ${shown}, for the flow ${where}`,
    );
  }

  take(): Data {
    const valid = this.#valid;
    if (valid === undefined) return this.#values.take(NO_NULLS);
    const taken = this.#values.take({ nullCount: this.#nullCount, nullBitmap: valid.take() });
    this.#valid = undefined;
    this.#nullCount = 0;
    return taken;
  }
}
