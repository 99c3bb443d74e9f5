// The one place that calls user code. For each packet, after the counters: the classifiers in the order given (nDPI is
// one of them), then the metrics. What user code throws stops the run with an error that names it and the flow.
import { NfstreamError } from '../errors.ts';
import { Flow } from '../flow/flow.ts';
import type { FlowObserver } from '../flow/meter.ts';
import type { RecordStore } from '../flow/record.ts';
import type { MetricValue } from '../flow/schema.ts';
import type { UserMetric } from '../metric/metric.ts';
import type { NFStreamClassifier } from './classifier.ts';
import { Packet } from './packet.ts';

/** One bit each in a mask of the classifiers that still want packets of a flow. */
export const MAX_CLASSIFIERS = 31;

export class Labeller implements FlowObserver {
  readonly #classifiers: readonly NFStreamClassifier[];
  readonly #metrics: readonly (readonly [string, UserMetric])[];
  readonly #packet: Packet;
  /** By slot: the view of a live flow, and the mask of classifiers that want its packets. */
  readonly #flows: (Flow | undefined)[] = [];
  readonly #wanted: number[] = [];
  #exited = false;

  constructor(
    classifiers: readonly NFStreamClassifier[],
    metrics: Readonly<Record<string, UserMetric>>,
    packet: Packet,
  ) {
    this.#classifiers = classifiers;
    this.#metrics = Object.entries(metrics);
    this.#packet = packet;
  }

  started(slot: number, store: RecordStore): void {
    const flow = new Flow(store, slot);
    this.#flows[slot] = flow;
    this.#wanted[slot] = 2 ** this.#classifiers.length - 1;
    for (const [name] of this.#metrics) flow.metrics[name] = 0;
    for (const classifier of this.#classifiers) {
      try {
        classifier.onFlowInit(flow);
      } catch (cause) {
        throw classifierFailed(classifier, 'onFlowInit', flow, cause);
      }
    }
  }

  updated(row: number, slot: number, direction: 0 | 1): boolean {
    let wanted = this.#wanted[slot];
    if (wanted === 0 && this.#metrics.length === 0) return false;
    const flow = this.#flows[slot] as Flow;
    const packet = this.#packet;
    Packet.move(packet, row);
    for (let i = 0; wanted !== 0; i++, wanted >>>= 1) {
      if ((wanted & 1) === 0) continue;
      const classifier = this.#classifiers[i];
      try {
        if (classifier.onFlowUpdate(packet, flow, direction) === true) this.#wanted[slot] &= ~(1 << i);
      } catch (cause) {
        throw classifierFailed(classifier, 'onFlowUpdate', flow, cause);
      }
    }
    for (const [name, metric] of this.#metrics) {
      let value: MetricValue;
      try {
        value = metric(packet, flow as unknown as Flow<Record<string, number>>, direction);
      } catch (cause) {
        throw metricFailed(name, flow, `threw ${String(cause)}`, cause);
      }
      if (value === undefined || Number.isNaN(value)) {
        throw metricFailed(name, flow, `returned ${String(value)}; it must return its new value`);
      }
      flow.metrics[name] = value;
    }
    return true;
  }

  ended(slot: number): Flow {
    const flow = this.#flows[slot] as Flow;
    this.#flows[slot] = undefined;
    for (const classifier of this.#classifiers) {
      try {
        classifier.onFlowTerminate(flow);
      } catch (cause) {
        throw classifierFailed(classifier, 'onFlowTerminate', flow, cause);
      }
    }
    Flow.release(flow);
    return flow;
  }

  /** Ends the run: `onExit` of every classifier, once. Throws the first failure after all were called. */
  exit(): void {
    if (this.#exited) return;
    this.#exited = true;
    let failure: NfstreamError | undefined;
    for (const classifier of this.#classifiers) {
      try {
        classifier.onExit();
      } catch (cause) {
        failure ??= classifierFailed(classifier, 'onExit', undefined, cause);
      }
    }
    if (failure !== undefined) throw failure;
  }
}

function classifierFailed(
  classifier: NFStreamClassifier,
  method: string,
  flow: Flow | undefined,
  cause: unknown,
): NfstreamError {
  if (cause instanceof NfstreamError) return cause;
  const where = flow === undefined ? '' : ` for the flow ${flowText(flow)}`;
  return new NfstreamError(
    'USER_CLASSIFIER_FAILED',
    `the classifier "${classifier.name}" threw in ${method}${where}: ${String(cause)}`,
    { cause },
  );
}

function metricFailed(name: string, flow: Flow, what: string, cause?: unknown): NfstreamError {
  return new NfstreamError('USER_METRIC_FAILED', `the metric "${name}" ${what}, for the flow ${flowText(flow)}`, {
    cause,
  });
}

function flowText(flow: Flow): string {
  return `${flow.ip_src}:${flow.src_port} -> ${flow.ip_dst}:${flow.dst_port} (protocol ${flow.ip_protocol})`;
}
