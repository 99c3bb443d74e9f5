// The field table: what it says of each field holds, and what a run's columns come from it.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { RecordStore } from '../../src/flow/record.ts';
import {
  CLASSIC_SHAPE,
  type Column,
  type ColumnOptions,
  FIELDS,
  SCHEMA_NAMES,
  SCHEMAS,
  shapeOf,
  tableColumns,
} from '../../src/flow/schema.ts';

const OPTIONS: ColumnOptions = {
  schema: 'classic',
  fields: undefined,
  statistics: false,
  splt: 0,
  exactTimes: true,
  enableNdpi: true,
  systemVisibility: false,
  decodeTunnels: true,
  hasUserCode: false,
  isMetric: () => false,
};
const columnsOf = (options: Partial<ColumnOptions>): readonly Column[] => shapeOf({ ...OPTIONS, ...options }).columns;
const namesOf = (options: Partial<ColumnOptions>) => columnsOf(options).map(({ name }) => name);
const refusalOf = (options: Partial<ColumnOptions>) => {
  try {
    shapeOf({ ...OPTIONS, ...options });
  } catch (error) {
    return error;
  }
  throw new Error('expected an error');
};

const CLASSIC_STORE = new RecordStore(1, CLASSIC_SHAPE);
const EXPECTED = '../shared/captures/expected/nfstream/facebook.pcap.csv';

describe('the field table', () => {
  it('names fields as data, explains each in a line, and knows every field of a schema', () => {
    for (const [name, field] of FIELDS) {
      expect(field.name).toBe(name);
      expect(name).toMatch(/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/);
      expect(field.meaning, name).toMatch(/^\S[^\n|]{5,}\S$/);
      expect(field.meaning, name).not.toMatch(/\.$/);
    }
    for (const schema of SCHEMA_NAMES) {
      expect(new Set(SCHEMAS[schema]).size).toBe(SCHEMAS[schema].length);
      expect(SCHEMAS[schema].filter((name) => !FIELDS.has(name))).toEqual([]);
    }
  });

  it('gives IPFIX elements of the way back, and only them, the prefix of RFC 5103', () => {
    const elements = [...FIELDS.values()].flatMap(({ name, ipfix }) => (ipfix === undefined ? [] : [[name, ipfix]]));
    for (const [name, ipfix] of elements) {
      for (const element of ipfix.replace(' (other values)', '').split(/ and | \/ /)) {
        expect([name, element]).toEqual([name, expect.stringMatching(/^[a-z][A-Za-z0-9]+$/)]);
        if (/^dst2src|^dst_to_src/.test(name))
          expect([name, element]).toEqual([name, expect.stringMatching(/^reverse[A-Z]/)]);
        if (/^src2dst|^src_to_dst/.test(name)) expect(element).not.toMatch(/^reverse/);
      }
    }
  });

  it.skipIf(!existsSync(EXPECTED))('has the columns of NFStream 6 in its order (needs ../shared/captures)', () => {
    const [header] = readFileSync(EXPECTED, 'utf8').split('\n');
    const names = namesOf({ schema: 'nfstream6', statistics: true, splt: 10 });
    expect(names).toEqual(header.split(','));
  });
});

describe('the columns of a run', () => {
  it('are those of the schema without what is off', () => {
    expect(namesOf({}).slice(-2)).toEqual(['export_reason', 'metrics']);
    expect(namesOf({})).toHaveLength(22);
    expect(namesOf({ statistics: true })).toHaveLength(22 + 48);
    expect(namesOf({ splt: 3 }).slice(-4)).toEqual(['splt_direction', 'splt_ps', 'splt_piat_ms', 'metrics']);
    const names = namesOf({ schema: 'nfstream6' });
    const plain = namesOf({ schema: 'nfstream6', enableNdpi: false, decodeTunnels: false });
    expect(names.filter((name) => !plain.includes(name))).toEqual([
      'tunnel_id',
      'application_name',
      'application_category_name',
      'application_is_guessed',
      'application_confidence',
      'requested_server_name',
      'client_fingerprint',
      'server_fingerprint',
      'user_agent',
      'content_type',
    ]);
    const more = namesOf({ schema: 'nfstream6', hasUserCode: true, systemVisibility: true });
    expect(more.slice(names.length)).toEqual(['udps', 'system_process_pid', 'system_process_name']);
  });

  it('are the fields that are named, of any schema, in the order given', () => {
    expect(namesOf({ fields: ['segment', 'src_ip', 'ip_src', 'flow_id'] })).toEqual([
      'segment',
      'src_ip',
      'ip_src',
      'flow_id',
    ]);
    expect(namesOf({ fields: ['mine'], isMetric: (name) => name === 'mine' })).toEqual(['mine']);
  });

  it('refuse what there is not, what is not measured, and a name twice', () => {
    const code = 'INVALID_OPTION';
    expect(refusalOf({ fields: ['src_prt'] })).toMatchObject({ code, message: expect.stringContaining('"src_port"') });
    expect(refusalOf({ fields: ['id', 'id'] })).toMatchObject({ code, message: expect.stringContaining('"id" twice') });
    const off: [string, Partial<ColumnOptions>, string][] = [
      ['src2dst_max_ps', {}, 'statistics: true'],
      ['splt_ps', {}, 'splt: n'],
      ['tls_version', { enableNdpi: false }, 'enableNdpi: true'],
      ['process_name', {}, 'systemVisibility: true'],
      ['tunnel_id', { decodeTunnels: false }, 'decodeTunnels: true'],
      ['udps', {}, 'userMetrics'],
    ];
    for (const [name, options, what] of off) {
      const message = expect.stringContaining(`"${name}", which takes ${what}`);
      expect(refusalOf({ ...options, fields: [name] })).toMatchObject({ code, message });
    }
  });

  it('turn on what they are measured by, and nothing else', () => {
    const measured = (options: Partial<ColumnOptions>) => shapeOf({ ...OPTIONS, ...options }).layout.options;
    expect(measured({})).toMatchObject({ macs: false, directions: false, statistics: false, splt: 0 });
    expect(measured({ schema: 'nfstream6' })).toMatchObject({ macs: true, directions: true, statistics: false });
    expect(measured({ fields: ['src_oui'] })).toMatchObject({ macs: true, directions: false });
    expect(measured({ fields: ['dst2src_last_seen_ms'] })).toMatchObject({ macs: false, directions: true });
    expect(measured({ statistics: true, splt: 4 })).toMatchObject({ macs: false, statistics: true, splt: 4 });
  });

  it('have whole milliseconds as integers, and exact ones as numbers', () => {
    const typeOf = (exactTimes: boolean) =>
      Object.fromEntries(
        columnsOf({ schema: 'nfstream6', statistics: true, splt: 1, exactTimes }).map(({ name, type }) => [name, type]),
      );
    const times = ['bidirectional_first_seen_ms', 'dst2src_duration_ms', 'src2dst_min_piat_ms', 'splt_piat_ms'];
    expect(times.map((name) => typeOf(false)[name])).toEqual(['integer', 'integer', 'integer', 'integer-list']);
    expect(times.map((name) => typeOf(true)[name])).toEqual(['number', 'number', 'number', 'number-list']);
    expect([typeOf(false), typeOf(true)].map((types) => types['src2dst_mean_piat_ms'])).toEqual(['number', 'number']);
  });
});

describe('the columns of a table', () => {
  const tableOf = (options: Partial<ColumnOptions>, names: string[], hasOthers = false) =>
    tableColumns(columnsOf(options), { ...OPTIONS, ...options }, { names, hasOthers }).map(({ name }) => name);

  it('have one for each metric instead of an object', () => {
    const classic = namesOf({}).slice(0, -1);
    expect(tableOf({ enableNdpi: false }, [])).toEqual(classic);
    expect(tableOf({ enableNdpi: false }, ['a', 'b'], true)).toEqual([...classic, 'a', 'b', 'metrics']);
    const withNdpi = tableOf({}, ['a']);
    expect(withNdpi.slice(classic.length, classic.length + 2)).toEqual(['application_name', 'category_name']);
    expect(withNdpi.at(-1)).toBe('a');
    expect(tableOf({ systemVisibility: true, enableNdpi: false }, []).slice(-2)).toEqual([
      'process_id',
      'process_name',
    ]);
  });

  it('are named as NFStream names them with its schema', () => {
    const options = { schema: 'nfstream6', hasUserCode: true, enableNdpi: false } as const;
    expect(tableOf(options, ['a', 'b'], true).slice(-3)).toEqual(['udps.a', 'udps.b', 'udps']);
  });

  it('hold what is left under other names', () => {
    const [, others] = tableColumns(
      columnsOf({ fields: ['metrics'] }),
      { enableNdpi: false, systemVisibility: false },
      { names: ['a'], hasOthers: true },
    );
    expect(others.read(CLASSIC_STORE, 0, { a: 1, b: 2, c: [3] })).toEqual({ b: 2, c: [3] });
  });
});
