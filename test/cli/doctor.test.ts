import { describe, expect, it } from 'vitest';
import { doctor, formatDoctor, hasNetRaw } from '../../src/cli/doctor.ts';
import { nfstream, temporaryFolder } from './run.ts';

const file = temporaryFolder();

describe('nfstream doctor', () => {
  it('finds all well on a machine that is set up', async () => {
    const report = await doctor();
    expect(report.ok, formatDoctor(report)).toBe(true);
    expect(report.node).toBe(process.version);
    expect(report.addons.map(({ name, fix, tried }) => ({ name, fix, tried }))).toEqual([
      { name: 'capture', fix: [], tried: [] },
      { name: 'ndpi', fix: [], tried: [] },
    ]);
    expect(report.addons[0].library_version).toMatch(/^libpcap version /);
    expect(report.addons[1].library_version).toMatch(/^nDPI \d+\.\d+/);
    expect(report.compression.map(({ name, ok }) => [name, ok])).toEqual([
      ['gzip', true],
      ['zstd', true],
      ['lz4', true],
    ]);
    expect(report.capture_rights.fix.length === 0).toBe(report.capture_rights.ok);
  });

  it('prints the same report as text and as JSON', async () => {
    const text = await nfstream(['doctor']);
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toMatch(/^nfstream \d+\.\d+\.\d+ on Node\.js v\d+.*\n\nok {4}capture addon {3}libpcap version/);
    const json = await nfstream(['doctor', '--json']);
    expect(json).toMatchObject({ code: 0, stderr: '' });
    expect(formatDoctor(JSON.parse(json.stdout))).toBe(text.stdout);
  });

  it('says what was tried and what to run, and ends with 1, where addons do not load', async () => {
    const broken = file('capture.node', 'not a library');
    const folder = broken.slice(0, -'/capture.node'.length);
    const { code, stdout, stderr } = await nfstream(['doctor'], { env: { NFSTREAM_NATIVE: folder } });
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    expect(stdout).toMatch(
      /^FAIL {2}capture addon {3}does not load\n {8}tried .*capture\.node: .*\n {8}run: unset NFSTREAM_NATIVE$/m,
    );
    expect(stdout).toMatch(/^FAIL {2}ndpi addon {6}does not load\n {8}tried .*ndpi\.node: no such file/m);
    expect(stdout).toMatch(/^none {2}capture rights .*not tried, the capture addon does not load$/m);
    expect(stdout).toMatch(
      /but without interfaces and filters \(capture\) and without application labels \(ndpi\)\.\n$/,
    );
  });

  it('names the compiler that is missing', async () => {
    const { code, stdout } = await nfstream(['doctor', '--json'], { env: { CXX: 'no-such-compiler' } });
    expect(code).toBe(0);
    expect(JSON.parse(stdout).compiler).toMatchObject({
      ok: false,
      detail: expect.stringContaining('no-such-compiler'),
    });
  });
});

describe('formatDoctor', () => {
  it('shows control characters as escapes', async () => {
    const report = await doctor();
    report.compiler = { ok: false, detail: 'a\u001b[31m\nb\r', fix: [] };
    expect(formatDoctor(report)).toContain('none  compiler        a\\u001b[31m\n        b\\u000d\n');
  });
});

describe('hasNetRaw', () => {
  // capsh --decode=0000000000002000 prints cap_net_raw.
  it.each([
    ['Name:\tnode\nCapInh:\t0000000000000000\nCapEff:\t0000000000002000\n', true],
    ['CapEff:\t000001ffffffffff\n', true],
    ['CapEff:\t0000000000001000\n', false],
    ['CapEff:\t0000000000004000\nCapBnd:\t000001ffffffffff\n', false],
    ['', false],
  ])('reads %j', (status, expected) => {
    expect(hasNetRaw(status)).toBe(expected);
  });
});
