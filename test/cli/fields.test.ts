// `nfstream fields`: the field table for people and for programs.
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { fieldsOf, fieldsTable } from '../../src/cli/fields.ts';
import { describeTerminal, type Terminal } from '../../src/cli/terminal.ts';
import { FIELDS, type Field, SCHEMA_NAMES, SCHEMAS } from '../../src/flow/schema.ts';
import { nfstream, records } from './run.ts';

const demo = 'fixtures/demo.pcapng';

describe('nfstream fields', () => {
  it('has a line for each field, each once', async () => {
    const { code, stdout, stderr } = await nfstream(['fields']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const [heading, ...lines] = stdout.slice(0, stdout.indexOf('\n\n')).split('\n');
    expect(heading).toMatch(/^field +type +turned on by +in +meaning$/);
    expect(lines.map((line) => line.split(' ')[0]).sort()).toEqual([...FIELDS.keys()].sort());
    // The meaning begins in the same column everywhere.
    const at = heading.indexOf('meaning');
    expect(lines.filter((line) => line[at - 1] !== ' ' || line[at] === ' ')).toEqual([]);
    expect(stdout.split('\n').every((line) => line === line.trimEnd())).toBe(true);
  });

  it.each(SCHEMA_NAMES)('has those of %s in their order', async (name) => {
    const { stdout } = await nfstream(['fields', '--schema', name]);
    const lines = stdout.trimEnd().split('\n').slice(1);
    expect(lines.map((line) => line.split(' ')[0])).toEqual(SCHEMAS[name]);
  });

  it('prints them as JSON', async () => {
    const { stdout } = await nfstream(['fields', '--json', '--schema', 'nfstream6']);
    const list: Record<string, unknown>[] = JSON.parse(stdout);
    expect(list.map(({ name }) => name)).toEqual(SCHEMAS.nfstream6);
    expect(list.find(({ name }) => name === 'dst2src_max_piat_ms')).toEqual({
      name: 'dst2src_max_piat_ms',
      type: 'integer',
      exact_type: 'number',
      size: 'int64',
      nullable: false,
      unit: 'ms',
      meaning: 'greatest packet inter-arrival time, dst to src; 0 for too few packets',
      turned_on_by: '--statistics',
      schemas: ['classic', 'nfstream6'],
      in_metrics: false,
      ipfix: null,
    });
  });

  it('refuses a schema that there is not, operands, and two forms at once', async () => {
    const unknown = await nfstream(['fields', '--schema', 'nfstream7']);
    expect(unknown).toEqual({
      code: 2,
      signal: null,
      stdout: '',
      stderr: 'nfstream: Expected classic or nfstream6 for --schema but received "nfstream7" [USAGE]\n',
    });
    const operand = await nfstream(['fields', 'nfstream6']);
    expect([operand.code, operand.stderr]).toEqual([
      2,
      expect.stringMatching(/a capture file of that name is \.\/fields/),
    ]);
    const both = await nfstream(['fields', '--json', '--json-schema']);
    expect([both.code, both.stderr]).toEqual([2, expect.stringMatching(/one of --json and --json-schema/)]);
  });

  it.each(SCHEMA_NAMES)('prints a JSON Schema that all records of %s keep to', async (name) => {
    const printed = await nfstream(['fields', '--json-schema', '--schema', name]);
    const validate = new Ajv2020({ allErrors: true, allowUnionTypes: true }).compile(JSON.parse(printed.stdout));
    for (const flags of [[], ['--no-ndpi', '--no-decode-tunnels'], ['--statistics', '--splt', '5', '--exact-times']]) {
      const { stdout, stderr, code } = await nfstream([demo, '--schema', name, ...flags]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      const flows = records(stdout);
      expect(flows.length).toBeGreaterThan(5);
      expect(flows.flatMap((flow) => (validate(flow) ? [] : validate.errors))).toEqual([]);
    }
  });
});

describe('the table', () => {
  const fields = ['id', 'src_ip', 'application_name', 'dst2src_bytes'].map((name) => FIELDS.get(name) as Field);
  const unicode = describeTerminal(false, 0, { LANG: 'C.UTF-8' });
  const terminal = (columns: number): Terminal => ({ ...unicode, isTerminal: true, hasColor: false, columns });

  it('wraps meanings beside the other columns, or puts them below where it is narrow', () => {
    const wide = fieldsTable(fields, terminal(112)).split('\n');
    expect(wide.slice(0, 3)).toEqual([
      'field             type     turned on by    in                 meaning',
      'id                integer                  nfstream6          flows exported before this one in the run',
      "src_ip            string                   nfstream6          address that sent the conversation's first packet",
    ]);
    expect(wide[3]).toMatch(
      /^application_name {2}string {3}nDPI \(default\) {2}nfstream6 metrics {2}application as nDPI names it/,
    );
    expect(wide[4]).toMatch(/^ {62}\S/);
    const narrow = fieldsTable(fields, terminal(80)).split('\n');
    expect(narrow.slice(2, 6)).toEqual([
      'id                integer                  nfstream6',
      '    flows exported before this one in the run',
      'src_ip            string                   nfstream6',
      "    address that sent the conversation's first packet",
    ]);
    expect([...wide, ...narrow].join(' ').replace(/\s+/g, ' ')).toMatch(
      /\(TLS\.Facebook\); Unknown .*\(TLS\.Facebook\); Unknown/,
    );
  });

  it('fits a usual terminal', () => {
    for (const columns of [80, 100, 140, 200]) {
      const lines = fieldsTable(fieldsOf(), terminal(columns)).split('\n');
      expect(lines.filter((line) => line.length > columns)).toEqual([]);
    }
  });

  it('says the unit where the meaning does not', () => {
    const [first, , , last] = fieldsTable(fields, unicode).split('\n').slice(1);
    expect(first).not.toContain('(');
    expect(last).toMatch(/bytes of this direction, as accountingMode counts$/);
    const time = fieldsTable([FIELDS.get('start_time') as Field], unicode);
    expect(time).toMatch(/fraction kept \(ms since 1970-01-01 UTC\)\n$/);
  });
});
