// node bench/micro/table.mjs [--rounds N] [--dist FOLDER]
//
// The table of live flows, ns an operation, for 1,000, 100,000 and 500,000 flows in random order; the quickest tenth of the rounds.
//
//   hash      a packet's key
//   find      a live flow, one at a time: each waits for memory
//   miss      a flow that is not live
//   by 256    live flows, hashed and found by the kernel, 256 at a time: they wait together
//   insert    a new flow, in slots that were used before
//   remove    a flow
//   batch     256 packets of live flows by the meter: all hashed and found, then updated (ns a packet)
//   expire    a flow whose inactive timeout has passed: found by the wheel, removed, copied to a batch of finished flows
import { parseArgs } from 'node:util';
import { randomIntegers } from '../capture-writer.mjs';
import { cpuModel, print } from '../table.mjs';
import { args, load, markdown } from './dist.mjs';
import { quick } from './quick.mjs';

const { FlowTable, kernelFor } = await load('flow/flow-table.js');
const { FlowMeter } = await load('flow/meter.js');
const { hashKey } = await load('flow/key.js');
const { DOUBLE_SEQUENCE, RECORD_DOUBLES } = await load('flow/record.js');
const { KEY_META, KEY_DST, KEY_PORTS, KEY_WORDS, PacketColumns } = await load('packet/packet-columns.js');
const { BATCH_CAPACITY, PacketBatch } = await load('source/source.js');
const { resolveOptions } = await load('options.js');
const { recordShapeOf } = await load('record-shape.js');

const FLOWS = [1000, 100_000, 500_000];
const OPERATIONS = ['hash', 'find', 'miss', 'by 256', 'insert', 'remove', 'batch', 'expire'];
const CAPACITY = 1 << 20;
const OPS_A_ROUND = 100_000;
const TIMEOUT_MS = 30_000;
/** What the kernel takes for `owner` where there is only one meter. */
const ALL_ROWS = -1;

const { values } = parseArgs({ args, options: { rounds: { type: 'string', default: '20' } } });
const shape = recordShapeOf(resolveOptions({ source: '-', enableNdpi: false }));
const random = randomIntegers(6);

console.log(`${cpuModel()}, Node ${process.version}: ns an operation`);
print(
  [
    ['', ...OPERATIONS, ''],
    ...FLOWS.map((flows) => {
      const times = { ...measureTable(flows), ...measureMeter(flows) };
      const cells = OPERATIONS.map((operation) => quick(times[operation]).toFixed(1));
      return [`${flows.toLocaleString('en')} flows`, ...cells, ''];
    }),
  ],
  { markdown },
);

/** TCP over IPv4, one key after the other. */
function keysOf(flows) {
  const keys = new Int32Array(flows * KEY_WORDS);
  for (let id = 0; id < flows; id++) writeKey(keys, id * KEY_WORDS, id);
  return keys;
}

function writeKey(key, at, id) {
  key[at] = 0x0a000000 | (Math.imul(id, 2654435761) >>> 8);
  key[at + KEY_DST] = 0xc0000200 + (id % 200);
  key[at + KEY_PORTS] = ((32768 + (id & 0x3fff)) << 16) | 443;
  key[at + KEY_META] = 6 | (4 << 8);
}

function measureTable(flows) {
  const table = new FlowTable(CAPACITY, shape, kernelFor(CAPACITY, shape));
  const keys = keysOf(flows * 2);
  const hashes = new Int32Array(flows * 2);
  const operations = Math.min(OPS_A_ROUND, flows);
  const chosen = new Int32Array(operations);
  const slots = new Int32Array(flows * 2);
  const times = { hash: [], find: [], miss: [], 'by 256': [], insert: [], remove: [] };
  let sum = 0;
  const clock = (name, work) => {
    const since = performance.now();
    work();
    times[name]?.push(((performance.now() - since) * 1e6) / operations);
  };
  const hash = (from, count) => {
    for (let id = from; id < from + count; id++) hashes[id] = hashKey(keys, id * KEY_WORDS, table.kernel.seed);
  };
  const find = (offset) => {
    const { key, rows, hashes: kernelHashes, passes } = table.kernel;
    rows[0] = 0;
    for (let i = 0; i < operations; i++) {
      const id = chosen[i] + offset;
      for (let word = 0; word < KEY_WORDS; word++) key[word] = keys[id * KEY_WORDS + word];
      kernelHashes[0] = hashes[id];
      sum ^= passes.findOne(0);
    }
  };
  const insert = (from, count) => {
    for (let id = from; id < from + count; id++) {
      const slot = table.insert(keys, id * KEY_WORDS, hashes[id]);
      // What tells the table that the slot has a flow.
      table.store.doubles[slot * RECORD_DOUBLES + DOUBLE_SEQUENCE] = 1;
      slots[id] = slot;
    }
  };
  const { kernel } = table;
  const findByKernel = () => {
    let spent = 0;
    for (let from = 0; from < operations; from += BATCH_CAPACITY) {
      const count = Math.min(BATCH_CAPACITY, operations - from);
      for (let row = 0; row < count; row++) {
        const at = chosen[from + row] * KEY_WORDS;
        for (let word = 0; word < KEY_WORDS; word++) kernel.key[row * KEY_WORDS + word] = keys[at + word];
      }
      const since = performance.now();
      const own = kernel.passes.take(count, ALL_ROWS, 0, 0);
      kernel.passes.hash(own, 0);
      sum ^= kernel.passes.find(own);
      spent += performance.now() - since;
    }
    times['by 256'].push((spent * 1e6) / operations);
  };
  hash(0, flows * 2);
  insert(0, flows);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (let i = 0; i < operations; i++) chosen[i] = random(flows);
    clock('hash', () => hash(0, operations));
    clock('find', () => find(0));
    clock('miss', () => find(flows));
    findByKernel();
    clock('insert', () => insert(flows, operations));
    clock('remove', () => {
      for (let id = flows; id < flows + operations; id++) table.remove(slots[id]);
    });
    table.recycle();
  }
  if (sum === 1 && table.live !== flows) throw new Error('Expected as many flows as before');
  return times;
}

function measureMeter(flows) {
  const batch = new PacketBatch();
  const columns = new PacketColumns();
  const times = { batch: [], expire: [] };
  const meter = new FlowMeter(
    {
      capacity: CAPACITY,
      activeTimeoutMs: 1e12,
      inactiveTimeoutMs: TIMEOUT_MS,
      expiresActive: false,
      onCapacity: 'drop',
      tcpEnd: false,
      accountingMode: 'frame',
      shape,
    },
    columns,
    null,
  );
  let number = 1;
  let now = 1e12;
  const meterBatch = (idOf) => {
    for (let row = 0; row < BATCH_CAPACITY; row++) {
      writeKey(columns.key, row * KEY_WORDS, idOf(row));
      batch.timeMs[row] = now;
      batch.wireLength[row] = 64;
    }
    batch.count = BATCH_CAPACITY;
    batch.first = number;
    number += BATCH_CAPACITY;
    const since = performance.now();
    meter.meter(batch);
    return performance.now() - since;
  };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (let id = 0; id < flows; id += BATCH_CAPACITY) meterBatch((row) => (id + row) % flows);
    const batches = Math.ceil(OPS_A_ROUND / BATCH_CAPACITY);
    let known = 0;
    for (let i = 0; i < batches; i++) known += meterBatch(() => random(flows));
    times.batch.push((known * 1e6) / (batches * BATCH_CAPACITY));
    const live = meter.flowsLive;
    now += 2 * TIMEOUT_MS;
    const since = performance.now();
    meter.advance(now);
    const expired = performance.now() - since;
    if (live !== flows || meter.flowsLive !== 0) throw new Error('Expected all flows to end by their timeout');
    times.expire.push((expired * 1e6) / live);
    meter.takeFinished();
  }
  return times;
}
