// Checks what is given as user metrics and classifiers: their kinds, and their names, which stand beside those of columns.
import { invalid } from './check-option.ts';
import { NFStreamClassifier } from './classifier/classifier.ts';
import { MAX_CLASSIFIERS } from './classifier/labeller.ts';
import { NfstreamError } from './errors.ts';
import { NDPI_FIELDS } from './flow/fields/ndpi.ts';
import { PROCESS_FIELDS } from './flow/fields/process.ts';
import { FIELDS, SCHEMAS, type SchemaName } from './flow/schema.ts';
import type { UserMetric } from './metric/metric.ts';

export function checkMetrics(value: unknown, taken: Taken): Readonly<Record<string, UserMetric>> {
  if (value === undefined) return {};
  const expected = 'an object of functions by metric name';
  if (value === null || typeof value !== 'object' || Array.isArray(value) || value instanceof Map)
    throw invalid('userMetrics', expected, value);
  for (const [name, metric] of Object.entries(value)) {
    if (typeof metric !== 'function') throw invalid(`userMetrics.${name}`, 'a function', metric);
    refuseTaken(`userMetrics.${name}`, name, taken);
    if (name === '__proto__' || name === '') throw invalid('userMetrics', 'names that a record can hold', name);
  }
  return value as Readonly<Record<string, UserMetric>>;
}

/** Whose names user code can't have, besides the columns'. */
export interface Taken {
  readonly schema: SchemaName;
  /** Columns instead of the schema's, by name: fields, and metrics. */
  readonly fields: readonly string[] | undefined;
  readonly ndpi: boolean;
  readonly process: boolean;
}

/** Both kinds of user code put values under their names beside the columns and what built-in classifiers find. */
function refuseTaken(what: string, name: string, taken: Taken): void {
  const named = (taken.fields ?? []).filter((field) => FIELDS.has(field));
  const columns = [...SCHEMAS[taken.schema], ...named].map((column) => ({ name: column }));
  const owners = [
    { owner: 'a core column', has: true, columns },
    { owner: 'a finding of nDPI', has: taken.ndpi, columns: NDPI_FIELDS },
    { owner: 'a finding of systemVisibility', has: taken.process, columns: PROCESS_FIELDS },
  ];
  const found = owners.find(({ has, columns }) => has && columns.some((column) => column.name === name));
  if (found === undefined) return;
  throw new NfstreamError('INVALID_OPTION', `${what} has the name of ${found.owner}; choose another`);
}

export function checkClassifiers(
  value: unknown,
  taken: Taken,
  userMetrics: Readonly<Record<string, UserMetric>>,
): readonly NFStreamClassifier[] {
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const names = new Set<string>();
  for (const item of list) {
    if (!(item instanceof NFStreamClassifier)) {
      throw invalid('userClassifiers', 'an instance of NFStreamClassifier or a list of them', item);
    }
    if (typeof item.name !== 'string' || item.name === '' || item.name === '__proto__') {
      throw invalid(`the name of a ${item.constructor.name || 'class'} in userClassifiers`, 'text', item.name);
    }
    refuseTaken(`The classifier "${item.name}"`, item.name, taken);
    if (Object.hasOwn(userMetrics, item.name)) {
      throw new NfstreamError(
        'INVALID_OPTION',
        `The classifier "${item.name}" has the name of a user metric; choose another`,
      );
    }
    if (!Number.isInteger(item.concurrency) || item.concurrency < 1) {
      throw invalid(`concurrency of the classifier "${item.name}"`, 'an integer, 1 or more', item.concurrency);
    }
    if (names.has(item.name)) {
      throw new NfstreamError('INVALID_OPTION', `userClassifiers has two classifiers named "${item.name}"`);
    }
    names.add(item.name);
  }
  if (list.length >= MAX_CLASSIFIERS) {
    throw invalid('userClassifiers', `fewer than ${MAX_CLASSIFIERS} classifiers`, value);
  }
  return list as readonly NFStreamClassifier[];
}
