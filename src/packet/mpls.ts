// MPLS: a stack of labels, then what the last label's owner agreed on, which the packet doesn't say.
//
//    0                   1                   2                   3
//   |               label (20)              | TC  |S|      TTL      |
//   ... until S (bottom of stack) is set
//
// Specification: RFC 3032; RFC 4385 section 3 (the first four bits tell IP from a pseudowire). What is not an
// IP packet that fits is tried as an Ethernet pseudowire (RFC 4448), with and without control word, and taken if IP is
// inside.
import type { DecodeState } from './decode-state.ts';
import { isSettled } from './decode-state.ts';
import { decodeInnerEthernet, decodeIp } from './ether-type.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER } from './packet-columns.ts';

const LABEL_BYTES = 4;
const CONTROL_WORD_BYTES = 4;
/** Four zero bits and twelve reserved ones (RFC 4448 section 4.6), then a sequence number. */
const CONTROL_WORD_START = 0;
const BOTTOM_OF_STACK = 0x01;
/** Deeper stacks than any in use; bounds the work for a crafted frame. */
const MAX_LABELS = 32;

export function decodeMpls(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  let payloadAt = at;
  let isBottom = false;
  for (let label = 0; !isBottom; label++) {
    if (label === MAX_LABELS) return SKIP_NOT_IP;
    if (end - payloadAt < LABEL_BYTES) return SKIP_SHORT_HEADER;
    isBottom = (view.getUint8(payloadAt + 2) & BOTTOM_OF_STACK) !== 0;
    payloadAt += LABEL_BYTES;
  }
  if (end <= payloadAt) return SKIP_SHORT_HEADER;
  const vlan = state.vlan;
  const version = view.getUint8(payloadAt) >> 4;
  const isIp = version === 4 || version === 6;
  if (isIp) {
    // One level deeper means strict about lengths: a MAC address may begin with these bits as well.
    state.depth++;
    const status = decodeIp(state, payloadAt, end);
    state.depth--;
    if (isSettled(status)) return status;
  } else if (end - payloadAt >= CONTROL_WORD_BYTES && view.getUint16(payloadAt) === CONTROL_WORD_START) {
    const status = decodeInnerEthernet(state, payloadAt + CONTROL_WORD_BYTES, end);
    if (isSettled(status)) return status;
    state.vlan = vlan;
  }
  const status = decodeInnerEthernet(state, payloadAt, end);
  if (isSettled(status)) return status;
  state.vlan = vlan;
  return isIp ? decodeIp(state, payloadAt, end) : status;
}
