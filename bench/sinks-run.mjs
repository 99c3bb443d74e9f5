// One writer in a process of its own: sinks-run.mjs WRITER FEATURES FLOWS FOLDER
//
//   WRITER    a name of sinks.mjs's WRITERS, or copy-csv, copy-parquet-snappy, copy-parquet-zstd: DuckDB's own writer, on the
//             rows of FOLDER/FEATURES.duckdb
//   FEATURES  'none', or 'all': statistics and the first 10 packets
//
// Flows are metered from the capture `mix`, labelled by nDPI, before the clock starts; there are fewer of them than are
// written, so they come again and again, each time with other addresses. Prints its figures as JSON.
import { rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { RECORD_WORDS } from '../dist/flow/record.js';
import { Streamer } from '../dist/index.js';
import { openSink } from '../dist/sink/open-sink.js';
import { capture } from './captures.mjs';
import { WRITERS } from './sinks-writers.mjs';

const DISTINCT = 20_000;
/** An odd factor keeps addresses distinct. */
const ADDRESS_STEP = 0x9e3779b1;

const [writer, features, flowsText, folder] = process.argv.slice(2);
const flows = Number(flowsText);
const result = writer.startsWith('copy-') ? await copy() : await write();
console.log(JSON.stringify({ ...result, rss: process.resourceUsage().maxRSS * 1024 }));

async function write() {
  const { ending, options } = WRITERS[writer];
  const streamer = new Streamer({
    source: capture('mix'),
    schema: 'nfstream6',
    ...(features === 'all' ? { statistics: true, splt: 10 } : {}),
    // So that flows end early in the capture.
    inactiveTimeout: 2,
    maxFlows: DISTINCT,
  });
  const columns = await streamer.sinkColumns();
  const batches = [];
  for await (const batch of streamer.batches()) batches.push(batch);
  const path = join(folder, `${features}.${ending}`);
  rmSync(path, { force: true });
  const sink = await openSink(path, columns, options);
  const clock = startClock();
  while (sink.rows < flows) {
    for (const batch of batches) {
      if (sink.rows >= flows) break;
      batch.number(sink.rows);
      const { words } = batch.store;
      for (let row = 0; row < batch.count; row++) {
        words[row * RECORD_WORDS] = (words[row * RECORD_WORDS] + ADDRESS_STEP) | 0;
      }
      const written = sink.write(batch);
      if (written !== undefined) await written;
    }
  }
  await sink.close();
  return { ...clock(), rows: sink.rows, columns: columns.table.length, bytes: statSync(path).size };
}

async function copy() {
  const { DuckDBInstance } = await import('@duckdb/node-api');
  const instance = await DuckDBInstance.create(join(folder, `${features}.duckdb`), { threads: '1' });
  const connection = await instance.connect();
  const [, format, compression] = writer.split('-');
  const path = join(folder, `${features}-copy.${format}`);
  const options = format === 'csv' ? 'FORMAT csv' : `FORMAT parquet, COMPRESSION ${compression}`;
  const clock = startClock();
  await connection.run(`COPY flows TO '${path}' (${options})`);
  const times = clock();
  const [row] = (await connection.runAndReadAll('SELECT count(*)::INT AS rows FROM flows')).getRowObjectsJson();
  const columns = (await connection.runAndReadAll('DESCRIBE flows')).currentRowCount;
  const bytes = statSync(path).size;
  rmSync(path);
  connection.closeSync();
  instance.closeSync();
  return { ...times, rows: row.rows, columns, bytes };
}

function startClock() {
  const startedMs = performance.now();
  const cpu = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(cpu);
    return { wallSeconds: (performance.now() - startedMs) / 1000, cpuSeconds: (user + system) / 1e6 };
  };
}
