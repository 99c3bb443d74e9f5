// Records against the JSON Schema that is printed for them, judged by a validator that is not ours (ajv).
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../../src/classifier/classifier.ts';
import { jsonSchemaOfSchema } from '../../src/flow/json-schema.ts';
import { type Column, SCHEMA_NAMES } from '../../src/flow/schema.ts';
import { jsonSchema } from '../../src/json-schema.ts';
import { resolveOptions, type StreamerOptions } from '../../src/options.ts';
import { recordShapeOf } from '../../src/record-shape.ts';
import { Streamer } from '../../src/streamer.ts';
import { DEMO } from '../streams.ts';

type Json = Record<string, unknown>;
type Options = Partial<StreamerOptions>;

const compile = (schema: object): ValidateFunction =>
  new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(schema);

/** As JSON Lines have them. */
async function recordsOf(options: Options): Promise<Json[]> {
  const records: Json[] = [];
  for await (const flow of new Streamer({ source: DEMO, handleSigint: false, ...options })) {
    records.push(JSON.parse(JSON.stringify(flow)));
  }
  expect(records.length).toBeGreaterThan(20);
  return records;
}

class Label extends NFStreamClassifier {
  override onFlowTerminate(flow: { metrics: Json }) {
    flow.metrics[this.name] = ['a', { deep: null }];
    flow.metrics.another = 1.5;
  }
}

const EVERYTHING: Options = { statistics: true, splt: 7, accountingMode: 'payload', tcpEnd: true, activeTimeout: 0.01 };
const CODE: Options = { userMetrics: { big: () => 7 }, userClassifiers: new Label('label') };
const RUNS: [string, Options][] = SCHEMA_NAMES.flatMap((schema): [string, Options][] => [
  [`${schema} as it is`, { schema }],
  [`${schema} without nDPI and tunnels`, { schema, enableNdpi: false, decodeTunnels: false }],
  [`${schema} with everything`, { schema, ...EVERYTHING }],
  [`${schema} with exact times`, { schema, ...EVERYTHING, exactTimes: true }],
  [`${schema} with whole milliseconds`, { schema, ...EVERYTHING, exactTimes: false }],
  [`${schema} with user code`, { schema, ...CODE }],
]);

describe('the JSON Schema of a run', () => {
  it.each([
    ...RUNS,
    [
      'a list of fields',
      { fields: ['flow_id', 'segment', 'splt_ps', 'risks', 'big', 'udps', 'ip_src'], splt: 2, ...CODE },
    ],
  ] as [string, Options][])('fits all records of %s, and names their columns in order', async (_, options) => {
    const schema = jsonSchema(options);
    const validate = compile(schema);
    const records = await recordsOf(options);
    expect(records.flatMap((record) => (validate(record) ? [] : validate.errors))).toEqual([]);
    expect(Object.keys(schema.properties ?? {})).toEqual(Object.keys(records[0]));
    expect(schema.required).toEqual(Object.keys(records[0]));
  });

  it.each(RUNS)('fits no record of %s with a column more, or one less', async (_, options) => {
    const validate = compile(jsonSchema(options));
    const [record] = await recordsOf(options);
    expect(validate({ ...record, one_more: 1 })).toBe(false);
    for (const name of Object.keys(record)) {
      const { [name]: _gone, ...rest } = record;
      expect([name, validate(rest)]).toEqual([name, false]);
    }
  });

  it.each(RUNS)('fits no record of %s with a value of another kind', async (_, options) => {
    const validate = compile(jsonSchema(options));
    const [record] = await recordsOf(options);
    const { columns } = recordShapeOf(resolveOptions({ source: DEMO, ...options }));
    for (const column of columns) {
      const passed = wrongValues(column).filter((value) => validate({ ...record, [column.name]: value }));
      expect([column.name, passed]).toEqual([column.name, []]);
    }
  });

  it('knows what nDPI finds, and takes nothing else without user code', async () => {
    const [record] = await recordsOf({});
    const metrics = record.metrics as Json;
    const validate = compile(jsonSchema());
    const withMetrics = (change: Json) => validate({ ...record, metrics: { ...metrics, ...change } });
    expect(withMetrics({})).toBe(true);
    expect(withMetrics({ http_status: null })).toBe(true);
    expect(withMetrics({ application_name: null })).toBe(false);
    expect(withMetrics({ application_id: 1.5 })).toBe(false);
    expect(withMetrics({ risks: [1] })).toBe(false);
    expect(withMetrics({ mine: 1 })).toBe(false);
    const { tls_version: _, ...less } = metrics;
    expect(validate({ ...record, metrics: less })).toBe(false);
    expect(compile(jsonSchema(CODE))({ ...record, metrics: { ...metrics, mine: 1 } })).toBe(true);
  });

  it('is of the process, too, with systemVisibility', async () => {
    const [record] = await recordsOf({ schema: 'nfstream6', enableNdpi: false });
    const validate = compile(jsonSchema({ schema: 'nfstream6', enableNdpi: false, systemVisibility: true }));
    expect(validate(record)).toBe(false);
    expect(validate({ ...record, system_process_pid: 1, system_process_name: 'init' })).toBe(true);
  });

  it('takes what a Streamer takes', () => {
    const wrong = (options: object) => () => jsonSchema(options as Options);
    expect(wrong({ schema: 'nfstream7' })).toThrow(/Expected "classic" or "nfstream6" for schema/);
    expect(wrong({ statistic: true })).toThrow(/did you mean "statistics"/);
    expect(wrong({ fields: ['splt_ps'] })).toThrow(/splt_ps.*splt: n/);
  });
});

describe('the JSON Schema of a schema', () => {
  it.each(RUNS)('fits the records of %s', async (_, options) => {
    const validate = compile(jsonSchemaOfSchema(options.schema ?? 'classic'));
    const records = await recordsOf(options);
    expect(records.flatMap((record) => (validate(record) ? [] : validate.errors))).toEqual([]);
    expect(validate({ ...records[0], vlan_id: '1' })).toBe(false);
    expect(validate({ ...records[0], one_more: 1 })).toBe(false);
    const { vlan_id: _gone, ...rest } = records[0];
    expect(validate(rest)).toBe(false);
  });
});

/** What a column of the type never holds. */
function wrongValues({ type, size }: Column): unknown[] {
  const outside = { uint8: [-1, 256], uint16: [-1, 65536], int32: [2 ** 31, -(2 ** 31) - 1], int64: [] }[
    size ?? 'int64'
  ];
  switch (type) {
    case 'string':
      return [1, null, true, [], {}];
    case 'integer':
      return ['1', null, true, 1.5, [], {}, ...outside];
    case 'number':
    case 'timestamp':
      return ['1', null, true, [], {}];
    case 'flag-count':
      return [1, [1], [1, 2, 3], [1, null], ['1', '2'], [1.5, 1]];
    case 'integer-list':
      return [1, ['1'], [1.5], [null], ...outside.map((value) => [value])];
    case 'number-list':
      return [1, ['1'], [null]];
    case 'string-list':
      return ['a', [1], [null]];
    case 'object':
      return [1, null, 'a', []];
    case 'any':
      return [];
  }
}
