// node bench/micro/decode.mjs [--rounds N] [--dist FOLDER]
//
// Parsing and decoding, ns a packet, for each kind of frame: 20,000 packets over 5,000 flows in memory, again and again, the
// quickest tenth of the rounds. The last row has all kinds in random order.
import { parseArgs } from 'node:util';
import { randomIntegers } from '../capture-writer.mjs';
import { cpuModel, print } from '../table.mjs';
import { args, load, markdown } from './dist.mjs';
import { FRAMES } from './frames.mjs';
import { quick } from './quick.mjs';

const PACKETS = 20_000;
const FLOWS = 5000;

const { recogniseCapture } = await load('source/recognise.js');
const { PacketBatch } = await load('source/source.js');
const { PacketDecoder } = await load('packet/packet-decoder.js');
const { FilterAndDecode } = await load('packet/packet-stage.js');
const { DEFAULTS } = await load('options.js');

const { values } = parseArgs({ args, options: { rounds: { type: 'string', default: '200' } } });
const random = randomIntegers(5);
const kinds = Object.keys(FRAMES);
const rows = [...kinds, 'all kinds in random order'].map((kind) => {
  const pick = () => FRAMES[kind] ?? FRAMES[kinds[random(kinds.length)]];
  return [kind, ...measureKind(Array.from({ length: PACKETS }, () => pick()(random(FLOWS)))), ''];
});
console.log(`${cpuModel()}, Node ${process.version}: ns a packet`);
print([['', 'parse', 'decode', 'frame bytes', ''], ...rows], { markdown });

/** @param {readonly Uint8Array[]} frames */
function measureKind(frames) {
  const bytes = captureOf(frames);
  const view = new DataView(bytes.buffer);
  const batch = new PacketBatch();
  batch.bytes = bytes;
  batch.view = view;
  // One for each kind: what it has learnt of another one's fragments must not count.
  const stage = new FilterAndDecode(null, new PacketDecoder({ ...DEFAULTS, fragments: 'assign', decodeTunnels: true }));
  const parsing = [];
  const decoding = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const parser = recogniseCapture(view, 0);
    let [parse, decode, at] = [0, 0, 0];
    for (;;) {
      const start = performance.now();
      const rows = parser.parse(batch, view, at, bytes.length);
      const parsed = performance.now();
      parse += parsed - start;
      if (rows === 0) break;
      at = parser.next;
      batch.count = rows;
      stage.apply(batch);
      decode += performance.now() - parsed;
    }
    parsing.push((parse * 1e6) / frames.length);
    decoding.push((decode * 1e6) / frames.length);
  }
  return [quick(parsing).toFixed(1), quick(decoding).toFixed(1), (bytes.length / frames.length - 16).toFixed(0)];
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
