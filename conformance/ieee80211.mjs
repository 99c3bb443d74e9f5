// MAC addresses of 802.11 frames as NFStream takes them: address 2 for the sender and 3 for the receiver, whichever way
// the frame goes. See the kind `mac_80211`.
import { CAPWAP } from './encapsulate.mjs';

const LINKTYPE_RADIOTAP = 127;
const TO_DS = 0x01;
const FROM_DS = 0x02;
const TO_AND_FROM_DS = TO_DS | FROM_DS;
const DATA = 0x08;

/**
 * Turns a frame that does not go to a distribution system into one that does: there, addresses 2 and 3 are the sender's
 * and the receiver's. The header's length stays the same.
 * @param {import('./frames.mjs').Frame} frame
 * @param {(frame: import('./frames.mjs').Frame) => import('./frames.mjs').Headers | undefined} locateOuter
 * @param {(frame: import('./frames.mjs').Frame) => import('./frames.mjs').Headers | undefined} locateInner
 * @returns {import('./frames.mjs').Frame}
 */
export function takeAddresses2And3(frame, locateOuter, locateInner) {
  const isRadiotap = frame.linkType === LINKTYPE_RADIOTAP;
  const inner = locateInner(frame);
  if (inner === undefined || (!isRadiotap && inner.tunnel !== CAPWAP)) return frame;
  const at = isRadiotap ? frame.bytes[2] | (frame.bytes[3] << 8) : capwapPayloadAt(frame, locateOuter(frame));
  if (at === undefined) return frame;
  // Some equipment sends the two bytes in the other order.
  const flagsAt = (frame.bytes[at] & 0x0f) === DATA ? at + 1 : at;
  const ways = frame.bytes[flagsAt] & TO_AND_FROM_DS;
  // NFStream reads frames that go neither way, or both, as something else than IP, but for those in CAPWAP.
  if (ways !== FROM_DS && (isRadiotap || ways !== 0)) return frame;
  const bytes = frame.bytes.slice();
  bytes[flagsAt] = (bytes[flagsAt] & ~TO_AND_FROM_DS) | TO_DS;
  return { ...frame, bytes };
}

/** Where an 802.11 frame begins. */
function capwapPayloadAt({ bytes }, { payloadAt }) {
  const isNative = (bytes[payloadAt + 2] & 0x01) !== 0;
  return isNative ? payloadAt + ((bytes[payloadAt + 1] & 0xf8) >> 1) : undefined;
}
