// A flow as everybody outside the meter sees it: a light view on its record. While the flow is live its columns change
// with every packet; once exported they stay.
import { inspect } from 'node:util';
import { NfstreamError } from '../errors.ts';
import { KEY_DST, KEY_META, KEY_PORTS, KEY_TUNNEL } from '../packet/packet-columns.ts';
import { addressText } from './address-text.ts';
import {
  DOUBLE_BYTES,
  DOUBLE_END,
  DOUBLE_PACKETS,
  DOUBLE_START,
  RECORD_WORDS,
  type RecordStore,
  WORD_FLAGS,
  WORD_REASON,
} from './record.ts';
import { CLASSIC, type FlagCount, type FlowMetrics, type FlowRecord } from './schema.ts';

const SYN = 0;
const CWR = 1;
const ECE = 2;
const URG = 3;
const ACK = 4;
const PSH = 5;
const RST = 6;
const FIN = 7;

/**
 * One bidirectional flow. Its columns are read-only, except `export_reason` (set it above 2 from a classifier or a
 * metric to export the flow at once) and what `metrics` and `classifiers` hold.
 */
export class Flow<Metrics extends object = FlowMetrics> implements FlowRecord<Metrics> {
  #store: RecordStore;
  #word: number;
  readonly #metrics: Metrics;
  #classifiers: Record<string, Record<string, unknown>> | undefined;

  /** `metrics` becomes the flow's own. */
  constructor(store: RecordStore, row: number, metrics: Metrics = {} as Metrics) {
    this.#metrics = metrics;
    this.#store = store;
    this.#word = row * RECORD_WORDS;
  }

  /** Lets the view look at another record: when a live flow's record is copied out of the table. */
  static move(flow: Flow, store: RecordStore, row: number): void {
    flow.#store = store;
    flow.#word = row * RECORD_WORDS;
  }

  /** Loads the view, for the pipeline. */
  static touch(flow: Flow): number {
    return flow.#word;
  }

  /** Lets go of the scratch space of an ended flow. */
  static release(flow: Flow): void {
    flow.#classifiers = undefined;
  }

  /** What leaves with the record: user metrics and the findings of classifiers. */
  get metrics(): Metrics {
    return this.#metrics;
  }

  /** Scratch space of each classifier, by its name; gone from the record. */
  get classifiers(): Record<string, Record<string, unknown>> {
    this.#classifiers ??= {};
    return this.#classifiers;
  }

  /** Source address (RFC 5952 text): the sender of the flow's first packet. */
  get ip_src(): string {
    return addressText(this.ip_version, this.#store.words, this.#word);
  }
  /** Destination address. */
  get ip_dst(): string {
    return addressText(this.ip_version, this.#store.words, this.#word + KEY_DST);
  }
  /** Transport port of the source, 0 where the protocol has none. */
  get src_port(): number {
    return this.#store.words[this.#word + KEY_PORTS] >>> 16;
  }
  /** Transport port of the destination, 0 where the protocol has none. */
  get dst_port(): number {
    return this.#store.words[this.#word + KEY_PORTS] & 0xffff;
  }
  /** IANA protocol number. */
  get ip_protocol(): number {
    return this.#store.words[this.#word + KEY_META] & 0xff;
  }
  /** 4 or 6. Not part of the classic record. */
  get ip_version(): number {
    return (this.#store.words[this.#word + KEY_META] >>> 8) & 0xff;
  }
  /** Innermost VLAN id, 0 for none. */
  get vlan_id(): number {
    return this.#store.words[this.#word + KEY_META] >>> 16;
  }
  /** Tunnel type (0 none, 1 GTP-U, 2 CAPWAP, 3 TZSP, 4 VXLAN, 5 Geneve, 6 GRE, 7 IP in IP). Not part of the classic record. */
  get tunnel_id(): number {
    return this.#store.words[this.#word + KEY_TUNNEL] >>> 24;
  }
  /** Packets from source to destination. */
  get src_to_dst_pkts(): number {
    return this.#store.doubles[this.#word / 2 + DOUBLE_PACKETS];
  }
  /** Packets from destination to source. */
  get dst_to_src_pkts(): number {
    return this.#store.doubles[this.#word / 2 + DOUBLE_PACKETS + 1];
  }
  /** Bytes from source to destination: frames' lengths on the wire. */
  get src_to_dst_bytes(): number {
    return this.#store.doubles[this.#word / 2 + DOUBLE_BYTES];
  }
  /** Bytes from destination to source: frames' lengths on the wire. */
  get dst_to_src_bytes(): number {
    return this.#store.doubles[this.#word / 2 + DOUBLE_BYTES + 1];
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
    return this.#store.doubles[this.#word / 2 + DOUBLE_START];
  }
  /** Time of the latest packet, ms since the epoch. */
  get end_time(): number {
    return this.#store.doubles[this.#word / 2 + DOUBLE_END];
  }
  /** 0 inactive, 1 active, 2 termination, above 2 set by user code, -1 exported for lack of room (or still live). */
  get export_reason(): number {
    return this.#store.words[this.#word + WORD_REASON];
  }
  set export_reason(reason: number) {
    if (!Number.isInteger(reason) || reason <= 2 || reason > 0x7fff_ffff) {
      throw new RangeError(`export_reason takes an integer above 2, not ${String(reason)}`);
    }
    this.#store.words[this.#word + WORD_REASON] = reason;
  }

  #flag(index: number): FlagCount {
    const at = this.#word + WORD_FLAGS + index * 2;
    return [this.#store.words[at] >>> 0, this.#store.words[at + 1] >>> 0];
  }

  /** The record as plain data. */
  toJSON(): FlowRecord<Metrics> {
    const record: Partial<Record<keyof FlowRecord, unknown>> = {};
    for (const { name } of CLASSIC) record[name] = this[name];
    return record as FlowRecord<Metrics>;
  }

  [inspect.custom](): FlowRecord<Metrics> {
    return this.toJSON();
  }
}

// An assignment would fail in strict code with a message about getters, and pass unnoticed in sloppy code.
for (const name of [...CLASSIC.map((column) => column.name), 'ip_version', 'tunnel_id', 'classifiers'] as const) {
  const property = Object.getOwnPropertyDescriptor(Flow.prototype, name) as PropertyDescriptor;
  if (property.set !== undefined) continue;
  const set = () => {
    throw new NfstreamError('READ_ONLY_COLUMN', `${name} is read-only; values of your own go into flow.metrics`);
  };
  Object.defineProperty(Flow.prototype, name, { ...property, set });
}
