import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NfstreamError } from '../../src/errors.ts';
import { openSource } from '../../src/source/open-source.ts';
import { PacketBatch, SOURCE_END, SOURCE_WAIT } from '../../src/source/source.ts';
import {
  concat,
  enhancedPacket,
  interfaceBlock,
  makePcap,
  payload,
  sectionHeader,
  simplePacket,
  somePackets,
} from './captures.ts';
import { drain } from './drain.ts';

const packets = somePackets(40);
const pcap = makePcap(packets);
const pcapng = concat(
  sectionHeader(),
  interfaceBlock({ resolution: 9 }),
  ...packets.map(({ seconds, fraction, data, wireLength }) =>
    enhancedPacket({ units: BigInt(seconds) * 10n ** 9n + BigInt(fraction) * 1000n, data, wireLength }),
  ),
);

/** `bytes` as a stream of chunks of the given sizes, over and over. */
function streamOf(bytes: Uint8Array, sizes: readonly number[]): Readable {
  function* chunks() {
    for (let at = 0, i = 0; at < bytes.length; at += sizes[i++ % sizes.length]) {
      yield Buffer.from(bytes.subarray(at, at + sizes[i % sizes.length]));
    }
  }
  return Readable.from(chunks());
}

describe('a capture in pieces', () => {
  it.each([
    ['pcap', pcap],
    ['pcapng', pcapng],
  ])('%s: gives the same rows for every chunk size and batch size', async (_, bytes) => {
    const whole = await drain(bytes);
    expect(whole.error).toBeUndefined();
    expect(whole.rows).toHaveLength(40);
    for (const size of [1, 2, 3, 7, 15, 16, 17, 61, 1000, 4096, 65536]) {
      for (const capacity of [1, 7, 256]) {
        expect(await drain(bytes, { chunkBytes: size, capacity })).toEqual(whole);
        expect(await drain(streamOf(bytes, [size]), { capacity })).toEqual(whole);
      }
      expect(await drain(streamOf(bytes, [size]), { chunkBytes: 100 })).toEqual(whole);
    }
  });

  it('gives the same rows for any sequence of chunk sizes', async () => {
    const whole = await drain(pcapng);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 5000 }),
        async (sizes, chunkBytes) => {
          expect(await drain(streamOf(pcapng, sizes), { chunkBytes })).toEqual(whole);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('carries records over the ends of many slabs, and records larger than a slab', async () => {
    const large = Array.from({ length: 60 }, (_, i) => {
      const data = payload(i % 7 === 3 ? 250000 : 100 + i * 300, i + 1);
      return { seconds: i, fraction: 0, data, wireLength: data.length };
    });
    const bytes = makePcap(large);
    for (const options of [{}, { chunkBytes: 50000 }, { chunkBytes: 1000 }]) {
      const { rows, error, bytesRead } = await drain(streamOf(bytes, [65536]), options);
      expect(error).toBeUndefined();
      expect(bytesRead).toBe(bytes.length);
      expect(rows.map((row) => row.timeMs)).toEqual(large.map((_, i) => i * 1000));
      expect(rows.every((row, i) => row.data === Buffer.from(large[i].data).toString('latin1'))).toBe(true);
    }
  });

  it('reads pcapng blocks of several megabytes', async () => {
    const data = payload(5_000_001);
    const bytes = concat(sectionHeader(), interfaceBlock(), simplePacket(data), simplePacket(data.slice(0, 9)));
    for (const input of [bytes, streamOf(bytes, [65536])]) {
      const { rows, error } = await drain(input);
      expect(error).toBeUndefined();
      expect(rows.map((row) => row.wireLength)).toEqual([5_000_001, 9]);
      expect(rows[0].data).toBe(Buffer.from(data).toString('latin1'));
    }
  });

  it('takes no more slabs for many records larger than the headroom than for a few, and gives all back', async () => {
    const large = Array.from({ length: 60 }, (_, i) => ({ seconds: i, fraction: 0, data: payload(250_000, i + 1) }));
    const taken = new Set<Uint8Array>();
    let most = 0;
    const slabs = {
      takeSlab(size: number) {
        const slab = new Uint8Array(size);
        taken.add(slab);
        most = Math.max(most, taken.size);
        return slab;
      },
      giveBack(slab: Uint8Array) {
        expect(taken.delete(slab)).toBe(true);
        // Whoever still reads it, reads something else.
        slab.fill(0xff);
      },
    };
    const { rows, error } = await drain(streamOf(makePcap(large), [65536]), { slabs });
    expect(error).toBeUndefined();
    expect(rows.map((row) => row.data)).toEqual(large.map(({ data }) => Buffer.from(data).toString('latin1')));
    expect(most).toBeLessThanOrEqual(3);
    expect(taken.size).toBe(0);
  });

  it('does not change the bytes of a batch before the next read', async () => {
    const many = makePcap(somePackets(3000));
    const source = openSource(streamOf(many, [30000]), { chunkBytes: 40000 });
    const batch = new PacketBatch(64);
    await source.open();
    for (let rows = source.read(batch); rows !== SOURCE_END; rows = source.read(batch)) {
      if (rows === SOURCE_WAIT) {
        await source.fill();
        continue;
      }
      const first = batch.frameAt[0];
      const last = batch.frameAt[rows - 1] + batch.capturedLength[rows - 1];
      const before = Buffer.from(batch.bytes.subarray(first, last));
      // Time for a read ahead to write into the wrong place.
      await new Promise((resolve) => setImmediate(resolve));
      expect(before.equals(batch.bytes.subarray(first, last))).toBe(true);
    }
    await source.close();
  });
});

describe('memory', () => {
  it('is read in place, from the middle of a larger buffer too', async () => {
    const inside = new Uint8Array(pcap.length + 100);
    inside.set(pcap, 37);
    const bytes = inside.subarray(37, 37 + pcap.length);
    const source = openSource(bytes);
    const batch = new PacketBatch();
    await source.open();
    await source.fill();
    expect(source.read(batch)).toBe(40);
    expect(batch.bytes.buffer).toBe(inside.buffer);
    await source.close();
    expect(await drain(bytes)).toEqual(await drain(pcap));
    expect(await drain(Buffer.from(pcap))).toEqual(await drain(pcap));
  });

  it('lets the event loop turn every megabyte', async () => {
    const bytes = makePcap(
      Array.from({ length: 100 }, (_, i) => ({ ...packets[0], seconds: i, data: payload(60000) })),
    );
    let turns = 0;
    const count = () => {
      turns++;
      timer = setImmediate(count);
    };
    let timer = setImmediate(count);
    await drain(bytes);
    clearImmediate(timer);
    expect(turns).toBeGreaterThanOrEqual(5);
  });
});

describe('damage', () => {
  const starts = (() => {
    const at = [24];
    for (const { data } of packets) at.push((at.at(-1) as number) + 16 + data.length);
    return at;
  })();

  it('pcap: cut at every byte of the last two packets', async () => {
    const whole = await drain(pcap);
    for (let end = starts[38]; end < pcap.length; end++) {
      const { rows, error } = await drain(pcap.subarray(0, end));
      const complete = end < starts[39] ? 38 : 39;
      expect(rows).toEqual(whole.rows.slice(0, complete));
      if (end === starts[complete]) {
        expect(error).toBeUndefined();
        continue;
      }
      expect(error).toBeInstanceOf(NfstreamError);
      expect(error).toMatchObject({ code: 'TRUNCATED_CAPTURE', offset: starts[complete], file: '<bytes>' });
    }
  });

  it('pcapng: cut at every byte of the last two packets', async () => {
    const whole = await drain(pcapng);
    const last = (n: number) =>
      pcapng.length - packets.slice(-n).reduce((sum, { data }) => sum + 32 + Math.ceil(data.length / 4) * 4 + 16, 0);
    for (let end = last(2); end < pcapng.length; end++) {
      const { rows, error } = await drain(pcapng.subarray(0, end));
      const complete = end < last(1) ? 38 : 39;
      expect(rows).toEqual(whole.rows.slice(0, complete));
      if (end === last(2) || end === last(1)) expect(error).toBeUndefined();
      else expect(error).toMatchObject({ code: 'TRUNCATED_CAPTURE', offset: last(40 - complete) });
    }
  });

  it('cut in the header, at every byte', async () => {
    for (let end = 1; end < 24; end++) {
      for (const input of [pcap.subarray(0, end), streamOf(pcap.subarray(0, end), [1])]) {
        const { rows, error } = await drain(input);
        expect(rows).toEqual([]);
        expect(error).toMatchObject({ code: 'TRUNCATED_CAPTURE', offset: 0 });
      }
    }
    for (let end = 1; end < 28 + 40; end++) {
      const { rows, error } = await drain(pcapng.subarray(0, end));
      expect(rows).toEqual([]);
      if (end === 28) expect(error).toBeUndefined();
      else expect(error).toMatchObject({ code: 'TRUNCATED_CAPTURE', offset: end < 28 ? 0 : 28 });
    }
  });

  it('says where, how much is needed and how much is there', async () => {
    const { error } = await drain(pcap.subarray(0, starts[2] + 20));
    const needs = 16 + packets[2].data.length;
    expect((error as Error).message).toBe(
      `<bytes>: the capture ends inside a record at byte ${starts[2]} (needs ${needs} bytes, 20 are there)`,
    );
  });

  it('no bytes at all', async () => {
    for (const input of [new Uint8Array(0), Readable.from([])]) {
      expect((await drain(input)).error).toMatchObject({ code: 'EMPTY_CAPTURE', offset: 0 });
    }
  });

  it.each([
    ['Hello, this is text', /text \("Hello, this is text"\)/],
    ['{"a":', /text/],
    ['ab', /text \("ab"\)/],
    ['\x89PNG\r\n', /PNG image/],
    ['BZh91AY', /bzip2/],
    ['\xfd7zXZ\0\0', /xz/],
    ['PK\x03\x04\0', /ZIP/],
    ['\0\x01\x02\xff\xfe', /bytes that begin with 00 01 02 ff fe/],
  ])('something else: %j', async (text, expected) => {
    const { rows, error } = await drain(Buffer.from(text, 'latin1'));
    expect(rows).toEqual([]);
    expect(error).toMatchObject({ code: 'NOT_A_CAPTURE', offset: 0, file: '<bytes>' });
    expect((error as Error).message).toMatch(expected);
  });

  it('any bytes end, with nothing but an NfstreamError', async () => {
    const magics = [
      '',
      'd4c3b2a102000400',
      'a1b23c4d00020004',
      '0a0d0d0a1c0000004d3c2b1a01000000',
      '1f8b08',
      '28b52ffd',
      '04224d18',
      '5a2a4d18',
    ];
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...magics), fc.uint8Array({ maxLength: 300 }), async (magic, rest) => {
        const bytes = concat(Buffer.from(magic, 'hex'), rest);
        const { error } = await drain(bytes, { chunkBytes: 50 });
        if (error !== undefined) {
          expect(error).toBeInstanceOf(NfstreamError);
          expect((error as NfstreamError).file).toBe('<bytes>');
        }
      }),
      { numRuns: 400 },
    );
  });

  it('any change of any bytes ends the same way in memory and in pieces', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(pcap, pcapng),
        fc.array(fc.tuple(fc.nat(2000), fc.nat(255)), { minLength: 1, maxLength: 3 }),
        async (sound, changes) => {
          const bytes = sound.slice();
          for (const [at, value] of changes) bytes[at] = value;
          const whole = await drain(bytes);
          const inPieces = await drain(streamOf(bytes, [999]), { chunkBytes: 700 });
          expect(inPieces.rows).toEqual(whole.rows);
          expect((inPieces.error as NfstreamError | undefined)?.code).toBe(
            (whole.error as NfstreamError | undefined)?.code,
          );
          expect((inPieces.error as NfstreamError | undefined)?.offset).toBe(
            (whole.error as NfstreamError | undefined)?.offset,
          );
        },
      ),
      { numRuns: 100 },
    );
  });
});

describe('the contract', () => {
  it('ends after close, at any time', async () => {
    const source = openSource(pcap);
    const batch = new PacketBatch(4);
    await source.open();
    expect(source.read(batch)).toBe(SOURCE_WAIT);
    await source.fill();
    expect(source.read(batch)).toBe(4);
    await source.close();
    expect(source.read(batch)).toBe(SOURCE_END);
    expect(batch.count).toBe(0);
    await source.fill();
  });

  it('ends when it was closed before it was opened', async () => {
    const source = openSource(pcap);
    await source.close();
    await source.open();
    await source.fill();
    expect(source.read(new PacketBatch())).toBe(SOURCE_END);
  });

  it('may be filled when nothing is needed, and twice at a time', async () => {
    const source = openSource(streamOf(pcap, [500]));
    const batch = new PacketBatch(1);
    let count = 0;
    await source.open();
    for (let rows = 0; rows !== SOURCE_END; rows = source.read(batch)) {
      if (rows > 0) count++;
      await Promise.all([source.fill(), source.fill()]);
    }
    await source.close();
    expect(count).toBe(40);
  });

  it('counts bytes', async () => {
    const source = openSource(pcap);
    const batch = new PacketBatch(2);
    await source.open();
    expect([source.bytesRead, source.position, source.size]).toEqual([0, 0, pcap.length]);
    await source.fill();
    source.read(batch);
    const at = 24 + 32 + packets[0].data.length + packets[1].data.length;
    expect([source.bytesRead, source.position]).toEqual([at, at]);
    await source.close();
  });
});
