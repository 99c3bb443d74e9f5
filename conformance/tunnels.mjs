// Tunnels as NFStream treats them: some not at all (kind `tunnel`), those over UDP by port, either way, with little
// asked of their headers (kind `tunnel_port`).

/**
 * @typedef {import('./frames.mjs').Frame} Frame
 * @typedef {import('./frames.mjs').Headers} Headers
 */

const PROTOCOL_UDP = 17;
const PROTOCOL_GRE = 47;
const PORTS_VXLAN = [4789, 8472];
const PORT_GENEVE = 6081;
const PORT_GTP_U = 2152;
const PORT_CAPWAP = 5247;
const PORT_TZSP = 37008;
const LINKTYPE_ETHERNET = 1;

/**
 * Spoils the header of a tunnel that NFStream doesn't know, so that the packet around it is metered.
 * @param {Frame} frame
 * @param {Headers | undefined} outer headers
 * @returns {Frame}
 */
export function hideTunnel(frame, outer) {
  if (outer === undefined) return frame;
  const { protocol, dstPort, transportAt, payloadAt } = outer;
  // GRE has versions 0 and 1, Geneve 0; VXLAN has a flag that is always set.
  if (protocol === PROTOCOL_GRE) return withByte(frame, transportAt + 1, 0x07);
  if (protocol !== PROTOCOL_UDP) return frame;
  if (PORTS_VXLAN.includes(dstPort)) return withByte(frame, payloadAt, 0);
  return dstPort === PORT_GENEVE ? withByte(frame, payloadAt, 0xc0) : frame;
}

/**
 * Packets that a header that fits shows to be of the tunnel are left alone: what becomes of them is for our decoder to
 * show.
 * @param {Frame} frame
 * @param {(frame: Frame) => Headers | undefined} locateOuter
 * @param {(frame: Frame) => Headers | undefined} locateInner follows tunnels
 * @returns {Frame}
 */
export function readByTunnelPort(frame, locateOuter, locateInner) {
  const outer = locateOuter(frame);
  if (outer?.protocol !== PROTOCOL_UDP) return frame;
  const { srcPort, dstPort, payloadAt, vlan } = outer;
  const reader = READERS.find(({ port }) => port === srcPort || port === dstPort);
  if (reader === undefined) return frame;
  const payload = frame.bytes.subarray(payloadAt);
  const { ipAt, frameAt, isLost = false } = reader.read(payload);
  if (isLost) return { ...frame, bytes: NOTHING, linkType: LINKTYPE_ETHERNET };
  if (ipAt === undefined && frameAt === undefined) {
    const isOurs = locateInner(frame)?.isTunnelled && reader.isOtherForm(payload);
    return isOurs ? withByte(frame, payloadAt, 0xff) : frame;
  }
  const bytes = ipAt === undefined ? payload.slice(frameAt) : inEthernet(payload.subarray(ipAt), vlan);
  const inside = { ...frame, bytes, linkType: LINKTYPE_ETHERNET };
  const isGenuine = reader.isPort(srcPort, dstPort) && (ipAt === undefined ? locateInner(inside) : fits(payload, ipAt));
  return isGenuine ? frame : inside;
}

const NOTHING = new Uint8Array(0);

/**
 * `read` says where the packet (`ipAt`) or the Ethernet frame (`frameAt`) inside is, that the packet is lost, or
 * nothing, and then the outer packet counts. `isOtherForm`: a header of the tunnel that NFStream does not follow.
 */
const READERS = [
  {
    port: PORT_GTP_U,
    read: readGtpU,
    isPort: (_, dstPort) => dstPort === PORT_GTP_U,
    isOtherForm: () => false,
  },
  {
    port: PORT_TZSP,
    read: readTzsp,
    isPort: (_, dstPort) => dstPort === PORT_TZSP,
    isOtherForm: ([version, type, high, low]) => version === 1 && type < 2 && high === 0 && (low === 1 || low === 18),
  },
  {
    port: PORT_CAPWAP,
    read: readCapwap,
    isPort: () => true,
    isOtherForm: ([preamble]) => preamble === 0,
  },
];

/** @param {Uint8Array} payload */
function readGtpU(payload) {
  const flags = payload[0];
  if (flags >> 5 !== 1 || payload[1] !== 0xff) return {};
  let at = 8;
  if ((flags & 0x07) !== 0) at += 4;
  if ((flags & 0x04) !== 0) {
    while (at < payload.length && payload[at - 1] !== 0 && payload[at] !== 0) at += payload[at] * 4;
  }
  return isIp(payload, at) ? { ipAt: at } : {};
}

/** @param {Uint8Array} payload */
function readTzsp(payload) {
  if (payload.length < 4) return { isLost: true };
  if (payload[0] !== 1 || payload[1] !== 0 || payload[2] !== 0 || payload[3] !== 1) return {};
  let at = 4;
  while (at < payload.length && payload[at] !== 1) at += payload[at] === 0 ? 1 : 2 + (payload[at + 1] ?? 0);
  return at + 1 < payload.length ? { frameAt: at + 1 } : { isLost: true };
}

/** An 802.11 header of 24 bytes and LLC with SNAP, whatever the header says. @param {Uint8Array} payload */
function readCapwap(payload) {
  if (payload.length < 2 || (payload[0] & 0x0f) !== 0) return {};
  const frameAt = (payload[1] & 0xf8) >> 1;
  return isIp(payload, frameAt + 32) ? { ipAt: frameAt + 32 } : {};
}

/** The length that the IP header states is there. */
function fits(payload, ipAt) {
  const size = payload[ipAt] >> 4 === 4 ? uint16(payload, ipAt + 2) : 40 + uint16(payload, ipAt + 4);
  return size >= 20 && size <= payload.length - ipAt;
}

function inEthernet(packet, vlan) {
  const tag = vlan === 0 ? [] : [0x81, 0x00, vlan >> 8, vlan & 0xff];
  const type = packet[0] >> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00];
  return Uint8Array.from([...new Uint8Array(12), ...tag, ...type, ...packet]);
}

function isIp(payload, at) {
  return payload[at] >> 4 === 4 || payload[at] >> 4 === 6;
}

/** @param {Frame} frame @param {number} at @param {number} value */
function withByte(frame, at, value) {
  if (at >= frame.bytes.length) return frame;
  const bytes = frame.bytes.slice();
  bytes[at] = value;
  return { ...frame, bytes };
}

function uint16(bytes, at) {
  return (bytes[at] << 8) | bytes[at + 1];
}
