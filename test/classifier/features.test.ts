import { describe, expect, it } from 'vitest';
import type { RunInfo } from '../../src/classifier/classifier.ts';
import { type Feature, featureReaders, featureValue } from '../../src/classifier/features.ts';
import type { Flow } from '../../src/flow/flow.ts';

const RUN: RunInfo = { metrics: ['entropy', 'sizes', 'odd[1]'], classifiers: ['mine'], features: [] };

function read(features: Feature[], flow: object, run = RUN): unknown[] {
  return featureReaders('x', features, run).map((feature) => feature.read(flow as Flow));
}

function refusal(feature: Feature, run = RUN): string {
  try {
    featureReaders('The classifier "x"', [feature], run);
  } catch (error) {
    expect(error).toMatchObject({ name: 'NfstreamError', code: 'INVALID_OPTION' });
    return (error as Error).message;
  }
  throw new Error('was not refused');
}

describe('features', () => {
  it('are columns, elements of pairs and lists, metrics and functions', () => {
    const flow = {
      src_port: 443,
      start_time: 1.5,
      syn_count: [1, 2],
      metrics: { entropy: 7.9, sizes: [10, 20], 'odd[1]': 3 },
    };
    const names = ['src_port', 'start_time', 'syn_count[0]', 'syn_count[1]', 'entropy', 'sizes[1]', 'odd[1]'];
    expect(read(names, flow)).toEqual([443, 1.5, 1, 2, 7.9, 20, 3]);
    expect(read([{ name: 'ratio', value: (f) => f.src_port / 2 }], flow)).toEqual([221.5]);
  });

  it('beyond the end of a list, and of a list that is not there yet, are missing', () => {
    expect(read(['sizes[2]'], { metrics: { sizes: [1, 2] } })).toEqual([undefined]);
    expect(read(['sizes[0]'], { metrics: { sizes: 0 } })).toEqual([undefined]);
    expect(read(['sizes[0]'], { metrics: { sizes: 'text' } })).toEqual(['text']);
  });

  it("are nDPI's numbers, when nDPI runs", () => {
    const run: RunInfo = { metrics: [], classifiers: ['ndpi', 'mine'], features: ['ndpi'] };
    expect(read(['risk_score'], { risk_score: 50 }, run)).toEqual([50]);
    expect(refusal('risk_score')).toContain('is not measured: it takes enableNdpi: true');
    expect(refusal('application_name', run)).toContain('is no number');
  });

  it.each([
    ['entrpy', 'The classifier "x": the feature "entrpy" is no column and no user metric; did you mean "entropy"?'],
    [
      'dst_port[0]',
      'The classifier "x": the feature "dst_port[0]" takes an element of a number; the column is dst_port',
    ],
    ['dst_to_src_packets', 'did you mean "dst_to_src_pkts"?'],
    ['syn_counts[1]', 'did you mean "syn_count[1]"?'],
    ['syn_count', 'is a pair, not a number; take syn_count[0] (source to destination) or syn_count[1] (back)'],
    ['syn_count[2]', 'is a pair, not a number'],
    ['ip_src', "is no number; take a number of it by { name: 'ip_src', value: (flow) => ... }"],
    ['metrics', 'is no number'],
    ['entropies[3]', 'did you mean "entropy"?'],
  ])('that there are none are refused by name: %s', (feature, message) => {
    expect(refusal(feature)).toContain(message);
  });

  it('become numbers: booleans 1 and 0, what is missing as asked, and text not at all', () => {
    expect([0, -1.5, true, false].map((value) => featureValue(value, 9))).toEqual([0, -1.5, 1, 0]);
    expect([undefined, null, Number.NaN].map((value) => featureValue(value, 9))).toEqual([9, 9, 9]);
    expect(featureValue(undefined, Number.NaN)).toBeNaN();
    expect(['7', [], {}, 7n].map((value) => featureValue(value, 9))).toEqual(Array(4).fill(undefined));
  });
});
