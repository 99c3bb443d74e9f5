// --plugin: modules of every kind, in folders that know nothing of this project, and all that can be wrong with one.
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { readCsv } from '../sink/csv-reader.ts';
import { manyFlows, pcap } from './capture.ts';
import { nfstream, records, temporaryFolder } from './run.ts';

const file = temporaryFolder();
/** Two flows, of two packets and of one. */
const source = file('two.pcap', pcap([{ size: 100 }, { size: 300 }, { dst: 0x0a000009, size: 10 }]));
/** Ten flows, each ended by the inactive timeout before the next one begins. */
const spaced = file('spaced.pcap', pcap(manyFlows(10, 40)));

/** A folder of its own with these files; returns paths in it. */
function project(files: Readonly<Record<string, string>>): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'nfstream-plugin-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  return (name) => join(folder, name);
}

async function metricsOf(plugin: string, ...args: string[]): Promise<unknown[]> {
  const { code, stdout, stderr } = await nfstream([source, '--no-ndpi', '--plugin', plugin, ...args]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return records(stdout).map(({ metrics }) => metrics);
}

/** What is said when a plugin of this text is loaded: one line, exit code 1. In this process, which is quicker. */
async function refusal(text: string, name = 'plugin.ts'): Promise<string> {
  const path = project({ [name]: text })(name);
  let stderr = '';
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((chunk) => {
    stderr += chunk;
    return true;
  });
  const code = await main([source, '--no-ndpi', '--plugin', path]).finally(() => write.mockRestore());
  expect(code).toBe(1);
  expect(stderr).toMatch(/^nfstream: [^\n]* \[PLUGIN_FAILED\]\n$/);
  expect(stderr).toContain(path);
  return stderr.replaceAll(path, name).slice('nfstream: '.length, -' [PLUGIN_FAILED]\n'.length);
}

const ESM = `import { NFStreamClassifier } from 'nfstream';
class Last extends NFStreamClassifier { onFlowUpdate(packet, flow) { flow.metrics[this.name] = packet.length; } }
export const userMetrics = { packets: (packet, flow) => flow.metrics.packets + 1 };
export const userClassifiers = new Last('last');
`;
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
    'second.ts': ESM.replace('new Last', '[new Last').replace("'last')", "'last'), new Last('ip_src')]"),
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
      ['ip_src', 342],
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
      export const userClassifiers = [new Guess('guess'), new Guess('vlan_id')];`,
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
    expect(header.slice(-4)).toEqual(['z', 'a', 'guess', 'metrics']);
    expect(new Set(header).size).toBe(header.length);
    expect(JSON.parse(row.at(-2) ?? '')).toEqual({ label: 'a,b', probability: 0.5 });
    expect(JSON.parse(row.at(-1) ?? '')).toEqual({ more: 'kept', vlan_id: { label: 'a,b', probability: 0.5 } });
  });
});

describe('a plugin that does not load', () => {
  it.each([
    ['x.py', 'Expected a file ending in .ts .mts .cts .js .mjs .cjs for --plugin but received "x.py"'],
    ['', 'Expected FILE for --plugin but received ""'],
  ])('%j is wrong usage', async (name, message) => {
    const { code, stderr } = await nfstream([source, '--plugin', name]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: `nfstream: ${message} [USAGE]\n` });
  });

  it('is missing, or a folder', async () => {
    const stderr = async (path: string) => (await nfstream([source, '--plugin', path])).stderr;
    const missing = file('none.ts');
    expect(await stderr(missing)).toBe(`nfstream: "${missing}" can not be read: no such file [PLUGIN_FAILED]\n`);
    mkdirSync(file('folder.ts'));
    expect(await stderr(file('folder.ts'))).toContain('can not be read: it is a folder [PLUGIN_FAILED]');
  });

  it('does not parse: says where', async () => {
    const text = 'export const userMetrics = {\n  one: () => 1,\n  two: (packet => 2,\n};\n';
    expect(await refusal(text)).toBe('"plugin.ts" does not parse: Unexpected token (plugin.ts:4:1)');
    expect(await refusal('exports.userMetrics = { a: () => };\n', 'plugin.cjs')).toBe(
      '"plugin.cjs" does not parse: Unexpected token (plugin.cjs:1:34)',
    );
  });

  it('throws: says what and where', async () => {
    expect(await refusal('const a: number = 1;\n\nthrow new TypeError("two\\nlines");\n')).toBe(
      '"plugin.ts" threw TypeError: two\\nlines (plugin.ts:3)',
    );
    expect(await refusal('throw "text";')).toBe('"plugin.ts" threw text');
    expect(await refusal('await Promise.reject(undefined);')).toBe('"plugin.ts" threw undefined');
    expect(await refusal(`import { readFileSync } from 'node:fs';\nreadFileSync('/none');`)).toBe(
      `"plugin.ts" threw Error: ENOENT: no such file or directory, open '/none' (plugin.ts:2)`,
    );
  });

  it('imports what is not there: says what and where', async () => {
    const place = '(plugin.ts:2)';
    expect(await refusal(`\nimport x from './none.ts';\nexport const userMetrics = x;`)).toBe(
      `"plugin.ts" imports what is not there: Cannot find module './none.ts' ${place}`,
    );
    expect(await refusal(`\nimport x from 'none';\nexport const userMetrics = x;`)).toBe(
      `"plugin.ts" imports what is not there: Cannot find module 'none' ${place}`,
    );
  });

  it('waits for what never comes', async () => {
    const forever = 'await new Promise(() => {});';
    const path = project({
      'never.ts': forever,
      'late.ts': `\nsetTimeout(() => { throw new Error('late'); }, 1);\n${forever}`,
    });
    const stderr = async (...args: string[]) => (await nfstream([source, ...args])).stderr;
    expect(await stderr('--plugin', path('never.ts'))).toBe(
      `nfstream: "${path('never.ts')}" awaits a promise that nothing settles any more [PLUGIN_FAILED]\n`,
    );
    const two = await stderr('--plugin', file('one.ts', 'export const userMetrics = {};'), '--plugin', path('late.ts'));
    expect(two).toBe(
      `nfstream: One of "${file('one.ts')}", "${path('late.ts')}" left an error uncaught: Error: late ` +
        `(${path('late.ts')}:2) [PLUGIN_FAILED]\n`,
    );
  });

  const EXPECTED = 'Expected an export userMetrics or userClassifiers of "plugin.ts" but received';
  it.each([
    ['export {};', `${EXPECTED} none`],
    ['export const userMetrics = undefined;', `${EXPECTED} none`],
    [
      'export const metrics = {}; export const help = 1;',
      `${EXPECTED} help, metrics; did you mean userMetrics for metrics?`,
    ],
    ['export const classifier = 1;', `${EXPECTED} classifier; did you mean userClassifiers for classifier?`],
    [
      'export default { usermetrics: {} };',
      `${EXPECTED} default.usermetrics; did you mean userMetrics for default.usermetrics?`,
    ],
    [
      'export const userMetrics = { a: () => 1 }; export const userClassifier = {};',
      `${EXPECTED} userClassifier, userMetrics; did you mean userClassifiers for userClassifier?`,
    ],
    [
      'export const userMetrics = 5;',
      '"plugin.ts": Expected an object of functions by metric name for userMetrics but received 5',
    ],
    ['export const userMetrics = { a: 5 };', '"plugin.ts": Expected a function for userMetrics.a but received 5'],
    [
      'export const userMetrics = { ip_src: () => 1 };',
      '"plugin.ts": userMetrics.ip_src has the name of a core column; choose another',
    ],
    [
      ESM.replace("new Last('last')", 'Last'),
      '"plugin.ts": Expected an instance of NFStreamClassifier or a list of them for userClassifiers but received a function; write new Last()',
    ],
    [
      ESM.replace("new Last('last')", '[new Last("x"), new Last("x")]'),
      '"plugin.ts": userClassifiers has two classifiers named "x"',
    ],
    [
      'export const userClassifiers = [{}];',
      '"plugin.ts": Expected an instance of NFStreamClassifier or a list of them for userClassifiers but received a Object',
    ],
  ])('exports the wrong things: %s', async (text, message) => {
    expect(await refusal(text)).toBe(message);
  });

  it('shows the stack with --debug, in its own lines', async () => {
    const path = project({
      'plugin.ts': 'type A = 1;\n\nfunction fail(): A {\n  throw new Error("here");\n}\nfail();\n',
    });
    const { stderr } = await nfstream([source, '--plugin', path('plugin.ts'), '--debug']);
    expect(stderr).toContain(`at fail (${path('plugin.ts')}:4:`);
    expect(stderr).toContain(`at ${path('plugin.ts')}:6:`);
  });
});

describe('user code that fails while it runs', () => {
  const path = project({
    'metric.ts': `let flows = 0;
      export const userMetrics = { third: () => { if (++flows === 3) throw new Error('two\\nlines'); return 1; } };`,
    'nothing.ts': 'export const userMetrics = { nothing: () => {} };',
    'classifier.ts': `import { NFStreamClassifier } from 'nfstream';
      class Third extends NFStreamClassifier {
        flows = 0;
        override onFlowInit() { if (++this.flows === 3) throw new Error('third'); }
      }
      export const userClassifiers = new Third();`,
    'stray.ts': `let flows = 0;
      const fail = async () => { throw new Error('nobody awaits this'); };
      export const userMetrics = { stray: () => { if (++flows === 3) fail(); return 1; } };`,
  });

  it.each([
    [
      'metric.ts',
      /^nfstream: the metric "third" threw Error: two\\nlines[^\n]* 10\.1\.0\.2:\d+ [^\n]* \[USER_METRIC_FAILED\]\n$/,
    ],
    [
      'classifier.ts',
      /^nfstream: the classifier "Third" threw in onFlowInit: Error: third[^\n]* \[USER_CLASSIFIER_FAILED\]\n$/,
    ],
  ])('%s: one line, exit code 1, and the flows that had ended are written', async (name, message) => {
    const target = file(`${name}.jsonl`);
    const { code, stderr } = await nfstream([spaced, '--no-ndpi', '--plugin', path(name), '-o', target]);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
    expect(records(readFileSync(target, 'utf8')).map(({ ip_src }) => ip_src)).toEqual(['10.1.0.0', '10.1.0.1']);
  });

  it('before any flow has ended leaves no file', async () => {
    const target = file('nothing.jsonl');
    const { code, stderr } = await nfstream([spaced, '--no-ndpi', '--plugin', path('nothing.ts'), '-o', target]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^nfstream: the metric "nothing" returned undefined[^\n]* \[USER_METRIC_FAILED\]\n$/);
    expect(readdirSync(dirname(target)).filter((name) => name.includes('nothing.jsonl'))).toEqual([]);
  });

  it('outside any call ends the run in good order', async () => {
    const target = file('stray.jsonl');
    const { code, stderr } = await nfstream([spaced, '--no-ndpi', '--plugin', path('stray.ts'), '-o', target]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `nfstream: "${path('stray.ts')}" left an error uncaught: Error: nobody awaits this (${path('stray.ts')}:2) [PLUGIN_FAILED]\n`,
    });
    expect(records(readFileSync(target, 'utf8')).length).toBeGreaterThan(1);
  });

  it('awaits what nothing settles: ends, too, with the flows so far', async () => {
    const never = project({
      'never.ts': `import { NFStreamClassifier } from 'nfstream';
        class Never extends NFStreamClassifier {
          flows = 0;
          override onFlowTerminate() { if (++this.flows === 2999) return new Promise<void>(() => {}); }
        }
        export const userClassifiers = new Never();`,
    })('never.ts');
    const target = file('never.jsonl');
    const many = file('many.pcap', pcap(manyFlows(3000, 40)));
    const { code, stderr } = await nfstream([many, '--no-ndpi', '--plugin', never, '-o', target]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `nfstream: "${never}" awaits a promise that nothing settles any more [PLUGIN_FAILED]\n`,
    });
    expect(records(readFileSync(target, 'utf8')).length).toBeGreaterThan(1000);
  });

  it('keeps a packet beyond the call: --debug finds it', async () => {
    const keeps = project({
      'keeps.ts': `const kept: Uint8Array[] = [];
        export const userMetrics = { sum: (packet) => kept.push(packet.payload) && kept[0].length };`,
    })('keeps.ts');
    expect(await nfstream([source, '--no-ndpi', '--plugin', keeps])).toMatchObject({ code: 0, stderr: '' });
    const { code, stderr } = await nfstream([source, '--no-ndpi', '--plugin', keeps, '--debug']);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^nfstream: [^\n]* \[PACKET_KEPT\]\n/);
  });

  it('shows its own line with --debug', async () => {
    const { stderr } = await nfstream([spaced, '--no-ndpi', '--plugin', path('metric.ts'), '--debug']);
    expect(stderr).toMatch(new RegExp(`at .*third.* \\(${path('metric.ts')}:2:`));
  });
});
