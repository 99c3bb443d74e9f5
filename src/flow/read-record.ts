// What a record says, read as numbers and texts. The field table (schema.ts) and the view on a flow (flow.ts) both read
// through these functions; nothing else knows where a value lies.
import { KEY_DST, KEY_META, KEY_PORTS, KEY_TUNNEL } from '../packet/packet-columns.ts';
import { putAddress, putMac, putOui } from './address-bytes.ts';
import { addressText, macText, ouiText } from './address-text.ts';
import { FIRST_SEEN, FLOW_ID, LAST_SEEN, RARE_FLAGS_WORD } from './feature-layout.ts';
import {
  DOUBLE_END,
  DOUBLE_ID,
  DOUBLE_START,
  EXPORT_ACTIVE,
  EXPORT_CAPACITY,
  EXPORT_TCP_END,
  EXPORT_TERMINATION,
  RECORD_DOUBLES,
  RECORD_WORDS,
  type RecordStore,
  WORD_ACK,
  WORD_BYTES,
  WORD_BYTES_HIGH,
  WORD_PACKETS,
  WORD_PSH,
  WORD_REASON,
  WORD_SEGMENT,
} from './record.ts';

/** Source to destination, destination to source, or both together. */
export type Way = typeof SRC_TO_DST | typeof DST_TO_SRC | typeof BOTH_WAYS;
export const SRC_TO_DST = 0;
export const DST_TO_SRC = 1;
export const BOTH_WAYS = 2;

export function srcAddress(store: RecordStore, row: number): string {
  return addressText(ipVersion(store, row), store.words, row * RECORD_WORDS);
}

export function dstAddress(store: RecordStore, row: number): string {
  return addressText(ipVersion(store, row), store.words, row * RECORD_WORDS + KEY_DST);
}

/** The same text into a buffer: see address-bytes.ts. */
export function putAddressOf(view: DataView, at: number, store: RecordStore, row: number, way: 0 | 1): number {
  const from = row * RECORD_WORDS + (way === SRC_TO_DST ? 0 : KEY_DST);
  return putAddress(view, at, ipVersion(store, row), store.words, from);
}

export function srcPort(store: RecordStore, row: number): number {
  return store.words[row * RECORD_WORDS + KEY_PORTS] >>> 16;
}

export function dstPort(store: RecordStore, row: number): number {
  return store.words[row * RECORD_WORDS + KEY_PORTS] & 0xffff;
}

export function ipProtocol(store: RecordStore, row: number): number {
  return store.words[row * RECORD_WORDS + KEY_META] & 0xff;
}

export function ipVersion(store: RecordStore, row: number): number {
  return (store.words[row * RECORD_WORDS + KEY_META] >>> 8) & 0xff;
}

export function vlanId(store: RecordStore, row: number): number {
  return store.words[row * RECORD_WORDS + KEY_META] >>> 16;
}

export function tunnelId(store: RecordStore, row: number): number {
  return store.words[row * RECORD_WORDS + KEY_TUNNEL] >>> 24;
}

export function packets({ words }: RecordStore, row: number, way: Way): number {
  return counted(words, row * RECORD_WORDS + WORD_PACKETS, way);
}

export function bytes({ words }: RecordStore, row: number, way: Way): number {
  const base = row * RECORD_WORDS;
  const high = words[base + WORD_BYTES_HIGH];
  const low = counted(words, base + WORD_BYTES, way);
  // Nearly always: less than 4 GB each way.
  if (high === 0) return low;
  const highSrc = way === DST_TO_SRC ? 0 : high & 0xffff;
  const highDst = way === SRC_TO_DST ? 0 : high >>> 16;
  return low + (highSrc + highDst) * 0x1_0000_0000;
}

function counted(words: Int32Array, at: number, way: Way): number {
  return way === BOTH_WAYS ? (words[at] >>> 0) + (words[at + 1] >>> 0) : words[at + way] >>> 0;
}

/** Of TCP_FLAGS: ACK and PSH have their places in the record, the others beside it. */
const ACK = 4;
const PSH = 5;

/** `flag` is an index into TCP_FLAGS. */
export function flags({ words, extraWords, layout }: RecordStore, row: number, flag: number, way: Way): number {
  if (flag === ACK) return counted(words, row * RECORD_WORDS + WORD_ACK, way);
  if (flag === PSH) return counted(words, row * RECORD_WORDS + WORD_PSH, way);
  const place = flag < ACK ? flag : flag - 2;
  return counted(extraWords, row * layout.doubles * 2 + RARE_FLAGS_WORD + place * 2, way);
}

/** Time of the earliest packet, ms since the epoch. */
export function startTime({ doubles }: RecordStore, row: number): number {
  return doubles[row * RECORD_DOUBLES + DOUBLE_START];
}

/** Time of the latest packet. */
export function endTime({ doubles }: RecordStore, row: number): number {
  return doubles[row * RECORD_DOUBLES + DOUBLE_END];
}

export function exportReason({ words }: RecordStore, row: number): number {
  return words[row * RECORD_WORDS + WORD_REASON];
}

/** NFStream's: 0 idle or the end of the source, 1 active, -1 user code; what it doesn't have: -2 end of TCP, -3 capacity. */
export function expirationId(store: RecordStore, row: number): number {
  const reason = exportReason(store, row);
  if (reason === EXPORT_ACTIVE) return 1;
  if (reason === EXPORT_TCP_END) return -2;
  if (reason === EXPORT_CAPACITY) return -3;
  return reason > EXPORT_TERMINATION ? -1 : 0;
}

/** How many flows were exported before this one; -1 while it is live. */
export function exportId({ doubles }: RecordStore, row: number): number {
  const id = doubles[row * RECORD_DOUBLES + DOUBLE_ID];
  // A live flow has its neighbours in the queue there: two words, which read as no whole number.
  return Number.isInteger(id) ? id : -1;
}

export function flowId({ extra, layout }: RecordStore, row: number): number {
  return extra[row * layout.doubles + FLOW_ID];
}

export function segment({ words }: RecordStore, row: number): number {
  return words[row * RECORD_WORDS + WORD_SEGMENT];
}

/** Zeros where the link layer has none. */
export function macAddress({ extraWords, layout }: RecordStore, row: number, way: 0 | 1): string {
  const at = (row * layout.doubles + layout.macs) * 2;
  return macText(macHigh(extraWords, at, way), macLow(extraWords, at, way));
}

/** The first three bytes of it. */
export function oui({ extraWords, layout }: RecordStore, row: number, way: 0 | 1): string {
  const at = (row * layout.doubles + layout.macs) * 2;
  return ouiText(macHigh(extraWords, at, way), macLow(extraWords, at, way));
}

/** The same texts into a buffer: see address-bytes.ts. */
export function putMacOf(view: DataView, at: number, store: RecordStore, row: number, way: 0 | 1): number {
  const { extraWords, layout } = store;
  const from = (row * layout.doubles + layout.macs) * 2;
  return putMac(view, at, macHigh(extraWords, from, way), macLow(extraWords, from, way));
}

export function putOuiOf(view: DataView, at: number, store: RecordStore, row: number, way: 0 | 1): number {
  const { extraWords, layout } = store;
  return putOui(view, at, macHigh(extraWords, (row * layout.doubles + layout.macs) * 2, way));
}

// src: word 0 and the upper half of 1; dst: the lower half of 1 and word 2.
function macHigh(words: Int32Array, at: number, way: 0 | 1): number {
  return way === SRC_TO_DST ? words[at] : (words[at + 1] << 16) | (words[at + 2] >>> 16);
}

function macLow(words: Int32Array, at: number, way: 0 | 1): number {
  return way === SRC_TO_DST ? words[at + 1] >>> 16 : words[at + 2] & 0xffff;
}

/** Time of the first packet of a direction; 0 where there is none. */
export function firstSeen({ extra, layout }: RecordStore, row: number, way: 0 | 1): number {
  return extra[row * layout.doubles + layout.directions + way * layout.wayDoubles + FIRST_SEEN];
}

/** Time of the last packet of a direction; 0 where there is none. */
export function lastSeen({ extra, layout }: RecordStore, row: number, way: 0 | 1): number {
  return extra[row * layout.doubles + layout.directions + way * layout.wayDoubles + LAST_SEEN];
}
