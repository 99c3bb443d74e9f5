// A flow as everybody outside the meter sees it: a light view on its record. While the flow is live its columns change
// with every packet; once exported they stay.
import { inspect } from 'node:util';
import { NfstreamError } from '../errors.ts';
import { FEATURES, type Feature } from './fields/field.ts';
import { copyOf, type Findings } from './fields/ndpi.ts';
import * as read from './read-record.ts';
import { RECORD_WORDS, type RecordStore, WORD_REASON } from './record.ts';
import {
  type AnyRecord,
  FIELDS,
  type FieldValues,
  type FlagCount,
  type FlowMetrics,
  type FlowRecord,
} from './schema.ts';

const SYN = 0;
const CWR = 1;
const ECE = 2;
const URG = 3;
const ACK = 4;
const PSH = 5;
const RST = 6;
const FIN = 7;

/** Every field of the table can be read from a flow, whatever its schema; those with features have to be measured. */
// biome-ignore lint/correctness/noUnusedVariables: it has to declare what the class declares
export interface Flow<Metrics extends object = FlowMetrics, Data extends object = AnyRecord<Metrics>>
  extends Readonly<Omit<FieldValues, keyof FlowRecord>> {}

/**
 * One bidirectional flow. Its columns are read-only, except `export_reason` (set it above 2 from a classifier or a
 * metric to export the flow at once) and what `metrics` and `classifiers` hold.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the getters are defined below, from the field table
export class Flow<Metrics extends object = FlowMetrics, Data extends object = AnyRecord<Metrics>> {
  #store: RecordStore;
  #row: number;
  #metrics: Metrics | undefined;
  readonly #findings: Findings | undefined;
  #classifiers: Record<string, Record<string, unknown>> | undefined;

  /** `metrics` become the flow's own; without them, and when they are asked for, it gets a copy of `findings`, if any. */
  constructor(store: RecordStore, row: number, metrics?: Metrics, findings?: Findings) {
    this.#metrics = metrics;
    this.#findings = findings;
    this.#store = store;
    this.#row = row;
  }

  /** Lets the view look at another record: when a live flow's record is copied out of the table. */
  static move(flow: Flow, store: RecordStore, row: number): void {
    flow.#store = store;
    flow.#row = row;
  }

  /** Loads the view, for the pipeline. */
  static touch(flow: Flow): number {
    return flow.#row;
  }

  /** Lets go of the scratch space of an ended flow. */
  static release(flow: Flow): void {
    flow.#classifiers = undefined;
  }

  /** What leaves with the record: user metrics and the findings of classifiers. */
  get metrics(): Metrics {
    this.#metrics ??= (this.#findings === undefined ? {} : copyOf(this.#findings)) as Metrics;
    return this.#metrics;
  }

  /** Its metrics for reading only: no copy of findings is made for that. */
  static metricsOf(flow: Flow): FlowMetrics {
    return flow.#metrics ?? flow.#findings ?? flow.metrics;
  }

  /** Scratch space of each classifier, by its name; gone from the record. */
  get classifiers(): Record<string, Record<string, unknown>> {
    this.#classifiers ??= {};
    return this.#classifiers;
  }

  /** Source address (RFC 5952 text): the sender of the flow's first packet. */
  get ip_src(): string {
    return read.srcAddress(this.#store, this.#row);
  }
  /** Destination address. */
  get ip_dst(): string {
    return read.dstAddress(this.#store, this.#row);
  }
  /** Transport port of the source, 0 where the protocol has none. */
  get src_port(): number {
    return read.srcPort(this.#store, this.#row);
  }
  /** Transport port of the destination, 0 where the protocol has none. */
  get dst_port(): number {
    return read.dstPort(this.#store, this.#row);
  }
  /** IANA protocol number. */
  get ip_protocol(): number {
    return read.ipProtocol(this.#store, this.#row);
  }
  /** Innermost VLAN id, 0 for none. */
  get vlan_id(): number {
    return read.vlanId(this.#store, this.#row);
  }
  /** Packets from source to destination. */
  get src_to_dst_pkts(): number {
    return read.packets(this.#store, this.#row, 0);
  }
  /** Packets from destination to source. */
  get dst_to_src_pkts(): number {
    return read.packets(this.#store, this.#row, 1);
  }
  /** Bytes from source to destination, as `accountingMode` counts: frames' lengths on the wire unless set. */
  get src_to_dst_bytes(): number {
    return read.bytes(this.#store, this.#row, 0);
  }
  /** Bytes from destination to source. */
  get dst_to_src_bytes(): number {
    return read.bytes(this.#store, this.#row, 1);
  }
  get syn_count(): FlagCount {
    return this.#flag(SYN);
  }
  get cwr_count(): FlagCount {
    return this.#flag(CWR);
  }
  get ece_count(): FlagCount {
    return this.#flag(ECE);
  }
  get urg_count(): FlagCount {
    return this.#flag(URG);
  }
  get ack_count(): FlagCount {
    return this.#flag(ACK);
  }
  get psh_count(): FlagCount {
    return this.#flag(PSH);
  }
  get rst_count(): FlagCount {
    return this.#flag(RST);
  }
  get fin_count(): FlagCount {
    return this.#flag(FIN);
  }
  /** Time of the earliest packet, ms since the epoch. */
  get start_time(): number {
    return read.startTime(this.#store, this.#row);
  }
  /** Time of the latest packet, ms since the epoch. */
  get end_time(): number {
    return read.endTime(this.#store, this.#row);
  }
  /** 0 inactive, 1 active, 2 termination, above 2 set by user code, -1 exported for lack of room (or still live), -2 end of TCP. */
  get export_reason(): number {
    return read.exportReason(this.#store, this.#row);
  }
  set export_reason(reason: number) {
    if (!Number.isInteger(reason) || reason <= 2 || reason > 0x7fff_ffff) {
      throw new RangeError(`export_reason takes an integer above 2, not ${String(reason)}`);
    }
    this.#store.words[this.#row * RECORD_WORDS + WORD_REASON] = reason;
  }

  #flag(index: number): FlagCount {
    return [read.flags(this.#store, this.#row, index, 0), read.flags(this.#store, this.#row, index, 1)];
  }

  /** The record as plain data: the columns of the run's schema, or those it was told. */
  toJSON(): Data {
    const record: Record<string, unknown> = {};
    for (const column of this.#store.shape.columns) {
      record[column.name] = column.read(this.#store, this.#row, this.metrics as FlowMetrics);
    }
    return record as Data;
  }

  [inspect.custom](): Data {
    return this.toJSON();
  }

  static {
    for (const { name, type, feature, read } of FIELDS.values()) {
      if (Object.hasOwn(Flow.prototype, name)) continue;
      const get = function (this: Flow) {
        if (feature !== undefined && !isMeasured(feature, this.#store)) throw notMeasured(name, feature);
        // A list may be changed by whoever gets it: it has to be the flow's own.
        return read(this.#store, this.#row, type === 'string-list' ? this.metrics : Flow.metricsOf(this));
      };
      Object.defineProperty(Flow.prototype, name, { get, enumerable: false, configurable: true });
    }
  }
}

/** Findings are there or null; the others lie in memory that a run may not have. */
function isMeasured(feature: Feature, { layout }: RecordStore): boolean {
  switch (feature) {
    case 'macs':
    case 'directions':
    case 'statistics':
    case 'splt':
      return layout[feature] >= 0;
    default:
      return true;
  }
}

function notMeasured(name: string, feature: Feature): NfstreamError {
  return new NfstreamError('NOT_MEASURED', `${name} was not measured in this run: it takes ${FEATURES[feature]}`);
}

// An assignment would fail in strict code with a message about getters, and pass unnoticed in sloppy code.
for (const name of [...FIELDS.keys(), 'classifiers']) {
  const property = Object.getOwnPropertyDescriptor(Flow.prototype, name) as PropertyDescriptor;
  if (property.set !== undefined) continue;
  const set = () => {
    throw new NfstreamError('READ_ONLY_COLUMN', `${name} is read-only; values of your own go into flow.metrics`);
  };
  Object.defineProperty(Flow.prototype, name, { ...property, set });
}
