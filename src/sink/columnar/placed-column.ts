// One column of a batch in the making whose cells come straight from the records, without a value for each in between: what
// every flow has, numbers and addresses. None of them is ever null.
import { type Data, Field } from 'apache-arrow';
import { ADDRESS_BYTES } from '../../flow/address-bytes.ts';
import { FLOW_BATCH_ROWS } from '../../flow/flow-batch.ts';
import { type FlagsPlace, gather, type NumberPlace, type TextPlace } from '../../flow/places.ts';
import { DST_TO_SRC, flags, putAddressOf, putMacOf, putOuiOf, SRC_TO_DST } from '../../flow/read-record.ts';
import type { Column } from '../../flow/schema.ts';
import { contentOf, misfit } from '../misfit.ts';
import type { ColumnBuffer, Rows } from './column-buffer.ts';
import type { Pairs } from './lists.ts';
import type { Texts } from './texts.ts';
import { NO_NULLS, type NumberValues, type Values } from './values.ts';

abstract class PlacedColumn<V extends Values> implements ColumnBuffer {
  readonly dictionary = undefined;
  readonly field: Field;
  protected readonly values: V;

  constructor({ name }: Column, values: V) {
    this.values = values;
    this.field = new Field(name, values.type, true);
  }

  get length(): number {
    return this.values.length;
  }

  get bytes(): number {
    return this.values.bytes;
  }

  take(): Data {
    return this.values.take(NO_NULLS);
  }

  abstract add(rows: Rows): void;
}

/** The numbers of a batch. */
const numbers = new Float64Array(FLOW_BATCH_ROWS);

export class NumberColumn extends PlacedColumn<NumberValues> {
  readonly #column: Column;
  readonly #place: NumberPlace;

  constructor(column: Column, place: NumberPlace, values: NumberValues) {
    super(column, values);
    this.#column = column;
    this.#place = place;
  }

  override add({ batch, begin, end }: Rows): void {
    gather(this.#place, batch.store, end, numbers, 0);
    const fitting = this.values.pushNumbers(numbers, begin, end);
    if (fitting < end)
      throw misfit(this.#column.name, contentOf(this.#column, undefined), numbers[fitting], batch, fitting);
  }
}

export class FlagsColumn extends PlacedColumn<Pairs> {
  readonly #flag: number;

  constructor(column: Column, { flag }: FlagsPlace, values: Pairs) {
    super(column, values);
    this.#flag = flag;
  }

  override add({ batch, begin, end }: Rows): void {
    const { store } = batch;
    for (let row = begin; row < end; row++) {
      this.values.pushPair(flags(store, row, this.#flag, SRC_TO_DST), flags(store, row, this.#flag, DST_TO_SRC));
    }
  }
}

export class AddressColumn extends PlacedColumn<Texts> {
  readonly #place: TextPlace;

  constructor(column: Column, place: TextPlace, values: Texts) {
    super(column, values);
    this.#place = place;
  }

  override add({ batch, begin, end }: Rows): void {
    const { values } = this;
    const { store } = batch;
    const { what, way } = this.#place;
    for (let row = begin; row < end; row++) {
      values.reserve(ADDRESS_BYTES);
      const { view, end: at } = values;
      if (what === 'address') values.endAt(putAddressOf(view, at, store, row, way));
      else if (what === 'mac') values.endAt(putMacOf(view, at, store, row, way));
      else values.endAt(putOuiOf(view, at, store, row, way));
    }
  }
}
