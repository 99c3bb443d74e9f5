// node bench/micro/export.mjs [--rounds N] [--dist FOLDER]
//
// Writing flows, by itself: ns a flow and ns a cell of CSV, JSON Lines, Arrow and Parquet, where bytes go nowhere; the quickest
// tenth of the rounds. Flows are made by hand, 20,000 of them: nine of ten over IPv4, most counts small, times of microseconds. No
// nDPI: what its findings add is text for text the same as a user's.
//
//   classic     the columns of the schema
//   nfstream6   those of that one
//   all         nfstream6 with statistics and the first 10 packets: most of their numbers have 16 decimals, which String writes
//
// `read` makes each row the values that flow.toJSON() has: what a sink that knows no records would start from.
import { parseArgs } from 'node:util';
import { randomIntegers } from '../capture-writer.mjs';
import { cpuModel, print } from '../table.mjs';
import { args, load, markdown } from './dist.mjs';
import { quick } from './quick.mjs';

const record = await load('flow/record.js');
const { FLOW_BATCH_ROWS, FlowBatch } = await load('flow/flow-batch.js');
const { KEY_DST, KEY_META, KEY_PORTS } = await load('packet/packet-columns.js');
const { Streamer } = await load('streamer.js');
const { CsvSink } = await load('sink/csv.js');
const { JsonLinesSink } = await load('sink/json-lines.js');
const { ArrowSink } = await load('sink/arrow.js');
const { ParquetSink } = await load('sink/parquet.js');
const { recordShapeOf } = await load('record-shape.js');
const { resolveOptions } = await load('options.js');

const FLOWS = 20_000;
const VARIANTS = {
  classic: { schema: 'classic' },
  nfstream6: { schema: 'nfstream6' },
  all: { schema: 'nfstream6', statistics: true, splt: 10 },
};
const WRITERS = {
  CSV: (output, columns) => new CsvSink(output, columns),
  'JSON Lines': (output, columns) => new JsonLinesSink(output, columns),
  'Arrow file': (output, columns) => ArrowSink.open(output, columns, { format: 'file' }),
  'Parquet, snappy': (output, columns) => ParquetSink.open(output, columns, { compression: 'snappy' }),
};

/** Counts what it gets. */
class Nowhere {
  name = 'nowhere';
  isFile = true;
  bytes = 0;
  append(data) {
    this.bytes += data.length;
  }
  async close() {}
  async abandon() {}
  unlink() {}
}

const { values } = parseArgs({ args, options: { rounds: { type: 'string', default: '20' } } });
const rounds = Number(values.rounds);

console.log(`${cpuModel()}, Node ${process.version}: ${FLOWS.toLocaleString('en')} flows`);
const rows = [];
for (const [name, options] of Object.entries(VARIANTS)) rows.push(...(await measure(name, options)));
print([['', 'columns', 'bytes a flow', 'ns a flow', 'ns a cell', ''], ...rows], { markdown });

async function measure(name, chosen) {
  const options = { source: '-', enableNdpi: false, ...chosen };
  const columns = await new Streamer(options).sinkColumns();
  const batches = makeBatches(recordShapeOf(resolveOptions(options)));
  const cells = columns.table.length;
  const row = (what, bytes, ns) => [
    `${name}, ${what}`,
    String(cells),
    bytes === null ? '' : (bytes / FLOWS).toFixed(0),
    ns.toFixed(0),
    (ns / cells).toFixed(1),
    '',
  ];
  const rows = [row('read', null, quick(times(() => readAll(batches, columns.table))))];
  for (const [writer, open] of Object.entries(WRITERS)) {
    const output = new Nowhere();
    const spent = [];
    for (let round = 0; round < rounds; round++) {
      output.bytes = 0;
      const since = performance.now();
      const sink = await open(output, columns);
      for (const batch of batches) {
        const wait = sink.write(batch);
        if (wait !== undefined) await wait;
      }
      await sink.close();
      spent.push(((performance.now() - since) * 1e6) / FLOWS);
    }
    rows.push(row(writer, output.bytes, quick(spent)));
  }
  return rows;
}

function times(work) {
  const spent = [];
  for (let round = 0; round < rounds; round++) {
    const since = performance.now();
    work();
    spent.push(((performance.now() - since) * 1e6) / FLOWS);
  }
  return spent;
}

function readAll(batches, columns) {
  let isNothing = 0;
  for (const batch of batches) {
    for (let row = 0; row < batch.count; row++) {
      const metrics = batch.metrics(row);
      for (const { read } of columns) if (read(batch.store, row, metrics) === undefined) isNothing++;
    }
  }
  if (isNothing > 0) throw new Error('Expected a value for each cell');
}

/** Flows as a busy network has them: many short ones, few long. */
function makeBatches(shape) {
  const random = randomIntegers(11);
  const batches = [];
  for (let from = 0; from < FLOWS; from += FLOW_BATCH_ROWS) {
    const batch = new FlowBatch(shape);
    const empty = new record.RecordStore(1, shape);
    for (let i = from; i < Math.min(FLOWS, from + FLOW_BATCH_ROWS); i++) {
      batch.push(empty, 0, undefined);
      writeFlow(batch.store, i - from, random);
    }
    batch.number(from);
    batches.push(batch);
  }
  return batches;
}

function writeFlow({ words, doubles, extra, layout }, row, random) {
  const at = row * record.RECORD_WORDS;
  const isIpv6 = random(10) === 0;
  for (const end of [0, KEY_DST]) {
    words[at + end] = isIpv6 ? 0x20010db8 : 0x0a000000 | random(1 << 24);
    if (isIpv6) words[at + end + 3] = random(1 << 31);
  }
  words[at + KEY_PORTS] = ((32_768 + random(28_000)) << 16) | [53, 443, 80, 8080][random(4)];
  words[at + KEY_META] = [6, 17][random(2)] | ((isIpv6 ? 6 : 4) << 8);
  const packets = 1 + random(random(20) === 0 ? 5000 : 12);
  for (const way of [0, 1]) {
    words[at + record.WORD_PACKETS + way] = packets;
    words[at + record.WORD_BYTES + way] = packets * (60 + random(1000));
    words[at + record.WORD_ACK + way] = packets;
    words[at + record.WORD_PSH + way] = packets >> 1;
  }
  const start = 1_700_000_000_000 + random(3_600_000) + random(1000) / 1000;
  const end = start + random(120_000) + random(1000) / 1000;
  doubles[row * record.RECORD_DOUBLES + record.DOUBLE_START] = start;
  doubles[row * record.RECORD_DOUBLES + record.DOUBLE_END] = end;
  const beside = row * layout.doubles;
  for (const way of [0, 1]) {
    const direction = beside + layout.directions + way * layout.wayDoubles;
    if (layout.directions < 0) break;
    extra[direction] = start;
    extra[direction + 1] = end;
    // Sums of gaps and of squares of sizes, so that means and deviations are what they mostly are: no whole numbers.
    for (let i = 2; layout.statistics >= 0 && i < layout.wayDoubles - 1; i++) extra[direction + i] = random(1 << 30);
  }
  for (let i = 0; layout.statistics >= 0 && i < 4; i++) extra[beside + layout.statistics + i] = random(1 << 30);
  for (let i = 0; layout.splt >= 0 && i < layout.options.splt; i++) extra[beside + layout.splt + i] = random(500);
}
