// node bench/micro/decode.mjs [--rounds N] [--dist FOLDER]
//
// Parsing and decoding, ns a packet, for each kind of frame: a file of 200,000 packets over 2,000 flows, metered again and again, the
// quickest tenth of the rounds. The last row has all kinds in random order.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { randomIntegers } from '../capture-writer.mjs';
import { cpuModel, print } from '../table.mjs';
import { args, markdown } from './dist.mjs';
import { FRAMES } from './frames.mjs';
import { quick } from './quick.mjs';
import { timeStages } from './stage-times.mjs';

const PACKETS = 200_000;
const FLOWS = 2000;

const { values } = parseArgs({ args, options: { rounds: { type: 'string', default: '20' } } });
const random = randomIntegers(5);
const kinds = Object.keys(FRAMES);
const folder = mkdtempSync(join(tmpdir(), 'bench-decode-'));
const rows = [];
try {
  for (const kind of [...kinds, 'all kinds in random order']) rows.push([kind, ...(await measureKind(kind)), '']);
} finally {
  rmSync(folder, { recursive: true });
}
console.log(`${cpuModel()}, Node ${process.version}: ns a packet`);
print([['', 'parse', 'decode', 'frame bytes', ''], ...rows], { markdown });

/** @param {string} kind of FRAMES, or another name for any of them */
async function measureKind(kind) {
  const ids = Array.from({ length: FLOWS }, (_, id) => id);
  const frames = (kind in FRAMES ? [kind] : kinds).flatMap((one) => ids.map(FRAMES[one]));
  const bytes = captureOf(Array.from({ length: PACKETS }, () => frames[random(frames.length)]));
  const source = join(folder, 'kind.pcap');
  writeFileSync(source, bytes);
  const parse = [];
  const decode = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const [{ ns }] = (await timeStages({ source, enableNdpi: false })).samples;
    parse.push(ns.parse);
    decode.push(ns.decode);
  }
  return [quick(parse).toFixed(1), quick(decode).toFixed(1), (bytes.length / PACKETS - 16).toFixed(0)];
}

/** A classic pcap file. @param {readonly Uint8Array[]} frames */
function captureOf(frames) {
  const size = frames.reduce((sum, frame) => sum + 16 + frame.length, 24);
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  for (const [at, value] of [
    [0, 0xa1b2c3d4],
    [4, 2 | (4 << 16)],
    [16, 65535],
    [20, 1],
  ])
    view.setUint32(at, value, true);
  let at = 24;
  for (const frame of frames) {
    view.setUint32(at, 1_700_000_000, true);
    view.setUint32(at + 8, frame.length, true);
    view.setUint32(at + 12, frame.length, true);
    bytes.set(frame, at + 16);
    at += 16 + frame.length;
  }
  return bytes;
}
