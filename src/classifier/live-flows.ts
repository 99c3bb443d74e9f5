// Live flows as user code sees them, in one of two ways.
//
//   FlowObjects   a Flow for each flow, from its begin to its record: what classifiers may hold on to
//   FlowCursor    one Flow that moves from record to record, and metrics in columns: where there are metrics only, and nDPI
//
// The cursor makes no object for a live flow. Objects that live as long as flows do cost most of all that metrics cost:
// the collector copies them, and each is a cache line or two more that a packet waits for. bench/user-code.mjs.
import { inspect } from 'node:util';
import { addTo, copyOf, type Findings } from '../flow/fields/ndpi.ts';
import { Flow } from '../flow/flow.ts';
import { RecordStore } from '../flow/record.ts';
import { CLASSIC_SHAPE, type FlowMetrics, type MetricValue } from '../flow/schema.ts';

export interface LiveFlows {
  /** A flow began in `slot`. */
  start(slot: number, store: RecordStore): void;
  /** The flow in `slot`; a cursor is valid until the next call. */
  at(slot: number): Flow;
  /** Takes note of a packet's time; returns that of the packet before it, NaN for the first. */
  elapse(slot: number, timeMs: number): number;
  /** Sets metric number `i`. */
  set(slot: number, i: number, value: MetricValue): void;
  /** nDPI is done with the flow: its findings become metrics, too. */
  label(slot: number, findings: Findings): void;
  /** Loads what `at` and user code will read of the flow, where there is one; the sum means nothing. */
  touch(slot: number): number;
  /** The flow ended: the Flow that leaves with its record. */
  end(slot: number): Flow;
  /** Slots of all flows that live. */
  slots(): number[];
}

export class FlowObjects implements LiveFlows {
  readonly #names: readonly string[];
  readonly #lastClassifier: string;
  readonly #flows: (Flow | undefined)[] = [];
  #timesMs = new Float64Array(0);

  constructor(metrics: readonly string[], classifiers: readonly string[]) {
    this.#names = metrics;
    this.#lastClassifier = classifiers.at(-1) ?? '';
  }

  start(slot: number, store: RecordStore): void {
    if (slot >= this.#timesMs.length) this.#timesMs = longer(this.#timesMs, store.rows);
    this.#timesMs[slot] = Number.NaN;
    this.#flows[slot] = new Flow(store, slot, zerosOf(this.#names));
  }

  elapse(slot: number, timeMs: number): number {
    const previous = this.#timesMs[slot];
    this.#timesMs[slot] = timeMs;
    return previous;
  }

  at(slot: number): Flow {
    return this.#flows[slot] as Flow;
  }

  set(slot: number, i: number, value: MetricValue): void {
    (this.#flows[slot] as Flow).metrics[this.#names[i]] = value;
  }

  label(slot: number, findings: Findings): void {
    addTo((this.#flows[slot] as Flow).metrics, findings);
  }

  touch(slot: number): number {
    const flow = this.#flows[slot];
    if (flow === undefined) return 0;
    let sum = this.#timesMs[slot];
    if (this.#names.length > 0 && flow.metrics[this.#names[0]] === null) sum++;
    if (this.#lastClassifier !== '' && flow.classifiers[this.#lastClassifier] === null) sum++;
    return sum;
  }

  end(slot: number): Flow {
    const flow = this.#flows[slot] as Flow;
    this.#flows[slot] = undefined;
    return flow;
  }

  slots(): number[] {
    return [...this.#flows.keys()].filter((slot) => this.#flows[slot] !== undefined);
  }
}

type Scratch = Record<string, Record<string, unknown>>;

export class FlowCursor implements LiveFlows {
  readonly #names: readonly string[];
  readonly #flow: MovingFlow;
  #store: RecordStore = new RecordStore(1, CLASSIC_SHAPE);
  /** By slot: the time of its last packet, then a value for each metric. NaN: no number, and #others has it there. */
  #values = new Float64Array(0);
  readonly #others: (MetricValue | undefined)[] = [];
  /** By slot, where nDPI is done with the flow: what user code makes of the findings. */
  readonly #findings: (FlowMetrics | undefined)[] = [];
  /** By slot, for the few that have any: values under other names, and scratch space. */
  readonly #extras: (FlowMetrics | undefined)[] = [];
  readonly #scratch: (Scratch | undefined)[] = [];
  readonly #width: number;
  #slot = 0;

  /** `findings` are names under which there will be findings. */
  constructor(metrics: readonly string[], findings: readonly string[] = []) {
    this.#names = metrics;
    this.#width = metrics.length + 1;
    this.#flow = new MovingFlow(this.#store, this.#view(findings), () => {
      this.#scratch[this.#slot] ??= {};
      return this.#scratch[this.#slot] as Scratch;
    });
  }

  start(slot: number, store: RecordStore): void {
    const width = this.#width;
    const at = slot * width;
    this.#store = store;
    if (at >= this.#values.length) this.#values = longer(this.#values, store.rows * width);
    this.#values.fill(0, at, at + width);
    this.#values[at] = Number.NaN;
  }

  elapse(slot: number, timeMs: number): number {
    const at = slot * this.#width;
    const previous = this.#values[at];
    this.#values[at] = timeMs;
    return previous;
  }

  at(slot: number): Flow {
    this.#slot = slot;
    Flow.move(this.#flow, this.#store, slot);
    return this.#flow;
  }

  set(slot: number, i: number, value: MetricValue): void {
    const at = slot * this.#width + 1 + i;
    if (typeof value === 'number') this.#values[at] = value;
    else this.#setOther(at, value);
  }

  #setOther(at: number, value: MetricValue): void {
    this.#values[at] = Number.NaN;
    this.#others[at] = value;
  }

  label(slot: number, findings: Findings): void {
    this.#findings[slot] = copyOf(findings);
    const extras = this.#extras[slot];
    if (extras !== undefined) for (const name of Object.keys(findings)) delete extras[name];
  }

  touch(slot: number): number {
    return this.#values[slot * this.#width];
  }

  end(slot: number): Flow {
    const metrics = this.#metricsOf(slot);
    if (this.#findings.length > 0) this.#findings[slot] = undefined;
    if (this.#extras.length > 0) this.#extras[slot] = undefined;
    if (this.#others.length > 0) this.#forgetOthers(slot);
    if (this.#scratch.length > 0) this.#scratch[slot] = undefined;
    return new Flow(this.#store, slot, metrics);
  }

  /** Without classifiers nobody asks for the end of flows whose records go nowhere. */
  slots(): number[] {
    return [];
  }

  /** A copy. */
  #metricsOf(slot: number): FlowMetrics {
    const metrics = zerosOf(this.#names);
    for (let i = 0; i < this.#names.length; i++) metrics[this.#names[i]] = this.#valueOf(slot, i);
    const findings = this.#findings[slot];
    if (findings !== undefined) addTo(metrics, findings as Findings);
    return Object.assign(metrics, this.#extras[slot]);
  }

  #valueOf(slot: number, i: number): MetricValue {
    const at = slot * this.#width + 1 + i;
    const value = this.#values[at];
    return Number.isNaN(value) ? (this.#others[at] as MetricValue) : value;
  }

  #forgetOthers(slot: number): void {
    const width = this.#width;
    for (let at = slot * width; at < (slot + 1) * width; at++) this.#others[at] = undefined;
  }

  /** `flow.metrics` of the flow that the cursor is at. Extras can be read and set, but are not listed before the end. */
  #view(findings: readonly string[]): FlowMetrics {
    const ownOf = (name: PropertyKey) => {
      const own = this.#extras[this.#slot];
      return own !== undefined && Object.hasOwn(own, name) ? own : undefined;
    };
    const extras = new Proxy<FlowMetrics>(
      {},
      {
        get: (target, name) =>
          name === inspect.custom ? () => this.#metricsOf(this.#slot) : Reflect.get(ownOf(name) ?? target, name),
        has: (target, name) => Reflect.has(ownOf(name) ?? target, name),
        set: (_, name, value: MetricValue) => {
          this.#setExtra(String(name), value);
          return true;
        },
      },
    );
    const view = Object.create(extras) as FlowMetrics;
    for (const [i, name] of this.#names.entries()) {
      Object.defineProperty(view, name, {
        enumerable: true,
        get: () => this.#valueOf(this.#slot, i),
        set: (value: MetricValue) => {
          if (Number.isNaN(value)) this.#setOther(this.#slot * this.#width + 1 + i, value);
          else this.set(this.#slot, i, value);
        },
      });
    }
    for (const name of findings) {
      if (this.#names.includes(name)) continue;
      Object.defineProperty(view, name, {
        enumerable: true,
        get: () => (this.#findings[this.#slot] ?? this.#extras[this.#slot])?.[name],
        set: (value: MetricValue) => {
          const own = this.#findings[this.#slot];
          if (own === undefined) this.#setExtra(name, value);
          else own[name] = value;
        },
      });
    }
    return view;
  }

  #setExtra(name: string, value: MetricValue): void {
    this.#extras[this.#slot] ??= {};
    (this.#extras[this.#slot] as FlowMetrics)[name] = value;
  }
}

/** A Flow whose scratch space is kept elsewhere, since the view itself goes from flow to flow. */
class MovingFlow extends Flow {
  readonly #scratchSpace: () => Scratch;

  constructor(store: RecordStore, metrics: FlowMetrics, scratchSpace: () => Scratch) {
    super(store, 0, metrics);
    this.#scratchSpace = scratchSpace;
  }

  override get classifiers(): Scratch {
    return this.#scratchSpace();
  }

  /** Refused as any Flow refuses it, by the setter that the getter above hides. */
  override set classifiers(value: Scratch) {
    Reflect.set(Flow.prototype, 'classifiers', value);
  }
}

/** Where metrics start. Not a copy of one such object: adding findings to a copy takes eighty times as long. */
function zerosOf(names: readonly string[]): FlowMetrics {
  const metrics: FlowMetrics = {};
  for (const name of names) metrics[name] = 0;
  return metrics;
}

function longer(array: Float64Array, length: number): Float64Array<ArrayBuffer> {
  const copy = new Float64Array(length);
  copy.set(array);
  return copy;
}
