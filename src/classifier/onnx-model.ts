// A loaded model: bytes and feature names in, a session that predicts rows of features out. What it takes and gives is
// checked once, when it is loaded, by its description and by one trial prediction of zeros.
//
// Invariant: the session is released exactly once, also when a check fails; one prediction runs at a time.
import { readFile } from 'node:fs/promises';
import { NfstreamError } from '../errors.ts';
import { featureName } from './features.ts';
import { type FeatureRows, ModelInputs, mismatch } from './onnx-inputs.ts';
import { type OnnxNotes, readOnnxNotes } from './onnx-metadata.ts';
import type { ResolvedOnnxOptions } from './onnx-options.ts';
import { ModelOutputs, type Prediction } from './onnx-outputs.ts';
import { loadOnnxRuntime, type OnnxRuntime, type OrtSession, type OrtTensor, reasonOf } from './onnx-runtime.ts';

/** The runtimes' own messages on stderr: none, what goes wrong is thrown. */
const LOG_FATAL = 4;

export class OnnxModel {
  readonly #model: string;
  readonly #runtime: OnnxRuntime;
  #session: OrtSession | undefined;
  readonly inputs: ModelInputs;
  readonly #outputs: ModelOutputs;

  private constructor(
    model: string,
    runtime: OnnxRuntime,
    session: OrtSession,
    inputs: ModelInputs,
    outputs: ModelOutputs,
  ) {
    this.#model = model;
    this.#runtime = runtime;
    this.#session = session;
    this.inputs = inputs;
    this.#outputs = outputs;
  }

  /**
   * @throws NfstreamError MODEL_NOT_FOUND, INVALID_MODEL, MODEL_RUNTIME_UNAVAILABLE, or MODEL_MISMATCH when the model
   * takes other inputs than the features or gives no prediction.
   */
  static async load(options: ResolvedOnnxOptions): Promise<OnnxModel> {
    const model = typeof options.model === 'string' ? `The model ${options.model}` : `The model of "${options.name}"`;
    const bytes = typeof options.model === 'string' ? await readModel(options.model) : options.model;
    const notes = readOnnxNotes(bytes);
    // onnxruntime-node 1.30 ends the process when a forest of one class predicts.
    if (notes.classes?.length === 1) throw mismatch(model, `has one class only (${notes.classes[0]}): nothing to tell`);
    const runtime = await loadOnnxRuntime(options.runtime, options.threads);
    const session = await openSession(runtime, model, bytes, options);
    try {
      if (session.inputMetadata === undefined) {
        const how = 'Install onnxruntime 1.22 or later';
        throw new NfstreamError('MODEL_RUNTIME_UNAVAILABLE', `The runtime does not describe models. ${how}`);
      }
      const names = options.features.map(featureName);
      const inputs = new ModelInputs(model, session.inputMetadata, names, listOf(model, notes, 'feature_names'));
      const outputs = new ModelOutputs(model, session.outputMetadata, options.threshold);
      const loaded = new OnnxModel(model, runtime, session, inputs, outputs);
      await loaded.#try(options, notes);
      return loaded;
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  /** A row of zeros: what a description leaves open shows now, not at the first flow. */
  async #try(options: ResolvedOnnxOptions, notes: OnnxNotes): Promise<void> {
    const rows = this.inputs.fixedRows ?? 1;
    let result: OrtTensor;
    try {
      result = await this.#run(this.inputs.createRows(rows), rows);
    } catch (cause) {
      const what = `does not predict with ${options.features.length} features: ${reasonOf(cause)}`;
      throw new NfstreamError('MODEL_MISMATCH', `${this.#model} ${what}`, { cause });
    }
    const own = listOf(this.#model, notes, 'labels') ?? listOf(this.#model, notes, 'classes');
    this.#outputs.settle(result, rows, options.labels ?? own, notes);
  }

  /** One prediction for each of the first `count` rows. */
  async predict(rows: FeatureRows, count: number): Promise<Prediction[]> {
    let result: OrtTensor;
    try {
      result = await this.#run(rows, this.inputs.fixedRows ?? count);
    } catch (cause) {
      throw new NfstreamError('INVALID_MODEL', `${this.#model} failed to predict: ${reasonOf(cause)}`, { cause });
    }
    const predictions: Prediction[] = [];
    for (let row = 0; row < count; row++) predictions.push(this.#outputs.prediction(result, row));
    return predictions;
  }

  async #run(rows: FeatureRows, count: number): Promise<OrtTensor> {
    const results = await this.#session!.run(rows.tensors(this.#runtime, count), [this.#outputs.output]);
    // Not by its name: onnxruntime-node 1.22 and 1.23 call the only output asked for like the model's first.
    return Object.values(results)[0];
  }

  /** Gives the model's memory back; a second call does nothing. */
  async release(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }
}

async function readModel(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw new NfstreamError('MODEL_NOT_FOUND', `No such model file: ${path}`, { file: path, cause });
    }
    throw new NfstreamError('INVALID_MODEL', `The model ${path} can't be read: ${reasonOf(cause)}`, {
      file: path,
      cause,
    });
  }
}

async function openSession(
  runtime: OnnxRuntime,
  model: string,
  bytes: Uint8Array,
  { model: source, threads }: ResolvedOnnxOptions,
): Promise<OrtSession> {
  try {
    return await runtime.InferenceSession.create(bytes, { intraOpNumThreads: threads, logSeverityLevel: LOG_FATAL });
  } catch (cause) {
    const details = typeof source === 'string' ? { file: source, cause } : { cause };
    throw new NfstreamError('INVALID_MODEL', `${model} does not load: ${reasonOf(cause)}`, details);
  }
}

/** A list of names in the model's metadata, a JSON list of texts; undefined when there is none. */
function listOf(model: string, { metadata }: OnnxNotes, key: string): readonly string[] | undefined {
  const json = metadata.get(key);
  if (json === undefined) return undefined;
  let list: unknown;
  try {
    list = JSON.parse(json);
  } catch {
    list = undefined;
  }
  if (Array.isArray(list) && list.length > 0 && list.every((name) => typeof name === 'string')) return list;
  throw mismatch(model, `has metadata "${key}" that is no JSON list of names: ${json.slice(0, 60)}`);
}
