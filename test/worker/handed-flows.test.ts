import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Findings, NDPI_FIELDS } from '../../src/flow/fields/ndpi.ts';
import { Flow } from '../../src/flow/flow.ts';
import { FLOW_BATCH_ROWS, FlowBatch } from '../../src/flow/flow-batch.ts';
import { RecordStore, WORD_REASON } from '../../src/flow/record.ts';
import { CLASSIC_SHAPE, type FlowMetrics } from '../../src/flow/schema.ts';
import { FlowReceiver, FlowSender, type HandedFlows, unsendable } from '../../src/worker/handed-flows.ts';

const store = new RecordStore(1, CLASSIC_SHAPE);

function findingsOf(name: string): Findings {
  const cells = NDPI_FIELDS.map((field) => {
    if (field.name === 'risks') return [field.name, [`risk of ${name}`]];
    return [field.name, field.type === 'integer' ? name.length : `${field.name} ${name}`];
  });
  return Object.fromEntries(cells) as Findings;
}

/** Of flows with these findings, or with metrics of their own. */
function batchOf({ findings = [], metrics = [] }: { findings?: Findings[]; metrics?: FlowMetrics[] }): FlowBatch {
  const batch = new FlowBatch(CLASSIC_SHAPE);
  for (const one of findings) batch.push(store, 0, undefined, one);
  for (const own of metrics) batch.push(store, 0, new Flow<FlowMetrics>(store, 0, own));
  return batch;
}

/** What a message does to it. */
const sent = (handed: HandedFlows): HandedFlows =>
  structuredClone(handed, { transfer: [handed.records, handed.extra] });

const metricsOf = (batch: FlowBatch) => Array.from({ length: batch.count }, (_, row) => batch.metrics(row));

describe('flows handed from thread to thread', () => {
  it('have the records, and nothing else where there are no metrics', () => {
    const batch = batchOf({ metrics: [{}, {}] });
    batch.store.words[WORD_REASON] = 7;
    const received = new FlowReceiver(CLASSIC_SHAPE).receive(sent(new FlowSender().hand(batch, false)));
    expect(received.count).toBe(2);
    expect(received.flow(0).export_reason).toBe(7);
    expect(received.flow(1).metrics).toEqual({});
  });

  it('bring findings, each of which is sent once', () => {
    const [a, b] = [findingsOf('a'), findingsOf('b')];
    const sender = new FlowSender();
    const receiver = new FlowReceiver(CLASSIC_SHAPE);
    const first = sender.hand(batchOf({ findings: [a, b, a] }), true);
    const second = sender.hand(batchOf({ findings: [b, a] }), true);
    expect(JSON.stringify(first)).toContain('host_server_name a');
    expect(JSON.stringify(second)).not.toContain('host_server_name');
    expect(metricsOf(receiver.receive(sent(first)))).toEqual([a, b, a]);
    expect(metricsOf(receiver.receive(sent(second)))).toEqual([b, a]);
  });

  it('bring any number of findings, of which batches keep theirs', () => {
    const sender = new FlowSender();
    const receiver = new FlowReceiver(CLASSIC_SHAPE);
    const rounds = Array.from({ length: 200 }, (_, round) => {
      const findings = Array.from({ length: FLOW_BATCH_ROWS }, (_, i) => findingsOf(`${round}-${i}`));
      return { findings, received: receiver.receive(sent(sender.hand(batchOf({ findings }), true))) };
    });
    for (const { findings, received } of rounds) expect(metricsOf(received)).toEqual(findings);
  });

  it('get findings of their own where somebody asks for them', () => {
    const a = findingsOf('a');
    const handed = new FlowSender().hand(batchOf({ findings: [a, a] }), true);
    const received = new FlowReceiver(CLASSIC_SHAPE).receive(sent(handed));
    const flow = received.flow(0);
    flow.metrics['application_name'] = 'mine';
    (flow.metrics['risks'] as string[]).push('mine');
    expect(received.metrics(0)).toMatchObject({ application_name: 'mine', risks: ['risk of a', 'mine'] });
    expect(received.flow(1).metrics).toEqual(a);
    expect(Object.keys(flow.metrics)).toEqual(Object.keys(a));
  });

  it('bring metrics of user code that have views, beside findings of those that have none', () => {
    const a = findingsOf('a');
    const metrics: FlowMetrics[] = [{ mine: 1 }, { other: [2n as never] }];
    const sender = new FlowSender();
    const receiver = new FlowReceiver(CLASSIC_SHAPE);
    const mixed = batchOf({ findings: [a], metrics });
    expect(metricsOf(receiver.receive(sent(sender.hand(mixed, true))))).toEqual([a, ...metrics]);
    const changed = batchOf({ findings: [a, a] });
    changed.flow(1).metrics['mine'] = 1;
    expect(metricsOf(receiver.receive(sent(sender.hand(changed, true))))).toEqual([a, { ...a, mine: 1 }]);
    expect(metricsOf(receiver.receive(sent(sender.hand(batchOf({ findings: [a] }), true))))).toEqual([a]);
  });

  it('bring metrics of any kind and any names', () => {
    const value = fc.oneof(
      fc.anything({ withBigInt: true, withDate: true, withMap: true, withSet: true, withTypedArray: true }),
      fc.constantFrom('', 'same', 0, -0, null, undefined, Number.NaN),
    );
    const name = fc.oneof(fc.constantFrom('a', 'b', '__proto__', '0', 'names', 'places'), fc.string());
    const own = fc.array(fc.tuple(name, value), { maxLength: 4 }).map((entries) => Object.fromEntries(entries));
    const alike = fc
      .tuple(fc.uniqueArray(name, { maxLength: 4 }), fc.array(fc.array(value, { minLength: 4, maxLength: 4 })))
      .map(([names, rows]) => rows.map((row) => Object.fromEntries(names.map((one, i) => [one, row[i]]))));
    fc.assert(
      fc.property(fc.oneof(fc.array(own, { minLength: 1, maxLength: 8 }), alike), (rows) => {
        const metrics = rows as FlowMetrics[];
        fc.pre(metrics.length > 0 && metrics.length <= FLOW_BATCH_ROWS);
        const handed = new FlowSender().hand(batchOf({ metrics }), true);
        expect(metricsOf(new FlowReceiver(CLASSIC_SHAPE).receive(sent(handed)))).toEqual(structuredClone(metrics));
      }),
    );
  });

  it('are refused with the name of what no thread can hand over', () => {
    const batch = batchOf({ metrics: [{ fine: 1 }, { fine: 2, odd: (() => 1) as never }] });
    expect(() => sent(new FlowSender().hand(batch, true))).toThrow();
    expect(unsendable(batch, new Error('no'))).toMatchObject({
      code: 'USER_CLASSIFIER_FAILED',
      message: expect.stringContaining('"odd"'),
    });
  });
});
