// Frames that are not IP by their link layer, as NFStream reads them: IP all the same, by the first four bits of what
// follows. See the kind `not_ip`.

const LINKTYPE_NULL = 0;
const LINKTYPE_ETHERNET = 1;
const LINKTYPE_LINUX_SLL = 113;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const VLAN_TAGS = new Set([0x8100, 0x88a8, 0x9100, 0x9200, 0x9300]);
/** MPLS, PPPoE and PPP lead to an IP packet in their own way. */
const LEADING_TO_IP = new Set([0x8847, 0x8848, 0x8863, 0x8864, 0x880b]);
const MIN_ETHERTYPE = 0x600;
const IPV4_HEADER_BYTES = 20;
const FAMILIES = { 4: [2], 6: [10, 23, 24, 28, 30] };

/** @param {import('./frames.mjs').Frame} frame @returns {import('./frames.mjs').Frame} the same one if it needs no change */
export function readAsIp(frame) {
  const { linkType } = frame;
  if (linkType === LINKTYPE_NULL) return readLoopback(frame);
  if (linkType === LINKTYPE_ETHERNET) return readTyped(frame, 12);
  if (linkType === LINKTYPE_LINUX_SLL) return readTyped(frame, 14);
  return frame;
}

function readTyped(frame, firstTypeAt) {
  const { bytes } = frame;
  let typeAt = firstTypeAt;
  while (VLAN_TAGS.has(uint16(bytes, typeAt))) typeAt += 4;
  const ipAt = typeAt + 2;
  const type = uint16(bytes, typeAt);
  const version = bytes[ipAt] >> 4;
  if ((version !== 4 && version !== 6) || bytes.length < ipAt + IPV4_HEADER_BYTES) return frame;
  // What is neither is the length of an LLC frame.
  if (LEADING_TO_IP.has(type) || (type < MIN_ETHERTYPE && type !== 0)) return frame;
  const right = version === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  const changed = bytes.slice();
  if (type !== right) {
    changed[typeAt] = right >> 8;
    changed[typeAt + 1] = right & 0xff;
    if (version === 4) changed.fill(0, ipAt + 6, ipAt + 8);
  }
  const whole = version === 4 ? withWholeHeader(changed, ipAt) : changed;
  return type === right && whole === changed ? frame : { ...frame, bytes: whole };
}

function readLoopback(frame) {
  const { bytes } = frame;
  const version = bytes[4] >> 4;
  if (version !== 4 && version !== 6) return frame;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const families = FAMILIES[version];
  if (families.includes(view.getUint32(0)) || families.includes(view.getUint32(0, true))) return frame;
  const changed = bytes.slice();
  changed.set([families[0], 0, 0, 0]);
  return { ...frame, bytes: changed };
}

/** A header that states fewer than 20 bytes: the transport begins where it says, the fields are read all the same. */
function withWholeHeader(bytes, ipAt) {
  const stated = (bytes[ipAt] & 0x0f) * 4;
  if (stated >= IPV4_HEADER_BYTES) return bytes;
  const changed = new Uint8Array(bytes.length + IPV4_HEADER_BYTES - stated);
  changed.set(bytes.subarray(0, ipAt + IPV4_HEADER_BYTES));
  changed.set(bytes.subarray(ipAt + stated), ipAt + IPV4_HEADER_BYTES);
  changed[ipAt] = 0x45;
  const length = Math.min(0xffff, uint16(bytes, ipAt + 2) + IPV4_HEADER_BYTES - stated);
  changed[ipAt + 2] = length >> 8;
  changed[ipAt + 3] = length & 0xff;
  return changed;
}

function uint16(bytes, at) {
  return (bytes[at] << 8) | bytes[at + 1];
}
