// docs/cli.md and the help say what the code does, and name nothing that is gone.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  BUILD_NATIVE_FLAGS,
  DOCTOR_FLAGS,
  FIELDS_FLAGS,
  INTERFACES_FLAGS,
  METER_FLAGS,
  RUN_FLAGS,
} from '../../src/cli/flags.ts';
import { COMMANDS, mainHelp } from '../../src/cli/help.ts';
import { FAMILIES } from '../../src/cli/prometheus.ts';
import { ERROR_CODES } from '../../src/errors.ts';
import { ROOT } from './run.ts';

const text = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8');
const main = [...METER_FLAGS, ...RUN_FLAGS].flatMap((group) => group.flags);
const others = [...BUILD_NATIVE_FLAGS, ...DOCTOR_FLAGS, ...FIELDS_FLAGS, ...INTERFACES_FLAGS].flatMap(
  (group) => group.flags,
);
const namesIn = (part: string) => [...part.matchAll(/(?<![\w-])--([a-z][a-z-]*)/g)].map((match) => match[1]);

describe('docs/cli.md', () => {
  it('has every flag of the main job in its table, in the order of the help, with its value', () => {
    const rows = [...text.matchAll(/^\| (?:`-(\w)`, )?`--([\w-]+)` \| ([^|]*)\|/gm)];
    expect(rows.map(([, short, name]) => [name, short])).toEqual(main.map(({ name, short }) => [name, short]));
    expect(rows.map(([, , , takes]) => takes.trim() !== '')).toEqual(main.map(({ value }) => value !== undefined));
  });

  it('names no flag that is gone, and neither does the help', () => {
    const known = new Set([...main, ...others].map(({ name }) => name));
    expect(others.map(({ name }) => name).filter((name) => !namesIn(text).includes(name))).toEqual([]);
    expect(namesIn(text).filter((name) => !known.has(name))).toEqual([]);
    expect(namesIn(mainHelp()).filter((name) => !known.has(name))).toEqual([]);
  });

  it('has every counter that is served, in order, with its label', () => {
    const table = text.slice(text.indexOf('| metric |'));
    const rows = [...table.matchAll(/^\| `(nfstream_\w+)(?:\{(\w+)\})?` \|/gm)];
    const expected = FAMILIES.map(({ name, label }) => [name, label]);
    expect(rows.map(([, name, label]) => [name, label])).toEqual([['nfstream_info', 'version'], ...expected]);
  });

  it('has the plugin that lies in examples/', () => {
    const example = readFileSync(join(ROOT, 'examples/plugin.ts'), 'utf8');
    expect(text).toContain(`<<'END'\n${example.slice(example.indexOf('import '))}END\n`);
  });

  it('has every command and every exit code, and so has the help', () => {
    for (const command of COMMANDS) expect(text).toContain(`| \`nfstream ${command}\` |`);
    const codes = new Set(Object.values(ERROR_CODES).map(({ exit }) => String(exit)));
    const expected = [...new Set(['0', ...codes, '129', '130', '143'])].sort();
    const table = text.slice(text.indexOf('| exit code |'));
    expect([...table.matchAll(/^\| (\d+) \|/gm)].map((match) => match[1]).sort()).toEqual(expected);
    const help = mainHelp().slice(mainHelp().indexOf('Exit codes'), mainHelp().indexOf('Environment'));
    expect([...help.matchAll(/(?<!\S)(\d+) {2}[a-z]/g)].map((match) => match[1]).sort()).toEqual(expected);
  });
});
