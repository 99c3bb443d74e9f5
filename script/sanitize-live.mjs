// What script/sanitize runs in a network namespace with the instrumented capture addon: live capture of a flood on the
// loopback interface; handles that are closed, abandoned, left waiting, closed inside of `ready`; threads that end at any
// moment; memory that is taken away; misuse. The sanitizers end the process at what they find.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { loadCapture } from '../dist/native/capture.js';

const loaded = loadCapture();
assert(loaded.ok, loaded.message);
const { addon } = loaded;
const ROUNDS = process.argv.includes('--short') ? 1 : 4;

// A repeatable source of numbers: mulberry32.
function random(seed) {
  let state = seed;
  return (limit) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) % limit;
  };
}
const next = random(isMainThread ? 1 : workerData.seed);

const SETTINGS = { snaplen: 1514, promiscuous: true, bufferSize: 1 << 20, batchTimeoutMs: 5, immediate: false };

function open(changes = {}) {
  const handle = addon.openCapture('lo', { ...SETTINGS, filter: '', isHeld: false, ...changes });
  assert(!('kind' in handle), handle.message);
  return handle;
}

function makeTarget(rows, bytes) {
  return {
    bytes: new Uint8Array(bytes),
    timeMs: new Float64Array(rows),
    frameAt: new Int32Array(rows),
    capturedLength: new Int32Array(rows),
    wireLength: new Uint32Array(rows),
  };
}

/** Reads until nothing waits, into random places. Returns the packets. */
function drain(handle, target) {
  let packets = 0;
  let emptyReads = 0;
  while (emptyReads < 3) {
    const row = next(target.timeMs.length + 1);
    const at = next(target.bytes.length + 1);
    const rows = handle.read(row, at);
    packets += rows;
    emptyReads = rows === 0 ? emptyReads + 1 : 0;
    for (let i = row; i < row + rows; i++) {
      assert(target.frameAt[i] >= at && target.frameAt[i] + target.capturedLength[i] <= target.bytes.length);
      assert(target.capturedLength[i] <= target.wireLength[i] && target.timeMs[i] > 1e12);
    }
  }
  return packets;
}

/** Datagrams to this host itself, for as long as it lives. */
function flood() {
  const socket = createSocket('udp4');
  const timer = setInterval(() => {
    for (let i = 0; i < 20; i++) socket.send(Buffer.alloc(next(1400)), 9, '127.0.0.1', () => {});
  }, 1);
  return () => {
    clearInterval(timer);
    socket.close();
  };
}

async function readingAnywhere() {
  let packets = 0;
  for (let i = 0; i < 10 * ROUNDS; i++) {
    const snaplen = [1, 60, 1514, 65535, 262144][next(5)];
    const handle = open({ snaplen, immediate: next(3) === 0, isHeld: next(3) === 0, filter: ['', 'udp'][next(2)] });
    const target = makeTarget([1, 7, 256][next(3)], snaplen + [0, 1, 5000][next(3)]);
    handle.attach(target);
    handle.release();
    for (let n = 0; n < 3; n++) {
      await new Promise((resolve) => handle.wait(resolve));
      // Random places can all lack room.
      packets += handle.read(0, 0);
      packets += drain(handle, target);
      assert.equal(handle.isUp(), true);
      assert.equal(handle.stats(new Float64Array(3)), true);
    }
    if (next(2)) handle.finish();
    packets += drain(handle, target);
    handle.close();
  }
  assert(packets > 0);
  console.log(`live: ${packets} packets read`);
}

async function ends() {
  const target = makeTarget(64, 1 << 16);
  for (let i = 0; i < 15 * ROUNDS; i++) {
    const handle = open({ isHeld: next(4) === 0 });
    handle.attach(target);
    const close = () => {
      handle.close();
      if (next(2)) handle.close();
    };
    const onReady = [close, () => drain(handle, target), () => handle.wait(close), () => globalThis.gc()][next(4)];
    if (next(5) > 0) handle.wait(onReady);
    if (next(2)) handle.wait(onReady);
    const after = next(4);
    if (after === 0) close();
    else if (after === 1) setTimeout(close, next(15));
    else if (after === 2) await sleep(next(15));
    if (next(3) === 0) globalThis.gc();
  }
  await sleep(100);
  console.log('live: ended in every way');
}

function takenAway() {
  const handle = open();
  const target = makeTarget(16, 1 << 16);
  handle.attach(target);
  for (const name of Object.keys(target)) {
    structuredClone(0, { transfer: [target[name].buffer] });
    try {
      handle.read(0, 0);
    } catch (error) {
      assert.match(error.message, /^expected /);
    }
  }
  const resizable = new ArrayBuffer(1 << 16, { maxByteLength: 1 << 20 });
  handle.attach({ ...makeTarget(16, 0), bytes: new Uint8Array(resizable) });
  resizable.resize(10);
  assert.equal(handle.read(0, 0), 0);
  handle.close();
}

function misuse() {
  const handle = open();
  const values = [undefined, null, -1, 0.5, 2 ** 40, 'x', {}, [], () => {}, new Uint8Array(3), new Uint32Array(8), 1n];
  for (const name of ['attach', 'read', 'wait', 'stats', 'isUp', 'joinFanout', 'release', 'finish']) {
    for (const first of values) {
      for (const second of values) {
        try {
          handle[name].call(values[next(values.length)], first, second);
        } catch {
          // Refused.
        }
      }
    }
  }
  for (const device of values) {
    for (const settings of [...values, ...values.map((value) => ({ ...SETTINGS, filter: value, isHeld: value }))]) {
      try {
        addon.openCapture(device, settings)?.close?.();
      } catch {
        // Refused.
      }
    }
  }
  handle.close();
  assert(Array.isArray(addon.listInterfaces()));
  console.log('live: misuse refused');
}

async function downAndUp() {
  const handle = open();
  handle.attach(makeTarget(64, 1 << 16));
  let isOver = false;
  const go = () =>
    handle.wait(() => {
      while (handle.read(0, 0) > 0);
      handle.isUp();
      if (!isOver) go();
    });
  go();
  for (let i = 0; i < 2 * ROUNDS; i++) {
    for (const state of ['down', 'up']) {
      execFileSync('ip', ['link', 'set', 'lo', state]);
      await sleep(150);
    }
  }
  isOver = true;
  handle.close();
}

/** Threads that capture and wait, and end: by themselves, terminated, by process.exit, with a wait pending or not. */
async function inWorkers() {
  const tasks = [];
  for (let seed = 2; seed < 2 + 8 * ROUNDS; seed++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { seed }, argv: process.argv.slice(2) });
    const ended = new Promise((resolve, reject) => {
      worker.once('error', reject);
      worker.once('exit', resolve);
    });
    worker.once('message', () => seed % 2 && setTimeout(() => worker.terminate(), next(60)));
    tasks.push(ended);
    if (tasks.length % 4 === 0) await Promise.all(tasks);
  }
  await Promise.all(tasks);
  console.log(`live: ${tasks.length} threads ended`);
}

async function worker() {
  const handles = [];
  let isOver = false;
  for (let i = 0; i < 3; i++) {
    const handle = open({ isHeld: true, bufferSize: 1 << 18 });
    const target = makeTarget(32, 1 << 16);
    handle.attach(target);
    handle.joinFanout(100 + i, new Uint32Array([0x20, 0xfff0001c, 0x16, 0]));
    handle.release();
    const go = () =>
      handle.wait(() => {
        drain(handle, target);
        if (!isOver) go();
      });
    go();
    handles.push(handle);
  }
  parentPort.postMessage('open');
  // The main thread terminates every second one.
  if (workerData.seed % 2) return;
  await sleep(next(40));
  if (workerData.seed % 4) process.exit();
  isOver = true;
  for (const handle of handles) handle.close();
}

if (isMainThread) {
  const stop = flood();
  const files = readdirSync('/proc/self/fd').length;
  takenAway();
  misuse();
  await readingAnywhere();
  await ends();
  await downAndUp();
  await inWorkers();
  stop();
  for (let i = 0; i < 5; i++) {
    globalThis.gc();
    await sleep(50);
  }
  assert(readdirSync('/proc/self/fd').length <= files + 3, 'captures stay open');
  console.log('sanitize: nothing found in live capture');
  // Left waiting on purpose: the process ends all the same.
  open().wait(() => {});
  process.exit();
} else {
  await worker();
}
