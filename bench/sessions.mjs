// Turns the shipped demo capture into sessions that can be replayed under other addresses: the frames of one flow, with
// where its client's address and port lie in each. Plain and slow, it reads 600 frames once.
import { readFileSync } from 'node:fs';

const PORTLESS = new Set([1, 58]);

/**
 * @typedef {object} Session
 * @property {number} version 4 or 6
 * @property {number} protocol
 * @property {number} serverPort
 * @property {boolean} isMulticast
 * @property {{ frame: Uint8Array, clientAt: number, clientPortAt: number }[]} packets clientPortAt is -1 without ports
 */

/**
 * Every flow of a pcapng file with Ethernet frames.
 * @param {string | URL} path
 * @returns {Session[]}
 */
export function readSessions(path) {
  /** @type {Map<string, Session>} */
  const sessions = new Map();
  for (const frame of enhancedPackets(readFileSync(path))) {
    const etherType = frame.readUInt16BE(12);
    if (etherType !== 0x0800 && etherType !== 0x86dd) continue;
    const version = etherType === 0x0800 ? 4 : 6;
    const size = version === 4 ? 4 : 16;
    const srcAt = version === 4 ? 26 : 22;
    const protocol = version === 4 ? frame[23] : frame[20];
    const transportAt = version === 4 ? 14 + (frame[14] & 15) * 4 : 54;
    const hasPorts = !PORTLESS.has(protocol);
    const ends = [0, 1].map((side) => {
      const address = frame.subarray(srcAt + side * size, srcAt + (side + 1) * size).toString('hex');
      return { address, port: hasPorts ? frame.readUInt16BE(transportAt + side * 2) : 0 };
    });
    const key = `${protocol} ${ends
      .map((end) => `${end.address}:${end.port}`)
      .sort()
      .join(' ')}`;
    let session = sessions.get(key);
    if (session === undefined) {
      const isMulticast = ends.some(({ address }) => address.startsWith('ff'));
      session = { version, protocol, serverPort: ends[1].port, isMulticast, packets: [], client: ends[0].address };
      sessions.set(key, session);
    }
    const side = ends[0].address === session.client ? 0 : 1;
    const clientPortAt = hasPorts ? transportAt + side * 2 : -1;
    session.packets.push({ frame, clientAt: srcAt + side * size, clientPortAt });
  }
  return [...sessions.values()];
}

/** @param {Buffer} file little-endian pcapng */
function* enhancedPackets(file) {
  for (let at = 0; at < file.length; at += file.readUInt32LE(at + 4)) {
    if (file.readUInt32LE(at) !== 6) continue;
    const captured = file.readUInt32LE(at + 20);
    yield file.subarray(at + 28, at + 28 + captured);
  }
}
