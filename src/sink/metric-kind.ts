// The kind of a column of what user code measured: it has no type until its values tell.
//
// Numbers are doubles, whole ones too, and lists of numbers or of texts are lists. Where values are of several kinds or
// objects, all are JSON text, which any value fits; so they are where they are all null or empty lists, which say nothing.
import { isListOf } from './list-of.ts';

export type MetricKind = 'number' | 'boolean' | 'text' | 'numbers' | 'texts' | 'json';

export function isNumber(value: unknown): value is number {
  return typeof value === 'number';
}

export function isText(value: unknown): value is string {
  return typeof value === 'string';
}

interface Kind {
  readonly kind: MetricKind;
  readonly isOne: (value: unknown) => boolean;
}

const KINDS: readonly Kind[] = [
  { kind: 'number', isOne: isNumber },
  { kind: 'boolean', isOne: (value) => typeof value === 'boolean' },
  { kind: 'text', isOne: isText },
  { kind: 'numbers', isOne: (value) => isListOf(value, isNumber) },
  { kind: 'texts', isOne: (value) => isListOf(value, isText) },
];

/** What a list of no items, which fits two kinds, doesn't tell. */
const saysNothing = (value: unknown) => Array.isArray(value) && value.length === 0;

/** The kind that all values so far have. */
export class CommonKind {
  #kinds = KINDS;
  #isTold = false;

  /** Takes one more into account: any but null. */
  add(value: unknown): void {
    this.#kinds = this.#kinds.filter(({ isOne }) => isOne(value));
    if (!saysNothing(value)) this.#isTold = true;
  }

  /** Whether no one kind has all of them, whatever comes. */
  get isNone(): boolean {
    return this.#kinds.length === 0;
  }

  get kind(): MetricKind {
    return (this.#isTold ? this.#kinds[0]?.kind : undefined) ?? 'json';
  }
}
