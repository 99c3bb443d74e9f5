// What a model takes and gives, checked before the first packet: every mismatch is refused by name.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { OnnxModel } from '../../src/classifier/onnx-model.ts';
import { type OnnxClassifierOptions, resolveOnnxOptions } from '../../src/classifier/onnx-options.ts';
import type { Prediction } from '../../src/classifier/onnx-outputs.ts';
import { forestModel, onnxModel, type Value } from './onnx-writer.mjs';

const folder = mkdtempSync(join(tmpdir(), 'nfstream-model-'));
afterAll(() => rmSync(folder, { recursive: true }));

const TREE = [{ feature: 0, threshold: 5, left: { weights: [0.75, 0.25] }, right: { weights: [0.125, 0.875] } }];
const FEATURES = ['src_port', 'dst_port'];
const BASE = { name: 'app', model: forestModel(TREE, { features: 2, labels: ['a', 'b'] }), features: FEATURES };

type Options = Partial<OnnxClassifierOptions>;

/** Predicts rows of features. */
async function predict(options: Options, rows: number[][]): Promise<Prediction[]> {
  const model = await OnnxModel.load(resolveOnnxOptions({ ...BASE, ...options }));
  try {
    const waiting = model.inputs.createRows(rows.length);
    for (const [row, values] of rows.entries()) for (const [i, value] of values.entries()) waiting.set(row, i, value);
    return await model.predict(waiting, rows.length);
  } finally {
    await model.release();
    await model.release();
  }
}

const labelsOf = (predictions: Prediction[]) => predictions.map(({ label }) => label);

async function refusal(options: Options, code = 'MODEL_MISMATCH'): Promise<string> {
  const error: unknown = await predict(options, []).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'NfstreamError', code });
  return (error as Error).message;
}

/** A model of the standard operators; its constant `weights` is [2, 2] and turns features around. */
function network(
  outputs: Value[],
  nodes: object[],
  inputs: Value[] = [{ name: 'X', type: 'float32', shape: ['n', 2] }],
) {
  const constants = [
    { name: 'weights', dims: [2, 2], data: [0, 1, 1, 0] },
    { name: 'column', dims: [2, 1], data: [1, 0] },
  ];
  return onnxModel({ nodes: nodes as never, inputs, outputs, constants });
}
const floats = (name: string, ...shape: (number | string)[]): Value => ({ name, type: 'float32', shape });
const node = (op: string, inputs: string[], outputs: string[], attributes = {}) => ({
  op,
  inputs,
  outputs,
  attributes,
});

describe('a model file', () => {
  it('that is absent is MODEL_NOT_FOUND, naming the path', async () => {
    const model = join(folder, 'absent.onnx');
    expect(await refusal({ model }, 'MODEL_NOT_FOUND')).toBe(`No such model file: ${model}`);
  });

  it.each(['node', 'web'] as const)(
    'that is corrupt is INVALID_MODEL on %s, naming path and reason on one line',
    async (runtime) => {
      const model = join(folder, 'corrupt.onnx');
      for (const bytes of [
        new Uint8Array(0),
        BASE.model.subarray(0, 100),
        new TextEncoder().encode('no model at all'),
      ]) {
        writeFileSync(model, bytes);
        const message = await refusal({ model, runtime }, 'INVALID_MODEL');
        expect(message).toMatch(new RegExp(`^The model ${model} does not load: .+`));
        expect(message).not.toContain('\n');
      }
      expect(await refusal({ model: folder }, 'INVALID_MODEL')).toContain(`The model ${folder} can't be read: EISDIR`);
    },
  );

  it('of an operator that there is none is INVALID_MODEL, naming it', async () => {
    const model = network([floats('probabilities', 'n', 2)], [node('Sofmax', ['X'], ['probabilities'])]);
    expect(await refusal({ model }, 'INVALID_MODEL')).toMatch(/^The model of "app" does not load: .*Sofmax/);
  });

  it('is used as a path and as bytes alike', async () => {
    const model = join(folder, 'good.onnx');
    writeFileSync(model, BASE.model);
    const rows = [
      [5, 0],
      [6, 0],
    ];
    const fromPath = await predict({ model }, rows);
    expect(fromPath).toEqual(await predict({}, rows));
    expect(fromPath).toEqual([
      { label: 'a', probability: 0.75, probabilities: { a: 0.75, b: 0.25 }, abstained: false },
      { label: 'b', probability: 0.875, probabilities: { a: 0.125, b: 0.875 }, abstained: false },
    ]);
  });
});

describe('a runtime that names an output wrongly', () => {
  it('is understood: onnxruntime-node 1.22 and 1.23 call the only one asked for like the first of the model', async () => {
    const { InferenceSession } = await import('onnxruntime-node');
    const { prototype } = InferenceSession as unknown as {
      prototype: { run(feeds: object, fetches: string[]): Promise<Record<string, unknown>> };
    };
    const { run } = prototype;
    const spy = vi.spyOn(prototype, 'run').mockImplementation(async function (this: object, feeds, fetches) {
      expect(fetches).toEqual(['probabilities']);
      return { label: (await run.call(this, feeds, fetches)).probabilities };
    });
    try {
      const predictions = await predict({ runtime: 'node' }, [
        [5, 0],
        [6, 0],
      ]);
      expect(labelsOf(predictions)).toEqual(['a', 'b']);
      expect(spy).toHaveBeenCalledTimes(2);
    } finally {
      spy.mockRestore();
    }
  });
});

describe.each(['node', 'web'] as const)('inputs on onnxruntime-%s', (runtime) => {
  it.each(['float32', 'float64', 'int64', 'int32'])('of %s are filled', async (type) => {
    const model = forestModel(TREE, { features: 2, labels: ['a', 'b'], type });
    expect(
      labelsOf(
        await predict({ model, runtime }, [
          [5, 1],
          [6, 1],
          [-7, 1],
        ]),
      ),
    ).toEqual(['a', 'b', 'a']);
  });

  it('of one for each feature are filled by name, in any order', async () => {
    const inputs = [floats('dst_port', 'n', 1), floats('src_port', 'n', 1)];
    const nodes = [
      node('Concat', ['dst_port', 'src_port'], ['Y'], { axis: { int: 1 } }),
      node('Softmax', ['Y'], ['p']),
    ];
    const model = network([floats('p', 'n', 2)], nodes, inputs);
    expect(
      labelsOf(
        await predict({ model, runtime }, [
          [9, 1],
          [1, 9],
        ]),
      ),
    ).toEqual(['1', '0']);
    expect(await refusal({ model, runtime, features: ['src_port', 'vlan_id'] })).toBe(
      'The model of "app" takes an input "dst_port" that is no feature; given: src_port, vlan_id',
    );
    expect(await refusal({ model, runtime, features: ['src_port', 'vlan_id', 'dst_port'] })).toBe(
      'The model of "app" takes no input named like the feature "vlan_id"; ' +
        'it takes "dst_port" (float32 [n, 1]), "src_port" (float32 [n, 1])',
    );
  });
});

describe('inputs', () => {
  it('of another width are refused with both', async () => {
    expect(await refusal({ features: ['src_port'] })).toBe(
      'The model of "app" takes 2 features in "X" (float32 [batch, 2]), but 1 are given',
    );
  });

  it('of no width are refused, unless the names that the model was trained with are known', async () => {
    const open = (metadata?: Record<string, string>) =>
      forestModel(TREE, { features: 'width', labels: ['a', 'b'], metadata });
    expect(await refusal({ model: open() })).toContain('does not say how many features it takes in "X"');
    const model = open({ feature_names: JSON.stringify(FEATURES) });
    expect(labelsOf(await predict({ model }, [[6, 1]]))).toEqual(['b']);
  });

  it('are compared with the names that the model was trained with, in order', async () => {
    const trained = (names: unknown) =>
      forestModel(TREE, { features: 2, labels: ['a', 'b'], metadata: { feature_names: JSON.stringify(names) } });
    expect(await predict({ model: trained(FEATURES) }, [])).toEqual([]);
    const refused = (names: unknown, features = FEATURES) => refusal({ model: trained(names), features });
    expect(await refused(['src_port', 'vlan_id'])).toBe(
      'The model of "app" takes "vlan_id" as feature 2, but "dst_port" is given',
    );
    expect(await refused(['dst_port', 'src_port'])).toContain('takes "dst_port" as feature 1, but "src_port" is given');
    expect(await refused(FEATURES, ['src_port'])).toContain('takes the features src_port, dst_port; given: src_port');
    expect(await refused(['src_port'])).toContain('takes the features src_port; given: src_port, dst_port');
    expect(await refused({ 0: 'src_port' })).toContain('has metadata "feature_names" that is no JSON list of names');
    expect(await refused([1, 2])).toContain('no JSON list of names: [1,2]');
  });

  it('of other types and shapes are refused', async () => {
    const identity = (input: Value) => network([{ ...input, name: 'p' }], [node('Identity', ['X'], ['p'])], [input]);
    expect(await refusal({ model: identity({ name: 'X', type: 'string', shape: ['n', 2] }) })).toBe(
      'The model of "app" takes string in "X"; features are float32, float64, int32 or int64',
    );
    expect(await refusal({ model: identity(floats('X', 'n', 2, 1)) })).toBe(
      'The model of "app" takes "X" (float32 [n, 2, 1]); expected one input [batch, 2] or one [batch, 1] a feature',
    );
  });

  it('that only a prediction shows to be wrong are refused by a trial', async () => {
    const tree = [{ ...TREE[0], feature: 7 }];
    const metadata = { feature_names: JSON.stringify(FEATURES) };
    const model = forestModel(tree, { features: 'width', labels: ['a', 'b'], metadata });
    expect(await refusal({ model })).toMatch(/^The model of "app" does not predict with 2 features: .*feature 7/);
  });
});

describe('outputs', () => {
  const softmax = network([floats('scores', 'n', 2)], [node('Softmax', ['X'], ['scores'])]);
  const rows = [
    [3, 1],
    [1, 3],
  ];

  it('of probabilities alone give the most probable class, numbered or named', async () => {
    const probability = 1 / (1 + Math.exp(-2));
    const [first, second] = await predict({ model: softmax }, rows);
    expect(first).toMatchObject({ label: '0', probability: expect.closeTo(probability, 6), abstained: false });
    expect(second.probabilities).toEqual({ 0: expect.closeTo(1 - probability, 6), 1: expect.closeTo(probability, 6) });
    expect(labelsOf(await predict({ model: softmax, labels: ['x', 'y'] }, rows))).toEqual(['x', 'y']);
    expect(await predict({ model: softmax, threshold: 0.9 }, rows)).toMatchObject([
      { label: null, abstained: true, probability: expect.closeTo(probability, 6) },
      { label: null, abstained: true },
    ]);
    expect(await refusal({ model: softmax, labels: ['x', 'y', 'z'] })).toBe(
      'The model of "app" gives probabilities of 2 classes, and 3 are named (x, y, z): set labels to 2 names in their order',
    );
  });

  it.each([['n', 1], ['n']])(
    'of one probability a flow, of shape [%s %s], are those of the second class',
    async (...shape) => {
      const nodes = [node('MatMul', ['X', 'column'], ['z']), node('Sigmoid', ['z'], ['p'])];
      if (shape[1] === undefined)
        nodes.splice(1, 0, node('ReduceMax', ['z'], ['flat'], { axes: { ints: [1] }, keepdims: { int: 0 } }));
      if (shape[1] === undefined) nodes[2] = node('Sigmoid', ['flat'], ['p']);
      const model = network([floats('p', ...shape.filter((dim) => dim !== undefined))], nodes);
      const [low, high] = await predict({ model, labels: ['no', 'yes'] }, [
        [-1, 0],
        [1, 0],
      ]);
      const probability = 1 / (1 + Math.exp(-1));
      expect(low).toMatchObject({ label: 'no', probability: expect.closeTo(probability, 6) });
      expect(high.probabilities).toEqual({
        no: expect.closeTo(1 - probability, 6),
        yes: expect.closeTo(probability, 6),
      });
      expect(await refusal({ model })).toBe(
        'The model of "app" gives one number a flow, and does not say which: ' +
          "set labels to the names of two classes, ['no', 'yes']",
      );
    },
  );

  it('of labels alone give them as they are, or named', async () => {
    const model = network(
      [{ name: 'best', type: 'int64', shape: ['n'] }],
      [node('ArgMax', ['X'], ['best'], { axis: { int: 1 }, keepdims: { int: 0 } })],
    );
    expect(await predict({ model }, rows)).toEqual(
      ['0', '1'].map((label) => ({ label, probability: 1, probabilities: {}, abstained: false })),
    );
    expect(labelsOf(await predict({ model, labels: ['x', 'y'] }, rows))).toEqual(['x', 'y']);
    await expect(predict({ model, labels: ['x'] }, rows)).rejects.toMatchObject({
      code: 'MODEL_MISMATCH',
      message: 'The model of "app" says the label "1", which is none of its classes (0): check labels',
    });
    expect(await refusal({ model, threshold: 0.5 })).toContain('gives no probabilities, which a threshold needs');
  });

  it('of integer labels are named by the option or the metadata, in the order of the probabilities', async () => {
    const numbered = (metadata?: Record<string, string>) =>
      forestModel(TREE, { features: 2, labels: [20, 10], metadata });
    const both = [
      [5, 0],
      [6, 0],
    ];
    expect(labelsOf(await predict({ model: numbered() }, both))).toEqual(['20', '10']);
    expect(labelsOf(await predict({ model: numbered({ classes: '["x","y"]' }) }, both))).toEqual(['x', 'y']);
    expect(labelsOf(await predict({ model: numbered({ labels: '["x","y"]' }), labels: ['v', 'w'] }, both))).toEqual([
      'v',
      'w',
    ]);
    expect(await refusal({ model: numbered(), labels: ['x'] })).toBe(
      'The model of "app" has 2 classes (20, 10), and 1 are named (x)',
    );
    expect(await refusal({ model: numbered({ labels: 'x,y' }) })).toContain(
      'has metadata "labels" that is no JSON list',
    );
  });

  it('of text labels whose order is unknown are refused', async () => {
    const model = onnxModel({
      nodes: [
        node('Identity', ['X'], ['probabilities']),
        node('ArgMax', ['X'], ['at'], { axis: { int: 1 }, keepdims: { int: 0 } }),
        node('Cast', ['at'], ['label'], { to: { int: 8 } }),
      ] as never,
      inputs: [floats('X', 'n', 2)],
      outputs: [{ name: 'label', type: 'string', shape: ['n'] }, floats('probabilities', 'n', 2)],
    });
    expect(await refusal({ model })).toBe(
      'The model of "app" gives probabilities of 2 classes, and does not say which: set labels to 2 names in their order',
    );
    expect(labelsOf(await predict({ model, labels: ['0', '1'] }, [[0.2, 0.8]]))).toEqual(['1']);
  });

  it('that are no probabilities are refused with the number', async () => {
    const model = network([floats('logits', 'n', 2)], [node('MatMul', ['X', 'weights'], ['logits'])]);
    await expect(predict({ model }, [[0.5, 3.5]])).rejects.toMatchObject({
      code: 'MODEL_MISMATCH',
      message:
        'The model of "app" gives 3.5 in "logits", which is no probability: let the model end with Softmax (or Sigmoid)',
    });
    await expect(predict({ model }, [[0.5, Number.NaN]])).rejects.toThrow('gives NaN in "logits"');
    expect(await predict({ model }, [[0.25, 1.0005]])).toMatchObject([{ label: '0' }]);
  });

  it('of maps are refused with what to do', async () => {
    const model = forestModel(TREE, { features: 2, labels: ['a', 'b'], zipmap: true });
    expect(await refusal({ model })).toContain('gives its probabilities as a list of maps ("maps")');
    expect(await refusal({ model, runtime: 'web' })).toContain('convert it with `zipmap: False`');
  });

  it('of one class are refused', async () => {
    const model = forestModel([{ weights: [1] }], { features: 2, labels: ['only'] });
    expect(await refusal({ model })).toBe('The model of "app" has one class only (only): nothing to tell');
  });

  it('that are several, or none to use, are refused by name', async () => {
    const twice = (first: string) =>
      network(
        [floats(first, 'n', 2), floats('q', 'n', 2)],
        [node('Softmax', ['X'], [first]), node('Identity', ['X'], ['q'])],
      );
    expect(await refusal({ model: twice('p') })).toBe(
      'The model of "app" gives several outputs of numbers ("p", "q"); name one of them "probabilities"',
    );
    expect(labelsOf(await predict({ model: twice('probabilities') }, [[1, 0]]))).toEqual(['0']);
    const bool = network([{ name: 'b', type: 'bool', shape: ['n', 2] }], [node('Greater', ['X', 'X'], ['b'])]);
    expect(await refusal({ model: bool })).toContain('gives neither a label');
    const wrong = network([floats('p', 'r', 2)], [node('Identity', ['weights'], ['p'])]);
    expect(await refusal({ model: wrong })).toContain('gives probabilities of shape [2,2] for 1 flows');
  });
});
