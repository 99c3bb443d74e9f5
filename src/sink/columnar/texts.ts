// Texts in Arrow's buffers: as they are, or as indexes into a dictionary of the different ones.
//
// Whatever JavaScript holds becomes UTF-8: a lone surrogate is written as U+FFFD, NUL and line ends stay.
import { type Data, type DataType, Dictionary, Int32, makeData, Utf8 } from 'apache-arrow';
import { NfstreamError } from '../../errors.ts';
import { doubled, NO_NULLS, type Nulls, type Values } from './values.ts';

const FIRST_ROWS = 1024;
const FIRST_BYTES = 16 * FIRST_ROWS;
/** Up to here a loop in JavaScript beats a call into Node.js. */
const SHORT = 48;
/** Offsets are of 32 bits. */
const MOST_BYTES = 2 ** 31 - 1;

export class Texts implements Values {
  readonly type: DataType = new Utf8();
  #utf8 = Buffer.allocUnsafeSlow(FIRST_BYTES);
  /** All of `utf8`, and where the last text ends: for whoever writes one after `reserve`, which may replace both. */
  view = viewOf(this.#utf8);
  end = 0;
  #offsets = new Int32Array(FIRST_ROWS);
  length = 0;

  get bytes(): number {
    return this.end + this.length * 4;
  }

  push(value: unknown): boolean {
    if (typeof value !== 'string') return false;
    const { length } = value;
    // A UTF-16 unit takes three bytes at most.
    this.reserve(length * 3);
    const utf8 = this.#utf8;
    const begin = this.end;
    let i = 0;
    if (length <= SHORT) {
      for (; i < length; i++) {
        const code = value.charCodeAt(i);
        if (code > 0x7f) break;
        utf8[begin + i] = code;
      }
    }
    this.end = i === length ? begin + length : begin + utf8.write(value, begin, 'utf8');
    this.#mark();
    return true;
  }

  /** Makes room for so many bytes. */
  reserve(more: number): void {
    if (this.end + more > this.#utf8.length) this.#grow(more);
  }

  /** Adds the text that was written from `end` to here. */
  endAt(end: number): void {
    this.end = end;
    this.#mark();
  }

  skip(): void {
    this.#mark();
  }

  #mark(): void {
    if (this.length + 1 === this.#offsets.length) this.#offsets = doubled(this.#offsets);
    this.#offsets[++this.length] = this.end;
  }

  #grow(more: number): void {
    const least = this.end + more;
    if (least > MOST_BYTES) {
      throw new NfstreamError('OUT_OF_MEMORY', 'The texts of one column are more than 2 GB, which Arrow cannot hold');
    }
    const bigger = Buffer.allocUnsafeSlow(Math.min(MOST_BYTES, Math.max(least, this.#utf8.length * 2)));
    bigger.set(this.#utf8.subarray(0, this.end));
    this.#utf8 = bigger;
    this.view = viewOf(bigger);
  }

  take(nulls: Nulls): Data {
    const { length } = this;
    const taken = makeData({
      type: this.type as Utf8,
      length,
      ...nulls,
      valueOffsets: this.#offsets.subarray(0, length + 1),
      data: new Uint8Array(this.#utf8.buffer, 0, this.end),
    });
    this.#utf8 = Buffer.allocUnsafeSlow(FIRST_BYTES);
    this.view = viewOf(this.#utf8);
    this.end = 0;
    this.#offsets = new Int32Array(FIRST_ROWS);
    this.length = 0;
    return taken;
  }
}

function viewOf({ buffer, byteOffset, length }: Buffer): DataView {
  return new DataView(buffer, byteOffset, length);
}

/** Indexes into a dictionary that all record batches of a run share: it is taken when they are. */
export class DictionaryTexts implements Values {
  readonly type: Dictionary<Utf8, Int32> = new Dictionary(new Utf8(), new Int32());
  readonly #indexes = new Map<string, number>();
  readonly #texts = new Texts();
  #array = new Int32Array(FIRST_ROWS);
  length = 0;

  /** Without the dictionary. */
  get bytes(): number {
    return this.length * 4;
  }

  push(value: unknown): boolean {
    let index = this.#indexes.get(value as string);
    if (index === undefined) {
      index = this.#texts.length;
      if (!this.#texts.push(value)) return false;
      this.#indexes.set(value as string, index);
    }
    this.#add(index);
    return true;
  }

  skip(): void {
    this.#add(0);
  }

  #add(index: number): void {
    if (this.length === this.#array.length) this.#array = doubled(this.#array);
    this.#array[this.length++] = index;
  }

  /** The indexes alone: what they mean is known at the end. */
  take(nulls: Nulls): Data {
    const data = this.#array.subarray(0, this.length);
    const taken = makeData({ type: this.type, length: this.length, ...nulls, data });
    this.#array = new Int32Array(FIRST_ROWS);
    this.length = 0;
    return taken;
  }

  /** The texts that the indexes of all record batches stand for. */
  takeDictionary(): Data<Utf8> {
    return this.#texts.take(NO_NULLS) as Data<Utf8>;
  }
}
