// What user code leaves in metrics and JSON can't hold: an error that names it, in both formats.
import { describe, expect, it } from 'vitest';
import type { MetricValue } from '../../src/flow/schema.ts';
import { CsvSink } from '../../src/sink/csv.ts';
import { JsonLinesSink } from '../../src/sink/json-lines.ts';
import { batchOf, classicColumns, MemoryOutput } from './flows.ts';

const circle: Record<string, unknown> = {};
circle.again = circle;

describe.each([
  ['JSON Lines', () => new JsonLinesSink(new MemoryOutput(), classicColumns())],
  ['CSV, a column of its own', () => new CsvSink(new MemoryOutput(), classicColumns(['fine', 'odd']))],
  ['CSV, in the last column', () => new CsvSink(new MemoryOutput(), classicColumns([], true))],
])('%s', (_, sink) => {
  it.each<[string, unknown]>([
    ['a circle', circle],
    ['a bigint', [1n]],
  ])('names the metric that holds %s, and the flow', (_what, odd) => {
    const metrics = { fine: 1, odd: odd as MetricValue };
    const write = () => sink().write(batchOf({ metrics }));
    expect(write).toThrow(expect.objectContaining({ code: 'USER_METRIC_FAILED' }));
    expect(write).toThrow(
      /the metric "odd" but received what is no JSON: [^\n]*, for the flow 10\.0\.0\.1:40000 -> [^\n]*$/,
    );
  });
});

it.each([
  ['JSON Lines', (output: MemoryOutput) => new JsonLinesSink(output, classicColumns()), 1],
  ['CSV', (output: MemoryOutput) => new CsvSink(output, classicColumns(['odd'])), 2],
] as const)('%s keeps the rows before it, whole', async (_, open, lines) => {
  const output = new MemoryOutput();
  const sink = open(output);
  const batch = batchOf({ metrics: { odd: 1 } }, { metrics: { odd: circle as MetricValue } }, { metrics: { odd: 2 } });
  expect(() => sink.write(batch)).toThrow(expect.objectContaining({ code: 'USER_METRIC_FAILED' }));
  await sink.close();
  expect(sink.rows).toBe(1);
  expect(output.text.split('\n')).toHaveLength(lines + 1);
  expect(output.text.endsWith('\n')).toBe(true);
});
