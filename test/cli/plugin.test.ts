// --plugin: modules of every kind, what they may import, several of them, and their columns in CSV.
import { readFileSync, symlinkSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { readCsv } from '../sink/csv-reader.ts';
import { pcap } from './capture.ts';
import { ESM, projects } from './plugin-project.ts';
import { nfstream, records, temporaryFolder } from './run.ts';

const project = projects();
const file = temporaryFolder();
/** Two flows, of two packets and of one. */
const source = file('two.pcap', pcap([{ size: 100 }, { size: 300 }, { dst: 0x0a000009, size: 10 }]));
async function metricsOf(plugin: string, ...args: string[]): Promise<unknown[]> {
  const { code, stdout, stderr } = await nfstream([source, '--no-ndpi', '--plugin', plugin, ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return records(stdout).map(({ metrics }) => metrics);
}

const CJS = `const { NFStreamClassifier } = require('nfstream');
class Last extends NFStreamClassifier { onFlowUpdate(packet, flow) { flow.metrics[this.name] = packet.length; } }
exports.userMetrics = { packets: (packet, flow) => flow.metrics.packets + 1 };
exports.userClassifiers = [new Last('last')];
`;
/** Type annotations alone could be stripped; the enum and the parameter property could not. */
const TS = `import { type Direction, type Flow, NFStreamClassifier, type Packet, type UserMetric } from 'nfstream';
enum Step { One = 1 }
class Last extends NFStreamClassifier {
  constructor(private readonly key: string) { super(key); }
  override onFlowUpdate(packet: Packet, flow: Flow, _direction: Direction): void { flow.metrics[this.key] = packet.length; }
}
const userMetrics: Record<string, UserMetric> = { packets: (_packet, flow) => flow.metrics.packets + Step.One };
export default { userMetrics, userClassifiers: [new Last('last')] };
`;
const TWO_FLOWS = [
  { packets: 2, last: 342 },
  { packets: 1, last: 52 },
];

describe('a plugin', () => {
  const KINDS = {
    'esm.mjs': ESM,
    'esm.js': ESM,
    'module/esm.js': ESM,
    'default.mjs': ESM.replaceAll('export const', 'const').concat('export default { userMetrics, userClassifiers };'),
    'commonjs.cjs': CJS,
    'commonjs.js': CJS,
    'module.exports.cjs': CJS.replaceAll('exports.', 'module.exports.'),
    'type.ts': TS,
    'type.mts': TS,
    'type.cts': TS,
    'module/type.ts': TS,
    'bom and shebang.ts': `\uFEFF#!/usr/bin/env node\n${TS}`,
  };

  it('can be TypeScript without a build and JavaScript of each kind, where no nfstream is installed', async () => {
    const files: Record<string, string> = { 'module/package.json': '{"type":"module"}' };
    Object.entries(KINDS).forEach(([name, text], i) => {
      files[name] = text.replaceAll('packets', `packets_${i}`).replaceAll("'last'", `'last_${i}'`);
    });
    const path = project(files);
    const [first, ...others] = Object.keys(KINDS).map(path);
    const metrics = await metricsOf(first, ...others.flatMap((plugin) => ['--plugin', plugin]));
    const expected = TWO_FLOWS.map(({ packets, last }) =>
      Object.fromEntries(
        Object.keys(KINDS).flatMap((_, i) => [
          [`packets_${i}`, packets],
          [`last_${i}`, last],
        ]),
      ),
    );
    expect(metrics).toEqual(expected);
  });

  it('may be a link; what it imports lies beside the file itself', async () => {
    const path = project({
      'real/plugin.ts': `export { userMetrics } from './metrics.ts';`,
      'real/metrics.ts': 'export const userMetrics = { one: () => 1 };',
    });
    symlinkSync(path('real/plugin.ts'), path('link.ts'));
    expect(await metricsOf(path('link.ts'))).toEqual([{ one: 1 }, { one: 1 }]);
  });

  it('imports files beside it and packages of either kind, awaits, and reads files by import.meta', async () => {
    const path = project({
      'plugin.ts': `import { readFile } from 'node:fs/promises';
        import typescript, { type Value } from './typescript.ts';
        import { compiledName } from './compiled-name.js';
        import { Module } from './module.mjs';
        import commonjs, { named } from 'commonjs';
        import esm, { named as esmNamed } from 'esm';
        const text = await readFile(new URL('data.txt', import.meta.url), 'utf8');
        const value: Value = [typescript(), compiledName(), commonjs.named(), named(), esm(), esmNamed(), text].join();
        export const userMetrics = { all: () => value };
        export const userClassifiers = new Module('module');`,
      'typescript.ts': 'export type Value = string; export default (): Value => "typescript";',
      'compiled-name.ts': 'export const compiledName = (): string => "compiled-name";',
      'module.mjs': `import { NFStreamClassifier } from 'nfstream';
        export class Module extends NFStreamClassifier { onFlowInit(flow) { flow.metrics.module = true; } }`,
      'data.txt': 'data',
      'node_modules/commonjs/package.json': '{"main":"main.js"}',
      'node_modules/commonjs/main.js': 'exports.named = () => "commonjs";',
      'node_modules/esm/package.json': '{"type":"module","exports":"./main.js"}',
      'node_modules/esm/main.js': 'export const named = () => "esm-named"; export default () => "esm-default";',
    });
    const all = 'typescript,compiled-name,commonjs,commonjs,esm-default,esm-named,data';
    expect((await metricsOf(path('plugin.ts')))[0]).toEqual({ all, module: true });
  });

  it('gets the nfstream that runs it, though another one is installed beside it', async () => {
    const other = 'export class NFStreamClassifier { constructor(name) { this.name = name; } }';
    const path = project({
      'plugin.mjs': ESM,
      'node_modules/nfstream/package.json': '{"type":"module","exports":"./main.js"}',
      'node_modules/nfstream/main.js': other,
      'of-a-package.mjs': `export { userClassifiers } from 'package';`,
      'node_modules/package/package.json': '{"type":"module","exports":"./main.js"}',
      'node_modules/package/main.js': ESM,
    });
    expect(await metricsOf(path('plugin.mjs'))).toEqual(TWO_FLOWS);
    const { code, stderr } = await nfstream([source, '--no-ndpi', '--plugin', path('of-a-package.mjs')]);
    expect(code).toBe(1);
    expect(stderr).toContain('is that of another copy of nfstream');
  });

  it('leaves standard output to the flows: what it prints goes to standard error', async () => {
    const path = project({
      'plugin.ts': `console.log('loaded', { a: 1 });
        export const userMetrics = { m: () => { console.info('called'); return 1; } };`,
    });
    const { stdout, stderr } = await nfstream([source, '--no-ndpi', '--plugin', path('plugin.ts')]);
    expect(records(stdout)).toHaveLength(2);
    expect(stderr).toBe('loaded { a: 1 }\ncalled\ncalled\ncalled\n');
  });

  it('costs nothing where there is none: its loader is not even read', async () => {
    const spy = file('spy.cjs', `process.on('exit', () => console.error(Object.keys(require.cache).join('\\n')));`);
    const env = { NODE_OPTIONS: `--require ${spy}` };
    const plugin = file('one.ts', 'export const userMetrics = { one: () => 1 };');
    const loader = /[\\/]jiti[\\/]/;
    expect((await nfstream([source, '--no-ndpi'], { env })).stderr).not.toMatch(loader);
    expect((await nfstream([source, '--no-ndpi', '--plugin', plugin], { env })).stderr).toMatch(loader);
  });
});

it('a plugin is not replaced by flows or counters', async () => {
  const text = 'export const userMetrics = { one: () => 1 };';
  const plugin = file('kept.ts', text);
  const refused = (flag: string) =>
    `nfstream: Expected a file that is no --plugin for ${flag} but received "${plugin}" [USAGE]\n`;
  const run = (...args: string[]) => nfstream([source, '--no-ndpi', '--plugin', plugin, ...args]);
  expect(await run('--stats', plugin)).toMatchObject({ code: 2, stderr: refused('--stats') });
  expect(await run('--format', 'csv', '-o', plugin)).toMatchObject({ code: 2, stderr: refused('--output') });
  expect(readFileSync(plugin, 'utf8')).toBe(text);
});

describe('several plugins', () => {
  const path = project({
    'first.ts': `export const userMetrics = { b: () => 1, a: () => 'x,y' };`,
    'second.ts': ESM.replace('new Last', '[new Last').replace("'last')", "'last'), new Last('also')]"),
    'clash.ts': 'export const userMetrics = { z: () => 1, a: () => 2 };',
    'clash-too.ts': ESM.replace('userMetrics', 'others'),
  });

  it('are put together in the order given', async () => {
    const [metrics] = await metricsOf(path('first.ts'), '--plugin', path('second.ts'));
    expect(Object.entries(metrics as object)).toEqual([
      ['b', 1],
      ['a', 'x,y'],
      ['packets', 2],
      ['last', 342],
      ['also', 342],
    ]);
  });

  it.each([
    ['first.ts', 'clash.ts', 'metric', 'a'],
    ['second.ts', 'clash-too.ts', 'classifier', 'last'],
  ])('%s and %s: two of one name are refused with both files', async (one, other, what, name) => {
    const { code, stderr } = await nfstream([source, '--plugin', path(one), '--plugin', path(other)]);
    const places = `"${path(one)}" and in "${path(other)}"`;
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `nfstream: The ${what} "${name}" is in ${places}; rename one [PLUGIN_FAILED]\n`,
    });
  });
});

describe('CSV', () => {
  const path = project({
    'metrics.ts': `export const userMetrics = { z: () => 1, a: () => ['x', 'y'] };`,
    'classifier.ts': `import { NFStreamClassifier } from 'nfstream';
      class Guess extends NFStreamClassifier {
        override onFlowTerminate(flow) {
          flow.metrics[this.name] = { label: 'a,b', probability: 0.5 };
          flow.metrics.more = 'kept';
        }
      }
      export const userClassifiers = [new Guess('guess'), new Guess('other')];`,
  });
  const csv = async (...args: string[]) =>
    readCsv((await nfstream([source, '--no-ndpi', '--format', 'csv', ...args])).stdout);

  it('has a column for each metric, after nDPI’s, and no other for metrics alone', async () => {
    const plain = await csv();
    const [header, row] = await csv('--plugin', path('metrics.ts'));
    expect(header).toEqual([...plain[0], 'z', 'a']);
    expect(row.slice(-2)).toEqual(['1', '["x","y"]']);
    const labelled = await nfstream([source, '--format', 'csv']);
    const both = await nfstream([source, '--format', 'csv', '--plugin', path('metrics.ts')]);
    expect(readCsv(both.stdout)[0]).toEqual([...readCsv(labelled.stdout)[0], 'z', 'a']);
  });

  it('has a column for each classifier, objects as JSON, and all else that it writes in a last one', async () => {
    const [header, row] = await csv('--plugin', path('metrics.ts'), '--plugin', path('classifier.ts'));
    expect(header.slice(-5)).toEqual(['z', 'a', 'guess', 'other', 'metrics']);
    for (const cell of row.slice(-3, -1)) expect(JSON.parse(cell ?? '')).toEqual({ label: 'a,b', probability: 0.5 });
    expect(JSON.parse(row.at(-1) ?? '')).toEqual({ more: 'kept' });
  });
});
