// One column of a batch in the making: cells read from flow records into the buffers of its type.
//
// A column's type comes from the field table. What user code wrote over a finding may not fit it: that is an error, which
// names column and value, never a cell that is something else than what was measured. Any cell may be null, as user code
// may also take a finding away.
import { type Data, Field } from 'apache-arrow';
import type { FlowBatch } from '../../flow/flow-batch.ts';
import type { Column, FlowMetrics } from '../../flow/schema.ts';
import { jsonText } from '../json-text.ts';
import type { MetricKind } from '../metric-kind.ts';
import { contentOf, misfit } from '../misfit.ts';
import { Lists, Pairs } from './lists.ts';
import { AddressColumn, FlagsColumn, NumberColumn } from './placed-column.ts';
import { DictionaryTexts, Texts } from './texts.ts';
import {
  Bits,
  Doubles,
  Integers,
  NO_NULLS,
  type NumberValues,
  SmallIntegers,
  Timestamps,
  type Values,
} from './values.ts';

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
  /** Whole cells: without what is left of one that does not fit. */
  readonly length: number;
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
  const { place } = column;
  switch (column.type) {
    case 'string':
      if (column.repeats === true && hasDictionaries) return new TypedColumn(column, new DictionaryTexts());
      if (place?.holds === 'text') return new AddressColumn(column, place, new Texts());
      return new TypedColumn(column, new Texts());
    case 'integer':
      return numberColumn(column, integers(column));
    case 'number':
      return numberColumn(column, new Doubles());
    case 'timestamp':
      return numberColumn(column, new Timestamps());
    case 'flag-count':
      if (place?.holds === 'flags') return new FlagsColumn(column, place, new Pairs(integers(column)));
      return new TypedColumn(column, new Pairs(integers(column)));
    case 'integer-list':
      return new TypedColumn(column, new Lists(integers(column)));
    case 'number-list':
      return new TypedColumn(column, new Lists(new Doubles()));
    case 'string-list':
      return new TypedColumn(column, new Lists(new Texts()));
    case 'object':
      return new TypedColumn(column, new Texts(), 'json');
    case 'any':
      throw new TypeError('The type of a metric shows in its values');
  }
}

function numberColumn(column: Column, values: NumberValues): ColumnBuffer {
  const { place } = column;
  return place?.holds === 'number' ? new NumberColumn(column, place, values) : new TypedColumn(column, values);
}

function integers({ size = 'int64' }: Column): NumberValues {
  return size === 'int64' ? new Integers() : new SmallIntegers(size);
}

export class TypedColumn implements ColumnBuffer {
  readonly #column: Column;
  readonly #values: Values;
  readonly #kind: MetricKind | undefined;
  readonly field: Field;
  /** Which cells are there, from the first null on. */
  #valid: Bits | undefined;
  #nullCount = 0;

  /** @param kind What user code's values are; with `json` its cells are the JSON texts of the values. */
  constructor(column: Column, values: Values, kind?: MetricKind) {
    this.#column = column;
    this.#values = values;
    this.#kind = kind;
    this.field = new Field(column.name, values.type, true);
  }

  get length(): number {
    return this.#values.length;
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
    const cell = this.#kind === 'json' ? jsonText(value ?? undefined, () => batch.flow(row)) : value;
    if (this.push(cell)) return;
    throw misfit(this.#column.name, contentOf(this.#column, this.#kind), value, batch, row);
  }

  /** Adds a cell; false where it does not fit. */
  push(cell: unknown): boolean {
    if (cell === null || cell === undefined) {
      this.#pushNull();
      return true;
    }
    if (!this.#values.push(cell)) return false;
    this.#valid?.push(true);
    return true;
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

  take(): Data {
    const valid = this.#valid;
    if (valid === undefined) return this.#values.take(NO_NULLS);
    const taken = this.#values.take({ nullCount: this.#nullCount, nullBitmap: valid.take() });
    this.#valid = undefined;
    this.#nullCount = 0;
    return taken;
  }
}
