// 802.11 data frames (link type 105, after radiotap, and inside CAPWAP and TZSP).
//
//    0         2          4       10      16      22         24          (+6)       (+2)      (+4)
//   | control | duration | addr1 | addr2 | addr3 | sequence | address 4 | QoS ctl | HT ctl | LLC ...
//
//   control: | subtype 4 | type 2 | version 2 | order P more pwr retry frag fromDS toDS |
//
// Specification: IEEE 802.11-2020 clause 9.3.2. Address 4 is there with toDS and fromDS, QoS control with subtype bit
// 3, HT control with the order bit of a QoS frame. Not IP for us: management and control frames, frames without data,
// encrypted ones, later fragments. Of an A-MSDU the first subframe speaks for the frame.
import type { DecodeState } from './decode-state.ts';
import { decodeLlc } from './llc.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';

const HEADER_BYTES = 24;
const ADDRESS_BYTES = 6;
const QOS_CONTROL_BYTES = 2;
const HT_CONTROL_BYTES = 4;
/** DA, SA, length. */
const AMSDU_SUBFRAME_BYTES = 14;
const AMSDU_SRC = 6;

const VERSION_AND_TYPE = 0x0f;
const TYPE_DATA_VERSION_0 = 0x08;
const SUBTYPE_QOS = 0x80;
const SUBTYPE_NO_DATA = 0x40;
const TO_DS = 0x01;
const FROM_DS = 0x02;
const TO_AND_FROM_DS = TO_DS | FROM_DS;
const ADDRESS_1 = 4;
const ADDRESS_2 = 10;
const ADDRESS_3 = 16;
const PROTECTED = 0x40;
const ORDER = 0x80;
const QOS_AMSDU_PRESENT = 0x80;
const FRAGMENT_NUMBER = 0x0f;

export function decodeIeee80211(state: DecodeState, at: number, end: number): number {
  return decodeDataFrame(state, at, end, 1, true);
}

/** The same for drivers that pad the header to a multiple of 4 bytes. */
export function decodePaddedIeee80211(state: DecodeState, at: number, end: number): number {
  return decodeDataFrame(state, at, end, 4, true);
}

/** The same for CAPWAP equipment that sends the fields of two bytes in network order. */
export function decodeSwappedIeee80211(state: DecodeState, at: number, end: number): number {
  return decodeDataFrame(state, at, end, 1, false);
}

/** True when the first byte of a frame control field is that of a data frame. */
export function isDataFrame(type: number): boolean {
  return (type & VERSION_AND_TYPE) === TYPE_DATA_VERSION_0;
}

function decodeDataFrame(state: DecodeState, at: number, end: number, alignment: number, isLittle: boolean): number {
  const view = state.view;
  if (end - at < 2) return SKIP_SHORT_HEADER;
  const control = view.getUint16(at, isLittle);
  const type = control & 0xff;
  const flags = control >> 8;
  if (!isDataFrame(type) || (type & SUBTYPE_NO_DATA) !== 0) return SKIP_NOT_IP;
  if ((flags & PROTECTED) !== 0) return SKIP_NOT_IP;
  const isQos = (type & SUBTYPE_QOS) !== 0;
  const qosOffset = HEADER_BYTES + ((flags & TO_AND_FROM_DS) === TO_AND_FROM_DS ? ADDRESS_BYTES : 0);
  let headerBytes = qosOffset;
  if (isQos) headerBytes += QOS_CONTROL_BYTES + ((flags & ORDER) !== 0 ? HT_CONTROL_BYTES : 0);
  headerBytes = Math.ceil(headerBytes / alignment) * alignment;
  if (end - at < headerBytes) return SKIP_SHORT_HEADER;
  if ((view.getUint16(at + 22, isLittle) & FRAGMENT_NUMBER) !== 0) return SKIP_NOT_IP;

  // Table 9-60 of the specification. DIFFERS: NFStream takes address 2 for the sender and address 3 for the receiver,
  // whichever way the frame goes (kind mac_80211).
  const isToDs = (flags & TO_DS) !== 0;
  const isFromDs = (flags & FROM_DS) !== 0;
  state.dstMacAt = at + (isToDs ? ADDRESS_3 : ADDRESS_1);
  state.srcMacAt = at + (isFromDs ? (isToDs ? HEADER_BYTES : ADDRESS_3) : ADDRESS_2);
  const payloadAt = at + headerBytes;
  if (!isQos || (view.getUint16(at + qosOffset, isLittle) & QOS_AMSDU_PRESENT) === 0) {
    return decodeLlc(state, end - payloadAt, payloadAt, end);
  }
  if (end - payloadAt < AMSDU_SUBFRAME_BYTES) return SKIP_SHORT_HEADER;
  // An A-MSDU says there who sent to whom; the addresses of its header are those of the stations on the way.
  state.dstMacAt = payloadAt;
  state.srcMacAt = payloadAt + AMSDU_SRC;
  const length = view.getUint16(payloadAt + 12);
  return decodeLlc(state, length, payloadAt + AMSDU_SUBFRAME_BYTES, end);
}
