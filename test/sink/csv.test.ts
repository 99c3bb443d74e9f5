import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { CLASSIC, type MetricValue } from '../../src/flow/schema.ts';
import { type CsvOptions, CsvSink } from '../../src/sink/csv.ts';
import { readCsv } from './csv-reader.ts';
import { batchOf, type FlowParts, flowParts, hostileText, metricValue, TextOutput } from './flows.ts';

const CORE = CLASSIC.map(({ name }) => name).filter((name) => name !== 'metrics');
const folder = mkdtempSync(join(tmpdir(), 'nfstream-csv-'));
const hasPython = spawnSync('python3', ['--version']).status === 0;
afterAll(() => rmSync(folder, { recursive: true }));

async function csvOf(flows: Partial<FlowParts>[], options?: CsvOptions): Promise<string> {
  const output = new TextOutput();
  const sink = new CsvSink(output, options);
  if (flows.length > 0) void sink.write(batchOf(...flows));
  await sink.close();
  return output.text;
}

/** What a cell of a metric should read back as. */
function cellOf(value: MetricValue | undefined): string | null {
  if (value === null || value === undefined || (typeof value === 'number' && !Number.isFinite(value))) return null;
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** UTF-8 has no lone surrogates: they become U+FFFD on the way to a file. */
const asUtf8 = (text: string) => Buffer.from(text, 'utf8').toString('utf8');

describe('CSV', () => {
  it('has the header and a line for each flow', async () => {
    const metrics = { app: 'TLS, "x"', empty: '', nothing: null, list: ['a', 'b'], yes: true, low: -1.5 };
    expect(await csvOf([{ metrics }], { metrics: [...Object.keys(metrics), 'unknown'] })).toBe(
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
    const [header, row] = readCsv(await csvOf([{ metrics }], { metrics: ['a', 'a'], hasOtherMetrics: true }));
    expect(header.slice(CORE.length)).toEqual(['a', 'metrics']);
    expect(row[CORE.length]).toBe('1');
    expect(JSON.parse(row[CORE.length + 1] ?? '')).toEqual({ b: 'x', c: [1, 2] });
  });

  it.each(['=1+1', '+1', '-1', '@x', '\tx', ' x', 'x ', 'a,b', 'a"b', 'a\nb', 'a\rb', '', '\u00a0x'])(
    'quotes %j and keeps it as it is',
    async (text) => {
      const csv = await csvOf([{ metrics: { m: text } }], { metrics: ['m'] });
      expect(csv).toMatch(/"\n$/);
      expect(readCsv(csv)[1].at(-1)).toBe(text);
    },
  );

  it.each(['x', 'a b', "it's", 'a-b', 'héhé', '*.facebook.com'])('does not quote %j', async (text) => {
    const csv = await csvOf([{ metrics: { m: text } }], { metrics: ['m'] });
    expect(csv.slice(-text.length - 2)).toBe(`,${text}\n`);
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
        const rows = readCsv(await csvOf(all, { metrics: own.map(({ name }) => name), hasOtherMetrics: true }));
        expect(rows).toHaveLength(1 + all.length);
        expect(rows[0]).toEqual([...CORE, ...names, 'metrics']);
        all.forEach((flow, i) => {
          const row = rows[i + 1];
          const record = batchOf(flow).flow(0).toJSON();
          const core = CORE.map((name) =>
            Array.isArray(record[name]) ? JSON.stringify(record[name]) : String(record[name]),
          );
          const cells = names.map((name) => cellOf(Object.hasOwn(flow.metrics, name) ? flow.metrics[name] : undefined));
          const others = Object.entries(flow.metrics).filter(([name]) => !names.includes(name));
          expect(row).toEqual([...core, ...cells, JSON.stringify(Object.fromEntries(others))]);
        });
      }),
    );
  });

  it.skipIf(!hasPython)("reads back the same in Python's csv module (skipped without python3)", async () => {
    const values = fc.sample(metricValue(), { numRuns: 400, seed: 7 });
    const path = join(folder, 'python.csv');
    writeFileSync(
      path,
      await csvOf(
        values.map((m) => ({ metrics: { m } })),
        { metrics: ['m'] },
      ),
    );
    const script =
      'import csv, json, sys\n' +
      "rows = list(csv.DictReader(open(sys.argv[1], encoding='utf-8', newline=''), strict=True))\n" +
      "print(json.dumps([row['m'] for row in rows]))";
    const cells = JSON.parse(execFileSync('python3', ['-c', script, path], { encoding: 'utf8' }));
    expect(cells).toEqual(values.map((value) => asUtf8(cellOf(value) ?? '')));
  });
});
