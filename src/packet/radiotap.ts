// Radiotap: what the driver says of a captured 802.11 frame, before the frame (link type 127).
//
//   | version 0 | pad | length (2, little-endian) | present bits (4, LE; bit 31: another word follows) ... | fields ...
//
// Specification: https://www.radiotap.org. Only the flags field (bit 1, after the optional 8-byte aligned TSFT) is
// read: it says whether the frame check sequence is included and whether the 802.11 header is padded.
// A frame that the receiver marked as damaged (bad frame check sequence) is not decoded: its addresses may be wrong.
import type { DecodeState } from './decode-state.ts';
import { decodeIeee80211, decodePaddedIeee80211 } from './ieee80211.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';

const FIXED_BYTES = 8;
const PRESENT_TSFT = 0x01;
const PRESENT_FLAGS = 0x02;
const PRESENT_MORE = 0x80;
const FLAG_FCS_INCLUDED = 0x10;
const FLAG_DATA_PADDED = 0x20;
const FLAG_BAD_FCS = 0x40;
const FCS_BYTES = 4;

export function decodeRadiotap(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < FIXED_BYTES) return SKIP_SHORT_HEADER;
  if (view.getUint8(at) !== 0) return SKIP_NOT_IP;
  const length = view.getUint16(at + 2, true);
  if (length < FIXED_BYTES) return SKIP_NOT_IP;
  if (end - at < length) return SKIP_SHORT_HEADER;
  const frameAt = at + length;

  const present = view.getUint8(at + 4);
  if ((present & PRESENT_FLAGS) === 0) return decodeIeee80211(state, frameAt, end);
  let fieldAt = at + FIXED_BYTES;
  let lastPresentAt = at + 7;
  while ((view.getUint8(lastPresentAt) & PRESENT_MORE) !== 0) {
    lastPresentAt += 4;
    fieldAt += 4;
    if (fieldAt > frameAt) return SKIP_NOT_IP;
  }
  if ((present & PRESENT_TSFT) !== 0) fieldAt = at + ((fieldAt - at + 7) & ~7) + 8;
  if (fieldAt >= frameAt) return SKIP_NOT_IP;
  const flags = view.getUint8(fieldAt);
  if ((flags & FLAG_BAD_FCS) !== 0) return SKIP_NOT_IP;

  let frameEnd = end;
  if ((flags & FLAG_FCS_INCLUDED) !== 0) {
    // `lengthEnd` is the frame's end on the wire; the check sequence may lie in the part that was cut off.
    state.lengthEnd -= FCS_BYTES;
    if (state.lengthEnd < frameEnd) frameEnd = state.lengthEnd;
    if (frameEnd < frameAt) return SKIP_SHORT_HEADER;
  }
  if ((flags & FLAG_DATA_PADDED) !== 0) return decodePaddedIeee80211(state, frameAt, frameEnd);
  return decodeIeee80211(state, frameAt, frameEnd);
}
