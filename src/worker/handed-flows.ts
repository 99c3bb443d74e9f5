// Finished flows on their way from a meter's thread to the main one: the records as they are, the metrics as a table,
// since nearly always all flows of a batch have the same ones.
import { NfstreamError } from '../errors.ts';
import { Flow } from '../flow/flow.ts';
import { FlowBatch } from '../flow/flow-batch.ts';
import type { RecordShape } from '../flow/record.ts';
import type { FlowMetrics, MetricValue } from '../flow/schema.ts';

export interface HandedFlows {
  readonly count: number;
  /** Of a RecordStore. */
  readonly records: ArrayBuffer;
  readonly extra: ArrayBuffer;
  /** Null where flows have none. */
  readonly metrics: MetricTable | readonly FlowMetrics[] | null;
}

/**
 * `cells` row by row, as many as there are names: each the place of its value in `values`. Most cells of a batch are one of
 * few texts, and sending a value costs as much as ten cells.
 */
interface MetricTable {
  readonly names: readonly string[];
  readonly values: readonly MetricValue[];
  readonly cells: Uint32Array;
}

/** @param hasMetrics whether anything writes into `flow.metrics` */
export function handFlows(batch: FlowBatch, hasMetrics: boolean): HandedFlows {
  return {
    count: batch.count,
    records: batch.store.words.buffer as ArrayBuffer,
    extra: batch.store.extra.buffer as ArrayBuffer,
    metrics: hasMetrics ? metricsOf(batch) : null,
  };
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
  const names = Object.keys(batch.flow(0).metrics);
  // Assigning to this name would set a prototype.
  if (names.includes('__proto__')) return objectsOf(batch);
  const values = new Map<MetricValue, number>();
  const cells = new Uint32Array(batch.count * names.length);
  let at = 0;
  for (let row = 0; row < batch.count; row++) {
    const { metrics } = batch.flow(row);
    let column = 0;
    for (const name in metrics) {
      if (name !== names[column++]) return objectsOf(batch);
      const value = metrics[name];
      let place = values.get(value);
      if (place === undefined) {
        place = values.size;
        values.set(value, place);
      }
      cells[at++] = place;
    }
    if (column !== names.length) return objectsOf(batch);
  }
  return { names, values: [...values.keys()], cells };
}

function objectsOf(batch: FlowBatch): FlowMetrics[] {
  return Array.from({ length: batch.count }, (_, row) => batch.flow(row).metrics);
}

/** A batch whose flows get their metrics when they are asked for. */
export class ReceivedBatch extends FlowBatch {
  readonly #metrics: HandedFlows['metrics'];
  readonly #views: Flow[] = [];

  constructor({ count, records, extra, metrics }: HandedFlows, shape: RecordShape) {
    super(shape);
    this.store.adopt(records, extra);
    this.count = count;
    this.#metrics = metrics;
  }

  override flow(row: number): Flow {
    this.#views[row] ??= new Flow(this.store, row, this.#metricsOf(row));
    return this.#views[row];
  }

  override metrics(row: number): FlowMetrics {
    return this.#views[row]?.metrics ?? this.#metricsOf(row);
  }

  #metricsOf(row: number): FlowMetrics {
    const handed = this.#metrics;
    if (handed === null) return {};
    if (!('names' in handed)) return handed[row];
    const { names, values, cells } = handed;
    const metrics: FlowMetrics = {};
    for (let i = 0; i < names.length; i++) metrics[names[i]] = values[cells[row * names.length + i]];
    return metrics;
  }
}
