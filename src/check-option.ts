// Checks that an option holds what it takes, whoever's option it is: a Streamer's or a classifier's. What it does not
// take is refused at construction with an error that names the option, what it takes and what was given.
import { NfstreamError } from './errors.ts';

/** The candidate with the fewest edits (Levenshtein) from `name`; letter case doesn't count. */
export function nearest<T extends string>(name: string, candidates: readonly T[]): T {
  let best = candidates[0] as T;
  let least = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < least) {
      least = distance;
      best = candidate;
    }
  }
  return best;
}

function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(change, row[j] + 1, next[j - 1] + 1));
    }
    row = next;
  }
  return row[b.length];
}

export function invalid(name: string, expected: string, received: unknown): NfstreamError {
  return new NfstreamError('INVALID_OPTION', `Expected ${expected} for ${name} but received ${describe(received)}`);
}

function describe(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}...` : value);
  if (typeof value === 'function') return 'a function';
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list';
  if (typeof value === 'object' && value !== null) return instanceText(value);
  return String(value);
}

/** Of a filter, in messages. */
const SHOWN_CHARACTERS = 200;

/** A libpcap filter in quotes, as far as a message shows it. */
export function shownFilter(filter: string): string {
  return JSON.stringify(filter.length > SHOWN_CHARACTERS ? `${filter.slice(0, SHOWN_CHARACTERS)}...` : filter);
}

/** `an object`, `a Map`, `an ArrayBuffer` */
export function instanceText(value: object): string {
  const name = value.constructor?.name || 'Object';
  if (name === 'Object') return 'an object';
  return `${/^[AEIOU](?!int)/.test(name) ? 'an' : 'a'} ${name}`;
}

export function integer(name: string, value: unknown, least: number, most: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (!Number.isInteger(value) || (value as number) < least || (value as number) > most) {
    throw invalid(name, `an integer from ${least} to ${most}`, value);
  }
  return value as number;
}

export function seconds(name: string, value: unknown, otherwise: number): number {
  if (value === undefined) return otherwise;
  if (typeof value !== 'number' || !(value >= 0)) {
    throw invalid(name, 'a number of seconds, 0 or more (Infinity for never)', value);
  }
  return value;
}

export function boolean(name: string, value: unknown, otherwise: boolean): boolean {
  if (value === undefined) return otherwise;
  if (typeof value !== 'boolean') throw invalid(name, 'true or false', value);
  return value;
}

export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[], otherwise: T): T {
  if (value === undefined) return otherwise;
  if (!(choices as readonly unknown[]).includes(value)) {
    throw invalid(name, choices.map((choice) => JSON.stringify(choice)).join(' or '), value);
  }
  return value as T;
}
