// What sinks of text have in common: rows put together in a TextWriter, handed on by the batch.
//
// HOT PATH: 20 to 90 cells of each flow. A row is a template: what stands between its cells never changes and is copied by the
// word; numbers and addresses come straight from the records (see places.ts), the numbers of a batch column by column. What
// has no place there, findings and user code's metrics, is a cell that the format's `cell` writes.
import { ADDRESS_BYTES } from '../flow/address-bytes.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import { packed } from '../flow/packed-text.ts';
import { gather, type NumberPlace } from '../flow/places.ts';
import { DST_TO_SRC, flags, putAddressOf, putMacOf, putOuiOf, SRC_TO_DST } from '../flow/read-record.ts';
import type { Column } from '../flow/schema.ts';
import { NUMBER_BYTES, putNumber, putSmall } from './number-text.ts';
import type { Output } from './output.ts';
import type { Sink } from './sink.ts';
import { TextWriter } from './text-writer.ts';

/** How a format writes a row. */
export interface TextForm {
  /** What stands before each cell. */
  readonly prefixes: readonly string[];
  /** Around a text that needs no escapes. */
  readonly text: readonly [string, string];
  /** Around two numbers with a comma between them. */
  readonly pair: readonly [string, string];
  /** Instead of a number that is none. */
  readonly missing: string;
  readonly end: string;
}

/** A part of a row: a literal, and the cell behind it. */
const KIND = 0;
/** The literal: place among all of them in words, and its bytes. */
const LITERAL = 1;
const LITERAL_BYTES = 2;
/** Of a number: which of those that are gathered. Of flags: which. Of an address: the way. Of what `cell` writes: the column. */
const WHICH = 3;
const PART_WORDS = 4;

const NUMBER = 0;
const ADDRESS = 1;
const MAC = 2;
const OUI = 3;
const FLAGS = 4;
const OTHER = 5;
/** The end of the row. */
const NOTHING = 6;

const COMMA = 0x2c;
/** Most pairs of counts are of two digits: one store writes them. */
const TWO_DIGITS = packed('0,0');

const TEXT_KINDS = { address: ADDRESS, mac: MAC, oui: OUI };

export abstract class TextSink implements Sink {
  readonly #output: Output;
  readonly #columns: readonly Column[];
  readonly #missing: Uint8Array;
  readonly #parts: Int32Array;
  readonly #literals: Int32Array;
  /** What a row's literals, numbers and addresses take at most. */
  readonly #rowBytes: number;
  readonly #places: readonly NumberPlace[];
  /** The numbers of a batch: all of its first place, then of the next. */
  #numbers = new Float64Array(0);
  protected readonly writer = new TextWriter();
  rows = 0;

  constructor(output: Output, columns: readonly Column[], form: TextForm) {
    this.#output = output;
    this.#columns = columns;
    this.#missing = Buffer.from(form.missing);
    const template = new Template(columns, form);
    this.#parts = Int32Array.from(template.parts);
    this.#literals = Int32Array.from(template.literals);
    this.#places = template.places;
    this.#rowBytes = template.bytes;
  }

  get bytes(): number {
    return this.#output.bytes;
  }

  write(batch: FlowBatch): Promise<void> | void {
    const { store, count } = batch;
    const places = this.#places;
    if (this.#numbers.length < places.length * count) this.#numbers = new Float64Array(places.length * count);
    for (let i = 0; i < places.length; i++) gather(places[i], store, count, this.#numbers, i * count);
    let whole = 0;
    try {
      for (let row = 0; row < count; row++) {
        whole = this.writer.length;
        this.#line(batch, row);
        this.rows++;
      }
    } catch (error) {
      // What user code left is no JSON: the rows before stay.
      this.writer.cut(whole);
      throw error;
    }
    return this.#output.append(this.writer.take());
  }

  #line(batch: FlowBatch, row: number): void {
    const { store, count } = batch;
    const { writer } = this;
    const parts = this.#parts;
    const literals = this.#literals;
    const numbers = this.#numbers;
    const metrics = batch.metrics(row);
    writer.reserve(this.#rowBytes);
    let { view, at } = writer;
    for (let part = 0; part < parts.length; part += PART_WORDS) {
      const bytes = parts[part + LITERAL_BYTES];
      const literal = parts[part + LITERAL];
      for (let i = 0; i < bytes; i += 4) view.setInt32(at + i, literals[literal + (i >> 2)], true);
      at += bytes;
      const which = parts[part + WHICH];
      switch (parts[part + KIND]) {
        case NUMBER: {
          const i = which * count + row;
          const value = numbers[i];
          const small = value | 0;
          if (small === value && small >= 0) at = putSmall(view, at, small);
          else if (Number.isFinite(value)) at = putNumber(view, at, numbers, i);
          else for (let i = 0; i < this.#missing.length; i++) view.setUint8(at++, this.#missing[i]);
          break;
        }
        case FLAGS: {
          const there = flags(store, row, which, SRC_TO_DST);
          const back = flags(store, row, which, DST_TO_SRC);
          if (there < 10 && back < 10) {
            view.setInt32(at, TWO_DIGITS + there + (back << 16), true);
            at += 3;
          } else {
            at = putSmall(view, at, there);
            view.setUint8(at, COMMA);
            at = putSmall(view, at + 1, back);
          }
          break;
        }
        case ADDRESS:
          at = putAddressOf(view, at, store, row, which as 0 | 1);
          break;
        case MAC:
          at = putMacOf(view, at, store, row, which as 0 | 1);
          break;
        case OUI:
          at = putOuiOf(view, at, store, row, which as 0 | 1);
          break;
        case OTHER:
          writer.at = at;
          this.cell(this.#columns[which].read(store, row, metrics), batch, row);
          writer.reserve(this.#rowBytes);
          ({ view, at } = writer);
          break;
      }
    }
    writer.at = at;
  }

  /** Without flows, too: the header of CSV is written then. */
  async close(): Promise<void> {
    await this.#output.append(this.writer.take());
    return this.#output.close();
  }

  abandon(): Promise<void> {
    return this.#output.abandon();
  }

  unlink(): void {
    this.#output.unlink();
  }

  /** Writes any value. */
  protected abstract cell(value: unknown, batch: FlowBatch, row: number): void;
}

/** A row's parts in the making. */
class Template {
  readonly parts: number[] = [];
  readonly literals: number[] = [];
  readonly places: NumberPlace[] = [];
  bytes = 0;
  /** What stands before the next cell. */
  #literal = '';

  constructor(columns: readonly Column[], { prefixes, text, pair, end }: TextForm) {
    for (const [i, { place }] of columns.entries()) {
      this.#literal += prefixes[i];
      switch (place?.holds) {
        case 'number':
          this.#addNumber(place);
          break;
        case 'flags':
          this.#literal += pair[0];
          this.#add(FLAGS, place.flag, 2 * NUMBER_BYTES);
          this.#literal += pair[1];
          break;
        case 'text':
          this.#literal += text[0];
          this.#add(TEXT_KINDS[place.what], place.way, ADDRESS_BYTES);
          this.#literal += text[1];
          break;
        default:
          this.#add(OTHER, i, 0);
      }
    }
    this.#literal += end;
    this.#add(NOTHING, 0, 0);
  }

  #addNumber(place: NumberPlace): void {
    this.#add(NUMBER, this.places.push(place) - 1, NUMBER_BYTES);
  }

  #add(kind: number, which: number, bytes: number): void {
    const literal = Buffer.from(this.#literal);
    const padded = Buffer.concat([literal, Buffer.alloc(3)]);
    this.parts.push(kind, this.literals.length, literal.length, which);
    for (let at = 0; at < literal.length; at += 4) this.literals.push(padded.readInt32LE(at));
    this.bytes += literal.length + 3 + bytes;
    this.#literal = '';
  }
}
