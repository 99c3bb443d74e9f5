// Each output of a run, read by software that is not ours, against the JSON Lines of the same run, cell by cell.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../../src/classifier/classifier.ts';
import type { Flow } from '../../src/flow/flow.ts';
import type { Column } from '../../src/flow/schema.ts';
import type { UserMetric } from '../../src/metric/metric.ts';
import type { StreamerOptions } from '../../src/options.ts';
import { Streamer } from '../../src/streamer.ts';
import { path } from '../streams.ts';
import * as readers from './read-back.ts';

const FIXTURES = [
  'demo.pcapng',
  'raw.pcap',
  'vlan.pcap',
  'qinq.pcap',
  'fragments.pcap',
  'tunnels.pcapng',
  'cooked2.pcap',
];
const SHARED = [
  'nfstream/facebook.pcap',
  'nfstream/instagram.pcap',
  'ndpi/http_ua_splitted_in_two_pkts.pcapng',
  'ndpi/dns.pcap',
  'ndpi/ftp.pcap',
];
const CAPTURES = [
  ...FIXTURES.map((name) => path(`../fixtures/${name}`)),
  ...SHARED.map((name) => path(`../../shared/captures/${name}`)),
];

const RUNS: [string, Partial<StreamerOptions>][] = [
  ['classic', { schema: 'classic' }],
  ['nfstream6 with statistics and splt', { schema: 'nfstream6', statistics: true, splt: 10, decodeTunnels: true }],
];

const HOSTILE = ['=1+1', 'a,b', '"', 'line\nend\r\n', '\0', ' ', '', 'null', "it's", '[1]', '-', 'é\u2028😀', '\\"'];

/** Values of all kinds, under names of all kinds. */
const userMetrics: Record<string, UserMetric> = {
  number: (packet, flow) => (flow.metrics['number'] as number) + packet.length / 3,
  whole: (packet) => packet.length,
  text: (packet) => HOSTILE[packet.length % HOSTILE.length] as string,
  boolean: (packet) => packet.length > 100,
  nothing: () => null,
  'sometimes null': (packet) => (packet.length % 2 === 0 ? null : packet.length),
  numbers: (packet) => Array.from({ length: packet.length % 4 }, (_, i) => i / 7),
  texts: (packet) => HOSTILE.slice(packet.length % 5, 1 + (packet.length % 9)),
  nested: (packet) => ({ a: packet.length, b: { c: [HOSTILE[packet.length % HOSTILE.length]] as string[], d: null } }),
  mixed: (packet) => [packet.length, 'text', true, [1], { a: 1 }, null][packet.length % 6] as never,
  A: () => 1,
  a: () => 2,
  ...Object.fromEntries(
    ['=cmd()', 'a"b', 'two\nlines', 'co,mma', "quo'te", ' blank ', 'select', 'rowid', 'É', 'é', 'nul\0', '😀'].map(
      (name) => [name, () => name],
    ),
  ),
};

class Labels extends NFStreamClassifier {
  override readonly name = 'labels';
  override onFlowInit(flow: Flow): void {
    flow.metrics['labels'] = HOSTILE[flow.src_port % HOSTILE.length] as string;
    if (flow.src_port % 2 === 0) flow.metrics['a name of its own'] = { 'an "other"': flow.src_port };
  }
}

const folder = mkdtempSync(join(tmpdir(), 'nfstream-read-back-'));
afterAll(() => rmSync(folder, { recursive: true }));

for (const capture of CAPTURES) {
  describe.skipIf(!existsSync(capture)).each(RUNS)(`${basename(capture)}, %s`, (name, options) => {
    const at = (ending: string) => join(folder, `${basename(capture)}-${name}.${ending}`.replaceAll(' ', '-'));
    let columns: readonly Column[];
    let records: Record<string, unknown>[];

    beforeAll(async () => {
      const streamer = new Streamer({
        source: capture,
        handleSigint: false,
        userMetrics,
        userClassifiers: [new Labels()],
        ...options,
      });
      columns = (await streamer.sinkColumns()).table;
      await streamer.to(['jsonl', 'csv', 'parquet', 'arrow', 'arrows', 'duckdb'].map(at));
      const lines = readFileSync(at('jsonl'), 'utf8').split('\n');
      records = lines.slice(0, -1).map((line) => JSON.parse(line));
      expect(records.length).toBeGreaterThan(0);
    });

    it('has the JSON Lines that others read', async () => {
      expect(await readers.jsonByDuckdb(at('jsonl'))).toEqual(records);
      if (readers.hasPython) expect(readers.jsonByPython(at('jsonl'))).toEqual(records);
    });

    it.skipIf(!readers.hasPython)('has them as CSV for Python (needs python3)', () => {
      expectTexts(readers.csvByPython(at('csv')), columns, records, '');
    });

    it('has them as CSV for DuckDB', async () => {
      expectTexts(await readers.csvByDuckdb(at('csv')), columns, records, null);
    });

    it('has them as Parquet for DuckDB', async () => {
      expectCells(await readers.parquetByDuckdb(at('parquet')), columns, records);
    });

    it('has them as Arrow, file and stream, for Flechette', () => {
      expectCells(readers.arrowByFlechette(at('arrow')), columns, records);
      expectCells(readers.arrowByFlechette(at('arrows')), columns, records);
    });

    it('has them in a DuckDB database', async () => {
      expectCells(await readers.duckdbTable(at('duckdb')), columns, records);
    });
  });
}

/** What a table's cell shows of a record: metrics are columns, what is left of them one more. */
function cellOf(record: Record<string, unknown>, { name, type }: Column, columns: readonly Column[]): unknown {
  const object = 'udps' in record ? 'udps' : 'metrics';
  const metrics = record[object] as Record<string, unknown>;
  const prefix = object === 'udps' ? 'udps.' : '';
  if (type === 'object') {
    const others = Object.entries(metrics).filter(([metric]) => !columns.some((one) => one.name === prefix + metric));
    return Object.fromEntries(others);
  }
  if (name in record) return record[name];
  return metrics[name.slice(prefix.length)] ?? null;
}

/** CSV has texts only. */
function expectTexts(
  { names, rows }: readers.ReadTable,
  columns: readonly Column[],
  records: readonly Record<string, unknown>[],
  empty: '' | null,
): void {
  expect(names.map(base)).toEqual(columns.map(({ name }) => base(name)));
  expect(rows.length).toBe(records.length);
  for (const [c, column] of columns.entries()) {
    const expected = records.map((record) => cellOf(record, column, columns));
    const read = rows.map((row, r) => {
      const cell = row[c] as string | null;
      return cell === empty && typeof expected[r] !== 'string'
        ? null
        : typeof expected[r] === 'string'
          ? cell
          : JSON.parse(cell as string);
    });
    expect({ [column.name]: read }).toEqual({
      [column.name]: expected.map((value) => (typeof value === 'string' ? wellFormed(value) : value)),
    });
  }
}

function expectCells(
  { names, rows }: readers.ReadTable,
  columns: readonly Column[],
  records: readonly Record<string, unknown>[],
): void {
  expect(names.map(base)).toEqual(columns.map(({ name }) => base(name)));
  expect(rows.length).toBe(records.length);
  for (const [c, column] of columns.entries()) {
    const values = records.map((record) => cellOf(record, column, columns));
    const isJson = column.type === 'object' || (column.type === 'any' && !isOfOneKind(values));
    const read = rows.map((row) => (isJson && row[c] !== null ? JSON.parse(row[c] as string) : finite(row[c])));
    expect({ [column.name]: read }).toEqual({
      [column.name]: column.type === 'timestamp' ? values.map(micros) : isJson ? values : values.map(wellFormed),
    });
  }
}

/** DuckDB numbers names that differ in case alone, and trims those of CSV; its client ends a name at NUL. */
const base = (name: string) => name.trim().replace(/_1$|[\0\ufffd].*$/, '');

const micros = (ms: unknown) => Math.round((ms as number) * 1000);
/** JSON has null for what is no number. */
const finite = (cell: unknown) => (typeof cell === 'number' && !Number.isFinite(cell) ? null : cell);

/** As UTF-8 has it, where a lone surrogate is U+FFFD. */
function wellFormed<T>(value: T): T {
  if (Array.isArray(value)) return value.map(wellFormed) as T;
  return (typeof value === 'string' ? Buffer.from(value).toString() : value) as T;
}

/** Whether a typed column can hold them. */
function isOfOneKind(values: readonly unknown[]): boolean {
  const told = values.filter((value) => value !== null);
  const isAll = (type: string) => (value: unknown) => typeof value === type;
  const isListOf = (type: string) => (value: unknown) => Array.isArray(value) && value.every(isAll(type));
  if (told.every((value) => Array.isArray(value) && value.length === 0)) return false;
  const kinds = [isAll('number'), isAll('string'), isAll('boolean'), isListOf('number'), isListOf('string')];
  return kinds.some((isOne) => told.every(isOne));
}
