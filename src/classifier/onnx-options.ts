// The options of OnnxClassifier: what each takes, and its default. A wrong one throws at construction and says which.
import { integer, invalid, nearest, oneOf } from '../check-option.ts';
import { NfstreamError } from '../errors.ts';
import { SCHEMAS } from '../flow/schema.ts';
import { type Feature, featureName } from './features.ts';
import type { OnnxRuntimeName } from './onnx-runtime.ts';

/** When a flow's features are read: at its end, at its n-th packet (both directions), or n ms after its start. */
export type PredictAt = 'terminate' | { readonly packets: number } | { readonly ms: number };

export interface OnnxClassifierOptions {
  /** The classifier's name, and the key of the prediction in `flow.metrics`. */
  name: string;
  /** Path of an .onnx file, or its bytes. It is read when the run starts. */
  model: string | Uint8Array;
  /** What the model is given, in the model's order: columns, metrics, or functions of the flow. */
  features: readonly Feature[];
  /** When features are read (default 'terminate'). A flow that ends before that is predicted at its end. */
  at?: PredictAt;
  /** 'auto' (default) takes onnxruntime-node if it can be imported, else onnxruntime-web. */
  runtime?: OnnxRuntimeName;
  /** Abstain when the label's probability is below this (0 to 1, default 0: never). */
  threshold?: number;
  /** Class names in the order of the model's probabilities, in place of those that the model has. */
  labels?: readonly string[];
  /** What the model is given for a value that is not there: beyond a list's end, null or NaN (default 0). */
  missing?: number;
  /** Flows predicted by one call of the model at most (default 512). */
  batchSize?: number;
  /** Cores that the model may use (default 1). */
  threads?: number;
  /** Above 2: export a flow with this `export_reason` as soon as its features were read early. Needs an early `at`. */
  exportReason?: number;
}

export interface ResolvedOnnxOptions {
  readonly name: string;
  readonly model: string | Uint8Array;
  readonly features: readonly Feature[];
  /** Infinity where it does not apply. */
  readonly atPackets: number;
  readonly atMs: number;
  readonly runtime: OnnxRuntimeName;
  readonly threshold: number;
  readonly labels: readonly string[] | undefined;
  readonly missing: number;
  readonly batchSize: number;
  readonly threads: number;
  readonly exportReason: number | undefined;
}

export const ONNX_DEFAULTS = { runtime: 'auto', threshold: 0, missing: 0, batchSize: 512, threads: 1 } as const;

const NAMES: readonly (keyof OnnxClassifierOptions)[] = [
  'name',
  'model',
  'features',
  'at',
  'runtime',
  'threshold',
  'labels',
  'missing',
  'batchSize',
  'threads',
  'exportReason',
];
const MAX_BATCH = 65536;
const MAX_INT32 = 0x7fff_ffff;

/** @throws NfstreamError UNKNOWN_OPTION or INVALID_OPTION, naming the option and what it takes. */
export function resolveOnnxOptions(options: OnnxClassifierOptions): ResolvedOnnxOptions {
  if (options === null || typeof options !== 'object') {
    throw invalid('options', 'an object with name, model and features', options);
  }
  for (const name of Object.keys(options)) {
    if ((NAMES as readonly string[]).includes(name)) continue;
    const hint = `did you mean "${nearest(name, NAMES)}"?`;
    throw new NfstreamError('UNKNOWN_OPTION', `Unknown option "${name}" of OnnxClassifier; ${hint}`);
  }
  const at = whenToRead(options.at);
  const exportReason =
    options.exportReason === undefined ? undefined : integer('exportReason', options.exportReason, 3, MAX_INT32, 3);
  if (exportReason !== undefined && at.atPackets === Infinity && at.atMs === Infinity) {
    throw invalid('exportReason', 'at: { packets: n } or { ms: n } beside it', exportReason);
  }
  return {
    name: nameOf(options.name),
    model: modelOf(options.model),
    features: featuresOf(options.features),
    ...at,
    runtime: oneOf('runtime', options.runtime, ['auto', 'node', 'web'], ONNX_DEFAULTS.runtime),
    threshold: numberOf('threshold', options.threshold, 'a probability from 0 to 1', ONNX_DEFAULTS.threshold, 0, 1),
    labels: options.labels === undefined ? undefined : labelsOf(options.labels),
    missing: missingOf(options.missing),
    batchSize: integer('batchSize', options.batchSize, 1, MAX_BATCH, ONNX_DEFAULTS.batchSize),
    threads: integer('threads', options.threads, 1, 1024, ONNX_DEFAULTS.threads),
    exportReason,
  };
}

function nameOf(value: unknown): string {
  if (typeof value !== 'string' || value === '') throw invalid('name', 'a name for the classifier', value);
  if ((SCHEMAS.classic as readonly string[]).includes(value)) {
    throw invalid('name', 'a name that no core column has', value);
  }
  return value;
}

function modelOf(value: unknown): string | Uint8Array {
  if (value instanceof Uint8Array || (typeof value === 'string' && value !== '')) return value;
  throw invalid('model', "the path of an .onnx file or the file's bytes (Uint8Array)", value);
}

function featuresOf(value: unknown): readonly Feature[] {
  if (!Array.isArray(value) || value.length === 0) throw invalid('features', 'a list of at least one feature', value);
  const seen = new Set<string>();
  for (const [i, item] of value.entries()) {
    const isNamed = typeof item === 'object' && item !== null && typeof item.value === 'function';
    const name: unknown = isNamed ? item.name : item;
    if (typeof name !== 'string' || name === '') {
      throw invalid(`features[${i}]`, 'the name of a column or metric, or { name, value: (flow) => number }', item);
    }
    if (seen.has(name)) throw invalid('features', 'different names', value.map(featureName).join(', '));
    seen.add(name);
  }
  return [...value];
}

function labelsOf(value: unknown): readonly string[] {
  const isList = Array.isArray(value) && value.length > 0 && value.every((label) => typeof label === 'string');
  if (!isList || new Set(value).size < value.length) throw invalid('labels', 'a list of different class names', value);
  return [...value];
}

function whenToRead(value: unknown): { atPackets: number; atMs: number } {
  const end = { atPackets: Infinity, atMs: Infinity };
  if (value === undefined || value === 'terminate') return end;
  const [entry, ...others] = typeof value === 'object' && value !== null ? Object.entries(value) : [];
  if (entry?.[0] === 'packets' && others.length === 0) {
    return { ...end, atPackets: integer('at.packets', entry[1] ?? null, 1, MAX_INT32, 1) };
  }
  if (entry?.[0] === 'ms' && others.length === 0) {
    return { ...end, atMs: numberOf('at.ms', entry[1] ?? null, 'milliseconds, 0 or more', 0, 0, MAX_INT32) };
  }
  throw invalid('at', "'terminate', { packets: n } or { ms: n }", value);
}

function missingOf(value: unknown): number {
  if (value === undefined) return ONNX_DEFAULTS.missing;
  if (typeof value !== 'number') throw invalid('missing', 'a number (NaN where the model takes it)', value);
  return value;
}

function numberOf(
  name: string,
  value: unknown,
  expected: string,
  fallback: number,
  least: number,
  most: number,
): number {
  if (value === undefined) return fallback;
  if (typeof value !== 'number' || !(value >= least && value <= most)) throw invalid(name, expected, value);
  return value;
}
