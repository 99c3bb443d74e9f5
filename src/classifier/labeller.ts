// The one place that calls user code. For each packet, after the counters: nDPI, the classifiers in the order given, then
// the metrics, then the classifiers that asked to see the packet measured. What user code throws stops the run with an
// error that names it and the flow.
//
// nDPI alone has no objects of flows made: its findings leave beside their records. With user code they are copied into
// `flow.metrics` as soon as they are there.
import { instanceText } from '../check-option.ts';
import type { NfstreamError } from '../errors.ts';
import { type Findings, NDPI_FIELDS } from '../flow/fields/ndpi.ts';
import type { Flow } from '../flow/flow.ts';
import type { FlowObserver } from '../flow/flow-observer.ts';
import type { RecordStore } from '../flow/record.ts';
import type { Feature, MetricValue } from '../flow/schema.ts';
import type { UserMetric } from '../metric/metric.ts';
import { NFStreamClassifier } from './classifier.ts';
import type { Dissector } from './dissector.ts';
import type { Endings } from './endings.ts';
import { FlowCursor, FlowObjects, type LiveFlows } from './live-flows.ts';
import { Packet } from './packet.ts';
import type { PacketGuard } from './packet-guard.ts';
import { isThenable, Terminations } from './terminations.ts';
import { type ClassifierMethod, classifierFailed, metricFailed, thrownText } from './user-code-error.ts';

/** One bit each in a mask of the classifiers that still want packets of a flow. */
export const MAX_CLASSIFIERS = 31;

export class Labeller implements FlowObserver {
  readonly #classifiers: readonly NFStreamClassifier[];
  readonly #metricNames: readonly string[];
  readonly #metrics: readonly UserMetric[];
  readonly #packet: Packet;
  /** Null unless mistakes of user code are looked for. */
  readonly #guard: PacketGuard | null;
  /** What ended flows wait for. */
  readonly endings: Endings;
  readonly #terminations: Terminations;
  /** Classifiers with an onFlowMeasured of their own, as a mask, and those with an onBatch. */
  readonly #measuring: number;
  readonly #batching: readonly NFStreamClassifier[];
  readonly #flows: LiveFlows;
  readonly #features: readonly Feature[];
  readonly #ndpi: Dissector | null;
  readonly #hasUserCode: boolean;
  /** Of the flows. */
  #store: RecordStore | undefined;
  /** By slot: the mask of classifiers that want the flow's packets. */
  #wanted = new Int32Array(1024);
  /** Where `touch` leaves what it loaded, so that it is loaded. */
  warmed = 0;
  #exited = false;

  constructor(
    classifiers: readonly NFStreamClassifier[],
    metrics: Readonly<Record<string, UserMetric>>,
    packet: Packet,
    guard: PacketGuard | null = null,
    features: readonly Feature[] = [],
    ndpi: Dissector | null = null,
  ) {
    this.#features = features;
    this.#ndpi = ndpi;
    this.#classifiers = classifiers;
    this.#metricNames = Object.keys(metrics);
    this.#metrics = Object.values(metrics);
    const names = classifiers.map(({ name }) => name);
    // Looking for what user code keeps means looking at each flow's own objects.
    const areKept = classifiers.length > 0 || guard !== null;
    this.#hasUserCode = classifiers.length > 0 || this.#metrics.length > 0;
    this.#flows = areKept
      ? new FlowObjects(this.#metricNames, names)
      : new FlowCursor(this.#metricNames, ndpi === null ? [] : NDPI_FIELDS.map(({ name }) => name));
    this.#packet = packet;
    this.#guard = guard;
    this.#terminations = new Terminations(classifiers);
    this.endings = ndpi?.endings ?? this.#terminations;
    this.#measuring = classifiers.reduce((mask, c, i) => (overrides(c, 'onFlowMeasured') ? mask | (1 << i) : mask), 0);
    this.#batching = classifiers.filter((classifier) => overrides(classifier, 'onBatch'));
  }

  /** Starts nDPI, then `onStart` of every classifier, one after the other. Rejects with the first failure. */
  async start(): Promise<void> {
    const classifiers = this.#classifiers.map(({ name }) => name);
    if (this.#ndpi !== null) classifiers.unshift(this.#ndpi.name);
    this.#ndpi?.start();
    for (const classifier of this.#classifiers) {
      try {
        await classifier.onStart({ metrics: this.#metricNames, classifiers, features: this.#features });
      } catch (cause) {
        throw classifierFailed(classifier, 'onStart', undefined, cause);
      }
    }
  }

  started(slot: number, store: RecordStore): void {
    this.#store = store;
    this.#ndpi?.begin(slot, store);
    if (!this.#hasUserCode) return;
    this.#flows.start(slot, store);
    if (this.#classifiers.length === 0) return;
    if (slot >= this.#wanted.length) {
      const wanted = this.#wanted;
      this.#wanted = new Int32Array(store.rows);
      this.#wanted.set(wanted);
    }
    this.#wanted[slot] = 2 ** this.#classifiers.length - 1;
    this.#init(this.#flows.at(slot));
  }

  #init(flow: Flow): void {
    const { classifiers: scratch } = flow;
    // Each gets its call even where another one fails, as each will see the flow end.
    let failure: NfstreamError | undefined;
    for (const classifier of this.#classifiers) {
      scratch[classifier.name] = {};
      try {
        refusePromise(classifier.onFlowInit(flow));
      } catch (cause) {
        failure ??= classifierFailed(classifier, 'onFlowInit', flow, cause);
      }
    }
    if (failure !== undefined) throw failure;
  }

  /**
   * HOT PATH: loads what user code will read of the flows that a batch most likely belongs to: the loads of one row
   * depend on each other, those of different rows don't, so that many are under way at once. Without it a
   * classifier cost half as much again among 100,000 flows in random order. bench/user-code.mjs.
   */
  touch(found: Int32Array, count: number): void {
    const ndpi = this.#ndpi;
    if (ndpi !== null) {
      let wanting = 0;
      for (let row = 0; row < count; row++) if (found[row] >= 0 && ndpi.wants(found[row] >> 1)) wanting++;
      this.warmed = wanting;
    }
    if (!this.#hasUserCode) return;
    const hasMetrics = this.#metrics.length > 0;
    const flows = this.#flows;
    const wanted = this.#wanted;
    let sum = 0;
    for (let row = 0; row < count; row++) {
      const slot = found[row] >> 1;
      if (slot >= 0 && (hasMetrics || wanted[slot] !== 0)) sum += flows.touch(slot);
    }
    this.warmed = sum;
  }

  /** HOT PATH: nothing is allocated here; the try blocks cost nothing while nothing is thrown. bench/user-code.mjs. */
  updated(row: number, slot: number, direction: 0 | 1): boolean {
    const ndpi = this.#ndpi;
    if (ndpi?.wants(slot)) this.#dissect(ndpi, row, slot);
    if (!this.#hasUserCode) return false;
    const hasClassifiers = this.#classifiers.length > 0;
    const wanted = hasClassifiers ? this.#wanted[slot] : 0;
    const { length } = this.#metrics;
    if (wanted === 0 && length === 0) return false;
    const flow = this.#flows.at(slot);
    if (this.#guard !== null) this.#updatedGuarded(this.#guard, row, slot, direction, flow);
    else {
      const packet = this.#packet;
      Packet.move(packet, row);
      Packet.since(packet, this.#flows.elapse(slot, packet.timestamp));
      if (wanted !== 0) this.#classify('onFlowUpdate', wanted, packet, slot, flow, direction);
      if (length !== 0) this.#measure(packet, slot, flow, direction, 0, length);
      const measuring = hasClassifiers ? this.#wanted[slot] & this.#measuring : 0;
      if (measuring !== 0) this.#classify('onFlowMeasured', measuring, packet, slot, flow, direction);
    }
    return true;
  }

  #dissect(ndpi: Dissector, row: number, slot: number): void {
    Packet.move(this.#packet, row);
    const findings = ndpi.show(this.#packet, slot, this.#store as RecordStore);
    if (findings !== undefined && this.#hasUserCode) this.#flows.label(slot, findings);
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
        else if (typeof hasEnough === 'object') refusePromise(hasEnough);
      }
    } catch (cause) {
      throw classifierFailed(this.#classifiers[i], method, flow, cause);
    }
  }

  /** The metrics from number `from` up to `end`. */
  #measure(packet: Packet, slot: number, flow: Flow, direction: 0 | 1, from: number, end: number): void {
    const names = this.#metricNames;
    const functions = this.#metrics;
    const flows = this.#flows;
    let i = from;
    let value: MetricValue = 0;
    try {
      for (; i < end; i++) {
        value = functions[i](packet, flow as unknown as Flow<Record<string, number>>, direction);
        if (typeof value === 'number' ? Number.isNaN(value) : !isMetricValue(value)) break;
        flows.set(slot, i, value);
      }
    } catch (cause) {
      throw metricFailed(names[i], flow, `threw ${thrownText(cause)}`, cause);
    }
    if (i < end && isThenable(value)) forget(value);
    if (i < end) throw metricFailed(names[i], flow, `returned ${nameOf(value)}; ${TAKES}`);
  }

  /** The same, one call at a time, and after each call a look at what it kept. */
  #updatedGuarded(guard: PacketGuard, row: number, slot: number, direction: 0 | 1, flow: Flow): void {
    const packet = guard.open(row);
    Packet.since(packet, this.#flows.elapse(slot, packet.timestamp));
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
      this.#measure(packet, slot, flow, direction, i, i + 1);
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

  ended(slot: number): Flow | undefined {
    const ndpi = this.#ndpi;
    if (ndpi?.wants(slot)) {
      const findings = ndpi.end(slot, this.#store as RecordStore);
      if (findings !== undefined && this.#hasUserCode) this.#flows.label(slot, findings);
    }
    if (!this.#hasUserCode) return undefined;
    const flow = this.#flows.end(slot);
    this.#terminations.start(flow);
    return flow;
  }

  findings(slot: number): Findings | undefined {
    return this.#hasUserCode ? undefined : this.#ndpi?.findings(slot);
  }

  /** After a failure: the flows that are still live end for their classifiers, though nobody gets their records. */
  abandon(): void {
    for (const slot of this.#flows.slots()) {
      try {
        this.ended(slot);
      } catch {
        // Not the first failure.
      }
    }
  }

  /** Ends the run: `onExit` of every classifier, once. Rejects with the first failure after all were called. */
  async exit(): Promise<void> {
    if (this.#exited) return;
    this.#exited = true;
    await this.#ndpi?.exit();
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

/** What goes on after the call would see another packet, and nobody would hear of its failure. */
function refusePromise(answer: unknown): void {
  if (!isThenable(answer)) return;
  forget(answer);
  throw new TypeError('it returned a promise, as onStart, onBatch, onFlowTerminate and onExit alone may');
}

/** Its rejection has no reader, which would end the process. */
function forget(promise: PromiseLike<unknown>): void {
  Promise.resolve(promise).catch(() => {});
}

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
  if (typeof value === 'object' && value !== null) return instanceText(value);
  return value === undefined || typeof value === 'number' ? String(value) : `a ${typeof value}`;
}
