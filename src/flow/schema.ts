// THE field table: every field that a record can have, listed once (fields/ holds the entries, a file a group), and the
// schemas, which are lists of their names. From it come the types of records, what is measured, the columns of all sinks,
// `nfstream fields`, the JSON Schema and the data dictionary (docs/data-dictionary.md). To add a field or a schema, add
// it here.
import { nearest } from '../check-option.ts';
import { NfstreamError } from '../errors.ts';
import { FeatureLayout, NO_FEATURES } from './feature-layout.ts';
import { CLASSIC_FIELDS, IDENTITY_FIELDS } from './fields/classic.ts';
import { type Column, FEATURES, type Feature, type Field } from './fields/field.ts';
import { NDPI_FIELDS, type NdpiMetrics } from './fields/ndpi.ts';
import { NFSTREAM6_FIELDS, NFSTREAM6_LAST_FIELDS, NFSTREAM6_NDPI_FIELDS } from './fields/nfstream6.ts';
import { PROCESS_FIELDS, type ProcessMetrics } from './fields/process.ts';
import { SPLT_FIELDS } from './fields/splt.ts';
import { STATISTICS_FIELDS, type StatisticsName } from './fields/statistics.ts';
import type { RecordShape } from './record.ts';

export { type Column, type ColumnType, FEATURES, type Feature, type Field, type IntegerSize } from './fields/field.ts';

/** A field whose cell is a finding of a built-in classifier. */
function finding(entry: Omit<Field, 'read'>, feature: Feature): Field {
  const { name } = entry;
  return { ...entry, feature, read: (_store, _row, metrics) => metrics[name] ?? null };
}

const LISTED: readonly Field[] = [
  ...CLASSIC_FIELDS,
  ...IDENTITY_FIELDS,
  ...NFSTREAM6_FIELDS,
  ...STATISTICS_FIELDS,
  ...SPLT_FIELDS,
  ...NFSTREAM6_NDPI_FIELDS,
  ...NFSTREAM6_LAST_FIELDS,
  ...NDPI_FIELDS.map((entry) => finding(entry, 'ndpi')),
  ...PROCESS_FIELDS.map((entry) => finding(entry, 'processes')),
];

/** Every field by its name. Where schemas share a name it means the same, and the first entry stands. */
export const FIELDS: ReadonlyMap<string, Field> = new Map([...LISTED].reverse().map((field) => [field.name, field]));

const names = (fields: readonly { readonly name: string }[]) => fields.map(({ name }) => name);

/** The fields of each schema in their order; those whose feature is off are left out. */
export const SCHEMAS = {
  classic: [
    ...names(CLASSIC_FIELDS.slice(0, -1)),
    ...names(STATISTICS_FIELDS),
    ...names(SPLT_FIELDS),
    // Whatever user code and classifiers found.
    'metrics',
  ],
  nfstream6: [
    ...names(NFSTREAM6_FIELDS),
    ...names(STATISTICS_FIELDS),
    ...names(SPLT_FIELDS),
    ...names(NFSTREAM6_NDPI_FIELDS),
    ...names(NFSTREAM6_LAST_FIELDS),
  ],
} as const satisfies Record<string, readonly string[]>;

export type SchemaName = keyof typeof SCHEMAS;
export const SCHEMA_NAMES = Object.keys(SCHEMAS) as readonly SchemaName[];

/** What decides about the columns of a run. */
export interface ColumnOptions {
  readonly schema: SchemaName;
  /** Names of columns instead of the schema's. */
  readonly fields: readonly string[] | undefined;
  readonly statistics: boolean;
  /** Packets; 0 for off. */
  readonly splt: number;
  readonly exactTimes: boolean;
  readonly enableNdpi: boolean;
  readonly systemVisibility: boolean;
  readonly decodeTunnels: boolean;
  /** Whether there are user metrics or classifiers. */
  readonly hasUserCode: boolean;
  /** Whether a name that is no field's may be a metric's. */
  readonly isMetric: (name: string) => boolean;
}

/** @throws NfstreamError INVALID_OPTION naming a field that there is not, or whose feature is off. */
export function shapeOf(options: ColumnOptions): RecordShape {
  const { statistics, splt, exactTimes } = options;
  const columns = fieldsOf(options).map((field) => columnOf(field, exactTimes));
  const has = (feature: Feature) => columns.some(({ name }) => FIELDS.get(name)?.feature === feature);
  const layout = new FeatureLayout({
    macs: has('macs'),
    directions: has('directions') || statistics,
    statistics,
    splt,
    exactTimes,
  });
  return { layout, columns, findings: findingsOf(options) };
}

/** What built-in classifiers write into `flow.metrics`. */
function findingsOf({ enableNdpi, systemVisibility }: Pick<ColumnOptions, 'enableNdpi' | 'systemVisibility'>) {
  return new Set([...(enableNdpi ? names(NDPI_FIELDS) : []), ...(systemVisibility ? names(PROCESS_FIELDS) : [])]);
}

function fieldsOf(options: ColumnOptions): Field[] {
  const { schema, fields } = options;
  if (fields === undefined) {
    return SCHEMAS[schema].map((name) => FIELDS.get(name) as Field).filter((field) => isOn(field, options));
  }
  const seen = new Set<string>();
  return fields.map((name) => {
    if (seen.has(name)) throw refused('each name once', name, 'twice');
    seen.add(name);
    return fieldNamed(name, options);
  });
}

function fieldNamed(name: string, options: ColumnOptions): Field {
  const field = FIELDS.get(name);
  if (field === undefined) {
    if (options.isMetric(name)) return metricField(name);
    throw refused('names of fields or metrics', name, `; did you mean "${nearest(name, [...FIELDS.keys()])}"?`);
  }
  if (isOn(field, options)) return field;
  throw refused('fields that are measured', name, `, which takes ${FEATURES[field.feature as Feature]}`);
}

function refused(expected: string, name: string, remark: string): NfstreamError {
  const gap = /^[,;]/.test(remark) ? '' : ' ';
  const message = `Expected ${expected} for fields but received ${JSON.stringify(name)}${gap}${remark}`;
  return new NfstreamError('INVALID_OPTION', message);
}

/** The features of a run with records of this shape. */
export function featuresOf(
  { layout }: RecordShape,
  options: Pick<ColumnOptions, 'enableNdpi' | 'systemVisibility'>,
): Feature[] {
  const features: Feature[] = MEASURED.filter((feature) => layout[feature] >= 0);
  if (options.enableNdpi) features.push('ndpi');
  if (options.systemVisibility) features.push('processes');
  return features;
}

/** Those that take memory in a record. */
const MEASURED = ['macs', 'directions', 'statistics', 'splt'] as const satisfies readonly Feature[];

function isOn({ feature }: Field, options: ColumnOptions): boolean {
  switch (feature) {
    case 'statistics':
      return options.statistics;
    case 'splt':
      return options.splt > 0;
    case 'ndpi':
      return options.enableNdpi;
    case 'processes':
      return options.systemVisibility;
    case 'tunnels':
      return options.decodeTunnels;
    case 'userCode':
      return options.hasUserCode;
    default:
      return true;
  }
}

function columnOf(field: Field, exactTimes: boolean): Column {
  return exactTimes && field.exactType !== undefined ? { ...field, type: field.exactType } : field;
}

/** A column of a user's metric, or of what a classifier writes under a name. */
function metricField(name: string): Field {
  return {
    name,
    type: 'any',
    nullable: true,
    meaning: 'what user code measured or found',
    read: name in NOTHING ? readOwn(name) : (_store, _row, metrics) => metrics[name] ?? null,
  };
}

/** What user code may write into `flow.metrics`. */
export interface MetricNames {
  /** In the order of their columns. */
  readonly names: readonly string[];
  /** Whether there may be values under other names. */
  readonly hasOthers: boolean;
}

/**
 * The columns of a table: those of the record, with a column for each metric instead of an object of them. Where there
 * may be others than `user` names, what is left stays in the object's column.
 */
export function tableColumns(
  columns: readonly Column[],
  { enableNdpi, systemVisibility }: Pick<ColumnOptions, 'enableNdpi' | 'systemVisibility'>,
  { names: metricNames, hasOthers }: MetricNames,
): Column[] {
  const plain = new Set(columns.map(({ name }) => name));
  return columns.flatMap((column): Column[] => {
    if (column.type !== 'object') return [column];
    const isAll = column.name === 'metrics';
    const known: Field[] = [];
    if (isAll && enableNdpi) known.push(...NDPI_FIELDS.map((entry) => finding(entry, 'ndpi')));
    if (isAll && systemVisibility) known.push(...PROCESS_FIELDS.map((entry) => finding(entry, 'processes')));
    const own = new Set(metricNames);
    const users = [...own].map((name) => {
      const field = metricField(name);
      return isAll ? field : { ...field, name: `${column.name}.${name}` };
    });
    const taken = new Set([...known.map(({ name }) => name), ...own]);
    const others: Column = {
      ...column,
      read: (store, row, metrics) => {
        const all = column.read(store, row, metrics) as FlowMetrics;
        return Object.fromEntries(Object.entries(all).filter(([name]) => !taken.has(name)));
      },
    };
    const spread = [...known, ...users].filter(({ name }) => !plain.has(name));
    return [...spread, ...(hasOthers ? [others] : [])];
  });
}

/** The record of `classic` without features: what a store has unless it is told. */
export const CLASSIC_SHAPE: RecordShape = {
  layout: new FeatureLayout(NO_FEATURES),
  columns: CLASSIC_FIELDS,
  findings: findingsOf({ enableNdpi: true, systemVisibility: true }),
};

/** What a metric can hold: plain data. A table's cell shows lists and objects as JSON. */
export type MetricValue = number | string | boolean | null | number[] | string[] | { [name: string]: MetricValue };
export type FlowMetrics = Record<string, MetricValue>;

/** [source to destination, destination to source] */
export type FlagCount = [number, number];

interface CellTypes<Metrics> {
  string: string;
  integer: number;
  number: number;
  timestamp: number;
  'flag-count': FlagCount;
  'integer-list': number[];
  'number-list': number[];
  'string-list': string[];
  object: Metrics;
}

type CellOf<F, Metrics> = F extends { type: infer T extends keyof CellTypes<unknown> }
  ? F extends { nullable: true }
    ? CellTypes<Metrics>[T] | null
    : CellTypes<Metrics>[T]
  : never;

type ValuesOf<Fields extends readonly { name: string }[], Metrics = FlowMetrics> = {
  [F in Fields[number] as F['name']]: CellOf<F, Metrics>;
};

/** The record of `classic` as plain data, its columns in their order: what `flow.toJSON()` gives. */
export type FlowRecord<Metrics extends object = FlowMetrics> = ValuesOf<typeof CLASSIC_FIELDS, Metrics>;

/** The columns that `statistics` adds. */
export type StatisticsValues = { [Name in StatisticsName]: number };

/** The columns that `splt` adds. */
export type SpltValues = ValuesOf<typeof SPLT_FIELDS>;

/** The record of `nfstream6` as plain data, without what options add. */
export type Nfstream6Record = ValuesOf<typeof NFSTREAM6_FIELDS>;

/** What nDPI adds to a record of `nfstream6`. */
export type Nfstream6NdpiValues = ValuesOf<typeof NFSTREAM6_NDPI_FIELDS>;

/** What `systemVisibility` adds to a record of `nfstream6`. */
export type Nfstream6ProcessValues = Omit<ValuesOf<typeof NFSTREAM6_LAST_FIELDS>, 'udps'>;

/** Findings that no schema has as columns of their own; null where their classifier is off. */
type Findings = {
  [Name in Exclude<keyof (NdpiMetrics & ProcessMetrics), keyof Nfstream6NdpiValues>]:
    | (NdpiMetrics & ProcessMetrics)[Name]
    | null;
};

/** Every field, as a flow has it; reading one that is not measured throws NOT_MEASURED. */
export type FieldValues = FlowRecord &
  ValuesOf<typeof IDENTITY_FIELDS> &
  Nfstream6Record &
  StatisticsValues &
  SpltValues &
  Nfstream6NdpiValues &
  ValuesOf<typeof NFSTREAM6_LAST_FIELDS> &
  Findings;

/** A record whose schema or columns are only known at run time. */
export type AnyRecord<Metrics extends object = FlowMetrics> = Partial<
  Omit<FieldValues, 'metrics'> & { metrics: Metrics }
> &
  Record<string, unknown>;

/** What every object has without being given it: a metric may have such a name. */
const NOTHING = {};

function readOwn(name: string): Column['read'] {
  return (_store, _row, metrics) => (Object.hasOwn(metrics, name) ? (metrics[name] ?? null) : null);
}
