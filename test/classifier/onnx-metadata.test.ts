import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readOnnxNotes } from '../../src/classifier/onnx-metadata.ts';
import { forestModel, onnxModel } from './onnx-writer.mjs';

const LEAVES = [{ feature: 0, threshold: 1, left: { weights: [1, 0] }, right: { weights: [0, 1] } }];
const ARGUMENTS = { features: 2, labels: ['mail', 'Wörter'] };
const METADATA = { feature_names: '["a","b"]', note: '', über: 'größer' };

describe("a model's notes", () => {
  it('are its metadata and its class names, text or integers, also negative ones', () => {
    const { metadata, classes } = readOnnxNotes(forestModel(LEAVES, { ...ARGUMENTS, metadata: METADATA }));
    expect(Object.fromEntries(metadata)).toEqual(METADATA);
    expect(classes).toEqual(['mail', 'Wörter']);
    expect(readOnnxNotes(forestModel(LEAVES, { features: 2, labels: [-3, 7_000_000_000] })).classes).toEqual([
      '-3',
      '7000000000',
    ]);
  });

  it('are the class names of integers in one field each, too, as Python writes them', () => {
    // classlabels_int64s = [5, 300]: ints (field 8) unpacked.
    const attribute = [0x0a, 18, ...Buffer.from('classlabels_int64s'), 0x40, 5, 0x40, 0xac, 0x02];
    const node = [0x2a, attribute.length, ...attribute];
    const graph = [0x0a, node.length, ...node];
    expect(readOnnxNotes(new Uint8Array([0x3a, graph.length, ...graph])).classes).toEqual(['5', '300']);
  });

  it('name no classes when the operators of the model disagree', () => {
    const node = (labels: string[]) => ({
      op: 'ZipMap',
      domain: 'ai.onnx.ml',
      inputs: ['x'],
      outputs: ['y'],
      attributes: { classlabels_strings: { strings: labels } },
    });
    const notes = (...lists: string[][]) =>
      readOnnxNotes(onnxModel({ nodes: lists.map(node), inputs: [], outputs: [] }));
    expect(notes(['a', 'b'], ['a', 'b']).classes).toEqual(['a', 'b']);
    expect(notes(['a', 'b'], ['b', 'a']).classes).toBeUndefined();
    expect(notes().classes).toBeUndefined();
  });

  it('are read from every cut of a model without a throw: what stands before the cut, and nothing wrong', () => {
    const bytes = forestModel(LEAVES, { ...ARGUMENTS, metadata: METADATA });
    for (let length = 0; length < bytes.length; length++) {
      const { metadata, classes } = readOnnxNotes(bytes.subarray(0, length));
      expect(Object.entries(METADATA).slice(0, metadata.size)).toEqual([...metadata]);
      expect(metadata.size).toBeLessThan(Object.keys(METADATA).length);
      expect([undefined, 'mail,Wörter']).toContain(classes?.join());
    }
  });

  it('are read from any bytes without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void readOnnxNotes(bytes)),
      { numRuns: 2000 },
    );
    const model = forestModel(LEAVES, { ...ARGUMENTS, metadata: METADATA });
    fc.assert(
      fc.property(fc.nat(model.length - 1), fc.nat(255), (at, byte) => {
        const damaged = model.slice();
        damaged[at] = byte;
        readOnnxNotes(damaged);
      }),
      { numRuns: 3000 },
    );
  });
});
