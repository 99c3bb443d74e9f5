// The large captures of the benchmark, made on first use into bench/captures (git-ignored), the same every time:
//
//   mix      sessions of the demo capture replayed by thousands of clients at once, downloads made longer; 2.7 million
//            packets, about 1.1 GB; nDPI finds in it what it finds in the demo
//   small    64-byte frames over 100,000 flows in random order, 4 million packets
//   flows    a million flows of two packets
//
// IPv4 header checksums are mended, transport checksums are not: no contender looks at them.
import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CaptureWriter, randomIntegers } from './capture-writer.mjs';
import { readSessions } from './sessions.mjs';

const FOLDER = fileURLToPath(new URL('captures/', import.meta.url));
const DEMO = new URL('../fixtures/demo.pcapng', import.meta.url);
const START_US = 1_700_000_000_000_000;

export const CAPTURES = {
  mix: (path) => writeMix(path, 2_700_000),
  small: (path) => writeSmall(path, 4_000_000, 100_000),
  flows: (path) => writeFlows(path, 1_000_000),
};

/**
 * Path of a made capture; made now if it is not there.
 * @param {string} name
 * @param {(path: string) => number} [write] returns packets
 */
export function capture(name, write = CAPTURES[name]) {
  const path = join(FOLDER, `${name}.pcap`);
  if (existsSync(path)) return path;
  mkdirSync(FOLDER, { recursive: true });
  const started = performance.now();
  const packets = write(`${path}.part`);
  renameSync(`${path}.part`, path);
  console.error(`made ${name}.pcap: ${packets} packets in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return path;
}

/** @param {string} path @param {number} packets @param {number} [atOnce] sessions that run side by side */
export function writeMix(path, packets, atOnce = 2000) {
  const random = randomIntegers(1);
  const out = new CaptureWriter(path);
  const sessions = readSessions(DEMO).filter((session) => !session.isMulticast);
  const kinds = weighted(sessions);
  const running = Array.from({ length: atOnce }, () => begin(kinds, random));
  let timeUs = START_US;
  while (out.packets < packets) {
    const place = random(atOnce);
    const run = running[place];
    timeUs += random(130);
    writePacket(out, timeUs, run);
    if (run.next === run.session.packets.length) running[place] = begin(kinds, random);
  }
  out.close();
  return out.packets;
}

/** Sessions as often as they are to be chosen: mostly web, much DNS, some of everything else. */
function weighted(sessions) {
  const weight = ({ serverPort }) => (serverPort === 443 || serverPort === 80 ? 4 : serverPort === 53 ? 3 : 1);
  return sessions.flatMap((session) => Array.from({ length: weight(session) }, () => session));
}

function begin(kinds, random) {
  const session = kinds[random(kinds.length)];
  const { packets } = session;
  const data = packets.findIndex(({ frame }) => frame.length > 1400);
  const ack = packets.findIndex(
    ({ frame, clientAt }, i) => i > data && frame.length < 100 && clientAt === packets[0].clientAt,
  );
  // A download goes on: full segments and their acknowledgements again, mostly few, sometimes hundreds.
  const more = data < 0 || ack < 0 ? 0 : Math.floor(4 / (0.02 + random(1000) / 1000));
  return { session, next: 0, data, ack, more, client: random(1 << 24), port: 32768 + random(28000) };
}

function writePacket(out, timeUs, run) {
  const { version, packets } = run.session;
  const isMore = run.more > 0 && run.next > run.data;
  const { frame, clientAt, clientPortAt } = packets[isMore ? (run.more % 2 === 0 ? run.data : run.ack) : run.next];
  const at = out.add(timeUs, frame);
  const { block } = out;
  block.writeUInt32BE((0x0a000000 | run.client) >>> 0, at + (version === 4 ? clientAt : clientAt + 12));
  if (clientPortAt >= 0) block.writeUInt16BE(run.port, at + clientPortAt);
  if (version === 4) mendChecksum(block, at + 14);
  if (isMore) run.more--;
  else run.next++;
}

/** @param {Buffer} block @param {number} at of an IPv4 header */
function mendChecksum(block, at) {
  block.writeUInt16BE(0, at + 10);
  let sum = 0;
  for (let i = 0; i < (block[at] & 15) * 4; i += 2) sum += block.readUInt16BE(at + i);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  block.writeUInt16BE(~sum & 0xffff, at + 10);
}

/** A 64-byte frame with an IPv4 header; `protocol` is 6 or 17. */
function smallFrame(protocol) {
  const frame = Buffer.alloc(64);
  frame.writeUInt16BE(0x0800, 12);
  frame[14] = 0x45;
  frame.writeUInt16BE(50, 16);
  frame[22] = 64;
  frame[23] = protocol;
  if (protocol === 6) {
    frame[46] = 0x50;
    frame[47] = 0x10;
    frame.writeUInt16BE(1024, 48);
  } else {
    frame.writeUInt16BE(30, 38);
  }
  return frame;
}

const TCP = smallFrame(6);
const UDP = smallFrame(17);

/** One small packet of flow `id`, there (way 0) or back (way 1). */
function writeSmallPacket(out, timeUs, id, way) {
  const at = out.add(timeUs, id % 4 === 0 ? UDP : TCP);
  const { block } = out;
  // Spread over the address space, not in sequence; an odd factor keeps them distinct.
  const client = (0x0a000000 | (Math.imul(id, 2654435761) >>> 8)) >>> 0;
  const server = 0xc0000200 + (id % 200);
  block.writeUInt32BE(way === 0 ? client : server, at + 26);
  block.writeUInt32BE(way === 0 ? server : client, at + 30);
  block.writeUInt16BE(way === 0 ? 32768 + (id & 0x7fff) : 8443, at + 34);
  block.writeUInt16BE(way === 0 ? 8443 : 32768 + (id & 0x7fff), at + 36);
  mendChecksum(block, at + 14);
}

/** @param {string} path @param {number} packets @param {number} flows */
export function writeSmall(path, packets, flows) {
  const random = randomIntegers(2);
  const out = new CaptureWriter(path);
  for (let i = 0; i < packets; i++) writeSmallPacket(out, START_US + i * 10, random(flows), random(2));
  out.close();
  return out.packets;
}

/**
 * As many conversations go on at any time as at any other: where one ends another begins, after 1 to 39 packets.
 * @param {string} path @param {number} packets @param {number} [atOnce]
 */
export function writeSteady(path, packets, atOnce = 5000) {
  const random = randomIntegers(4);
  const out = new CaptureWriter(path);
  const ids = Int32Array.from({ length: atOnce }, (_, place) => place);
  const left = Int32Array.from({ length: atOnce }, () => 1 + random(39));
  let begun = atOnce;
  for (let i = 0; i < packets; i++) {
    const place = random(atOnce);
    if (left[place] === 0) {
      ids[place] = begun++;
      left[place] = 1 + random(39);
    }
    left[place]--;
    // 5,000 packets a second: a million packets is longer than any timeout.
    writeSmallPacket(out, START_US + i * 200, ids[place], random(2));
  }
  out.close();
  return out.packets;
}

/** The answer follows up to `spread` flows later. @param {string} path @param {number} flows @param {number} [spread] */
export function writeFlows(path, flows, spread = 20_000) {
  const random = randomIntegers(3);
  const out = new CaptureWriter(path);
  const waiting = new Int32Array(spread).fill(-1);
  for (let id = 0; id < flows; id++) {
    const timeUs = START_US + id * 100;
    writeSmallPacket(out, timeUs, id, 0);
    const place = random(spread);
    if (waiting[place] >= 0) writeSmallPacket(out, timeUs + 50, waiting[place], 1);
    waiting[place] = id;
  }
  for (const id of waiting) {
    if (id >= 0) writeSmallPacket(out, START_US + flows * 100, id, 1);
  }
  out.close();
  return out.packets;
}
