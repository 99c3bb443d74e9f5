// What a model gives: probabilities of the classes, or labels alone; turned into a Prediction.
//
//   probabilities: float [batch, classes]       the most probable class is the label
//   one probability a flow, [batch] or [batch, 1]      that of the second of two classes
//   label: int64 or string [batch]              used only where there are no probabilities
//
// A model's own label is passed over beside probabilities: onnxruntime's TreeEnsembleClassifier, for one, says the second
// of two classes whenever its weight is above 0. The order of the probabilities is that of `labels`: the option's, else
// the model's own (metadata "labels" or "classes", else what its classifying operators list), else 0, 1, 2, ...
import { mismatch } from './onnx-inputs.ts';
import type { OnnxNotes } from './onnx-metadata.ts';
import type { OrtTensor, OrtValueMetadata } from './onnx-runtime.ts';

/** What a model says about a flow: `flow.metrics[name]` of an OnnxClassifier. */
export type Prediction = {
  /** The most probable class, null when abstained. */
  label: string | null;
  /** Probability of the most probable class, also when abstained; 1 when the model gives labels without probabilities. */
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
  readonly #hasTextLabels: boolean;
  /** Without probabilities: which class the model means by a label that it gives. */
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
    const label = ofType('int64', 'int32', 'string')[0];
    this.#label = label?.name;
    this.#hasTextLabels = label?.type === 'string';
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

  /** Name of the one output to ask for. */
  get output(): string {
    return (this.#probabilities ?? this.#label) as string;
  }

  /**
   * Settles the class names, by a first result of that output, with `rows` rows.
   * @throws NfstreamError MODEL_MISMATCH when names and result don't fit.
   */
  settle({ type, dims }: OrtTensor, rows: number, labels: readonly string[] | undefined, notes: OnnxNotes): void {
    const { classes } = notes;
    if (labels !== undefined && classes !== undefined && classes.length !== labels.length) {
      const list = `${classes.length} classes (${classes.join(', ')})`;
      throw mismatch(this.#model, `has ${list}, and ${labels.length} are named (${labels.join(', ')})`);
    }
    if (this.#probabilities === undefined) {
      if (dims.reduce((all, dim) => all * dim, 1) !== rows) {
        throw mismatch(this.#model, `gives labels of shape [${dims}] for ${rows} flows`);
      }
      this.#names = labels ?? classes;
      const own = classes ?? (type === 'string' ? this.#names : numbered(this.#names?.length ?? 0));
      this.#columns = new Map(own?.map((name, column) => [name, column]));
      return;
    }
    const width = dims.length === 1 ? 1 : dims[1];
    if (dims[0] !== rows || dims.length > 2) {
      const expected = `[${rows}, classes]`;
      throw mismatch(this.#model, `gives probabilities of shape [${dims}] for ${rows} flows; expected ${expected}`);
    }
    const names = labels ?? classes ?? (this.#hasTextLabels || width === 1 ? undefined : numbered(width));
    this.#isBinary = width === 1 && names?.length === 2;
    if (names === undefined || (names.length !== width && !this.#isBinary)) {
      const given = width === 1 ? 'one number a flow' : `probabilities of ${width} classes`;
      const named = names === undefined ? 'does not say which' : `${names.length} are named (${names.join(', ')})`;
      const expected = width === 1 ? "the names of two classes, ['no', 'yes']" : `${width} names in their order`;
      throw mismatch(this.#model, `gives ${given}, and ${named}: set labels to ${expected}`);
    }
    this.#names = names;
  }

  /** @throws NfstreamError MODEL_MISMATCH for numbers that are no probabilities, and a label that is no class. */
  prediction({ data }: OrtTensor, row: number): Prediction {
    if (this.#probabilities === undefined) {
      return { label: this.#nameOf(String(data[row])), probability: 1, probabilities: {}, abstained: false };
    }
    const names = this.#names as readonly string[];
    const numbers = data as ArrayLike<number>;
    const values = this.#isBinary ? [1 - numbers[row], numbers[row]] : slice(numbers, row * names.length, names.length);
    for (const value of values) {
      if (!(value >= -TOLERANCE && value <= 1 + TOLERANCE)) {
        const how = 'let the model end with Softmax (or Sigmoid)';
        throw mismatch(this.#model, `gives ${value} in "${this.output}", which is no probability: ${how}`);
      }
    }
    const probability = Math.max(...values);
    const abstained = probability < this.#threshold;
    return {
      label: abstained ? null : names[values.indexOf(probability)],
      probability,
      // Not by assignment, to which a class named __proto__ would be lost.
      probabilities: Object.fromEntries(names.map((name, i) => [name, values[i]])),
      abstained,
    };
  }

  #nameOf(said: string): string {
    if (this.#names === undefined) return said;
    const column = this.#columns.get(said);
    if (column !== undefined) return this.#names[column];
    const known = [...this.#columns.keys()].join(', ');
    throw mismatch(this.#model, `says the label "${said}", which is none of its classes (${known}): check labels`);
  }
}

function numbered(length: number): string[] {
  return Array.from({ length }, (_, i) => String(i));
}

function slice(data: ArrayLike<number>, from: number, length: number): number[] {
  const values: number[] = [];
  for (let at = from; at < from + length; at++) values.push(data[at]);
  return values;
}
