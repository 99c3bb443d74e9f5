// Lists in Arrow's buffers: the items of all of them side by side, and where each list ends.
import { type Data, type DataType, Field, FixedSizeList, List, makeData } from 'apache-arrow';
import { doubled, NO_NULLS, type Nulls, type Values } from './values.ts';

const FIRST_ROWS = 1024;

/** An item is never null. */
const item = (type: DataType) => new Field('item', type, false);

export class Lists implements Values {
  readonly type: DataType;
  readonly #items: Values;
  #offsets = new Int32Array(FIRST_ROWS);
  length = 0;

  constructor(items: Values) {
    this.#items = items;
    this.type = new List(item(items.type));
  }

  get bytes(): number {
    return this.#items.bytes + this.length * 4;
  }

  push(value: unknown): boolean {
    if (!Array.isArray(value)) return false;
    for (let i = 0; i < value.length; i++) if (!this.#items.push(value[i])) return false;
    this.skip();
    return true;
  }

  skip(): void {
    if (this.length + 1 === this.#offsets.length) this.#offsets = doubled(this.#offsets);
    this.#offsets[++this.length] = this.#items.length;
  }

  take(nulls: Nulls): Data {
    const { length } = this;
    const taken = makeData({
      type: this.type as List,
      length,
      ...nulls,
      valueOffsets: this.#offsets.subarray(0, length + 1),
      child: this.#items.take(NO_NULLS),
    });
    this.#offsets = new Int32Array(FIRST_ROWS);
    this.length = 0;
    return taken;
  }
}

/** Lists of two. */
export class Pairs implements Values {
  readonly type: DataType;
  readonly #items: Values;

  constructor(items: Values) {
    this.#items = items;
    this.type = new FixedSizeList(2, item(items.type));
  }

  get length(): number {
    return Math.floor(this.#items.length / 2);
  }

  get bytes(): number {
    return this.#items.bytes;
  }

  push(value: unknown): boolean {
    if (!Array.isArray(value) || value.length !== 2) return false;
    return this.#items.push(value[0]) && this.#items.push(value[1]);
  }

  /** Adds two numbers that the items hold. */
  pushPair(first: number, second: number): void {
    this.#items.push(first);
    this.#items.push(second);
  }

  skip(): void {
    this.#items.skip();
    this.#items.skip();
  }

  take(nulls: Nulls): Data {
    const { length } = this;
    return makeData({ type: this.type as FixedSizeList, length, ...nulls, child: this.#items.take(NO_NULLS) });
  }
}
