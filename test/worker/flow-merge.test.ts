// Flows of several meters merged: in order, none lost, and none before it is known that no smaller one is to come.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FlowBatch } from '../../src/flow/flow-batch.ts';
import { DOUBLE_ORDER, DOUBLE_SEQUENCE, RECORD_DOUBLES, RecordStore } from '../../src/flow/record.ts';
import { resolveOptions } from '../../src/options.ts';
import { recordShapeOf } from '../../src/record-shape.ts';
import { type FlowLane, FlowMerge } from '../../src/worker/flow-merge.ts';

const SHAPE = recordShapeOf(resolveOptions({ source: '-', enableNdpi: false }));

interface Key {
  readonly order: number;
  readonly sequence: number;
}

function batchOf(keys: readonly Key[]): FlowBatch {
  const batch = new FlowBatch(SHAPE);
  const record = new RecordStore(1, SHAPE);
  for (const { order, sequence } of keys) {
    batch.push(record, 0, undefined);
    const at = (batch.count - 1) * RECORD_DOUBLES;
    batch.store.doubles[at + DOUBLE_ORDER] = order;
    batch.store.doubles[at + DOUBLE_SEQUENCE] = sequence;
  }
  return batch;
}

function keysOf({ store, count }: FlowBatch): Key[] {
  return Array.from({ length: count }, (_, row) => ({
    order: store.doubles[row * RECORD_DOUBLES + DOUBLE_ORDER],
    sequence: store.doubles[row * RECORD_DOUBLES + DOUBLE_SEQUENCE],
  }));
}

class TestLane implements FlowLane {
  readonly batches: FlowBatch[] = [];
  isDone = false;
  order = Number.NEGATIVE_INFINITY;

  take(): FlowBatch | undefined {
    return this.batches.shift();
  }
}

function takeAll(merge: FlowMerge): Key[] {
  const keys: Key[] = [];
  for (let batch = merge.take(); batch !== undefined; batch = merge.take()) keys.push(...keysOf(batch));
  return keys;
}

const before = (a: Key, b: Key) => (a.order === b.order ? a.sequence - b.sequence : a.order - b.order);

/** Flows by their orders, few of which are different, each with the meter that has it; the run's last ones at its end. */
const flows = fc
  .array(
    fc.record({
      order: fc.oneof({ weight: 4, arbitrary: fc.nat(20) }, fc.constant(Number.POSITIVE_INFINITY)),
      lane: fc.nat(2),
      endsBatch: fc.boolean(),
      tells: fc.boolean(),
    }),
    { maxLength: 300 },
  )
  .map((list) => list.map((flow, i) => ({ ...flow, sequence: (i * 7919) % 1009 })).sort(before));

describe('merged flows', () => {
  it('come in their order, in whatever order the meters give theirs', () => {
    fc.assert(
      fc.property(flows, fc.array(fc.nat(2), { maxLength: 400 }), (list, turns) => {
        const lanes = [new TestLane(), new TestLane(), new TestLane()];
        // What each meter does, step by step: give a batch, say up to where it has given all, be done.
        const steps = lanes.map((lane, i) => {
          const own = list.filter((flow) => flow.lane === i);
          const todo: (() => void)[] = [];
          let keys: Key[] = [];
          own.forEach((flow, at) => {
            keys.push(flow);
            const isLast = at === own.length - 1;
            if (!flow.endsBatch && !isLast && keys.length < 64) return;
            const batch = batchOf(keys);
            keys = [];
            todo.push(() => lane.batches.push(batch));
            const next = own[at + 1]?.order ?? 50;
            if (flow.tells && next > flow.order && flow.order !== Number.POSITIVE_INFINITY) {
              todo.push(() => {
                lane.order = Math.min(next - 1, 21);
              });
            }
          });
          todo.push(() => {
            lane.isDone = true;
          });
          return todo;
        });
        const merge = new FlowMerge(lanes, SHAPE);
        const out: Key[] = [];
        for (const turn of [...turns, ...lanes.flatMap((_, i) => Array<number>(steps[i].length).fill(i))]) {
          steps[turn].shift()?.();
          out.push(...takeAll(merge));
        }
        expect(out).toEqual(list.map(({ order, sequence }) => ({ order, sequence })));
      }),
      { numRuns: 300 },
    );
  });

  it('wait for a meter that may give a smaller one, and no longer', () => {
    const [first, second] = [new TestLane(), new TestLane()];
    const merge = new FlowMerge([first, second], SHAPE);
    const [a, b, c] = [3, 5, 7].map((order) => ({ order, sequence: 1 }));
    first.batches.push(batchOf([a, c]));
    expect(takeAll(merge)).toEqual([]);
    second.order = 2;
    expect(takeAll(merge)).toEqual([]);
    second.order = 3;
    expect(takeAll(merge)).toEqual([a]);
    second.batches.push(batchOf([b]));
    expect(takeAll(merge)).toEqual([b]);
    second.isDone = true;
    expect(takeAll(merge)).toEqual([c]);
  });

  it('do not wait for what a meter has given already', () => {
    const [first, second] = [new TestLane(), new TestLane()];
    const merge = new FlowMerge([first, second], SHAPE);
    const end = Number.POSITIVE_INFINITY;
    second.batches.push(batchOf([{ order: end, sequence: 4 }]));
    first.batches.push(batchOf([{ order: end, sequence: 3 }]));
    // The next of the first meter comes behind 3, that of the second behind 4.
    expect(takeAll(merge)).toEqual([{ order: end, sequence: 3 }]);
    first.batches.push(batchOf([{ order: end, sequence: 5 }]));
    expect(takeAll(merge)).toEqual([{ order: end, sequence: 4 }]);
  });
});
