// A capture as a list of frames that can be changed, and such a list as a capture (pcapng, in memory) again.
//
// Whatever reads the frames is handed in (`Library`), so that the command line uses the built package and the tests
// use the sources.
import { readFileSync } from 'node:fs';

/**
 * @typedef {object} Library
 * @property {new (options: any) => AsyncIterable<any>} Streamer
 * @property {(source: any) => any} openSource
 * @property {new (capacity?: number) => any} PacketBatch
 * @property {new (options: any, capacity?: number) => any} PacketDecoder
 *
 * @typedef {object} Frame
 * @property {number} timeMs
 * @property {number} wire bytes on the wire
 * @property {Uint8Array} bytes those captured; never changed in place
 * @property {number} linkType
 * @property {number} [signedMs] the time with the record's microseconds taken as a signed number, where that differs
 *
 * @typedef {object} Capture
 * @property {Frame[]} frames those before any damage
 * @property {string | undefined} damage code of the error that ended the capture
 */

const SOURCE_WAIT = 0;
const SOURCE_END = -1;

/** @param {Library} library @param {string | Uint8Array} input path or bytes @returns {Promise<Capture>} */
export async function readFrames(library, input) {
  const file = typeof input === 'string' ? readFileSync(input) : Buffer.from(input);
  const stamps = new StampReader(file);
  const source = library.openSource(new Uint8Array(file));
  const batch = new library.PacketBatch();
  /** @type {Frame[]} */
  const frames = [];
  let damage;
  try {
    await source.open();
    for (let rows = source.read(batch); rows !== SOURCE_END; rows = source.read(batch)) {
      if (rows === SOURCE_WAIT) await source.fill();
      for (let row = 0; row < rows; row++) {
        const at = batch.frameAt[row];
        const bytes = batch.bytes.slice(at, at + batch.capturedLength[row]);
        const frame = { timeMs: batch.timeMs[row], wire: batch.wireLength[row], bytes, linkType: batch.linkType[row] };
        frames.push({ ...frame, ...stamps.next(bytes.length) });
      }
    }
  } catch (error) {
    if (!isDamage(error)) throw error;
    damage = error.code;
  } finally {
    await source.close();
  }
  return { frames, damage };
}

/** A damaged capture gives its packets up to the damage; any other error is no result. */
export function isDamage(error) {
  return /_CAPTURE$/.test(error?.code);
}

/** Reads the record headers of a pcap file in microseconds beside the source, which only tells the time they state. */
class StampReader {
  #file;
  #isLittleEndian;
  #at = 24;

  /** @param {Buffer} file */
  constructor(file) {
    const magic = file.length < 24 ? 0 : file.readUInt32BE(0);
    this.#isLittleEndian = magic === 0xd4c3b2a1;
    this.#file = this.#isLittleEndian || magic === 0xa1b2c3d4 ? new DataView(file.buffer, file.byteOffset) : undefined;
  }

  /** @param {number} captured @returns {{ signedMs?: number }} */
  next(captured) {
    if (this.#file === undefined) return {};
    const seconds = this.#file.getUint32(this.#at, this.#isLittleEndian);
    const micros = this.#file.getInt32(this.#at + 4, this.#isLittleEndian);
    this.#at += 16 + captured;
    // Division of integers in C: towards zero.
    return micros < 0 ? { signedMs: seconds * 1000 + Math.trunc(micros / 1000) } : {};
  }
}

/** A pcapng file with an interface for each link type. Times are kept to the microsecond. @param {readonly Frame[]} frames */
export function writeCapture(frames) {
  const linkTypes = [...new Set(frames.map(({ linkType }) => linkType))];
  const blocks = [block(0x0a0d0d0a, [0x1a2b3c4d, 1, 0xffffffff, 0xffffffff])];
  for (const linkType of linkTypes) blocks.push(block(1, [linkType, 0]));
  for (const { timeMs, wire, bytes, linkType } of frames) {
    const wholeMs = Math.floor(timeMs);
    // Never rounded up into the next millisecond.
    const micros = wholeMs * 1000 + Math.min(999, Math.round((timeMs - wholeMs) * 1000));
    const stamp = [Math.floor(micros / 2 ** 32), micros % 2 ** 32];
    blocks.push(block(6, [linkTypes.indexOf(linkType), ...stamp, bytes.length, wire], bytes));
  }
  return new Uint8Array(Buffer.concat(blocks));
}

/** @param {number} type @param {readonly number[]} words @param {Uint8Array} [data] */
function block(type, words, data = new Uint8Array(0)) {
  const length = 12 + words.length * 4 + Math.ceil(data.length / 4) * 4;
  const bytes = Buffer.alloc(length);
  [type, length, ...words].forEach((word, i) => {
    bytes.writeUInt32LE(word, i * 4);
  });
  bytes.set(data, 8 + words.length * 4);
  bytes.writeUInt32LE(length, length - 4);
  return bytes;
}

/**
 * @typedef {object} Headers where the headers of a frame's packet are, by the project's own decoder
 * @property {number} version of IP
 * @property {number} ipAt
 * @property {number} transportAt
 * @property {number} payloadAt
 * @property {number} protocol
 * @property {number} srcPort
 * @property {number} dstPort
 * @property {number} vlan
 * @property {number} tunnel number of the innermost, 0 for none
 * @property {Uint8Array} macs receiver's and sender's MAC address, as an Ethernet header has them; zeros for none
 */

const KEY_PORTS = 8;
const KEY_META = 9;
const KEY_TUNNEL = 10;

/**
 * @param {Library} library
 * @param {boolean} decodeTunnels
 * @returns {(frame: Frame) => Headers | undefined} undefined for frames that are not metered
 */
export function locator({ PacketBatch, PacketDecoder }, decodeTunnels) {
  const batch = new PacketBatch(1);
  const decoder = new PacketDecoder({ decodeTunnels, fragments: 'ignore', snaplen: 0x7fffffff }, 1);
  return ({ timeMs, wire, bytes, linkType }) => {
    batch.count = 1;
    batch.bytes = bytes;
    batch.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    batch.timeMs[0] = timeMs;
    batch.frameAt[0] = 0;
    batch.capturedLength[0] = bytes.length;
    batch.wireLength[0] = wire;
    batch.linkType[0] = linkType;
    const { columns } = decoder;
    columns.status[0] = 0;
    decoder.decode(batch);
    if (columns.status[0] !== 0) return undefined;
    const meta = columns.key[KEY_META];
    return {
      version: (meta >>> 8) & 0xff,
      ipAt: columns.ipAt[0],
      transportAt: columns.transportAt[0],
      payloadAt: columns.payloadAt[0],
      protocol: meta & 0xff,
      srcPort: columns.key[KEY_PORTS] >>> 16,
      dstPort: columns.key[KEY_PORTS] & 0xffff,
      vlan: meta >>> 16,
      tunnel: columns.key[KEY_TUNNEL] >>> 24,
      macs: Uint8Array.from([...macAt(bytes, columns.dstMacAt[0]), ...macAt(bytes, columns.srcMacAt[0])]),
    };
  };
}

function macAt(bytes, at) {
  return at < 0 ? new Uint8Array(6) : bytes.subarray(at, at + 6);
}
