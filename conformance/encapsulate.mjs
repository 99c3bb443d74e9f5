// Puts an IP packet into an Ethernet frame, or into a tunnel that our decoder takes for one.

/**
 * @typedef {import('./frames.mjs').Frame} Frame
 * @typedef {object} Link
 * @property {Uint8Array} macs 12 bytes: receiver, sender
 * @property {number} vlan 0 for none
 */

/** Numbers of tunnels, NFStream's and ours. */
export const GTP_U = 1;
export const CAPWAP = 2;
export const TZSP = 3;

const LINKTYPE_ETHERNET = 1;
const PROTOCOL_UDP = 17;
const IPV4_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
const PORTS = { [GTP_U]: 2152, [CAPWAP]: 5247, [TZSP]: 37008 };

/** @param {Uint8Array} packet IP @param {Link} link @returns {Uint8Array} */
export function inEthernet(packet, { macs, vlan }) {
  const tag = vlan === 0 ? [] : [0x81, 0x00, ...word(vlan)];
  const type = packet[0] >> 4 === 6 ? [0x86, 0xdd] : [0x08, 0x00];
  return Uint8Array.from([...macs, ...tag, ...type, ...packet]);
}

/**
 * @param {number} tunnel
 * @param {Frame} frame whose time and length on the wire are kept
 * @param {Uint8Array} packet IP
 * @param {Link} link of the packet inside
 * @returns {Frame}
 */
export function inTunnel(tunnel, frame, packet, link) {
  const header = HEADERS[tunnel];
  const payload = [...header, ...(tunnel === GTP_U ? packet : inEthernet(packet, link))];
  const whole = IPV4_HEADER_BYTES + UDP_HEADER_BYTES + payload.length + Math.max(0, statedSize(packet) - packet.length);
  const udp = [...word(9), ...word(PORTS[tunnel]), ...word(0), ...word(0), ...payload];
  const ip = [0x45, 0, ...word(Math.min(0xffff, whole)), 0, 0, 0, 0, 64, PROTOCOL_UDP, 0, 0, ...new Array(8).fill(1)];
  return { ...frame, bytes: inEthernet(Uint8Array.from([...ip, ...udp]), link), linkType: LINKTYPE_ETHERNET };
}

const HEADERS = {
  [GTP_U]: [0x30, 0xff, ...new Array(6).fill(0)],
  // Two words of header, an 802.3 frame.
  [CAPWAP]: [0x00, 0x10, ...new Array(6).fill(0)],
  // A received Ethernet frame, no tags.
  [TZSP]: [1, 0, 0, 1, 1],
};

function statedSize(packet) {
  return packet[0] >> 4 === 6 ? 40 + ((packet[4] << 8) | packet[5]) : (packet[2] << 8) | packet[3];
}

function word(value) {
  return [value >> 8, value & 0xff];
}
