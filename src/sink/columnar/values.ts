// Values of one type side by side in the buffers that Arrow has for it (arrow.apache.org/docs/format/Columnar.html):
// what a column, or the items of a column of lists, is gathered in. Buffers double as they fill, and are handed over with
// `take`, never written again.
import {
  Bool,
  type Data,
  type DataType,
  Float64,
  Int32,
  Int64,
  makeData,
  TimestampMicrosecond,
  Uint8,
  Uint16,
} from 'apache-arrow';
import type { IntegerSize } from '../../flow/schema.ts';

/** Which rows are null, as Arrow says it; no bitmap where none is. */
export interface Nulls {
  readonly nullCount: number;
  readonly nullBitmap?: Uint8Array;
}

export const NO_NULLS: Nulls = { nullCount: 0 };

export interface Values {
  readonly type: DataType;
  readonly length: number;
  /** What the values take in memory. */
  readonly bytes: number;
  /**
   * Adds a value. False where it is none of this type: what is left of it beyond `length` is no value, and nothing can
   * be added any more.
   */
  push(value: unknown): boolean;
  /** Adds what stands for null. */
  skip(): void;
  /** Hands over what was added, and begins anew. */
  take(nulls: Nulls): Data;
}

/** Values that are all numbers. */
export interface NumberValues extends Values {
  /** Adds those of `numbers` from `begin` to before `end`; returns the first that does not fit, or `end`. */
  pushNumbers(numbers: Float64Array, begin: number, end: number): number;
}

const FIRST_ROWS = 1024;

type Numbers = Uint8Array | Uint16Array | Int32Array | Float64Array | BigInt64Array | Uint8Array<ArrayBuffer>;

/** The same content with room for twice as much. */
export function doubled<A extends Numbers>(array: A): A {
  const bigger = new (array.constructor as new (length: number) => A)(array.length * 2);
  (bigger as Uint8Array).set(array as Uint8Array);
  return bigger;
}

/** Integers of up to 32 bits. */
export class SmallIntegers implements NumberValues {
  readonly type: DataType;
  readonly #kind: new (
    length: number,
  ) => Uint8Array | Uint16Array | Int32Array;
  #array: Uint8Array | Uint16Array | Int32Array;
  length = 0;

  constructor(size: Exclude<IntegerSize, 'int64'>) {
    this.type = size === 'uint8' ? new Uint8() : size === 'uint16' ? new Uint16() : new Int32();
    this.#kind = size === 'uint8' ? Uint8Array : size === 'uint16' ? Uint16Array : Int32Array;
    this.#array = new this.#kind(FIRST_ROWS);
  }

  get bytes(): number {
    return this.length * this.#array.BYTES_PER_ELEMENT;
  }

  push(value: unknown): boolean {
    if (this.length === this.#array.length) this.#array = doubled(this.#array);
    this.#array[this.length] = value as number;
    if (this.#array[this.length] !== value) return false;
    this.length++;
    return true;
  }

  pushNumbers(numbers: Float64Array, begin: number, end: number): number {
    for (let i = begin; i < end; i++) if (!this.push(numbers[i])) return i;
    return end;
  }

  skip(): void {
    this.push(0);
  }

  take(nulls: Nulls): Data {
    const data = this.#array.subarray(0, this.length);
    const taken = makeData({ type: this.type as Int32, length: this.length, ...nulls, data });
    this.#array = new this.#kind(FIRST_ROWS);
    this.length = 0;
    return taken;
  }
}

const TWO_32 = 2 ** 32;
const TWO_63 = 2 ** 63;
/** The largest double that an int64 can be. */
const LAST_DOUBLE = TWO_63 - 1024;

/** Integers of 64 bits, given as doubles: written as two words each, so that no bigint is made. */
export class Integers implements NumberValues {
  readonly type: DataType = new Int64();
  #array = new BigInt64Array(FIRST_ROWS);
  /** The same as words; the lower one comes first (every platform of Node.js but s390x, and Arrow's own order). */
  #words = new Int32Array(this.#array.buffer);
  length = 0;

  get bytes(): number {
    return this.length * 8;
  }

  push(value: unknown): boolean {
    if (!Number.isInteger(value)) return false;
    const integer = value as number;
    if (integer < -TWO_63 || integer > LAST_DOUBLE) return false;
    if (this.length === this.#array.length) {
      this.#array = doubled(this.#array);
      this.#words = new Int32Array(this.#array.buffer);
    }
    const at = this.length++ * 2;
    this.#words[at] = integer;
    this.#words[at + 1] = Math.floor(integer / TWO_32);
    return true;
  }

  pushNumbers(numbers: Float64Array, begin: number, end: number): number {
    for (let i = begin; i < end; i++) if (!this.push(numbers[i])) return i;
    return end;
  }

  skip(): void {
    this.push(0);
  }

  take(nulls: Nulls): Data {
    const data = this.#array.subarray(0, this.length);
    const taken = makeData({ type: this.type as Int64, length: this.length, ...nulls, data });
    this.#array = new BigInt64Array(FIRST_ROWS);
    this.#words = new Int32Array(this.#array.buffer);
    this.length = 0;
    return taken;
  }
}

/**
 * Times: ms since the epoch in, rounded to whole microseconds UTC. What a damaged capture says beyond the years that
 * int64 has (+-292,000) becomes the last that it has.
 */
export class Timestamps extends Integers {
  override readonly type: DataType = new TimestampMicrosecond('UTC');

  override push(value: unknown): boolean {
    if (typeof value !== 'number' || Number.isNaN(value)) return false;
    return super.push(Math.max(-TWO_63, Math.min(LAST_DOUBLE, Math.round(value * 1000))));
  }

  override skip(): void {
    super.push(0);
  }
}

/** Doubles, NaN and the infinities among them. */
export class Doubles implements NumberValues {
  readonly type: DataType = new Float64();
  #array = new Float64Array(FIRST_ROWS);
  length = 0;

  get bytes(): number {
    return this.length * 8;
  }

  push(value: unknown): boolean {
    if (typeof value !== 'number') return false;
    if (this.length === this.#array.length) this.#array = doubled(this.#array);
    this.#array[this.length++] = value;
    return true;
  }

  pushNumbers(numbers: Float64Array, begin: number, end: number): number {
    for (let i = begin; i < end; i++) if (!this.push(numbers[i])) return i;
    return end;
  }

  skip(): void {
    this.push(0);
  }

  take(nulls: Nulls): Data {
    const data = this.#array.subarray(0, this.length);
    const taken = makeData({ type: this.type as Float64, length: this.length, ...nulls, data });
    this.#array = new Float64Array(FIRST_ROWS);
    this.length = 0;
    return taken;
  }
}

/** Truth values, a bit each, the lowest bit of a byte first. */
export class Booleans implements Values {
  readonly type: DataType = new Bool();
  readonly #bits = new Bits();

  get length(): number {
    return this.#bits.length;
  }

  get bytes(): number {
    return this.#bits.length / 8;
  }

  push(value: unknown): boolean {
    if (typeof value !== 'boolean') return false;
    this.#bits.push(value);
    return true;
  }

  skip(): void {
    this.#bits.push(false);
  }

  take(nulls: Nulls): Data {
    const { length } = this;
    return makeData({ type: this.type as Bool, length, ...nulls, data: this.#bits.take() });
  }
}

/** A growing bitmap. */
export class Bits {
  #array = new Uint8Array(FIRST_ROWS / 8);
  length = 0;

  push(bit: boolean): void {
    if (this.length === this.#array.length * 8) this.#array = doubled(this.#array);
    if (bit) this.#array[this.length >> 3] |= 1 << (this.length & 7);
    this.length++;
  }

  take(): Uint8Array {
    const taken = this.#array.subarray(0, (this.length + 7) >> 3);
    this.#array = new Uint8Array(FIRST_ROWS / 8);
    this.length = 0;
    return taken;
  }
}
