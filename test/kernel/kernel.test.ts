// The compiled kernel against the TypeScript that says the same in other words, and against its own sources.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RARE_FLAGS_WORD } from '../../src/flow/feature-layout.ts';
import { kernelFor } from '../../src/flow/flow-table.ts';
import { hashKey } from '../../src/flow/key.ts';
import { FlowMeter } from '../../src/flow/meter.ts';
import * as record from '../../src/flow/record.ts';
import { CLASSIC_SHAPE } from '../../src/flow/schema.ts';
import { Kernel } from '../../src/kernel/kernel.ts';
import { KEY_WORDS, PacketColumns } from '../../src/packet/packet-columns.ts';
import { BATCH_CAPACITY, PacketBatch } from '../../src/source/source.ts';
import { OPTIONS, setRow } from '../flow/metered.ts';

const { RECORD_WORDS, WORD_BYTES, WORD_PACKETS } = record;

const word = fc.oneof(fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }), fc.constantFrom(0, 1, -1));
const key = fc.array(word, { minLength: KEY_WORDS, maxLength: KEY_WORDS }).map((words) => {
  const [, , , , , , , , , meta] = words;
  const isV6 = (meta & 1) !== 0;
  // As decoders write it: addresses of version 4 have one word.
  const addresses = words.map((one, i) => (!isV6 && i < 8 && i % 4 !== 0 ? 0 : one));
  return Int32Array.from(addresses.with(9, (meta & ~0xff00) | ((isV6 ? 6 : 4) << 8)));
});

function reversed(one: Int32Array): Int32Array {
  const other = Int32Array.from([...one.slice(4, 8), ...one.slice(0, 4), 0, one[9], one[10]]);
  other[8] = (one[8] << 16) | (one[8] >>> 16);
  return other;
}

describe('the compiled kernel', () => {
  it('is what its sources compile to', () => {
    const script = join(import.meta.dirname, '..', '..', 'script', 'build-kernel.mjs');
    expect(() => execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' })).not.toThrow();
  });

  it('has room for the batches of a source', () => {
    expect(Kernel.forDecoding().capacity).toBe(BATCH_CAPACITY);
  });

  it('lays records out as record.ts says', () => {
    const places = Kernel.forDecoding().passes as unknown as Record<string, { value: number }>;
    const bytes = {
      RECORD_BYTES: record.RECORD_BYTES,
      KEY_BYTES: KEY_WORDS * 4,
      BYTES_HIGH: record.WORD_BYTES_HIGH * 4,
      START: record.DOUBLE_START * 8,
      END: record.DOUBLE_END * 8,
      CLOCK: record.DOUBLE_CLOCK * 8,
      SEQUENCE: record.DOUBLE_SEQUENCE * 8,
      BYTES: WORD_BYTES * 4,
      PACKETS: WORD_PACKETS * 4,
      ACK: record.WORD_ACK * 4,
      PSH: record.WORD_PSH * 4,
      RARE_FLAGS: RARE_FLAGS_WORD * 4,
    };
    for (const [name, place] of Object.entries(bytes)) expect(places[name].value, name).toBe(place);
  });

  it('says that memory ends where it has no place for its tables', () => {
    const tables = { slots: 1 << 25, recordBytes: 128, extraBytes: 64, indexEntries: 1 << 14 };
    expect(() => new Kernel(tables)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }));
  });

  it('hashes keys as key.ts does', () => {
    fc.assert(
      fc.property(fc.array(key, { minLength: 1, maxLength: 8 }), fc.integer(), (keys, seed) => {
        const kernel = kernelFor(10, CLASSIC_SHAPE, seed | 0);
        keys.forEach((one, row) => {
          kernel.key.set(one, row * KEY_WORDS);
        });
        kernel.status.fill(0);
        expect(kernel.passes.take(keys.length, -1, 0, 0)).toBe(keys.length);
        kernel.passes.hash(keys.length, 0);
        const expected = keys.map((one) => hashKey(one, 0, seed | 0));
        expect([...kernel.hashes.subarray(0, keys.length)]).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('tells directions and other flows apart', () => {
    fc.assert(
      // The words that any key has.
      fc.property(key, key, fc.constantFrom(0, 4, 8, 10), word, (one, another, at, value) => {
        for (const flow of [one, reversed(one), another, one.with(at, value), reversed(one).with(at, value)]) {
          const kernel = kernelFor(10, CLASSIC_SHAPE);
          kernel.words.set(flow);
          kernel.key.set(one);
          kernel.status[0] = 0;
          kernel.passes.take(1, -1, 0, 0);
          kernel.passes.hash(1, 0);
          // Its place in the index, whatever the flow's own hash is.
          kernel.passes.setIndexSize(1 << 14);
          const hash = kernel.hashes[0];
          kernel.index[hash & ((1 << 14) - 1)] = 1 | (hash & ~0x1ff_ffff);
          kernel.passes.find(1);
          const direction = [one, reversed(one)].findIndex((way) => `${way}` === `${flow}`);
          expect(kernel.found[0]).toBe(direction);
          expect(kernel.passes.findOne(0)).toBe(direction);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('counters at their limits', () => {
  function meter(packets: number): { meter: FlowMeter; words: Int32Array; see: (src: number, length: number) => void } {
    const kernel = kernelFor(OPTIONS.capacity, OPTIONS.shape);
    const columns = new PacketColumns(1, kernel);
    const batch = new PacketBatch(1, kernel);
    const one = new FlowMeter({ ...OPTIONS, kernel }, columns, null);
    const see = (src: number, length: number) => {
      setRow(batch, columns, 0, { time: 1000, src, dst: 3 - src, length });
      batch.count = 1;
      batch.first = one.packetsProcessed + 1;
      one.meter(batch);
    };
    see(1, 100);
    kernel.words[WORD_PACKETS] = packets;
    return { meter: one, words: kernel.words, see };
  }

  const finished = ({ meter: one }: { meter: FlowMeter }) => {
    while (one.terminate(10));
    return one.takeFinished().flatMap((batch) => Array.from({ length: batch.count }, (_, row) => batch.flow(row)));
  };

  it('bytes go on beyond 4 GB each way', () => {
    const run = meter(1);
    for (let i = 0; i < 3; i++) run.see(1, 0xffff_ffff);
    run.see(2, 0xffff_fff0);
    run.see(2, 0xf);
    run.see(2, 0xffff_ffff);
    const [flow] = finished(run);
    expect(flow.src_to_dst_bytes).toBe(100 + 3 * 0xffff_ffff);
    expect(flow.dst_to_src_bytes).toBe(0xffff_fff0 + 0xf + 0xffff_ffff);
  });

  it('a flow that can count no more packets ends for its active timeout', () => {
    const run = meter(0xffff_fffe);
    for (let i = 0; i < 3; i++) run.see(1, 60);
    const flows = finished(run);
    expect(flows.map((flow) => [flow.src_to_dst_pkts, flow.export_reason])).toEqual([
      [0xffff_ffff, 1],
      [2, 2],
    ]);
    expect(run.words[RECORD_WORDS]).toBe(0);
  });
});
