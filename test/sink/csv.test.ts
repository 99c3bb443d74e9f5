import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CLASSIC_SHAPE, type ColumnOptions, type MetricValue, shapeOf, tableColumns } from '../../src/flow/schema.ts';
import { CsvSink } from '../../src/sink/csv.ts';
import type { SinkColumns } from '../../src/sink/sink.ts';
import { readCsv } from './csv-reader.ts';
import { readCsvByDuckdb } from './duckdb-reader.ts';
import {
  batchOf,
  classicColumns,
  type FlowParts,
  flowParts,
  hostileText,
  MemoryOutput,
  metricValue,
  shapedBatchOf,
} from './flows.ts';

const CORE = CLASSIC_SHAPE.columns.map(({ name }) => name).filter((name) => name !== 'metrics');
const folder = mkdtempSync(join(tmpdir(), 'nfstream-csv-'));
const hasPython = spawnSync('python3', ['--version']).status === 0;
const hasPandas = spawnSync('python3', ['-c', 'import pandas']).status === 0;
afterAll(() => rmSync(folder, { recursive: true }));

async function written(columns: SinkColumns, batch = batchOf()): Promise<Buffer> {
  const output = new MemoryOutput();
  const sink = new CsvSink(output, columns);
  if (batch.count > 0) void sink.write(batch);
  await sink.close();
  return output.content;
}

async function csvOf(flows: Partial<FlowParts>[], metrics: readonly string[] = [], hasOthers = false) {
  return (await written(classicColumns(metrics, hasOthers), batchOf(...flows))).toString('utf8');
}

/** What a cell of a metric should read back as. */
function cellOf(value: MetricValue | undefined): string | null {
  if (value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return null;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** UTF-8 has no lone surrogates: they become U+FFFD on the way to a file. */
const asUtf8 = (text: string) => Buffer.from(text, 'utf8').toString('utf8');

const OPTIONS: ColumnOptions = {
  schema: 'nfstream6',
  fields: undefined,
  statistics: true,
  splt: 3,
  exactTimes: false,
  enableNdpi: true,
  systemVisibility: true,
  decodeTunnels: true,
  hasUserCode: true,
  isMetric: () => false,
};
const shape = shapeOf(OPTIONS);
const nfstream6: SinkColumns = {
  record: shape.columns,
  table: tableColumns(shape.columns, OPTIONS, { names: ['mine'], hasOthers: false }),
};

describe('CSV', () => {
  it('has the header and a line for each flow', async () => {
    const metrics = { app: 'TLS, "x"', empty: '', nothing: null, list: ['a', 'b'], yes: true, low: -1.5 };
    expect(await csvOf([{ metrics }], [...Object.keys(metrics), 'unknown'])).toBe(
      'ip_src,ip_dst,src_port,dst_port,ip_protocol,vlan_id,src_to_dst_pkts,dst_to_src_pkts,src_to_dst_bytes,' +
        'dst_to_src_bytes,syn_count,cwr_count,ece_count,urg_count,ack_count,psh_count,rst_count,fin_count,' +
        'start_time,end_time,export_reason,app,empty,nothing,list,yes,low,unknown\n' +
        '10.0.0.1,10.0.0.2,40000,443,6,7,3,2,300,2000,"[1,1]","[0,0]","[0,0]","[0,0]","[3,2]","[1,1]","[0,0]","[1,1]",' +
        '1472393122365.661,1472393123665.25,2,"TLS, ""x""","",,"[""a"",""b""]",true,-1.5,\n',
    );
  });

  it('has the header alone for a capture without flows', async () => {
    expect(await csvOf([])).toBe(`${CORE.join(',')}\n`);
  });

  it('puts metrics that have no column into the last one, as JSON', async () => {
    const metrics = { a: 1, b: 'x', c: [1, 2] };
    const [header, row] = readCsv(await csvOf([{ metrics }], ['a', 'a'], true));
    expect(header.slice(CORE.length)).toEqual(['a', 'metrics']);
    expect(row[CORE.length]).toBe('1');
    expect(JSON.parse(row[CORE.length + 1] ?? '')).toEqual({ b: 'x', c: [1, 2] });
  });

  it.each([
    [[]],
    [[1]],
    [[1, 2]],
    [[0.5, -3]],
    [[Number.NaN, 1]],
    // biome-ignore lint/suspicious/noSparseArray: a hole is null in JSON
    [[1, , 2]],
    [[Number.NEGATIVE_INFINITY]],
    [['1', 2]],
    [[[1, 2]]],
  ])('has the list %j as its JSON text', async (list) => {
    const [, row] = readCsv(await csvOf([{ metrics: { m: list as MetricValue } }], ['m']));
    expect(row.at(-1)).toBe(JSON.stringify(list));
  });

  it.each(['=1+1', '+1', '-1', '@x', '\tx', ' x', 'x ', 'a,b', 'a"b', 'a\nb', 'a\rb', '', '\u00a0x', 'a\0b', '-', '='])(
    'quotes %j and keeps it as it is',
    async (text) => {
      const csv = await csvOf([{ metrics: { m: text } }], ['m']);
      expect(csv).toMatch(/"\n$/);
      expect(readCsv(csv)[1].at(-1)).toBe(text);
    },
  );

  it.each(['x', 'a b', "it's", 'a-b', 'héhé', '*.facebook.com', 'a=', 'a-', '\x7f'])(
    'does not quote %j',
    async (text) => {
      const csv = await csvOf([{ metrics: { m: text } }], ['m']);
      expect(csv.slice(-text.length - 2)).toBe(`,${text}\n`);
    },
  );

  it('leaves the cell of a metric empty that a flow lacks, though every object has something of that name', async () => {
    const csv = await csvOf([{ metrics: {} }, { metrics: { valueOf: 3 } }], ['valueOf']);
    expect(readCsv(csv).map((row) => row.at(-1))).toEqual(['valueOf', null, '3']);
  });

  it('reads back as it was, whatever flows hold, by the grammar of RFC 4180', async () => {
    const metric = fc.record({ name: hostileText(), values: fc.array(metricValue(), { minLength: 3, maxLength: 3 }) });
    const flows = fc.array(flowParts(), { maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(flows, fc.array(metric, { maxLength: 4 }), async (plain, own) => {
        const names = [...new Set(own.map(({ name }) => name))];
        const all = plain.map((flow, i) => {
          const metrics = { ...flow.metrics };
          // A metric that the first flow lacks.
          for (const { name, values } of own) if (i > 0 || name !== names[0]) metrics[name] = values[i];
          return { ...flow, metrics };
        });
        const rows = readCsv(await csvOf(all, names, true));
        expect(rows).toHaveLength(1 + all.length);
        expect(rows[0]).toEqual([...CORE, ...names, 'metrics'].map(asUtf8));
        all.forEach((flow, i) => {
          const row = rows[i + 1];
          const record: Record<string, unknown> = { ...batchOf(flow).flow(0).toJSON() };
          const core = CORE.map((name) => cellOf(record[name] as MetricValue));
          const cells = names.map((name) => cellOf(Object.hasOwn(flow.metrics, name) ? flow.metrics[name] : undefined));
          const others = Object.entries(flow.metrics).filter(([name]) => !names.includes(name));
          const expected = [...core, ...cells, JSON.stringify(Object.fromEntries(others))];
          expect(row).toEqual(expected.map((cell) => (cell === null ? null : asUtf8(cell))));
        });
      }),
    );
  });
});

describe('readers that are not ours', () => {
  const values = [
    ...fc.sample(metricValue(), { numRuns: 400, seed: 7 }),
    ...[
      '\0',
      'a\0b',
      '\0\0',
      '\ud800',
      'a\udfff,b',
      '=cmd()',
      '\r',
      '\r\n',
      'a\nb',
      '"',
      '""',
      "'",
      '\\',
      '\\"',
      '\x1a',
    ],
    ...['\ufeff', '\ufeffx', 'null', 'NULL', 'NaN', '#', '\u2028', '\u{1f600}', '\x85', ' ', '\t', ',', ',,'],
  ];
  const expected = values.map((value) => {
    const cell = cellOf(value);
    return cell === null ? null : asUtf8(cell);
  });
  const write = async (path: string) =>
    writeFileSync(
      path,
      await csvOf(
        values.map((m) => ({ metrics: { m } })),
        ['m'],
      ),
    );

  it.skipIf(!hasPython)("agree: Python's csv module (skipped without python3)", async () => {
    const path = join(folder, 'python.csv');
    await write(path);
    const script =
      'import csv, json, sys\n' +
      "rows = list(csv.DictReader(open(sys.argv[1], encoding='utf-8', newline=''), strict=True))\n" +
      "print(json.dumps([row['m'] for row in rows]))";
    const cells = JSON.parse(execFileSync('python3', ['-c', script, path], { encoding: 'utf8' }));
    expect(cells).toEqual(expected.map((cell) => cell ?? ''));
  });

  it('agree: DuckDB, which also tells a null from an empty text', async () => {
    const path = join(folder, 'duckdb.csv');
    await write(path);
    expect(await readCsvByDuckdb(path, 'm')).toEqual(expected);
  });
});

describe('the columns of nfstream6', () => {
  it('have the names and the order of the table', async () => {
    const [header, row] = readCsv((await written(nfstream6, shapedBatchOf(shape, {}))).toString());
    expect(header).toEqual(nfstream6.table.map(({ name }) => name));
    expect(row).toHaveLength(header.length);
    const cells = Object.fromEntries(header.map((name, i) => [name, row[i]]));
    expect(cells).toMatchObject({
      src_ip: '10.0.0.1',
      bidirectional_packets: '5',
      bidirectional_first_seen_ms: '1472393122365',
      splt_direction: expect.stringMatching(/^\[\d,\d,\d\]$/),
      user_agent: '',
      'udps.mine': null,
      system_process_pid: '-1',
      system_process_name: '',
    });
  });

  it.skipIf(!hasPandas)("are read by pandas, as NFStream's own are (skipped without pandas)", async () => {
    const path = join(folder, 'pandas.csv');
    writeFileSync(path, await written(nfstream6, shapedBatchOf(shape, {}, {})));
    const script =
      'import json, pandas, sys\n' +
      'frame = pandas.read_csv(sys.argv[1])\n' +
      "print(json.dumps([list(frame.columns), len(frame), str(frame['bidirectional_first_seen_ms'].dtype)]))";
    const read = JSON.parse(execFileSync('python3', ['-c', script, path], { encoding: 'utf8' }));
    expect(read).toEqual([nfstream6.table.map(({ name }) => name), 2, 'int64']);
  });
});
