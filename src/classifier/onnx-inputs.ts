// What a model takes: one input for all features, or one for each; and the rows of features that wait for a prediction,
// in the model's own number type, so that they are handed over without a copy.
//
//   X: float32 [batch, 3]                                      features in their order, by the model's feature_names
//   src_port: int64 [batch, 1]   bytes: float32 [batch, 1]     features by their names, in any order
//
// Numbers become float32 in most models, as they did when the model was trained.
import { NfstreamError } from '../errors.ts';
import type { OnnxRuntime, OrtTensor, OrtValueMetadata } from './onnx-runtime.ts';

const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, int64: BigInt64Array } as const;
type NumberType = keyof typeof ARRAYS;

interface ModelInput {
  readonly name: string;
  readonly type: NumberType;
  readonly shape: readonly (number | string)[];
}

export class ModelInputs {
  readonly #inputs: readonly ModelInput[];
  /** By feature: which input it goes to. */
  readonly #inputOf: readonly number[];
  /** Rows of every call, when the model fixes them; undefined when it takes any number. */
  readonly fixedRows: number | undefined;

  /**
   * @param model How the model is called in an error.
   * @param trained Names of the features that the model was trained with, when it has them.
   * @throws NfstreamError MODEL_MISMATCH when the model takes other inputs than these features.
   */
  constructor(
    model: string,
    given: readonly OrtValueMetadata[],
    features: readonly string[],
    trained: readonly string[] | undefined,
  ) {
    this.#inputs = given.map((input) => numeric(model, input));
    const [first, ...others] = this.#inputs;
    if (first === undefined) throw mismatch(model, 'takes no input at all');
    const isOneForAll = others.length === 0 && first.shape.length === 2;
    if (isOneForAll) {
      checkTrained(model, features, trained);
      const width = first.shape[1];
      if (typeof width === 'number' && width !== features.length) {
        throw mismatch(model, `takes ${width} features in ${text(first)}, but ${features.length} are given`);
      }
      if (typeof width !== 'number' && trained === undefined) {
        const how = 'fix the width of that input, or note the names in its metadata as "feature_names"';
        throw mismatch(model, `does not say how many features it takes in ${text(first)}: ${how}`);
      }
      this.#inputOf = features.map(() => 0);
    } else {
      this.#inputOf = byName(model, this.#inputs, features);
    }
    this.fixedRows = this.#inputs.map(({ shape }) => shape[0]).find((rows) => typeof rows === 'number');
  }

  /** Whether a value fits the feature's number type: integers take no fractions. */
  takes(feature: number, value: number): boolean {
    const { type } = this.#inputs[this.#inputOf[feature]];
    if (type === 'int32') return value === (value | 0);
    return type !== 'int64' || Number.isSafeInteger(value);
  }

  typeOf(feature: number): string {
    return this.#inputs[this.#inputOf[feature]].type;
  }

  createRows(rows: number): FeatureRows {
    const features = this.#inputOf.length;
    const isOneForAll = this.#inputs.length === 1;
    return new FeatureRows(
      this.#inputs.map((input) => {
        const width = isOneForAll ? features : 1;
        return { ...input, width, data: new ARRAYS[input.type](rows * width) };
      }),
      this.#inputOf,
    );
  }
}

interface InputColumn extends ModelInput {
  readonly width: number;
  readonly data: Float32Array | Float64Array | Int32Array | BigInt64Array;
}

/** Features of some flows, a row for each. */
export class FeatureRows {
  readonly #inputs: readonly InputColumn[];
  readonly #inputOf: readonly number[];

  constructor(inputs: readonly InputColumn[], inputOf: readonly number[]) {
    this.#inputs = inputs;
    this.#inputOf = inputOf;
  }

  /** A value that the input `takes`. */
  set(row: number, feature: number, value: number): void {
    const { data, width } = this.#inputs[this.#inputOf[feature]];
    const at = width === 1 ? row : row * width + feature;
    if (data instanceof BigInt64Array) data[at] = BigInt(value);
    else data[at] = value;
  }

  /** The first `rows` rows, as the model takes them. */
  tensors({ Tensor }: OnnxRuntime, rows: number): Record<string, OrtTensor> {
    const feeds: Record<string, OrtTensor> = {};
    for (const { name, type, shape, width, data } of this.#inputs) {
      feeds[name] = new Tensor(type, data.subarray(0, rows * width), shape.length === 1 ? [rows] : [rows, width]);
    }
    return feeds;
  }
}

function numeric(model: string, { name, isTensor, type, shape }: OrtValueMetadata): ModelInput {
  if (!isTensor || type === undefined || shape === undefined || !(type in ARRAYS)) {
    const what = isTensor ? type : 'no tensor';
    throw mismatch(model, `takes ${what} in "${name}"; features are float32, float64, int32 or int64`);
  }
  return { name, type: type as NumberType, shape };
}

function checkTrained(model: string, features: readonly string[], trained: readonly string[] | undefined): void {
  if (trained === undefined) return;
  const at = Array.from({ length: Math.max(features.length, trained.length) }).findIndex(
    (_, i) => features[i] !== trained[i],
  );
  if (at === -1) return;
  if (at >= trained.length || at >= features.length) {
    throw mismatch(model, `takes the features ${trained.join(', ')}; given: ${features.join(', ')}`);
  }
  throw mismatch(model, `takes "${trained[at]}" as feature ${at + 1}, but "${features[at]}" is given`);
}

function byName(model: string, inputs: readonly ModelInput[], features: readonly string[]): number[] {
  const list = inputs.map(text).join(', ');
  for (const { name, shape } of inputs) {
    if (shape.length !== 1 && (shape.length !== 2 || shape[1] !== 1)) {
      throw mismatch(
        model,
        `takes ${list}; expected one input [batch, ${features.length}] or one [batch, 1] a feature`,
      );
    }
    if (inputs.length > 1 && !features.includes(name)) {
      throw mismatch(model, `takes an input "${name}" that is no feature; given: ${features.join(', ')}`);
    }
  }
  const names = inputs.length === 1 && features.length === 1 ? features : inputs.map(({ name }) => name);
  return features.map((feature) => {
    const at = names.indexOf(feature);
    if (at === -1) throw mismatch(model, `takes no input named like the feature "${feature}"; it takes ${list}`);
    return at;
  });
}

function text({ name, type, shape }: ModelInput): string {
  return `"${name}" (${type} [${shape.map((dim) => (dim === '' ? '?' : dim)).join(', ')}])`;
}

export function mismatch(model: string, what: string): NfstreamError {
  return new NfstreamError('MODEL_MISMATCH', `${model} ${what}`);
}
