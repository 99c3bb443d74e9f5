// What a model gives: a label for each flow, probabilities of the classes, or both; turned into a Prediction.
//
//   label: int64 or string [batch]    probabilities: float [batch, classes]    what classifiers of scikit-learn export
//   probabilities alone: the most probable class is the label                  what neural networks export
//   one probability a flow, [batch] or [batch, 1]: that of the second of two classes
//
// The order of the probabilities is that of `labels`: the option's, else the model's own (metadata "labels" or
// "classes", else what its classifying operators list), else 0, 1, 2, ...
import { mismatch } from './onnx-inputs.ts';
import type { OnnxNotes } from './onnx-metadata.ts';
import type { OrtTensor, OrtValueMetadata } from './onnx-runtime.ts';

/** What a model says about a flow: `flow.metrics[name]` of an OnnxClassifier. */
export type Prediction = {
  /** The class, null when abstained. */
  label: string | null;
  /** Probability of the model's label, also when abstained; 1 when the model gives labels without probabilities. */
  probability: number;
  /** By class. Empty when the model gives labels without probabilities. */
  probabilities: { [label: string]: number };
  /** Whether the probability was below the threshold. */
  abstained: boolean;
};

/** Rounding of sums of float32; what is farther out is no probability. */
const TOLERANCE = 1e-3;

export class ModelOutputs {
  readonly #model: string;
  readonly #label: string | undefined;
  readonly #probabilities: string | undefined;
  readonly #threshold: number;
  /** Class names by column of the probabilities. */
  #names: readonly string[] | undefined;
  /** Which column the model means by a label that it gives. */
  #columns = new Map<string, number>();
  /** One number a flow: the probability of the second class. */
  #isBinary = false;

  /** @throws NfstreamError MODEL_MISMATCH when the model gives nothing that is a prediction. */
  constructor(model: string, given: readonly OrtValueMetadata[], threshold: number) {
    this.#model = model;
    this.#threshold = threshold;
    const ofType = (...types: string[]) =>
      given.filter(({ isTensor, type }) => isTensor && types.includes(String(type)));
    const floats = ofType('float32', 'float64');
    const chosen = floats.length > 1 ? floats.filter(({ name }) => /prob/i.test(name)) : floats;
    if (chosen.length !== 1 && floats.length > 1) {
      const list = floats.map(({ name }) => `"${name}"`).join(', ');
      throw mismatch(model, `gives several outputs of numbers (${list}); name one of them "probabilities"`);
    }
    this.#probabilities = chosen[0]?.name;
    this.#label = ofType('int64', 'int32', 'string')[0]?.name;
    const maps = given.find(({ isTensor }) => !isTensor);
    if (this.#probabilities === undefined && maps !== undefined) {
      const how = 'convert it with `zipmap: False` (skl2onnx: options={id(model): {"zipmap": False}})';
      throw mismatch(model, `gives its probabilities as a list of maps ("${maps.name}"), which can't be read: ${how}`);
    }
    if (this.#probabilities === undefined && this.#label === undefined) {
      throw mismatch(model, 'gives neither a label (int64, int32 or string) nor probabilities (float32 or float64)');
    }
    if (this.#probabilities === undefined && threshold > 0) {
      throw mismatch(model, 'gives no probabilities, which a threshold needs');
    }
  }

  /** Names of the outputs to ask for. */
  get fetches(): readonly string[] {
    return [this.#label, this.#probabilities].filter((name) => name !== undefined);
  }

  /**
   * Settles the class names, by a first result with `rows` rows.
   * @throws NfstreamError MODEL_MISMATCH when names and result don't fit.
   */
  settle(
    result: Record<string, OrtTensor>,
    rows: number,
    labels: readonly string[] | undefined,
    notes: OnnxNotes,
  ): void {
    const { type, dims: labelDims } = (this.#label === undefined ? undefined : result[this.#label]) ?? {};
    if (labelDims !== undefined && labelDims.reduce((all, dim) => all * dim, 1) !== rows) {
      throw mismatch(this.#model, `gives labels of shape [${labelDims}] for ${rows} flows`);
    }
    if (this.#probabilities === undefined) {
      const names = labels ?? notes.classes;
      if (names === undefined) return;
      this.#setNames(names, type, notes);
      return;
    }
    const { dims } = result[this.#probabilities];
    const width = dims.length === 1 ? 1 : dims[1];
    if (dims[0] !== rows || dims.length > 2) {
      throw mismatch(
        this.#model,
        `gives probabilities of shape [${dims}] for ${rows} flows; expected [${rows}, classes]`,
      );
    }
    const names = labels ?? notes.classes ?? (type === 'string' || width === 1 ? undefined : numbered(width));
    this.#isBinary = width === 1 && names?.length === 2;
    if (names === undefined || (names.length !== width && !this.#isBinary)) {
      const classes = width === 1 ? 'one number a flow' : `probabilities of ${width} classes`;
      const named = names === undefined ? 'does not say which' : `${names.length} are named (${names.join(', ')})`;
      const expected = width === 1 ? "the names of two classes, ['no', 'yes']" : `${width} names in their order`;
      throw mismatch(this.#model, `gives ${classes}, and ${named}: set labels to ${expected}`);
    }
    this.#setNames(names, type, notes);
  }

  #setNames(names: readonly string[], type: string | undefined, { classes }: OnnxNotes): void {
    if (classes !== undefined && classes.length !== names.length) {
      const list = classes.join(', ');
      throw mismatch(this.#model, `has ${classes.length} classes (${list}), but ${names.length} labels are named`);
    }
    this.#names = names;
    const own = classes ?? (type === 'string' ? names : numbered(names.length));
    this.#columns = new Map(own.map((name, column) => [name, column]));
  }

  /** @throws NfstreamError MODEL_MISMATCH for a label that is no class and numbers that are no probabilities. */
  prediction(result: Record<string, OrtTensor>, row: number): Prediction {
    const said = this.#label === undefined ? undefined : String(result[this.#label].data[row]);
    const names = this.#names;
    if (names === undefined) return { label: said!, probability: 1, probabilities: {}, abstained: false };
    let column = said === undefined ? -1 : this.#columnOf(said);
    if (this.#probabilities === undefined) {
      return { label: names[column], probability: 1, probabilities: {}, abstained: false };
    }
    const data = result[this.#probabilities].data as ArrayLike<number>;
    const values = this.#isBinary ? [1 - data[row], data[row]] : slice(data, row, names.length);
    for (const value of values) {
      if (!(value >= -TOLERANCE && value <= 1 + TOLERANCE)) {
        const how = 'let the model end with Softmax (or Sigmoid)';
        throw mismatch(this.#model, `gives ${value} in "${this.#probabilities}", which is no probability: ${how}`);
      }
    }
    if (column === -1) column = values.indexOf(Math.max(...values));
    const probability = values[column];
    const abstained = probability < this.#threshold;
    return {
      label: abstained ? null : names[column],
      probability,
      // Not by assignment, to which a class named __proto__ would be lost.
      probabilities: Object.fromEntries(names.map((name, i) => [name, values[i]])),
      abstained,
    };
  }

  #columnOf(said: string): number {
    const column = this.#columns.get(said);
    if (column !== undefined) return column;
    const known = [...this.#columns.keys()].join(', ');
    throw mismatch(this.#model, `says the label "${said}", which is none of its classes (${known}): check labels`);
  }
}

function numbered(length: number): string[] {
  return Array.from({ length }, (_, i) => String(i));
}

function slice(data: ArrayLike<number>, row: number, width: number): number[] {
  const values: number[] = [];
  for (let i = 0; i < width; i++) values.push(data[row * width + i]);
  return values;
}
