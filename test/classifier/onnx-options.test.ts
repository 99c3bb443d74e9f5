import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { OnnxClassifier } from '../../src/classifier/onnx-classifier.ts';
import { ONNX_DEFAULTS, type OnnxClassifierOptions, resolveOnnxOptions } from '../../src/classifier/onnx-options.ts';

const GOOD: OnnxClassifierOptions = { name: 'app', model: 'app.onnx', features: ['src_port'] };

describe('the options of OnnxClassifier', () => {
  it('have defaults', () => {
    expect(resolveOnnxOptions(GOOD)).toEqual({
      ...GOOD,
      atPackets: Infinity,
      atMs: Infinity,
      runtime: 'auto',
      threshold: 0,
      labels: undefined,
      missing: 0,
      batchSize: 512,
      threads: 1,
      exportReason: undefined,
    });
    expect(resolveOnnxOptions({ ...GOOD, at: { packets: 3 } })).toMatchObject({ atPackets: 3, atMs: Infinity });
    expect(resolveOnnxOptions({ ...GOOD, at: { ms: 0 } })).toMatchObject({ atPackets: Infinity, atMs: 0 });
    expect(new OnnxClassifier({ ...GOOD, batchSize: 10 })).toMatchObject({ name: 'app', concurrency: 40 });
  });

  it.each([
    [{ name: undefined }, 'Expected a name for the classifier for name but received undefined'],
    [{ name: '' }, 'Expected a name for the classifier for name but received ""'],
    [{ name: 'src_port' }, 'Expected a name that no core column has for name but received "src_port"'],
    [{ model: '' }, 'Expected the path of an .onnx file or the file\'s bytes (Uint8Array) for model but received ""'],
    [{ model: new ArrayBuffer(8) }, 'for model but received an ArrayBuffer'],
    [{ features: [] }, 'Expected a list of at least one feature for features but received an empty list'],
    [{ features: 'src_port' }, 'for features but received "src_port"'],
    [{ features: ['src_port', 7] }, '{ name, value: (flow) => number } for features[1] but received 7'],
    [{ features: [{ name: 'x' }] }, 'for features[0] but received an object'],
    [{ features: [null] }, 'for features[0] but received null'],
    [{ features: ['a', 'b', 'a'] }, 'Expected different names for features but received "a, b, a"'],
    [{ at: 'start' }, 'Expected \'terminate\', { packets: n } or { ms: n } for at but received "start"'],
    [{ at: null }, 'for at but received null'],
    [{ at: { packets: 3, ms: 3 } }, 'for at but received an object'],
    [{ at: { packets: 0 } }, 'for at.packets but received 0'],
    [{ at: { packets: undefined } }, 'for at.packets but received null'],
    [{ at: { ms: -1 } }, 'Expected milliseconds, 0 or more for at.ms but received -1'],
    [{ runtime: 'gpu' }, 'Expected "auto" or "node" or "web" for runtime but received "gpu"'],
    [{ threshold: 1.1 }, 'Expected a probability from 0 to 1 for threshold but received 1.1'],
    [{ threshold: Number.NaN }, 'for threshold but received NaN'],
    [{ labels: ['a', 'a'] }, 'Expected a list of different class names for labels but received a list'],
    [{ labels: [] }, 'for labels but received an empty list'],
    [{ labels: [1, 2] }, 'for labels'],
    [{ missing: '0' }, 'Expected a number (NaN where the model takes it) for missing but received "0"'],
    [{ batchSize: 0 }, 'Expected an integer from 1 to 65536 for batchSize but received 0'],
    [{ threads: 1.5 }, 'for threads but received 1.5'],
    [{ exportReason: 2, at: { packets: 3 } }, 'Expected an integer from 3 to 2147483647 for exportReason'],
    [{ exportReason: 3 }, 'Expected at: { packets: n } or { ms: n } beside it for exportReason but received 3'],
  ])('are refused with what they take: %j', (wrong, message) => {
    const options = { ...GOOD, ...wrong } as OnnxClassifierOptions;
    expect(() => new OnnxClassifier(options)).toThrow(
      expect.objectContaining({ code: 'INVALID_OPTION', message: expect.stringContaining(message) }),
    );
  });

  it('that do not exist are refused with the nearest name', () => {
    expect(() => new OnnxClassifier({ ...GOOD, treshold: 0.5 } as OnnxClassifierOptions)).toThrow(
      expect.objectContaining({
        code: 'UNKNOWN_OPTION',
        message: 'Unknown option "treshold" of OnnxClassifier; did you mean "threshold"?',
      }),
    );
    expect(() => new OnnxClassifier(null as unknown as OnnxClassifierOptions)).toThrow('Expected an object with name');
  });
});

describe('docs/models.md', () => {
  it('lists every option with its default', () => {
    const text = readFileSync(new URL('../../docs/models.md', import.meta.url), 'utf8');
    const table = text.slice(text.indexOf('## Options'), text.indexOf('## Features'));
    const listed = [...table.matchAll(/^\| `(\w+)` \|([^|]*)\|/gm)].map(([, name, value]) => [name, value.trim()]);
    const { atPackets: _, atMs: __, ...resolved } = resolveOnnxOptions(GOOD);
    expect(listed.map(([name]) => name).sort()).toEqual([...Object.keys(resolved), 'at'].sort());
    for (const [name, value] of Object.entries(ONNX_DEFAULTS)) {
      const written = typeof value === 'string' ? `\`'${value}'\`` : String(value);
      expect([name, new Map(listed as [string, string][]).get(name)]).toEqual([name, written]);
    }
  });
});
