// JSON of what user code left in a flow's metrics. It may be what JSON can't hold, a circle or a bigint deep inside:
// values are not searched while packets are read, so this is where it shows.
import { NfstreamError } from '../errors.ts';
import type { Flow } from '../flow/flow.ts';

/** @throws NfstreamError USER_METRIC_FAILED, naming metric and flow. */
export function jsonText(value: unknown, flowOf: () => Flow): string | undefined {
  try {
    return JSON.stringify(value);
  } catch (cause) {
    const flow = flowOf();
    const name = Object.keys(flow.metrics).find((metric) => !isJson(flow.metrics[metric]));
    const where = `${flow.ip_src}:${flow.src_port} -> ${flow.ip_dst}:${flow.dst_port} (protocol ${flow.ip_protocol})`;
    const [why] = String(cause instanceof Error ? cause.message : cause).split('\n');
    throw new NfstreamError(
      'USER_METRIC_FAILED',
      `Expected plain data for the metric "${name}" but received what is no JSON: ${why}, for the flow ${where}`,
      { cause },
    );
  }
}

function isJson(value: unknown): boolean {
  try {
    JSON.stringify(value);
    return true;
  } catch {
    return false;
  }
}
