// What user code did wrong, as an error that names the user code and the flow.
import { NfstreamError } from '../errors.ts';
import type { Flow } from '../flow/flow.ts';
import type { NFStreamClassifier } from './classifier.ts';

/** Errors of ours that a mistake in user code caused: they keep their code and get the user code's name. */
const MISTAKES: ReadonlySet<string> = new Set(['READ_ONLY_COLUMN', 'PACKET_KEPT']);

export type ClassifierMethod = Exclude<keyof NFStreamClassifier, 'name' | 'concurrency'>;

export function classifierFailed(
  classifier: NFStreamClassifier,
  method: ClassifierMethod,
  flow: Flow | undefined,
  cause: unknown,
): NfstreamError {
  const where = flow === undefined ? '' : `, for the flow ${flowText(flow)}`;
  const who = `the classifier "${classifier.name}"`;
  if (cause instanceof NfstreamError) {
    if (!MISTAKES.has(cause.code)) return cause;
    return new NfstreamError(cause.code, `${who} in ${method}: ${cause.message}${where}`, { cause });
  }
  return new NfstreamError('USER_CLASSIFIER_FAILED', `${who} threw in ${method}: ${thrownText(cause)}${where}`, {
    cause,
  });
}

export function metricFailed(name: string, flow: Flow, what: string, cause?: unknown): NfstreamError {
  const who = `the metric "${name}"`;
  const where = `, for the flow ${flowText(flow)}`;
  if (cause instanceof NfstreamError && MISTAKES.has(cause.code)) {
    return new NfstreamError(cause.code, `${who}: ${cause.message}${where}`, { cause });
  }
  return new NfstreamError('USER_METRIC_FAILED', `${who} ${what}${where}`, { cause });
}

/** What was thrown, in one text: not everything that can be thrown can be turned into one. */
export function thrownText(cause: unknown): string {
  try {
    return String(cause);
  } catch {
    return 'a value that has no text';
  }
}

/** How a flow is called in an error. */
export function flowText(flow: Flow): string {
  return `${flow.ip_src}:${flow.src_port} -> ${flow.ip_dst}:${flow.dst_port} (protocol ${flow.ip_protocol})`;
}
