// Flows one by one answer every call as an async generator with a loop over the same batches does: that is the truth here.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Flow } from '../src/flow/flow.ts';
import type { FlowBatch } from '../src/flow/flow-batch.ts';
import { FlowIterator } from '../src/flow-iterator.ts';
import { batchOf } from './sink/flows.ts';

type Call = 'next' | 'return' | 'throw' | 'wait';

interface Run {
  /** Rows of each batch. */
  readonly batches: readonly number[];
  /** What comes behind them. */
  readonly failure: boolean;
  readonly calls: readonly Call[];
  /** Whether the source fails while it is closed. */
  readonly failsToClose: boolean;
}

async function* plain(batches: AsyncGenerator<FlowBatch, void>): AsyncGenerator<Flow, void> {
  for await (const batch of batches) for (let row = 0; row < batch.count; row++) yield batch.flow(row);
}

/** What came of each call, in the order in which it was known, and what the source did. */
async function log(
  run: Run,
  iterate: (batches: AsyncGenerator<FlowBatch, void>) => AsyncGenerator<Flow, void>,
): Promise<{ answered: string[]; done: string[] }> {
  const answered: string[] = [];
  const done: string[] = [];
  async function* source(): AsyncGenerator<FlowBatch, void> {
    done.push('begins');
    try {
      let port = 0;
      for (const rows of run.batches) {
        await null;
        yield batchOf(...Array.from({ length: rows }, () => ({ srcPort: port++ })));
      }
      if (run.failure) throw new Error('broken');
    } finally {
      done.push('closed');
      // biome-ignore lint/correctness/noUnsafeFinally: what closing a file may do
      if (run.failsToClose) throw new Error('not closed');
    }
  }
  const flows = iterate(source());
  const answers: Promise<unknown>[] = [];
  for (const [i, call] of run.calls.entries()) {
    if (call === 'wait') {
      await Promise.allSettled(answers);
      continue;
    }
    const answer = call === 'throw' ? flows.throw(new Error(`thrown ${i}`)) : flows[call]();
    const told = (text: string) => answered.push(`${i} ${call}: ${text}`);
    answers.push(
      answer.then(
        ({ value, done: isDone }) => told(isDone ? `done ${value}` : `port ${value.src_port}`),
        (error: Error) => told(error.message),
      ),
    );
  }
  await Promise.allSettled(answers);
  return { answered, done };
}

describe('flows one by one', () => {
  const calls = fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.constant<Call>('next') },
      { weight: 3, arbitrary: fc.constant<Call>('wait') },
      { weight: 1, arbitrary: fc.constantFrom<Call>('return', 'throw') },
    ),
    { maxLength: 25 },
  );
  const runs: fc.Arbitrary<Run> = fc.record({
    batches: fc.array(fc.nat(4), { maxLength: 5 }),
    failure: fc.boolean(),
    calls,
    failsToClose: fc.boolean(),
  });

  it('answer as an async generator, whatever is called, waited for or not', async () => {
    await fc.assert(
      fc.asyncProperty(runs, async (run) => {
        expect(await log(run, (batches) => new FlowIterator(batches))).toEqual(await log(run, plain));
      }),
      { numRuns: 1000 },
    );
  });

  it('are closed by what leaves a loop, and by asyncDispose', async () => {
    const closed: string[] = [];
    async function* source(): AsyncGenerator<FlowBatch, void> {
      try {
        while (true) yield batchOf({}, {});
      } finally {
        closed.push('closed');
      }
    }
    for await (const _ of new FlowIterator<Flow>(source())) break;
    expect(closed).toHaveLength(1);
    const leave = async () => {
      for await (const _ of new FlowIterator<Flow>(source())) throw new Error('out');
    };
    await expect(leave()).rejects.toThrow('out');
    expect(closed).toHaveLength(2);
    const flows = new FlowIterator<Flow>(source());
    await flows.next();
    await flows[Symbol.asyncDispose]();
    expect(closed).toHaveLength(3);
    expect((await flows.next()).done).toBe(true);
  });
});
