// Models in a Streamer, on recorded traffic: what the stream says compared with the tree of fixtures/model.onnx, written
// out here, on the flows that come out.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../../src/classifier/classifier.ts';
import { OnnxClassifier } from '../../src/classifier/onnx-classifier.ts';
import type { OnnxClassifierOptions } from '../../src/classifier/onnx-options.ts';
import type { Prediction } from '../../src/classifier/onnx-outputs.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { metric } from '../../src/metric/metric.ts';
import type { StreamerOptions } from '../../src/options.ts';
import { Streamer } from '../../src/streamer.ts';
import { forestModel } from './onnx-writer.mjs';
import { forestProbabilities, randomForest } from './random-forest.mjs';

const ROOT = join(import.meta.dirname, '..', '..');
const MODEL = join(ROOT, 'fixtures/model.onnx');
const source = join(ROOT, 'fixtures/demo.pcapng');
const FEATURES = ['src_to_dst_bytes', 'dst_to_src_bytes'];

const folder = mkdtempSync(join(tmpdir(), 'nfstream-onnx-'));
afterAll(() => rmSync(folder, { recursive: true }));

const toy = (options: Partial<OnnxClassifierOptions> = {}) =>
  new OnnxClassifier({ name: 'shape', model: MODEL, features: FEATURES, ...options });

async function meter(options: Omit<StreamerOptions, 'source'>): Promise<Flow[]> {
  const flows: Flow[] = [];
  for await (const flow of new Streamer({ source, enableNdpi: false, ...options })) flows.push(flow as unknown as Flow);
  return flows;
}

/** The tree of script/make-model.mjs. */
function truth({ src_to_dst_bytes: sent, dst_to_src_bytes: received }: Flow): [string, number] {
  if (received === 0) return ['oneway', 1];
  if (sent <= 5000) return received <= 5000 ? ['exchange', 0.875] : ['download', 0.875];
  return received <= 5000 ? ['upload', 0.875] : ['upload', 0.5625];
}

const predictionOf = (flow: Flow, name = 'shape') => flow.metrics[name] as Prediction;

describe('fixtures/model.onnx', () => {
  it('is what its script makes', () => {
    const made = join(folder, 'made.onnx');
    execFileSync(process.execPath, [join(ROOT, 'script/make-model.mjs'), made]);
    expect(readFileSync(made).equals(readFileSync(MODEL))).toBe(true);
  });

  it('passes the checker of the onnx package', ({ skip }) => {
    const program = 'import onnx, sys; onnx.checker.check_model(onnx.load(sys.argv[1]), full_check=True)';
    try {
      execFileSync('/usr/bin/python3', ['-c', 'import onnx'], { stdio: 'ignore' });
    } catch {
      skip('python3-onnx is not installed');
    }
    execFileSync('/usr/bin/python3', ['-c', program, MODEL]);
  });
});

describe('a model in a Streamer', () => {
  it.each([1, 7, 512])('labels every flow as its tree says, in the same order, by batches of %i', async (batchSize) => {
    const without = await meter({});
    const flows = await meter({ userClassifiers: toy({ batchSize }) });
    expect(flows.map((flow) => flow.start_time)).toEqual(without.map((flow) => flow.start_time));
    for (const flow of flows) {
      const [label, probability] = truth(flow);
      expect(predictionOf(flow)).toMatchObject({ label, probability, abstained: false });
    }
    expect(new Set(flows.map((flow) => predictionOf(flow).label)).size).toBe(4);
  });

  it('abstains where its tree is in doubt', async () => {
    const flows = await meter({ userClassifiers: toy({ threshold: 0.6 }) });
    const abstained = flows.filter((flow) => predictionOf(flow).abstained);
    expect(abstained.map((flow) => [flow.dst_port, predictionOf(flow)])).toEqual([
      [
        22,
        {
          label: null,
          probability: 0.5625,
          probabilities: { download: 0, exchange: 0.4375, oneway: 0, upload: 0.5625 },
          abstained: true,
        },
      ],
    ]);
  });

  it('reads metrics of the packet at which it is due, while the flow goes on', async () => {
    const forest = randomForest({ trees: 5, depth: 4, features: 3, classes: 2, scale: 600, seed: 3 });
    const model = forestModel(forest, { features: 3, labels: ['x', 'y'] });
    const features = ['sizes[0]', 'sizes[1]', 'sizes[2]'];
    const flows = await meter({
      userMetrics: { sizes: metric<number[]>((packet, { metrics }) => [...(metrics.sizes || []), packet.length]) },
      userClassifiers: [
        new OnnxClassifier({ name: 'early', model, features, at: { packets: 3 } }),
        new OnnxClassifier({ name: 'late', model, features }),
      ],
    });
    for (const flow of flows) {
      const sizes = [...(flow.metrics['sizes'] as number[]), 0, 0].slice(0, 3);
      const [x, y] = forestProbabilities(forest, sizes);
      expect(predictionOf(flow, 'early').probabilities).toEqual({ x: expect.closeTo(x, 5), y: expect.closeTo(y, 5) });
      expect(predictionOf(flow, 'late')).toEqual(predictionOf(flow, 'early'));
    }
    expect(flows.filter((flow) => (flow.metrics['sizes'] as number[]).length > 3).length).toBeGreaterThan(20);
  });

  it('exports a flow as soon as it was classified early, when asked to', async () => {
    const flows = await meter({ userClassifiers: toy({ at: { packets: 4 }, exportReason: 7 }) });
    const packets = (flow: Flow) => flow.src_to_dst_pkts + flow.dst_to_src_pkts;
    for (const flow of flows) {
      expect(packets(flow)).toBeLessThanOrEqual(4);
      expect(flow.export_reason).toBe(packets(flow) === 4 ? 7 : 2);
      const [label, probability] = truth(flow);
      expect(predictionOf(flow)).toMatchObject({ label, probability });
    }
    expect(flows.filter((flow) => flow.export_reason === 7).length).toBeGreaterThan(100);
  });

  it('classifies by time as by packets: whatever came in before', async () => {
    const flows = await meter({ userClassifiers: toy({ at: { ms: 100 }, exportReason: 5 }) });
    const early = flows.filter((flow) => flow.export_reason === 5);
    expect(early.length).toBeGreaterThan(0);
    for (const flow of early) expect(flow.end_time - flow.start_time).toBeGreaterThanOrEqual(100);
    for (const flow of flows) expect(predictionOf(flow).label).toBe(truth(flow)[0]);
  });

  it('is found wanting before the first packet', async () => {
    const seen: string[] = [];
    class Watcher extends NFStreamClassifier {
      override onFlowInit(): void {
        seen.push('flow');
      }
      override onExit(): void {
        seen.push('exit');
      }
    }
    const wrong: [Partial<OnnxClassifierOptions>, string, string][] = [
      [{ model: join(folder, 'absent.onnx') }, 'MODEL_NOT_FOUND', 'No such model file'],
      [{ model: source }, 'INVALID_MODEL', 'does not load'],
      [
        { features: ['dst_to_src_bytes', 'src_to_dst_bytes'] },
        'MODEL_MISMATCH',
        'takes "src_to_dst_bytes" as feature 1',
      ],
      [{ features: ['src_to_dst_bites', 'dst_to_src_bytes'] }, 'INVALID_OPTION', 'did you mean "src_to_dst_bytes"?'],
    ];
    for (const [options, code, message] of wrong) {
      await expect(meter({ userClassifiers: [new Watcher(), toy(options)] })).rejects.toMatchObject({
        code,
        message: expect.stringContaining(message),
      });
    }
    expect(seen).toEqual(wrong.map(() => 'exit'));
  });

  it('fails the run when a metric turns out to be text, naming the flow', async () => {
    const features = [{ name: 'src_to_dst_bytes', value: () => 1 }, 'dst_to_src_bytes'];
    await expect(
      meter({
        userMetrics: { kind: () => 'text' },
        userClassifiers: toy({
          model: forestModel([{ weights: [1, 0] }], { features: 1, labels: ['a', 'b'] }),
          features: ['kind'],
        }),
      }),
    ).rejects.toMatchObject({
      code: 'MODEL_MISMATCH',
      message: expect.stringMatching(
        /^Expected a number for the feature "kind" of "shape" but received "text", for the flow /,
      ),
    });
    const flows = await meter({ userClassifiers: toy({ features }) });
    expect(flows.every((flow) => predictionOf(flow).label !== 'upload')).toBe(true);
  });

  it('fails the run when a function of a feature throws', async () => {
    const value = () => {
      throw new Error('no idea');
    };
    const features = ['src_to_dst_bytes', { name: 'dst_to_src_bytes', value }];
    await expect(meter({ userClassifiers: toy({ features }) })).rejects.toMatchObject({
      code: 'USER_CLASSIFIER_FAILED',
      message: expect.stringContaining('"shape" threw in onFlowTerminate: Error: no idea'),
    });
  });

  it('runs again with another Streamer, one after the other, and is ended by a reader that breaks off', async () => {
    const classifier = toy({ batchSize: 4 });
    for await (const _ of new Streamer({ source, enableNdpi: false, userClassifiers: classifier })) break;
    const flows = await meter({ userClassifiers: classifier });
    for (const flow of flows) expect(predictionOf(flow).label).toBe(truth(flow)[0]);
    const first = new Streamer({ source, enableNdpi: false, userClassifiers: classifier })[Symbol.asyncIterator]();
    await first.next();
    await expect(meter({ userClassifiers: classifier })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
    await first.return?.();
  });
});
