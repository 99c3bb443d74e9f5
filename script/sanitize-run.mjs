// What script/sanitize runs with the instrumented addons. Throws at the first thing that is not as it should be; the
// sanitizers end the process themselves.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { loadCapture } from '../dist/native/capture.js';
import { loadNdpi } from '../dist/native/ndpi.js';
import { Streamer } from '../dist/streamer.js';

const args = process.argv.slice(2);
const isShort = args.includes('--short');
const ROUNDS = isShort ? 1 : 4;

const loaded = { ndpi: loadNdpi(), capture: loadCapture() };
assert(loaded.ndpi.ok, loaded.ndpi.message);
assert(loaded.capture.ok, loaded.capture.message);
const ndpi = loaded.ndpi.addon;
const capture = loaded.capture.addon;

// A repeatable source of numbers: mulberry32.
function random(seed) {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}

// Minimal packets to start from: a DNS query, an HTTP request, a TLS record, an ICMP echo, IPv6 with a hop-by-hop header.
const SEEDS = [
  '4500003a0001000040110000c0a80001080808083039003500260000' +
    '1234010000010000000000000377777706676f6f676c6503636f6d0000010001',
  `450000480001000040060000c0a80001c0a80002303900500000000100000001501820000000000047455420${'2f'.repeat(4)}20485454502f312e310d0a486f73743a20610d0a0d0a`,
  `450000530001000040060000c0a80001c0a80002303901bb00000001000000015018200000000000${'160301002601000022030300'.padEnd(86, '0')}`,
  '4500001c0001000040010000c0a80001c0a800020800f7fd00020000',
  '60000000001000400000000000000000000000000000000100000000000000000000000000000002110000000000000030390035000800000000',
].map((hex) => Buffer.from(hex, 'hex'));

function throws(work, what) {
  assert.throws(work, (error) => error instanceof Error && error.message.length > 0, what);
}

async function meterCaptures(files) {
  for (const source of files) {
    const flows = { count: 0 };
    for (const dissections of [20, 0, 1]) {
      try {
        const streamer = new Streamer({ source, dissections, bpfFilter: 'ip or ip6 or vlan', handleSigint: false });
        for await (const flow of streamer) {
          assert.equal(typeof flow.metrics.application_name, 'string');
          flows.count++;
        }
      } catch (error) {
        // A damaged capture is the reader's business.
        assert.equal(error.name, 'NfstreamError', error.stack);
      }
    }
  }
  console.log(`captures: ${files.length}`);
}

/** Random bytes, and real packets with bytes changed, cut or lengthened; each in flows of a few packets. */
function feedGarbage(rounds) {
  const next = random(42);
  const detector = ndpi.createDetector();
  let packets = 0;
  for (let flow = 0; flow < rounds; flow++) {
    const handle = detector.open();
    for (let i = next(8); i >= 0; i--) {
      let bytes;
      if (next(4) === 0) {
        bytes = new Uint8Array(next(200)).map(() => next(256));
        if (bytes.length > 0 && next(2)) bytes[0] = next(2) ? 0x45 : 0x60;
      } else {
        bytes = new Uint8Array(SEEDS[next(SEEDS.length)]);
        for (let changes = next(6); changes > 0; changes--) bytes[next(bytes.length)] = next(256);
        if (next(3) === 0) bytes = bytes.slice(0, next(bytes.length + 1));
      }
      const state = detector.process(handle, bytes, 0, bytes.length, next(2 ** 31) * 1000);
      assert(state >= 0 && state <= 3);
      packets++;
    }
    if (next(2)) detector.giveUp(handle);
    if (next(8) === 0) detector.guess(handle, next(256), next(2 ** 32), next(65536), next(2 ** 32), next(65536));
    const result = detector.result(detector.resultOf(handle));
    if (next(64) === 0) detector.forgetResults();
    assert.equal(result.length, ndpi.resultFields.length);
    detector.protocolName(result[0], result[1]);
    detector.categoryName(result[2]);
    detector.free(handle);
  }
  assert.equal(detector.liveCount(), 0);
  detector.close();
  return packets;
}

function misuse() {
  const detector = ndpi.createDetector();
  const bytes = new Uint8Array(SEEDS[0]);
  const handle = detector.open();
  const { process: show, resultOf, result, free } = detector;
  assert.equal(show.call(null, handle, bytes, 0, bytes.length, 1) >= 0, true, 'functions need no this');
  assert.equal(result.call(capture, resultOf(handle)).length, ndpi.resultFields.length, 'nor mind a foreign one');
  const WRONG = [
    undefined,
    null,
    -1,
    -0.5,
    0.5,
    NaN,
    Infinity,
    2 ** 31,
    2 ** 53,
    1e300,
    '0',
    {},
    [],
    () => {},
    1n,
    Symbol(),
  ];
  for (const wrong of WRONG) {
    for (const method of ['process', 'giveUp', 'guess', 'resultOf', 'result', 'free']) {
      throws(() => detector[method](wrong, bytes, 0, bytes.length, 1, 1), `${method}(${String(wrong)})`);
    }
    throws(() => show(handle, wrong, 0, 1, 1), 'bytes');
    throws(() => show(handle, bytes, wrong, bytes.length, 1), 'at');
    throws(() => show(handle, bytes, 0, wrong, 1), 'end');
  }
  for (const wrong of [bytes.buffer, new Int8Array(8), new Uint16Array(8), new DataView(bytes.buffer)]) {
    throws(() => show(handle, wrong, 0, 1, 1), 'bytes');
  }
  throws(() => show(handle, bytes, 0, bytes.length + 1, 1), 'end outside');
  throws(() => show(handle, bytes, 5, 4, 1), 'end before at');
  throws(() => show(), 'no arguments');
  const detached = new Uint8Array(SEEDS[0]);
  structuredClone(detached.buffer, { transfer: [detached.buffer] });
  throws(() => show(handle, detached, 0, 28, 1), 'detached');
  for (const time of [NaN, -1, Infinity, 2 ** 60]) show(handle, bytes, 0, bytes.length, time);
  show(handle, bytes, 0, 0, 1);
  const jumbo = new Uint8Array(200_000).fill(0x45);
  show(handle, jumbo, 0, jumbo.length, 1);
  for (let i = 0; i < 100; i++) show(handle, bytes, 0, bytes.length, i);
  detector.giveUp(handle);
  detector.giveUp(handle);
  free(handle);
  throws(() => free(handle), 'double free');
  throws(() => resultOf(handle), 'use after free');
  detector.forgetResults();
  throws(() => result(0), 'forgotten');
  const again = detector.open();
  assert.notEqual(again, handle, 'a reused slot has another handle');
  throws(() => detector.protocolName(-1, 0));
  throws(() => detector.protocolName(0, 65536));
  throws(() => detector.categoryName(1e6));
  assert.equal(typeof detector.protocolName(65535, 65535), 'string');
  for (let i = -1; i < 70; i++) {
    if (i < 0 || i > 63) throws(() => ndpi.riskName(i));
    else assert.equal(typeof ndpi.riskName(i), 'string');
  }
  for (let i = 0; i < 65536; i += 97) assert.equal(typeof ndpi.cipherName(i), 'string');
  throws(() => ndpi.confidenceName(1000));
  detector.close(); // with a live flow
  detector.close();
  for (const method of Object.keys(detector)) if (method !== 'close') throws(() => detector[method](again), method);

  for (const wrong of [undefined, 7, 'x'.repeat(2 ** 21), 'ip\0', {}])
    throws(() => capture.compileFilter(wrong, 1, 65535, false, 64));
  for (const wrong of [undefined, -1, 70000, 0.5, '1'])
    throws(() => capture.compileFilter('ip', wrong, 65535, false, 64));
  for (const wrong of [undefined, 0, -1, 2 ** 31, 0.5]) throws(() => capture.compileFilter('ip', 1, wrong, false, 64));
  const next = random(7);
  const WORDS = [
    'ip',
    'tcp',
    'and',
    'or',
    'not',
    '(',
    ')',
    'port',
    '80',
    'host',
    '10.0.0.1',
    '[',
    ']',
    '=',
    'vlan',
    'net',
    '/8',
    '',
  ];
  for (let i = 0; i < 400 * ROUNDS; i++) {
    const expression = Array.from({ length: next(8) }, () => WORDS[next(WORDS.length)]).join(' ');
    const program = capture.compileFilter(
      expression,
      [0, 1, 101, 113, 276][next(5)],
      1 + next(65535),
      next(2) === 1,
      next(64),
    );
    assert(typeof program === 'string' || program instanceof Uint32Array);
  }
  assert.equal(typeof capture.probeCapture('no-such-device'), 'string');
  console.log('misuse: refused');
}

/** Detectors that are closed, and ones that are left to the collector. */
async function manyDetectors() {
  for (let i = 0; i < 4 * ROUNDS; i++) {
    const detector = ndpi.createDetector();
    for (let n = 0; n < 600; n++) detector.process(detector.open(), SEEDS[n % SEEDS.length], 0, 28, n);
    assert.equal(detector.liveCount(), 600);
    if (i % 2) detector.close();
    globalThis.gc();
    await new Promise(setImmediate);
  }
  console.log('detectors: made and dropped');
}

/** Memory of rounds that free what they open must not grow. */
function steadyMemory() {
  const detector = ndpi.createDetector();
  const round = () => {
    for (let i = 0; i < 20_000; i++) {
      const handle = detector.open();
      detector.process(handle, SEEDS[i % 3], 0, SEEDS[i % 3].length, i);
      detector.giveUp(handle);
      detector.free(handle);
    }
    globalThis.gc();
    return process.memoryUsage().rss;
  };
  // ASan keeps freed memory back for a while (quarantine, 16 MB): fill that first.
  let before = round();
  for (let i = 0; i < 2 + ROUNDS; i++) before = round();
  let after = before;
  for (let i = 0; i < 2 * ROUNDS; i++) after = round();
  console.log(`memory: ${((after - before) / 1e6).toFixed(1)} MB more after ${40_000 * ROUNDS} flows`);
  assert(after - before < 40e6, 'memory grows');
  detector.close();
}

async function inWorkers() {
  const run = (task) =>
    new Promise((resolve, reject) => {
      const worker = new Worker(new URL(import.meta.url), { workerData: task, argv: args });
      worker.once('error', reject);
      worker.once('exit', (code) => (code === 0 || task === 'abandon' ? resolve() : reject(new Error(`exit ${code}`))));
      if (task === 'abandon') worker.once('online', () => setTimeout(() => worker.terminate(), 300));
    });
  await Promise.all([run('garbage'), run('garbage'), run('abandon')]);
  console.log('workers: done');
}

if (isMainThread) {
  const listed = args.filter((argument) => argument !== '--short');
  const folders = ['fixtures', ...(isShort ? [] : ['../shared/captures/nfstream', '../shared/captures/ndpi'])];
  const found = folders
    .filter((folder) => existsSync(folder))
    .flatMap((folder) => readdirSync(folder).map((file) => join(folder, file)))
    .filter((file) => /\.pcap(ng)?$/.test(file));
  misuse();
  console.log(`garbage: ${feedGarbage(5000 * ROUNDS)} packets`);
  await manyDetectors();
  steadyMemory();
  await inWorkers();
  await meterCaptures(listed.length > 0 ? listed : found);
  console.log('sanitize: nothing found');
} else if (workerData === 'garbage') {
  feedGarbage(1000 * ROUNDS);
} else {
  // Left with live flows: the main thread terminates this one.
  const detector = ndpi.createDetector();
  for (;;) {
    detector.process(detector.open(), SEEDS[0], 0, SEEDS[0].length, 1);
    if (detector.liveCount() > 2000) await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
