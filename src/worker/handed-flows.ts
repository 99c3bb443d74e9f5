// Finished flows on their way from a meter's thread to the main one: the records as they are, beside them what the flows'
// metrics are.
//
// Nearly always these are nDPI's findings, which many flows share: each is sent once, and a flow has its number. Where user
// code has metrics, they go as a table, since nearly always all flows of a batch have the same ones.
import { NfstreamError } from '../errors.ts';
import type { Findings } from '../flow/fields/ndpi.ts';
import { FlowBatch } from '../flow/flow-batch.ts';
import type { RecordShape } from '../flow/record.ts';
import type { FlowMetrics, MetricValue } from '../flow/schema.ts';

export interface HandedFlows {
  readonly count: number;
  /** Of a RecordStore. */
  readonly records: ArrayBuffer;
  readonly extra: ArrayBuffer;
  /** Null where flows have none. */
  readonly metrics: SharedFindings | MetricTable | readonly FlowMetrics[] | null;
}

/** What the flows of a batch have of what was sent so far. */
interface SharedFindings {
  /** Of each flow: its place among all that was sent. */
  readonly places: Uint32Array;
  /** What is new, a row each, and the place of the first: 0 where all that was sent before is done with. */
  readonly added: MetricTable | null;
  readonly from: number;
}

/**
 * Metrics of the same names. `cells` row by row, as many as there are names: each the place of its value in `values`. Most
 * cells of a batch are one of few texts, and sending a value costs as much as ten cells.
 */
interface MetricTable {
  readonly rows: number;
  readonly names: readonly string[];
  readonly values: readonly MetricValue[];
  readonly cells: Uint32Array;
}

/** Findings that both threads keep at most; then they begin anew. */
const MAX_FINDINGS = 4096;

/** A map takes -0 for 0. */
const NEGATIVE_ZERO = Symbol('-0');

/** In a meter's thread. */
export class FlowSender {
  readonly #places = new Map<Findings, number>();

  /** To be received in the order in which it was handed over. @param hasMetrics whether flows have any */
  hand(batch: FlowBatch, hasMetrics: boolean): HandedFlows {
    return {
      count: batch.count,
      records: batch.store.words.buffer as ArrayBuffer,
      extra: batch.store.extra.buffer as ArrayBuffer,
      metrics: hasMetrics ? (this.#findingsOf(batch) ?? metricsOf(batch)) : null,
    };
  }

  /** Undefined where a flow has other metrics. */
  #findingsOf(batch: FlowBatch): SharedFindings | undefined {
    const { count } = batch;
    for (let row = 0; row < count; row++) if (batch.findings(row) === undefined) return undefined;
    const known = this.#places;
    if (known.size + count > MAX_FINDINGS) known.clear();
    const from = known.size;
    const added: Findings[] = [];
    const places = new Uint32Array(count);
    for (let row = 0; row < count; row++) {
      const findings = batch.findings(row) as Findings;
      let place = known.get(findings);
      if (place === undefined) {
        place = known.size;
        known.set(findings, place);
        added.push(findings);
      }
      places[row] = place;
    }
    return { places, added: added.length === 0 ? null : (tableOf(added) ?? null), from };
  }
}

/** What is wrong where a batch can not be sent: the name of the metric that holds what no thread can hand over. */
export function unsendable(batch: FlowBatch, cause: unknown): NfstreamError {
  for (let row = 0; row < batch.count; row++) {
    for (const [name, value] of Object.entries(batch.flow(row).metrics)) {
      try {
        structuredClone(value);
      } catch {
        const what = `flow.metrics has what can not be sent between threads in ${JSON.stringify(name)}`;
        return new NfstreamError('USER_CLASSIFIER_FAILED', `${what}: ${String(cause)}`, { cause });
      }
    }
  }
  return new NfstreamError('METER_FAILED', `Flows can not be handed over: ${String(cause)}`, { cause });
}

function metricsOf(batch: FlowBatch): MetricTable | FlowMetrics[] {
  const rows = Array.from({ length: batch.count }, (_, row) => batch.metrics(row));
  return tableOf(rows) ?? rows;
}

/** Undefined where rows differ in their names, or in the order of these. */
function tableOf(rows: readonly FlowMetrics[]): MetricTable | undefined {
  const names = Object.keys(rows[0]);
  // Assigning to this name would set a prototype.
  if (names.includes('__proto__')) return undefined;
  const values: MetricValue[] = [];
  const places = new Map<unknown, number>();
  const cells = new Uint32Array(rows.length * names.length);
  let at = 0;
  for (const metrics of rows) {
    let column = 0;
    for (const name in metrics) {
      if (name !== names[column++]) return undefined;
      const value = metrics[name];
      const key = value === 0 && Object.is(value, -0) ? NEGATIVE_ZERO : value;
      let place = places.get(key);
      if (place === undefined) {
        place = values.length;
        values.push(value);
        places.set(key, place);
      }
      cells[at++] = place;
    }
    if (column !== names.length) return undefined;
  }
  return { rows: rows.length, names, values, cells };
}

function rowsOf({ rows, names, values, cells }: MetricTable): FlowMetrics[] {
  // Copied: an object that gets its names one after the other takes several times as long.
  const empty: FlowMetrics = Object.fromEntries(names.map((name) => [name, null]));
  let at = 0;
  return Array.from({ length: rows }, () => {
    const metrics = { ...empty };
    for (const name of names) metrics[name] = values[cells[at++]];
    return metrics;
  });
}

/** In the main thread, for each meter's. */
export class FlowReceiver {
  readonly #shape: RecordShape;
  #findings: Findings[] = [];

  constructor(shape: RecordShape) {
    this.#shape = shape;
  }

  receive({ count, records, extra, metrics }: HandedFlows): FlowBatch {
    const batch = new FlowBatch(this.#shape);
    if (metrics === null) batch.adopt(count, records, extra);
    else if ('places' in metrics) batch.adopt(count, records, extra, this.#findingsOf(metrics));
    else batch.adopt(count, records, extra, [], 'names' in metrics ? rowsOf(metrics) : metrics);
    return batch;
  }

  #findingsOf({ places, added, from }: SharedFindings): Findings[] {
    if (from === 0) this.#findings = [];
    const all = this.#findings;
    if (added !== null) all.push(...(rowsOf(added) as Findings[]));
    return Array.from(places, (place) => all[place]);
  }
}
