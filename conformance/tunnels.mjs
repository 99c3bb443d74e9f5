// Tunnels as NFStream treats them: some not at all (kind `tunnel`), IP in IP without a number for it (`ip_in_ip`), those
// over UDP by port, either way, with little asked of their headers (`tunnel_port`).
import { CAPWAP, GTP_U, inEthernet, inTunnel, TZSP } from './encapsulate.mjs';

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
const PROTOCOLS_IP_IN_IP = [4, 41];

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
 * Takes away IP headers around another, so that the packet inside counts as if nothing were around it.
 * @param {Frame} frame
 * @param {(frame: Frame) => Headers | undefined} locateOuter
 * @returns {Frame}
 */
export function takeOutOfIp(frame, locateOuter) {
  const outer = locateOuter(frame);
  if (outer === undefined || !PROTOCOLS_IP_IN_IP.includes(outer.protocol)) return frame;
  const bytes = inEthernet(frame.bytes.subarray(outer.transportAt), outer);
  return takeOutOfIp({ ...frame, bytes, linkType: LINKTYPE_ETHERNET }, locateOuter);
}

/**
 * Packets that a header that fits shows to be of the tunnel are left alone: what becomes of them is for our decoder to
 * show. What NFStream reads as a tunnel's packet is put into such a tunnel as we read it.
 * @param {Frame} frame
 * @param {(frame: Frame) => Headers | undefined} locateOuter
 * @param {(frame: Frame) => Headers | undefined} locateInner follows tunnels
 * @returns {Frame}
 */
export function readByTunnelPort(frame, locateOuter, locateInner) {
  const outer = locateOuter(frame);
  if (outer?.protocol !== PROTOCOL_UDP) return frame;
  const { srcPort, dstPort, payloadAt } = outer;
  const reader = READERS.find(({ port }) => port === srcPort || port === dstPort);
  if (reader === undefined) return frame;
  const payload = frame.bytes.subarray(payloadAt);
  const { ipAt, frameAt, macs = outer.macs, isLost = false } = reader.read(payload);
  if (isLost) return { ...frame, bytes: NOTHING, linkType: LINKTYPE_ETHERNET };
  if (ipAt === undefined && frameAt === undefined) {
    const isOurs = (locateInner(frame)?.tunnel ?? 0) !== 0 && reader.isOtherForm(payload);
    const outside = isOurs ? withByte(frame, payloadAt, 0xff) : frame;
    return reader.numbersOuter ? inTunnel(reader.tunnel, outside, outside.bytes.subarray(outer.ipAt), outer) : outside;
  }
  const inside =
    ipAt === undefined
      ? { ...frame, bytes: payload.slice(frameAt), linkType: LINKTYPE_ETHERNET }
      : inTunnel(reader.tunnel, frame, payload.subarray(ipAt), { ...outer, macs });
  const isGenuine = reader.isPort(srcPort, dstPort) && (ipAt === undefined ? locateInner(inside) : fits(payload, ipAt));
  if (isGenuine || ipAt !== undefined) return isGenuine ? frame : inside;
  const inner = locateInner(inside);
  return inner === undefined ? inside : inTunnel(reader.tunnel, frame, inside.bytes.subarray(inner.ipAt), inner);
}

const NOTHING = new Uint8Array(0);

/**
 * `read` says where the packet (`ipAt`) or the Ethernet frame (`frameAt`) inside is, that the packet is lost, or
 * nothing, and then the outer packet counts, with the tunnel's number all the same where `numbersOuter`. `isOtherForm`:
 * a header of the tunnel that NFStream does not follow.
 */
const READERS = [
  {
    port: PORT_GTP_U,
    tunnel: GTP_U,
    read: readGtpU,
    isPort: (_, dstPort) => dstPort === PORT_GTP_U,
    isOtherForm: () => false,
    numbersOuter: false,
  },
  {
    port: PORT_TZSP,
    tunnel: TZSP,
    read: readTzsp,
    isPort: (_, dstPort) => dstPort === PORT_TZSP,
    isOtherForm: ([version, type, high, low]) => version === 1 && type < 2 && high === 0 && (low === 1 || low === 18),
    numbersOuter: true,
  },
  {
    port: PORT_CAPWAP,
    tunnel: CAPWAP,
    read: readCapwap,
    isPort: () => true,
    isOtherForm: ([preamble]) => preamble === 0,
    numbersOuter: false,
  },
];

/** @param {Uint8Array} payload */
function readGtpU(payload) {
  const flags = payload[0];
  if (payload.length <= 8 || flags >> 5 !== 1 || payload[1] !== 0xff) return {};
  let at = 8;
  if ((flags & 0x07) !== 0) at += 4;
  if ((flags & 0x04) !== 0) {
    do {
      if (at >= payload.length || payload[at] === 0) return {};
      at += payload[at] * 4;
    } while (at < payload.length && payload[at - 1] !== 0);
  }
  if (at >= payload.length) return {};
  return isIp(payload, at) ? { ipAt: at } : { isLost: true };
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
  if (frameAt + 32 >= payload.length) return {};
  if (!isIp(payload, frameAt + 32)) return { isLost: true };
  const sender = payload.subarray(frameAt + 10, frameAt + 16);
  const receiver = payload.subarray(frameAt + 16, frameAt + 22);
  return { ipAt: frameAt + 32, macs: Uint8Array.from([...receiver, ...sender]) };
}

/** The length that the IP header states is there. */
function fits(payload, ipAt) {
  const size = payload[ipAt] >> 4 === 4 ? uint16(payload, ipAt + 2) : 40 + uint16(payload, ipAt + 4);
  return size >= 20 && size <= payload.length - ipAt;
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
