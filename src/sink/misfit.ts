// What a column says of a value that it can't hold: user code may have written it over a finding, or begun otherwise.
import { NfstreamError } from '../errors.ts';
import type { FlowBatch } from '../flow/flow-batch.ts';
import type { Column, ColumnType } from '../flow/schema.ts';
import { jsonText } from './json-text.ts';
import type { MetricKind } from './metric-kind.ts';

const CONTENTS: Readonly<Record<Exclude<ColumnType, 'any'>, string>> = {
  string: 'a text',
  integer: 'an integer',
  number: 'a number',
  timestamp: 'a time in ms',
  'flag-count': 'two integers',
  'integer-list': 'a list of integers',
  'number-list': 'a list of numbers',
  'string-list': 'a list of texts',
  object: 'JSON',
};

const METRIC_CONTENTS: Readonly<Record<MetricKind, string>> = {
  number: 'a number',
  boolean: 'a boolean',
  text: 'a text',
  numbers: 'a list of numbers',
  texts: 'a list of texts',
  json: 'JSON',
};

/** What a column takes; one of user code what its first values were. */
export function contentOf({ type, size = 'int64' }: Column, kind: MetricKind | undefined): string {
  if (type === 'any') return `${METRIC_CONTENTS[kind ?? 'json']}, as the first flows have it,`;
  return type === 'integer' ? `${CONTENTS.integer} (${size})` : CONTENTS[type];
}

/** @param content What the column takes instead. */
export function misfit(name: string, content: string, value: unknown, batch: FlowBatch, row: number): NfstreamError {
  const flow = batch.flow(row);
  const where = `${flow.ip_src}:${flow.src_port} -> ${flow.ip_dst}:${flow.dst_port} (protocol ${flow.ip_protocol})`;
  const shown = String(jsonText(value, () => flow)).slice(0, 100);
  return new NfstreamError(
    'USER_METRIC_FAILED',
    `Expected ${content} for the column ${JSON.stringify(name)} but received ${shown}, for the flow ${where}`,
  );
}
