// What the field table (../schema.ts) says of a field.
import type { Place } from '../places.ts';
import type { RecordStore } from '../record.ts';
import type { FlowMetrics } from '../schema.ts';

/**
 * What a cell holds. `timestamp` is ms since 1970-01-01 UTC with a fraction; `flag-count` is [integer, integer], source to
 * destination and destination to source; `object` holds values by name, of which a table makes a column each; `any` is
 * what user code returned: a number, text, boolean, or a list or object of them.
 */
export type ColumnType =
  | 'string'
  | 'integer'
  | 'number'
  | 'timestamp'
  | 'flag-count'
  | 'integer-list'
  | 'number-list'
  | 'string-list'
  | 'object'
  | 'any';

export type IntegerSize = 'uint8' | 'uint16' | 'int32' | 'int64';

/** What has to be on for a field to be measured; absent: it always is. */
export type Feature = keyof typeof FEATURES;

/** How each feature is turned on, for messages and the data dictionary. */
export const FEATURES = {
  directions: 'being a column of the run (schema: "nfstream6", or in fields)',
  macs: 'being a column of the run (schema: "nfstream6", or in fields)',
  statistics: 'statistics: true',
  splt: 'splt: n',
  ndpi: 'enableNdpi: true',
  processes: 'systemVisibility: true',
  tunnels: 'decodeTunnels: true',
  userCode: 'userMetrics, userClassifiers or plugins',
} as const;

/** One column of a record: what sinks, types and documents need to know of it. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** Of an integer (or of each in a list); `int64` where absent. */
  readonly size?: IntegerSize;
  /** Whether a cell may be null. */
  readonly nullable?: boolean;
  /** Whether texts are few, and repeated over flows: worth a dictionary. */
  readonly repeats?: boolean;
  /** Unit of the value, where it has one. */
  readonly unit?: string;
  /** One line for the data dictionary. */
  readonly meaning: string;
  /** IPFIX information element (RFC 7012, reverse direction by RFC 5103), where one means the same. */
  readonly ipfix?: string;
  /**
   * The cell of a flow, read straight from its record: plain data, which nobody changes. `metrics` are the flow's own.
   * Whether the column's feature is on was checked when columns were chosen.
   */
  readonly read: (store: RecordStore, row: number, metrics: FlowMetrics) => unknown;
  /** Where the same cells lie, for whoever reads those of many flows; absent where a cell depends on what `metrics` hold, and of lists. */
  readonly place?: Place;
}

/** An entry of the field table. */
export interface Field extends Column {
  /** The feature that measures it, where it is not always measured. */
  readonly feature?: Feature;
  /** Its type with `exactTimes`, where that changes it. */
  readonly exactType?: ColumnType;
}
