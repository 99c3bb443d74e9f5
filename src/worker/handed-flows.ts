// Finished flows on their way from a meter's thread to the main one: the records as they are, beside them what the flows'
// metrics are (handed-metrics.ts).
import { NfstreamError } from '../errors.ts';
import type { Findings } from '../flow/fields/ndpi.ts';
import { FlowBatch } from '../flow/flow-batch.ts';
import type { RecordShape } from '../flow/record.ts';
import type { FlowMetrics } from '../flow/schema.ts';
import {
  FindingsReceiver,
  FindingsSender,
  type MetricTable,
  rowsOf,
  type SharedFindings,
  tableOf,
} from './handed-metrics.ts';

export interface HandedFlows {
  readonly count: number;
  /** Of a RecordStore. */
  readonly records: ArrayBuffer;
  readonly extra: ArrayBuffer;
  /** Null where flows have none. */
  readonly metrics: SharedFindings | MetricTable | readonly FlowMetrics[] | null;
}

/** In a meter's thread. */
export class FlowSender {
  readonly #findings = new FindingsSender();

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
    const list: Findings[] = [];
    for (let row = 0; row < batch.count; row++) {
      const findings = batch.findings(row);
      if (findings === undefined) return undefined;
      list.push(findings);
    }
    return this.#findings.hand(list);
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

/** In the main thread, for each meter's. */
export class FlowReceiver {
  readonly #shape: RecordShape;
  readonly #findings = new FindingsReceiver();

  constructor(shape: RecordShape) {
    this.#shape = shape;
  }

  receive({ count, records, extra, metrics }: HandedFlows): FlowBatch {
    const batch = new FlowBatch(this.#shape);
    if (metrics === null) batch.adopt(count, records, extra);
    else if ('places' in metrics) batch.adopt(count, records, extra, this.#findings.receive(metrics));
    else batch.adopt(count, records, extra, [], 'names' in metrics ? rowsOf(metrics) : metrics);
    return batch;
  }
}
