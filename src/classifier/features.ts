// A model's features: names of columns and metrics, or functions, turned into functions from a flow to a number. Names
// are looked up before the first packet; what a metric holds is only known when a flow's features are read.
//
//   src_to_dst_bytes     a column that holds a number         entropy      a metric that holds a number or a boolean
//   syn_count[0]         of a pair: 0 src to dst, 1 back      sizes[3]     of a metric that holds a list
//   splt_ps[2]           of a sequence of packets
//
// Missing (null, undefined, NaN, or an index beyond the list) is not an error: the caller says which number stands for it.
import { nearest } from '../check-option.ts';
import { NfstreamError } from '../errors.ts';
import type { Flow } from '../flow/flow.ts';
import { type Column, FEATURES, FIELDS, type Field } from '../flow/schema.ts';
import type { RunInfo } from './classifier.ts';

/** A boolean counts as 1 or 0; null, undefined and NaN are missing values. */
export type FeatureValue = number | boolean | null | undefined;

/** One feature: a column or metric by its name, or a function of the flow, under the name that the model knows it by. */
export type Feature = string | { readonly name: string; readonly value: (flow: Flow) => FeatureValue };

/** A feature that can be read. `read` gives whatever is there: `featureValue` makes a number of it. */
export interface FeatureReader {
  readonly name: string;
  readonly read: (flow: Flow) => unknown;
}

const INDEXED = /^(.+)\[(\d+)\]$/;

export function featureName(feature: Feature): string {
  return typeof feature === 'string' ? feature : feature.name;
}

/** @throws NfstreamError INVALID_OPTION naming the first feature that is no column and no metric, and the nearest name. */
export function featureReaders(owner: string, features: readonly Feature[], run: RunInfo): FeatureReader[] {
  const isThere = ({ feature }: Field) =>
    feature === undefined || feature === 'tunnels' || run.features.includes(feature);
  const columns = new Map<string, Column>([...FIELDS].filter(([, field]) => isThere(field)));
  const metrics = new Set(run.metrics);
  const refuse = (name: string, why: string) =>
    new NfstreamError('INVALID_OPTION', `${owner}: the feature "${name}" ${why}`);

  const readerOf = (name: string): FeatureReader['read'] => {
    if (metrics.has(name)) return (flow) => flow.metrics[name];
    const [, base = name, index] = INDEXED.exec(name) ?? [];
    if (index !== undefined && metrics.has(base)) return metricElement(base, Number(index));
    const column = columns.get(base);
    switch (column?.type) {
      case 'integer':
      case 'number':
      case 'timestamp':
        if (index === undefined) return (flow) => flow[base as 'src_port'];
        throw refuse(name, `takes an element of a number; the column is ${base}`);
      case 'flag-count':
        if (index === '0' || index === '1') return (flow) => flow[base as 'syn_count'][Number(index)];
        throw refuse(name, `is a pair, not a number; take ${base}[0] (source to destination) or ${base}[1] (back)`);
      case 'integer-list':
      case 'number-list':
        if (index !== undefined) return (flow) => flow[base as 'splt_ps'][Number(index)];
        throw refuse(name, `is a list, not a number; take an element of it, such as ${base}[0]`);
      case undefined: {
        const known = [...columns.values()].flatMap(numericNames).concat([...metrics]);
        const field = FIELDS.get(base);
        if (field?.feature !== undefined) throw refuse(name, `is not measured: it takes ${FEATURES[field.feature]}`);
        throw refuse(name, `is no column and no user metric; did you mean "${nearest(name, known)}"?`);
      }
      default:
        throw refuse(name, `is no number; take a number of it by { name: '${base}', value: (flow) => ... }`);
    }
  };
  return features.map((feature) =>
    typeof feature === 'string'
      ? { name: feature, read: readerOf(feature) }
      : { name: feature.name, read: feature.value },
  );
}

/** A list's element; the metric's first value, 0, counts as an empty list. */
function metricElement(name: string, index: number): FeatureReader['read'] {
  return (flow) => {
    const value = flow.metrics[name] as unknown;
    if (Array.isArray(value)) return value[index];
    return value === 0 ? undefined : value;
  };
}

function numericNames({ name, type }: Column): string[] {
  if (type === 'flag-count') return [`${name}[0]`, `${name}[1]`];
  if (type === 'integer-list' || type === 'number-list') return [`${name}[0]`];
  return type === 'integer' || type === 'number' || type === 'timestamp' ? [name] : [];
}

/** What a model is given: the number; 1 or 0 for a boolean; `missing` for what is not there; undefined for what is no number. */
export function featureValue(value: unknown, missing: number): number | undefined {
  if (typeof value === 'number') return Number.isNaN(value) ? missing : value;
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value === undefined || value === null ? missing : undefined;
}
