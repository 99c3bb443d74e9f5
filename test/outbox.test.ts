// Flows that wait for a promise of a classifier: how many may, in how much memory, when finished ones come a few at a time
// as they do on a quiet link.
import { describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../src/classifier/classifier.ts';
import { Terminations } from '../src/classifier/terminations.ts';
import { Flow } from '../src/flow/flow.ts';
import { FLOW_BATCH_ROWS, FlowBatch } from '../src/flow/flow-batch.ts';
import type { FlowMeter } from '../src/flow/meter.ts';
import { RecordStore } from '../src/flow/record.ts';
import { CLASSIC_SHAPE } from '../src/flow/schema.ts';
import { Outbox } from '../src/outbox.ts';

/** `onFlowTerminate` of the first flow is a promise until `settle`. */
class SlowAtFirst extends NFStreamClassifier {
  override readonly name = 'slow';
  settle: () => void = () => {};
  #isFirst = true;

  override onFlowTerminate(): Promise<void> | undefined {
    if (!this.#isFirst) return undefined;
    this.#isFirst = false;
    return new Promise((resolve) => {
      this.settle = resolve;
    });
  }
}

/** What a FlowMeter does with finished flows. */
class Finished {
  #batches: FlowBatch[] = [];
  made = 0;

  readonly #terminations: Terminations;

  constructor(terminations: Terminations) {
    this.#terminations = terminations;
  }

  end(): void {
    const flow = new Flow(new RecordStore(1, CLASSIC_SHAPE), 0);
    this.#terminations.start(flow);
    let batch = this.#batches.at(-1);
    if (batch === undefined || batch.isFull) {
      batch = new FlowBatch(CLASSIC_SHAPE);
      this.#batches.push(batch);
      this.made++;
    }
    batch.push(new RecordStore(1, CLASSIC_SHAPE), 0, flow);
  }

  get hasFullBatch(): boolean {
    return this.#batches[0]?.isFull === true;
  }

  takeFinished(): FlowBatch[] {
    return this.#batches.splice(0);
  }

  countExported(): void {}
}

describe('an outbox with an unsettled flow', () => {
  it('has a bound, however few flows end at a time, and gives all of them in order', async () => {
    const classifier = new SlowAtFirst();
    const terminations = new Terminations([classifier]);
    const finished = new Finished(terminations);
    const outbox = new Outbox(finished as unknown as FlowMeter, terminations);
    let flows = 0;
    while (!outbox.wantsEmptying || flows % 3 !== 0) {
      finished.end();
      flows++;
      for (const _ of outbox.takeReady()) expect.unreachable();
      expect(flows).toBeLessThan(10_000);
    }
    expect(flows).toBeGreaterThan(4000);
    expect(finished.made).toBeLessThan(flows / FLOW_BATCH_ROWS + 3);
    const emptying = outbox.empty();
    const first = emptying.next();
    let given = 0;
    let isWaiting = true;
    void first.then(() => {
      isWaiting = false;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isWaiting).toBe(true);
    classifier.settle();
    for (let next = await first; next.done !== true; next = await emptying.next()) given += next.value.count;
    expect(given).toBe(flows);
    expect(outbox.isEmpty).toBe(true);
  });
});
