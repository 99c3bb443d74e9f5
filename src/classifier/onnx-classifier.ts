// Labels flows with a trained model: an ONNX file and the names of its features in, `flow.metrics[name]` out.
//
//   onFlowMeasured (early) or onFlowTerminate: features -> row of a batch -> model -> Prediction -> flow.metrics[name]
//
// Flows wait in batches, since a call of the model costs as much as some dozens of its rows. Full batches run before
// more packets are read (`onBatch`), so what waits is bounded; a part of one runs as soon as nothing else happens.
// Invariants: one prediction runs at a time; every promise handed out settles.
import { NfstreamError } from '../errors.ts';
import type { Flow } from '../flow/flow.ts';
import { NFStreamClassifier, type RunInfo } from './classifier.ts';
import { type FeatureReader, featureReaders, featureValue } from './features.ts';
import { OnnxModel } from './onnx-model.ts';
import { type OnnxClassifierOptions, type ResolvedOnnxOptions, resolveOnnxOptions } from './onnx-options.ts';
import type { Packet } from './packet.ts';
import { type PredictionBatch, PredictionQueue } from './prediction-queue.ts';
import { flowText } from './user-code-error.ts';

/** Batches' worth of flows that may wait for a prediction at once, so that the next fills while one runs. */
const BATCHES_AHEAD = 4;

/** `flow.classifiers[name]`: the batch that an early prediction waits in. */
interface Scratch {
  batch?: PredictionBatch;
}

export class OnnxClassifier extends NFStreamClassifier {
  override readonly concurrency: number;
  readonly #options: ResolvedOnnxOptions;
  readonly #isEarly: boolean;
  #features: readonly FeatureReader[] = [];
  #model: OnnxModel | undefined;
  #queue: PredictionQueue | undefined;
  #isStarted = false;
  /** Runs that were refused because this classifier is part of another: their ends are not its end. */
  #refused = 0;

  /** @throws NfstreamError UNKNOWN_OPTION or INVALID_OPTION. The model itself is looked at when the run starts. */
  constructor(options: OnnxClassifierOptions) {
    const resolved = resolveOnnxOptions(options);
    super(resolved.name);
    this.#options = resolved;
    this.#isEarly = resolved.atPackets !== Infinity || resolved.atMs !== Infinity;
    this.concurrency = BATCHES_AHEAD * resolved.batchSize;
  }

  /**
   * Loads the model and checks that it takes these features.
   * @throws NfstreamError INVALID_OPTION, MODEL_NOT_FOUND, INVALID_MODEL, MODEL_MISMATCH or MODEL_RUNTIME_UNAVAILABLE.
   */
  override async onStart(run: RunInfo): Promise<void> {
    const who = `The classifier "${this.name}"`;
    if (this.#isStarted) {
      this.#refused++;
      throw new NfstreamError('INVALID_OPTION', `${who} is part of another run; make one for each Streamer`);
    }
    this.#isStarted = true;
    this.#features = featureReaders(who, this.#options.features, run);
    const model = await OnnxModel.load(this.#options);
    this.#model = model;
    for (const [i, { name }] of this.#features.entries()) {
      if (model.inputs.takes(i, this.#options.missing)) continue;
      const takes = `the feature "${name}" is ${model.inputs.typeOf(i)}`;
      throw new NfstreamError('MODEL_MISMATCH', `${who}: ${takes}, which missing: ${this.#options.missing} is not`);
    }
    const batchSize = Math.min(this.#options.batchSize, model.inputs.fixedRows ?? Infinity);
    this.#queue = new PredictionQueue(this.name, model, batchSize);
  }

  override onFlowUpdate(): boolean {
    // At the flow's end everything is in its columns: no packet needs to be seen.
    return !this.#isEarly;
  }

  override onFlowMeasured(packet: Packet, flow: Flow): boolean {
    const { atPackets, atMs, exportReason } = this.#options;
    const isDue =
      flow.src_to_dst_pkts + flow.dst_to_src_pkts >= atPackets || packet.timestamp - flow.start_time >= atMs;
    if (!isDue) return false;
    (flow.classifiers[this.name] as Scratch).batch = this.#add(flow);
    if (exportReason !== undefined) flow.export_reason = exportReason;
    return true;
  }

  override onBatch(): Promise<void> | void {
    return this.#queue!.runFull();
  }

  override onFlowTerminate(flow: Flow): Promise<void> | void {
    const batch = (flow.classifiers[this.name] as Scratch | undefined)?.batch ?? this.#add(flow);
    return batch.settled;
  }

  override async onExit(): Promise<void> {
    if (this.#refused > 0) {
      this.#refused--;
      return;
    }
    const model = this.#model;
    this.#model = undefined;
    this.#isStarted = false;
    try {
      await this.#queue?.runAll();
    } finally {
      this.#queue = undefined;
      await model?.release();
    }
  }

  /** Reads the flow's features into a batch. */
  #add(flow: Flow): PredictionBatch {
    const { inputs } = this.#model!;
    const batch = this.#queue!.open;
    const row = batch.flows.length;
    for (const [i, { name, read }] of this.#features.entries()) {
      const given = read(flow);
      const value = featureValue(given, this.#options.missing);
      if (value === undefined || !inputs.takes(i, value)) {
        const expected = value === undefined ? 'a number' : inputs.typeOf(i);
        throw new NfstreamError(
          'MODEL_MISMATCH',
          `Expected ${expected} for the feature "${name}" of "${this.name}" but received ${valueText(given)}, for the flow ${flowText(flow)}`,
        );
      }
      batch.rows.set(row, i, value);
    }
    this.#queue!.add(flow);
    return batch;
  }
}

function valueText(value: unknown): string {
  const text = typeof value === 'function' ? 'a function' : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}
