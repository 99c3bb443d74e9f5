// Driven by hand, with flows of plain objects: what a model says compared with a walk through the same trees.
import { afterEach, describe, expect, it, vi } from 'vitest';
import { OnnxClassifier } from '../../src/classifier/onnx-classifier.ts';
import type { OnnxClassifierOptions } from '../../src/classifier/onnx-options.ts';
import type { Prediction } from '../../src/classifier/onnx-outputs.ts';
import type { Packet } from '../../src/classifier/packet.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { forestModel, onnxModel } from './onnx-writer.mjs';
import { forestProbabilities, randomForest, randomNumbers } from './random-forest.mjs';

const LABELS = ['chat', 'mail', 'video'];
const FEATURES = ['src_to_dst_bytes', 'dst_to_src_bytes', 'syn_count[1]', 'entropy', 'sizes[2]'];
const FOREST = randomForest({ trees: 20, depth: 6, features: 5, classes: 3, scale: 1000, seed: 1 });
const MODEL = forestModel(FOREST, { features: 5, labels: LABELS });
const GOOD = { name: 'app', model: MODEL, features: FEATURES };
const RUN = { metrics: ['entropy', 'sizes'], classifiers: ['app'], features: [] };

const started: OnnxClassifier[] = [];
afterEach(async () => {
  for (const classifier of started.splice(0)) await classifier.onExit();
});

async function start(options: Partial<OnnxClassifierOptions> = {}, run = RUN): Promise<OnnxClassifier> {
  const classifier = new OnnxClassifier({ ...GOOD, ...options });
  started.push(classifier);
  await classifier.onStart(run);
  return classifier;
}

interface StubFlow {
  metrics: Record<string, unknown>;
  [column: string]: unknown;
}

const random = randomNumbers(7);
function stubFlow(): StubFlow & Flow {
  const number = () => random() * 1000;
  const flow: StubFlow = {
    ip_src: '192.0.2.1',
    ip_dst: '198.51.100.2',
    src_port: 1,
    dst_port: 2,
    ip_protocol: 6,
    start_time: 1000,
    src_to_dst_pkts: 1,
    dst_to_src_pkts: 0,
    src_to_dst_bytes: number(),
    dst_to_src_bytes: number(),
    syn_count: [0, number()],
    metrics: { entropy: number(), sizes: [0, 1, number()] },
    classifiers: { app: {} },
  };
  return flow as StubFlow & Flow;
}

function rowOf(flow: StubFlow): number[] {
  const { entropy, sizes } = flow.metrics as { entropy: number; sizes: number[] };
  const { src_to_dst_bytes, dst_to_src_bytes, syn_count } = flow as unknown as Flow;
  return [src_to_dst_bytes, dst_to_src_bytes, syn_count[1], entropy, sizes[2]];
}

const predictionOf = (flow: StubFlow) => flow.metrics['app'] as Prediction | undefined;

function expectTruth(flow: StubFlow): void {
  const truth = forestProbabilities(FOREST, rowOf(flow));
  const prediction = predictionOf(flow) as Prediction;
  expect(Object.keys(prediction.probabilities)).toEqual(LABELS);
  for (const [i, label] of LABELS.entries()) expect(prediction.probabilities[label]).toBeCloseTo(truth[i], 5);
  expect(prediction.probability).toBeCloseTo(Math.max(...truth), 5);
  expect(prediction.label).toBe(LABELS[truth.indexOf(Math.max(...truth))]);
  expect(prediction.abstained).toBe(false);
}

const packetAt = (timestamp: number) => ({ timestamp }) as Packet;

describe.each(['node', 'web'] as const)('a forest on onnxruntime-%s', (runtime) => {
  it('says of every flow what a walk through its trees says', async () => {
    const classifier = await start({ runtime, batchSize: 64 });
    const flows = Array.from({ length: 300 }, stubFlow);
    await Promise.all(flows.map((flow) => classifier.onFlowTerminate(flow)));
    for (const flow of flows) expectTruth(flow);
    expect(new Set(flows.map((flow) => predictionOf(flow)?.label)).size).toBe(3);
  });

  it('abstains below the threshold, and only there', async () => {
    const classifier = await start({ runtime, threshold: 0.4 });
    const flows = Array.from({ length: 200 }, stubFlow);
    await Promise.all(flows.map((flow) => classifier.onFlowTerminate(flow)));
    const abstained = flows.filter((flow) => predictionOf(flow)?.abstained);
    expect(abstained.length).toBeGreaterThan(5);
    expect(abstained.length).toBeLessThan(195);
    for (const flow of flows) {
      const truth = forestProbabilities(FOREST, rowOf(flow));
      const best = Math.max(...truth);
      const label = best < 0.4 ? null : LABELS[truth.indexOf(best)];
      expect(predictionOf(flow)).toMatchObject({ label, abstained: label === null });
      expect(predictionOf(flow)?.probability).toBeCloseTo(best, 5);
    }
  });
});

describe('batches', () => {
  it.each([1, 7, 300, 4096])('of %i flows give the same', async (batchSize) => {
    const classifier = await start({ batchSize });
    const flows = Array.from({ length: 300 }, stubFlow);
    const promises = flows.map((flow) => classifier.onFlowTerminate(flow));
    await classifier.onBatch();
    await Promise.all(promises);
    for (const flow of flows) expectTruth(flow);
  });

  it('that are full run when packets were metered, and the others as soon as nothing happens', async () => {
    const classifier = await start({ batchSize: 10 });
    const flows = Array.from({ length: 25 }, stubFlow);
    for (const flow of flows) void classifier.onFlowTerminate(flow);
    expect(flows.filter(predictionOf)).toHaveLength(0);
    await classifier.onBatch();
    expect(flows.findLastIndex((flow) => predictionOf(flow) !== undefined)).toBe(19);
    await expect.poll(() => flows.filter(predictionOf).length).toBe(25);
  });

  it('do not wait for ever while packets keep coming', async () => {
    const classifier = await start({ batchSize: 1000 });
    const flow = stubFlow();
    let isSettled = false;
    void Promise.resolve(classifier.onFlowTerminate(flow)).then(() => {
      isSettled = true;
    });
    while (!isSettled) {
      await classifier.onBatch();
      await new Promise((resolve) => setImmediate(resolve));
    }
    expectTruth(flow);
  });

  it('of a model that fixes its rows have as many', async () => {
    const model = forestModel(FOREST, { features: 5, labels: LABELS, batch: 4 });
    const classifier = await start({ model });
    const flows = Array.from({ length: 10 }, stubFlow);
    await Promise.all(flows.map((flow) => classifier.onFlowTerminate(flow)));
    for (const flow of flows) expectTruth(flow);
  });

  it('that wait are predicted before the model is released', async () => {
    const classifier = await start();
    const flow = stubFlow();
    const promise = classifier.onFlowTerminate(flow);
    await classifier.onExit();
    await promise;
    expectTruth(flow);
  });
});

describe('early classification', () => {
  it('reads features at the n-th packet of both directions, and not again', async () => {
    const classifier = await start({ at: { packets: 3 } });
    const flow = stubFlow();
    const see = (forth: number, back: number) => {
      Object.assign(flow, { src_to_dst_pkts: forth, dst_to_src_pkts: back });
      expect(classifier.onFlowUpdate()).toBe(false);
      return classifier.onFlowMeasured(packetAt(1000), flow);
    };
    expect([see(1, 0), see(1, 1)]).toEqual([false, false]);
    const before = rowOf(flow);
    expect(see(2, 1)).toBe(true);
    Object.assign(flow, stubFlow(), { metrics: { ...stubFlow().metrics }, classifiers: flow.classifiers });
    await classifier.onFlowTerminate(flow);
    const truth = forestProbabilities(FOREST, before);
    expect(predictionOf(flow)?.probability).toBeCloseTo(Math.max(...truth), 5);
  });

  it('reads features at the first packet n ms after the start', async () => {
    const classifier = await start({ at: { ms: 500 } });
    const flow = stubFlow();
    const see = (timestamp: number) => classifier.onFlowMeasured(packetAt(timestamp), flow);
    expect([see(1000), see(1499.9), see(1500)]).toEqual([false, false, true]);
    await classifier.onFlowTerminate(flow);
    expectTruth(flow);
  });

  it('predicts while the flow lives, and a flow that ends sooner at its end', async () => {
    const classifier = await start({ at: { packets: 2 } });
    const [live, short] = [stubFlow(), stubFlow()];
    Object.assign(live, { src_to_dst_pkts: 2 });
    classifier.onFlowMeasured(packetAt(0), live);
    await expect.poll(() => predictionOf(live)).toBeDefined();
    expectTruth(live);
    expect(classifier.onFlowTerminate(live)).toBeUndefined();
    await classifier.onFlowTerminate(short);
    expectTruth(short);
  });

  it('exports the flow at once when asked to', async () => {
    const classifier = await start({ at: { packets: 2 }, exportReason: 9 });
    const flow = stubFlow();
    classifier.onFlowMeasured(packetAt(0), flow);
    expect(flow['export_reason']).toBeUndefined();
    Object.assign(flow, { src_to_dst_pkts: 2 });
    classifier.onFlowMeasured(packetAt(0), flow);
    expect(flow['export_reason']).toBe(9);
    await classifier.onFlowTerminate(flow);
    expectTruth(flow);
  });

  it('is off by default: no packet is asked for', async () => {
    const classifier = await start();
    expect(classifier.onFlowUpdate()).toBe(true);
  });
});

describe('values', () => {
  it('that are missing are what `missing` says', async () => {
    const flows = [0, -5].map(
      () => ({ ...stubFlow(), metrics: { entropy: 500, sizes: [1] } }) as unknown as Flow & StubFlow,
    );
    for (const [i, missing] of [0, 900].entries()) {
      const classifier = await start({ missing });
      await classifier.onFlowTerminate(flows[i]);
      const { src_to_dst_bytes, dst_to_src_bytes, syn_count } = flows[i];
      const truth = forestProbabilities(FOREST, [src_to_dst_bytes, dst_to_src_bytes, syn_count[1], 500, missing]);
      expect(predictionOf(flows[i])?.probability).toBeCloseTo(Math.max(...truth), 5);
    }
  });

  it('that are no numbers are refused, naming flow, feature and value', async () => {
    const classifier = await start();
    const flow = Object.assign(stubFlow(), { metrics: { entropy: 'high', sizes: [1, 2, 3] } });
    expect(() => classifier.onFlowTerminate(flow)).toThrow(
      expect.objectContaining({
        code: 'MODEL_MISMATCH',
        message:
          'Expected a number for the feature "entropy" of "app" but received "high", ' +
          'for the flow 192.0.2.1:1 -> 198.51.100.2:2 (protocol 6)',
      }),
    );
    await classifier.onFlowTerminate(Object.assign(flow, { metrics: stubFlow().metrics }));
    expectTruth(flow);
  });

  it('that are fractions are refused by a model of integers, which takes whole ones', async () => {
    const model = forestModel(FOREST, { features: 5, labels: LABELS, type: 'int64' });
    const classifier = await start({ model });
    expect(() => classifier.onFlowTerminate(stubFlow())).toThrow(
      /^Expected int64 for the feature "src_to_dst_bytes" of "app" but received \d+\.\d+, for the flow/,
    );
    const flow = stubFlow();
    Object.assign(flow, { src_to_dst_bytes: 100, dst_to_src_bytes: 200, syn_count: [0, 300] });
    flow.metrics = { entropy: 400, sizes: [0, 0, 500] };
    await classifier.onFlowTerminate(flow);
    expectTruth(flow);
    await expect(start({ model, missing: Number.NaN })).rejects.toMatchObject({
      code: 'MODEL_MISMATCH',
      message: 'The classifier "app": the feature "src_to_dst_bytes" is int64, which missing: NaN is not',
    });
  });
});

describe('a run', () => {
  it('is refused while another has the same classifier, which goes on', async () => {
    const classifier = await start();
    await expect(classifier.onStart(RUN)).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await classifier.onExit();
    const flow = stubFlow();
    await classifier.onFlowTerminate(flow);
    expectTruth(flow);
    await classifier.onExit();
    await classifier.onStart(RUN);
    const other = stubFlow();
    await classifier.onFlowTerminate(other);
    expectTruth(other);
  });

  it('may end before it started', async () => {
    const classifier = new OnnxClassifier({ ...GOOD, model: 'absent.onnx' });
    await classifier.onExit();
    await expect(classifier.onStart(RUN)).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await classifier.onExit();
    await classifier.onExit();
  });

  it('gives the model back exactly once, also when it does not start', async () => {
    const { InferenceSession } = await import('onnxruntime-node');
    const release = vi.spyOn(
      (InferenceSession as unknown as { prototype: { release(): Promise<void> } }).prototype,
      'release',
    );
    try {
      const classifier = await start();
      expect(release).toHaveBeenCalledTimes(0);
      await classifier.onExit();
      await classifier.onExit();
      expect(release).toHaveBeenCalledTimes(1);
      const wrong = { features: ['src_port'] };
      await expect(start(wrong)).rejects.toMatchObject({ code: 'MODEL_MISMATCH' });
      await started.at(-1)?.onExit();
      expect(release).toHaveBeenCalledTimes(2);
    } finally {
      release.mockRestore();
    }
  });

  it('whose prediction fails rejects for every flow of the batch, and all after it', async () => {
    // MatMul with a constant; Gather with row 1 of a batch fails when there is but one row.
    const model = onnxModel({
      nodes: [
        { op: 'Softmax', inputs: ['X'], outputs: ['all'], attributes: { axis: { int: 1 } } },
        { op: 'Reshape', inputs: ['all', 'shape'], outputs: ['probabilities'] },
      ],
      inputs: [{ name: 'X', type: 'float32', shape: ['batch', 1] }],
      outputs: [{ name: 'probabilities', type: 'float32', shape: [1, 1] }],
      constants: [{ name: 'shape', dims: [2], data: [1, 1], type: 'int64' }],
    });
    const classifier = await start({ model, features: ['src_port'], labels: ['one'], batchSize: 2 });
    const flows = [stubFlow(), stubFlow()];
    const ends = flows.map((flow) => Promise.resolve(classifier.onFlowTerminate(flow)));
    const results = await Promise.allSettled(ends);
    for (const { status, reason } of results as PromiseRejectedResult[]) {
      expect(status).toBe('rejected');
      expect(reason).toMatchObject({
        code: 'INVALID_MODEL',
        message: expect.stringMatching(/^The model of "app" failed/),
      });
    }
    await expect(classifier.onFlowTerminate(stubFlow())).rejects.toMatchObject({ code: 'INVALID_MODEL' });
    expect(() => classifier.onBatch()).toThrow('failed to predict');
    await expect(classifier.onExit()).rejects.toMatchObject({ code: 'INVALID_MODEL' });
  });
});
