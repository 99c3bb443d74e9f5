// Where cells lie in a record, for whoever reads those of many flows: sinks take the numbers of a column together (`gather`) and
// write addresses without a text in between. Compared with a column's `read`, which anybody can call, there is no call for each
// cell, no number on the heap and no list for a pair of counts.
import * as read from './read-record.ts';
import type { RecordStore } from './record.ts';

/** Where a column's cells lie. */
export type Place = NumberPlace | FlagsPlace | TextPlace;

type Whole =
  | 'src_port'
  | 'dst_port'
  | 'ip_protocol'
  | 'ip_version'
  | 'vlan_id'
  | 'tunnel_id'
  | 'export_reason'
  | 'computed';
type Directed = 'packets' | 'bytes' | 'flags' | 'first_seen' | 'last_seen' | 'duration';

/** A number, never null. */
export interface NumberPlace {
  readonly holds: 'number';
  readonly what: Whole | Directed;
  readonly way: read.Way;
  /** Of `flags`: an index into TCP_FLAGS. */
  readonly flag: number;
  /** Times cut to whole milliseconds, unless the run has exact ones. */
  readonly isCut: boolean;
  /** Of `computed`. */
  readonly read: (store: RecordStore, row: number) => number;
}

/** Two counts of packets: [src to dst, dst to src]. */
export interface FlagsPlace {
  readonly holds: 'flags';
  /** An index into TCP_FLAGS. */
  readonly flag: number;
}

/** A text of the characters that addresses have. */
export interface TextPlace {
  readonly holds: 'text';
  readonly what: 'address' | 'mac' | 'oui';
  readonly way: 0 | 1;
}

const none = () => 0;

function number(what: Whole | Directed, way: read.Way, parts: Partial<NumberPlace> = {}): NumberPlace {
  return { holds: 'number', what, way, flag: 0, isCut: false, read: none, ...parts };
}

export const whole = (what: Exclude<Whole, 'computed'>): NumberPlace => number(what, read.SRC_TO_DST);
export const counted = (what: 'packets' | 'bytes', way: read.Way): NumberPlace => number(what, way);
/** `way` 2: of the flow's earliest and latest packet. */
export const timed = (what: 'first_seen' | 'last_seen' | 'duration', way: read.Way, isCut: boolean): NumberPlace =>
  number(what, way, { isCut });
export const flagged = (flag: number, way: read.Way): NumberPlace => number('flags', way, { flag });
export const flagPair = (flag: number): FlagsPlace => ({ holds: 'flags', flag });
export const computed = (compute: NumberPlace['read']): NumberPlace =>
  number('computed', read.SRC_TO_DST, { read: compute });
export const text = (what: TextPlace['what'], way: 0 | 1): TextPlace => ({ holds: 'text', what, way });

/** What a duration ends before. */
let begins = new Float64Array(64);

/** HOT PATH. Writes the numbers of the first `count` rows to `to`, from `at` on. A loop for each place, so that none has a call in it. */
export function gather(place: NumberPlace, store: RecordStore, count: number, to: Float64Array, at: number): void {
  const { way } = place;
  switch (place.what) {
    case 'src_port':
      for (let row = 0; row < count; row++) to[at + row] = read.srcPort(store, row);
      return;
    case 'dst_port':
      for (let row = 0; row < count; row++) to[at + row] = read.dstPort(store, row);
      return;
    case 'ip_protocol':
      for (let row = 0; row < count; row++) to[at + row] = read.ipProtocol(store, row);
      return;
    case 'ip_version':
      for (let row = 0; row < count; row++) to[at + row] = read.ipVersion(store, row);
      return;
    case 'vlan_id':
      for (let row = 0; row < count; row++) to[at + row] = read.vlanId(store, row);
      return;
    case 'tunnel_id':
      for (let row = 0; row < count; row++) to[at + row] = read.tunnelId(store, row);
      return;
    case 'export_reason':
      for (let row = 0; row < count; row++) to[at + row] = read.exportReason(store, row);
      return;
    case 'packets':
      for (let row = 0; row < count; row++) to[at + row] = read.packets(store, row, way);
      return;
    case 'bytes':
      for (let row = 0; row < count; row++) to[at + row] = read.bytes(store, row, way);
      return;
    case 'flags':
      for (let row = 0; row < count; row++) to[at + row] = read.flags(store, row, place.flag, way);
      return;
    case 'first_seen':
      gatherFirstSeen(store, way, count, to, at);
      break;
    case 'last_seen':
      gatherLastSeen(store, way, count, to, at);
      break;
    case 'duration':
      gatherDurations(place, store, count, to, at);
      return;
    case 'computed':
      for (let row = 0; row < count; row++) to[at + row] = place.read(store, row);
      return;
  }
  if (place.isCut && !store.layout.options.exactTimes) cut(to, at, count);
}

function gatherFirstSeen(store: RecordStore, way: read.Way, count: number, to: Float64Array, at: number): void {
  if (way === read.BOTH_WAYS) for (let row = 0; row < count; row++) to[at + row] = read.startTime(store, row);
  else for (let row = 0; row < count; row++) to[at + row] = read.firstSeen(store, row, way);
}

function gatherLastSeen(store: RecordStore, way: read.Way, count: number, to: Float64Array, at: number): void {
  if (way === read.BOTH_WAYS) for (let row = 0; row < count; row++) to[at + row] = read.endTime(store, row);
  else for (let row = 0; row < count; row++) to[at + row] = read.lastSeen(store, row, way);
}

function gatherDurations(place: NumberPlace, store: RecordStore, count: number, to: Float64Array, at: number): void {
  if (begins.length < count) begins = new Float64Array(count);
  gatherFirstSeen(store, place.way, count, begins, 0);
  gatherLastSeen(store, place.way, count, to, at);
  if (place.isCut && !store.layout.options.exactTimes) {
    cut(begins, 0, count);
    cut(to, at, count);
  }
  for (let row = 0; row < count; row++) to[at + row] -= begins[row];
}

function cut(to: Float64Array, at: number, count: number): void {
  for (let i = at; i < at + count; i++) to[i] = Math.floor(to[i]);
}
