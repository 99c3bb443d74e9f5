import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { JsonLinesSink } from '../../src/sink/json-lines.ts';
import { batchOf, classicColumns, flowParts, MemoryOutput } from './flows.ts';
import { cellColumn, tableOf } from './typed-cells.ts';

function linesOf(...flows: Parameters<typeof batchOf>): string {
  const output = new MemoryOutput();
  void new JsonLinesSink(output, classicColumns()).write(batchOf(...flows));
  return output.text;
}

describe('JSON Lines', () => {
  it('writes a flow as one line with the columns of the record in their order', () => {
    expect(linesOf({ metrics: { application_name: 'TLS.Facebook', risks: ['a'], n: null } })).toBe(
      '{"ip_src":"10.0.0.1","ip_dst":"10.0.0.2","src_port":40000,"dst_port":443,"ip_protocol":6,"vlan_id":7,' +
        '"src_to_dst_pkts":3,"dst_to_src_pkts":2,"src_to_dst_bytes":300,"dst_to_src_bytes":2000,' +
        '"syn_count":[1,1],"cwr_count":[0,0],"ece_count":[0,0],"urg_count":[0,0],"ack_count":[3,2],' +
        '"psh_count":[1,1],"rst_count":[0,0],"fin_count":[1,1],"start_time":1472393122365.661,' +
        '"end_time":1472393123665.25,"export_reason":2,' +
        '"metrics":{"application_name":"TLS.Facebook","risks":["a"],"n":null}}\n',
    );
  });

  it('is JSON.stringify of the flow, byte for byte, whatever the flow holds', () => {
    fc.assert(
      fc.property(fc.array(flowParts(), { maxLength: 3 }), (flows) => {
        const batch = batchOf(...flows);
        const expected = flows.map((_, row) => `${JSON.stringify(batch.flow(row))}\n`).join('');
        expect(linesOf(...flows)).toBe(expected);
      }),
    );
  });

  it('is JSON where a list has holes, whose column is one of its own', async () => {
    const output = new MemoryOutput();
    const columns = tableOf([cellColumn('list', 'any')]);
    // biome-ignore lint/suspicious/noSparseArray: a hole is null in JSON
    const list = [1, , 2] as number[];
    await new JsonLinesSink(output, columns).write(batchOf({ metrics: { list } }));
    expect(output.text).toBe('{"list":[1,null,2]}\n');
  });

  it('survives UTF-8 and line splitting with hostile text', () => {
    const metrics = { name: 'a\nb\r\n\u2028"\\ \ud800', other: '\udfff' };
    const line = Buffer.from(linesOf({ metrics }), 'utf8').toString('utf8');
    expect(line.split('\n')).toHaveLength(2);
    expect(JSON.parse(line).metrics).toEqual(metrics);
  });

  it('counts rows and passes the end on', async () => {
    const output = new MemoryOutput();
    const sink = new JsonLinesSink(output, classicColumns());
    void sink.write(batchOf({}, {}));
    void sink.write(batchOf({}));
    expect(sink.rows).toBe(3);
    await sink.close();
    expect(output.ended).toBe('closed');
    await sink.abandon();
    expect(output.ended).toBe('abandoned');
  });
});
