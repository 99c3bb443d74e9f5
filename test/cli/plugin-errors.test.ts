// --plugin: all that can be wrong with a plugin, when it is loaded and while it runs. One line each that names it.
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { main } from '../../src/cli/main.ts';
import { manyFlows, pcap } from './capture.ts';
import { ESM, projects } from './plugin-project.ts';
import { nfstream, records, temporaryFolder } from './run.ts';

const project = projects();
const file = temporaryFolder();
const source = file('one.pcap', pcap([{}, {}]));
/** Ten flows, each ended by the inactive timeout before the next one begins. */
const spaced = file('spaced.pcap', pcap(manyFlows(10, 40)));

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
    expect(await refusal('throw Object.create(null);')).toBe('"plugin.ts" threw a value that has no text');
    expect(await refusal('export default { get userMetrics() { throw new Error("late"); } };')).toBe(
      '"plugin.ts" threw Error: late (plugin.ts:1)',
    );
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
      '"plugin.ts": Expected an instance of NFStreamClassifier or a list of them for userClassifiers but received an object',
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
