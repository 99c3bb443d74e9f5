// The one place that calls user code. For each packet, after the counters: the classifiers in the order given (nDPI is
// one of them), then the metrics, then the classifiers that asked to see the packet measured. What user code throws
// stops the run with an error that names it and the flow.
import type { NfstreamError } from '../errors.ts';
import { Flow } from '../flow/flow.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { FlowObserver } from '../flow/meter.ts';
import type { RecordStore } from '../flow/record.ts';
import type { MetricValue } from '../flow/schema.ts';
import type { UserMetric } from '../metric/metric.ts';
import { NFStreamClassifier } from './classifier.ts';
import { Packet } from './packet.ts';
import type { PacketGuard } from './packet-guard.ts';
import { Terminations } from './terminations.ts';
import { type ClassifierMethod, classifierFailed, metricFailed } from './user-code-error.ts';

/** One bit each in a mask of the classifiers that still want packets of a flow. */
export const MAX_CLASSIFIERS = 31;

export class Labeller implements FlowObserver {
  readonly #classifiers: readonly NFStreamClassifier[];
  readonly #metricNames: readonly string[];
  readonly #metrics: readonly UserMetric[];
  /** What a flow's metrics start as. */
  readonly #zeros: Readonly<Record<string, number>>;
  readonly #packet: Packet;
  /** Null unless mistakes of user code are looked for. */
  readonly #guard: PacketGuard | null;
  readonly #terminations: Terminations;
  /** Classifiers with an onFlowMeasured of their own, as a mask, and those with an onBatch. */
  readonly #measuring: number;
  readonly #batching: readonly NFStreamClassifier[];
  /** By slot: the view of a live flow, the mask of classifiers that want its packets, the time of its last packet. */
  readonly #flows: (Flow | undefined)[] = [];
  #wanted = new Int32Array(1024);
  #timesMs = new Float64Array(1024);
  /** Where `touch` leaves what it loaded, so that it is loaded. */
  warmed = 0;
  #exited = false;

  constructor(
    classifiers: readonly NFStreamClassifier[],
    metrics: Readonly<Record<string, UserMetric>>,
    packet: Packet,
    guard: PacketGuard | null = null,
  ) {
    this.#classifiers = classifiers;
    this.#metricNames = Object.keys(metrics);
    this.#metrics = Object.values(metrics);
    this.#zeros = Object.fromEntries(this.#metricNames.map((name) => [name, 0]));
    this.#packet = packet;
    this.#guard = guard;
    this.#terminations = new Terminations(classifiers);
    this.#measuring = classifiers.reduce((mask, c, i) => (overrides(c, 'onFlowMeasured') ? mask | (1 << i) : mask), 0);
    this.#batching = classifiers.filter((classifier) => overrides(classifier, 'onBatch'));
  }

  /** `onStart` of every classifier, one after the other. Rejects with the first failure. */
  async start(): Promise<void> {
    const classifiers = this.#classifiers.map(({ name }) => name);
    for (const classifier of this.#classifiers) {
      try {
        await classifier.onStart({ metrics: this.#metricNames, classifiers });
      } catch (cause) {
        throw classifierFailed(classifier, 'onStart', undefined, cause);
      }
    }
  }

  started(slot: number, store: RecordStore): void {
    const flow = new Flow(store, slot, { ...this.#zeros });
    if (slot >= this.#wanted.length) this.#grow(store.rows);
    this.#flows[slot] = flow;
    this.#wanted[slot] = 2 ** this.#classifiers.length - 1;
    this.#timesMs[slot] = Number.NaN;
    if (this.#classifiers.length > 0) this.#init(flow);
  }

  #init(flow: Flow): void {
    const { classifiers: scratch } = flow;
    // Each gets its call even where another one fails, as each will see the flow end.
    let failure: NfstreamError | undefined;
    for (const classifier of this.#classifiers) {
      scratch[classifier.name] = {};
      try {
        classifier.onFlowInit(flow);
      } catch (cause) {
        failure ??= classifierFailed(classifier, 'onFlowInit', flow, cause);
      }
    }
    if (failure !== undefined) throw failure;
  }

  #grow(rows: number): void {
    const [wanted, timesMs] = [this.#wanted, this.#timesMs];
    this.#wanted = new Int32Array(rows);
    this.#timesMs = new Float64Array(rows);
    this.#wanted.set(wanted);
    this.#timesMs.set(timesMs);
  }

  /**
   * HOT PATH: loads what user code will read of the flows that a batch most likely belongs to: the loads of one row
   * depend on each other, those of different rows don't, so that many are under way at once. Without it one metric
   * took four times as long among 100,000 flows in random order. bench/user-code.mjs.
   */
  touch(slots: Int32Array, count: number): void {
    const hasMetrics = this.#metrics.length > 0;
    const hasClassifiers = this.#classifiers.length > 0;
    const [metric] = this.#metricNames;
    const classifier = hasClassifiers ? this.#classifiers[this.#classifiers.length - 1].name : '';
    const flows = this.#flows;
    const wanted = this.#wanted;
    const timesMs = this.#timesMs;
    let sum = 0;
    for (let row = 0; row < count; row++) {
      const slot = slots[row];
      if (slot < 0 || (!hasMetrics && wanted[slot] === 0)) continue;
      const flow = flows[slot];
      if (flow === undefined) continue;
      sum += timesMs[slot];
      if (hasMetrics && flow.metrics[metric] === null) sum++;
      if (hasClassifiers && flow.classifiers[classifier] === undefined) sum++;
    }
    this.warmed = sum;
  }

  /** HOT PATH: nothing is allocated here; the try blocks cost nothing while nothing is thrown. bench/user-code.mjs. */
  updated(row: number, slot: number, direction: 0 | 1): boolean {
    const wanted = this.#wanted[slot];
    const { length } = this.#metrics;
    if (wanted === 0 && length === 0) return false;
    const flow = this.#flows[slot] as Flow;
    if (this.#guard !== null) this.#updatedGuarded(this.#guard, row, slot, direction, flow);
    else {
      const packet = this.#packet;
      this.#timesMs[slot] = Packet.move(packet, row, this.#timesMs[slot]);
      if (wanted !== 0) this.#classify('onFlowUpdate', wanted, packet, slot, flow, direction);
      if (length !== 0) this.#measure(packet, flow, direction, 0, length);
      const measuring = this.#wanted[slot] & this.#measuring;
      if (measuring !== 0) this.#classify('onFlowMeasured', measuring, packet, slot, flow, direction);
    }
    return true;
  }

  #classify(
    method: 'onFlowUpdate' | 'onFlowMeasured',
    mask: number,
    packet: Packet,
    slot: number,
    flow: Flow,
    direction: 0 | 1,
  ): void {
    let i = 0;
    try {
      for (let rest = mask; rest !== 0; i++, rest >>>= 1) {
        if ((rest & 1) === 0) continue;
        const classifier = this.#classifiers[i];
        const hasEnough =
          method === 'onFlowUpdate'
            ? classifier.onFlowUpdate(packet, flow, direction)
            : classifier.onFlowMeasured(packet, flow, direction);
        if (hasEnough === true) this.#wanted[slot] &= ~(1 << i);
      }
    } catch (cause) {
      throw classifierFailed(this.#classifiers[i], method, flow, cause);
    }
  }

  /** The metrics from number `from` up to `end`. */
  #measure(packet: Packet, flow: Flow, direction: 0 | 1, from: number, end: number): void {
    const names = this.#metricNames;
    const functions = this.#metrics;
    const { metrics } = flow;
    let i = from;
    let value: MetricValue = 0;
    try {
      for (; i < end; i++) {
        value = functions[i](packet, flow as unknown as Flow<Record<string, number>>, direction);
        if (typeof value === 'number' ? Number.isNaN(value) : !isMetricValue(value)) break;
        metrics[names[i]] = value;
      }
    } catch (cause) {
      throw metricFailed(names[i], flow, `threw ${String(cause)}`, cause);
    }
    if (i < end) throw metricFailed(names[i], flow, `returned ${nameOf(value)}; ${TAKES}`);
  }

  /** The same, one call at a time, and after each call a look at what it kept. */
  #updatedGuarded(guard: PacketGuard, row: number, slot: number, direction: 0 | 1, flow: Flow): void {
    const packet = guard.open(row, this.#timesMs[slot]);
    this.#timesMs[slot] = packet.timestamp;
    const classify = (method: 'onFlowUpdate' | 'onFlowMeasured', mask: number) => {
      for (const [i, classifier] of this.#classifiers.entries()) {
        if ((mask & (1 << i)) === 0) continue;
        this.#classify(method, 1 << i, packet, slot, flow, direction);
        const kept = guard.findKept(flow, classifier);
        if (kept !== undefined) throw classifierFailed(classifier, method, flow, kept);
      }
    };
    classify('onFlowUpdate', this.#wanted[slot]);
    for (const [i, name] of this.#metricNames.entries()) {
      this.#measure(packet, flow, direction, i, i + 1);
      const kept = guard.findKept(flow, undefined);
      if (kept !== undefined) throw metricFailed(name, flow, '', kept);
    }
    classify('onFlowMeasured', this.#wanted[slot] & this.#measuring);
    guard.close();
  }

  /** A batch of packets is through. What to wait for before the next one, if anything. */
  batchMetered(): Promise<void> | undefined {
    return this.#batching.length === 0 ? undefined : this.#onBatch();
  }

  async #onBatch(): Promise<void> {
    for (const classifier of this.#batching) {
      try {
        await classifier.onBatch();
      } catch (cause) {
        throw classifierFailed(classifier, 'onBatch', undefined, cause);
      }
    }
  }

  ended(slot: number): Flow {
    const flow = this.#flows[slot] as Flow;
    this.#flows[slot] = undefined;
    this.#terminations.start(flow);
    return flow;
  }

  /** What went wrong at the end of a flow, if anything did. */
  get failure(): { error: unknown } | undefined {
    return this.#terminations.failure;
  }

  /** Whether so many ended flows wait for a classifier that no more should end now. */
  get isBehind(): boolean {
    return this.#terminations.isBehind;
  }

  /** Settles when the flow has that ended first among those whose classifiers still work; undefined without any. */
  get oldestUnsettled(): Promise<void> | undefined {
    return this.#terminations.oldest;
  }

  isSettled(batch: FlowBatch): boolean {
    return this.#terminations.isSettled(batch);
  }

  /** Takes the flows out of a settled batch whose end failed. */
  removeFailed(batch: FlowBatch): void {
    this.#terminations.removeFailed(batch);
  }

  /** After a failure: the flows that are still live end for their classifiers, though nobody gets their records. */
  abandon(): void {
    for (const [slot, flow] of this.#flows.entries()) {
      try {
        if (flow !== undefined) this.ended(slot);
      } catch {
        // Not the first failure.
      }
    }
  }

  /** Ends the run: `onExit` of every classifier, once. Rejects with the first failure after all were called. */
  async exit(): Promise<void> {
    if (this.#exited) return;
    this.#exited = true;
    let failure: { error: unknown } | undefined;
    for (const classifier of this.#classifiers) {
      try {
        await classifier.onExit();
      } catch (cause) {
        failure ??= { error: classifierFailed(classifier, 'onExit', undefined, cause) };
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}

const TAKES = 'it must return its new value: a number, text, true, false, null, or a list or plain object of them';

function overrides(classifier: NFStreamClassifier, method: ClassifierMethod): boolean {
  return classifier[method] !== NFStreamClassifier.prototype[method];
}

/** What lies in a list or an object isn't looked at: it would cost its length for each packet. */
function isMetricValue(value: unknown): boolean {
  if (value === null || typeof value === 'string' || typeof value === 'boolean' || Array.isArray(value)) return true;
  if (typeof value !== 'object') return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** `undefined`, `NaN`, `a Promise` */
function nameOf(value: unknown): string {
  if (typeof value === 'object' && value !== null) return `a ${value.constructor?.name ?? 'object'}`;
  return typeof value === 'function' || typeof value === 'symbol' ? `a ${typeof value}` : String(value);
}
