import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { constants, deflateRawSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NfstreamError } from '../../src/errors.ts';
import type { ByteFeeder } from '../../src/source/byte-feeder.ts';
import { CompressedInput } from '../../src/source/compressed-input.ts';
import { MemoryOrigin } from '../../src/source/memory-bytes.ts';
import { decodeZstd } from '../../src/source/zstd.ts';
import { ByteWriter, concat, makePcap, payload, somePackets } from './captures.ts';
import { drain } from './drain.ts';

const pcap = makePcap(somePackets(400));
const halves = [pcap.subarray(0, 100001), pcap.subarray(100001)];
const whole = await drain(pcap);

function hasTool(name: string): boolean {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** What the command makes of `input`. */
function run(name: string, args: string[], input: Uint8Array): Uint8Array {
  return new Uint8Array(execFileSync(name, args, { input, maxBuffer: 1 << 28, stdio: ['pipe', 'pipe', 'ignore'] }));
}

const zstd = (input: Uint8Array, ...args: string[]) => run('zstd', ['-q', '-c', ...args], input);
const lz4 = (input: Uint8Array, ...args: string[]) => run('lz4', ['-q', '-c', ...args], input);
const skippable = (bytes: number) => new ByteWriter().u32(0x184d2a53, bytes).raw(payload(bytes)).take();

function chunked(bytes: Uint8Array, size: number): Readable {
  const chunks: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) chunks.push(Buffer.from(bytes.subarray(at, at + size)));
  return Readable.from(chunks);
}

/** The same rows as the plain capture, from memory and from a stream. */
async function expectWhole(compressed: Uint8Array): Promise<void> {
  for (const input of [compressed, chunked(compressed, 10007)]) {
    const { rows, error, bytesRead } = await drain(input);
    expect(error).toBeUndefined();
    expect(bytesRead).toBe(pcap.length);
    expect(rows).toEqual(whole.rows);
  }
}

/** Rows up to where the damage is, then DAMAGED_COMPRESSION; at least `fewest` rows. */
async function expectDamage(compressed: Uint8Array, fewest: number): Promise<void> {
  for (const input of [compressed, chunked(compressed, 4001)]) {
    const { rows, error } = await drain(input);
    expect(error).toBeInstanceOf(NfstreamError);
    const { code, file, offset } = error as NfstreamError;
    expect(code).toBe('DAMAGED_COMPRESSION');
    expect(['<bytes>', '<stream>']).toContain(file);
    expect(rows).toEqual(whole.rows.slice(0, rows.length));
    if (input === compressed) expect(rows.length).toBeGreaterThanOrEqual(fewest);
    // All packets before the offset were delivered: the next one lies across it.
    let end = rows.length > 0 ? 24 : 0;
    for (const row of rows) end += 16 + row.data.length;
    expect(offset).toBeGreaterThanOrEqual(end);
    const next = whole.rows[rows.length];
    if (next) expect(offset).toBeLessThan(Math.max(end, 24) + 16 + next.data.length);
  }
}

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] ^= 0x55;
  return copy;
}

describe('gzip', () => {
  const compressed = new Uint8Array(gzipSync(pcap));
  const members = concat(gzipSync(halves[0]), gzipSync(new Uint8Array(0)), gzipSync(halves[1]));

  it('reads one member and several', async () => {
    await expectWhole(compressed);
    await expectWhole(members);
    const tiny = [];
    for (let at = 0; at < pcap.length; at += 5000) tiny.push(gzipSync(pcap.subarray(at, at + 5000)));
    await expectWhole(concat(...tiny));
  });

  it('reads members in chunks of any size', async () => {
    for (const size of [1, 2, 9, 10, 11, 18, 1000]) {
      const small = makePcap(somePackets(4));
      const bytes = concat(gzipSync(small.subarray(0, 50)), gzipSync(small.subarray(50)));
      expect((await drain(chunked(bytes, size))).rows).toEqual((await drain(small)).rows);
    }
  });

  it('reads headers with all optional fields', async () => {
    const deflate = compressed.subarray(10);
    const header = new ByteWriter().u8(0x1f, 0x8b, 8, 0x1e, 0, 0, 0, 0, 0, 3).u16(5).raw(payload(5));
    header.raw(Buffer.from('a name\0')).raw(Buffer.from('a comment\0')).u16(0x1234);
    await expectWhole(concat(header.take(), deflate));
    await expectWhole(run('gzip', ['-c', '-9'], pcap));
  });

  it('ignores what follows the last member, like gzip', async () => {
    await expectWhole(concat(members, new Uint8Array(1000)));
    await expectWhole(concat(members, Buffer.from('trailing garbage')));
    await expectWhole(concat(compressed, Buffer.from([0x1f])));
  });

  it('takes a broken further member for damage', async () => {
    await expectDamage(concat(compressed, Buffer.from([0x1f, 0x8b, 9, 9, 9, 9, 9, 9, 9, 9, 9])), 400);
    await expectDamage(concat(compressed, compressed.subarray(0, 7)), 400);
  });

  it('delivers every packet before a cut', async () => {
    for (const at of [0.1, 0.5, 0.9]) {
      await expectDamage(compressed.subarray(0, Math.floor(compressed.length * at)), Math.floor(400 * at) - 40);
    }
    for (let cut = 1; cut <= 8; cut++) await expectDamage(compressed.subarray(0, compressed.length - cut), 400);
    for (let end = 1; end < 18; end++) await expectDamage(compressed.subarray(0, end), 0);
    await expectDamage(members.subarray(0, members.length - 9), 390);
  });

  it('delivers all that inflates before data that does not', async () => {
    // After a flush a block begins at a whole byte; ff is a block of the type that does not exist.
    for (const length of [30000, 100001, pcap.length - 5]) {
      const sound = pcap.subarray(0, length);
      const deflated = deflateRawSync(sound, { finishFlush: constants.Z_SYNC_FLUSH });
      const damaged = concat(compressed.subarray(0, 10), deflated, payload(50).fill(0xff), payload(100000));
      const plain = await drain(sound);
      const { rows, error } = await drain(damaged);
      expect(rows).toEqual(plain.rows);
      expect(error).toMatchObject({ code: 'DAMAGED_COMPRESSION', offset: length, file: '<bytes>' });
      // A stream can't be inflated a second time: what was inflated of the last 32 KiB or less is lost.
      const streamed = await drain(chunked(damaged, 4001));
      expect(streamed.error).toMatchObject({ code: 'DAMAGED_COMPRESSION', file: '<stream>' });
      expect(streamed.rows).toEqual(plain.rows.slice(0, streamed.rows.length));
      expect(streamed.rows.length).toBeGreaterThan(plain.rows.length - 60);
    }
  });

  it('checks the checksum and the size', async () => {
    await expectDamage(flipped(compressed, compressed.length - 8), 400);
    await expectDamage(flipped(compressed, compressed.length - 1), 400);
  });

  it('says where', async () => {
    const { error } = await drain(compressed.subarray(0, 10));
    expect((error as Error).message).toBe(
      '<bytes>: the gzip data is cut off (near byte 10 of the file, byte 0 of the capture)',
    );
  });

  it('an empty capture, a text, a capture twice compressed', async () => {
    expect((await drain(gzipSync(new Uint8Array(0)))).error).toMatchObject({ code: 'EMPTY_CAPTURE' });
    expect((await drain(gzipSync('hello world'))).error).toMatchObject({ code: 'NOT_A_CAPTURE' });
    expect((await drain(gzipSync(compressed))).error).toMatchObject({ code: 'NOT_A_CAPTURE' });
  });

  it('tells a cut capture from cut compression', async () => {
    const { rows, error } = await drain(gzipSync(pcap.subarray(0, pcap.length - 1)));
    expect(rows).toHaveLength(399);
    expect(error).toMatchObject({ code: 'TRUNCATED_CAPTURE' });
  });
});

describe.skipIf(!hasTool('zstd'))('zstd (needs the zstd command)', () => {
  const compressed = zstd(pcap);

  it('reads frames of all levels', async () => {
    for (const args of [['-1'], ['-3', '--no-check'], ['-19'], ['--ultra', '-22'], ['--fast=10'], ['--long=24']]) {
      await expectWhole(zstd(pcap, ...args));
    }
  });

  it('reads several frames and skips skippable ones', async () => {
    await expectWhole(concat(skippable(0), zstd(halves[0]), skippable(100), zstd(new Uint8Array(0)), zstd(halves[1])));
    await expectWhole(concat(compressed, skippable(300000)));
    const tiny = [];
    for (let at = 0; at < pcap.length; at += 30000) tiny.push(zstd(pcap.subarray(at, at + 30000)));
    await expectWhole(concat(...tiny));
  });

  it('reads frames of a few bytes, and blocks of one repeated byte', async () => {
    const small = makePcap([{ seconds: 1, fraction: 2, data: new Uint8Array(200000) }]);
    const expected = await drain(small);
    const tiny = [];
    for (let at = 0; at < 60; at += 3) tiny.push(zstd(small.subarray(at, at + 3), at % 2 ? '--check' : '--no-check'));
    expect(await drain(concat(...tiny, zstd(small.subarray(60))))).toEqual(expected);
  });

  it('delivers every whole block before a cut', async () => {
    for (const at of [0.3, 0.7, 0.9]) {
      const cut = compressed.subarray(0, Math.floor(compressed.length * at));
      // Blocks hold 128 KiB; the packets of this capture have 777 bytes on average.
      await expectDamage(cut, Math.floor(400 * at) - 170);
    }
    for (const cut of [1, 4]) await expectDamage(compressed.subarray(0, compressed.length - cut), 400);
    for (let end = 1; end < 12; end++) await expectDamage(compressed.subarray(0, end), 0);
  });

  it('checks the checksum, and what follows a frame', async () => {
    await expectDamage(flipped(compressed, compressed.length - 2), 400);
    await expectDamage(concat(compressed, Buffer.from('garbage')), 400);
    await expectDamage(concat(compressed, skippable(9).subarray(0, 12)), 400);
  });

  it('refuses what needs a dictionary or too much memory, and does not call it damaged', async () => {
    const needsDictionary = Buffer.from('28b52ffd230100000000010000', 'hex');
    expect((await drain(needsDictionary)).error).toMatchObject({ code: 'SOURCE_UNREADABLE' });
    const needsTerabytes = Buffer.from('28b52ffd00ff010000', 'hex');
    expect((await drain(needsTerabytes)).error).toMatchObject({ code: 'SOURCE_UNREADABLE' });
  });

  it('decodes the same without the zstd of Node itself', async () => {
    const input = concat(zstd(halves[0], '-1'), skippable(7), zstd(halves[1], '-19', '--no-check'));
    for (const isFallback of [true, false]) {
      if (!isFallback && !('createZstdDecompress' in (await import('node:zlib')))) continue;
      const feeder: ByteFeeder = await new MemoryOrigin(input).open();
      const chunks: Uint8Array[] = [];
      for await (const chunk of decodeZstd(new CompressedInput(feeder), isFallback)) chunks.push(chunk.slice());
      expect(Buffer.concat(chunks).equals(pcap)).toBe(true);
    }
  });
});

describe.skipIf(!hasTool('lz4'))('lz4 (needs the lz4 command)', () => {
  const compressed = lz4(pcap);
  const linked = lz4(pcap, '-B4', '-BD', '-BX');

  it('reads frames of all block sizes, linked and independent, with and without checksums', async () => {
    for (const size of ['-B4', '-B5', '-B6', '-B7']) {
      await expectWhole(lz4(pcap, size));
      await expectWhole(lz4(pcap, size, '-BD', '-9'));
      await expectWhole(lz4(pcap, size, '-BX', '--no-frame-crc'));
    }
    await expectWhole(lz4(pcap, '--content-size', '-12'));
    await expectWhole(lz4(pcap, '-l'));
  });

  it('uses matches far back in earlier blocks', async () => {
    const data = payload(50000);
    const repeated = makePcap(Array.from({ length: 30 }, (_, i) => ({ seconds: i, fraction: 0, data })));
    const bytes = lz4(repeated, '-B4', '-BD', '-9');
    expect(bytes.length).toBeLessThan(repeated.length / 3);
    expect(await drain(bytes)).toEqual(await drain(repeated));
  });

  it('reads several frames and skips skippable ones', async () => {
    await expectWhole(concat(skippable(5), lz4(halves[0]), skippable(100), lz4(halves[1], '-B4', '-BD')));
    await expectWhole(concat(lz4(halves[0], '-l'), lz4(halves[1])));
    await expectWhole(concat(lz4(new Uint8Array(0)), compressed, skippable(0)));
  });

  it('delivers every packet before a cut, inside of a block too', async () => {
    for (const bytes of [compressed, linked, lz4(pcap, '-l'), lz4(pcap, '-BI', '-B5')]) {
      for (const at of [0.3, 0.7, 0.9]) {
        await expectDamage(bytes.subarray(0, Math.floor(bytes.length * at)), Math.floor(400 * at) - 40);
      }
    }
    for (let cut = 1; cut < 9; cut++) await expectDamage(compressed.subarray(0, compressed.length - cut), 399);
    for (let end = 1; end < 12; end++) await expectDamage(compressed.subarray(0, end), 0);
  });

  it('delivers any prefix of the capture whatever the cut', async () => {
    const small = makePcap(somePackets(12));
    const smallWhole = await drain(small);
    const bytes = lz4(small, '-9');
    for (let end = 1; end < bytes.length; end += 13) {
      const { rows, error } = await drain(bytes.subarray(0, end));
      expect(error).toMatchObject({ code: 'DAMAGED_COMPRESSION' });
      expect(rows).toEqual(smallWhole.rows.slice(0, rows.length));
    }
  });

  it('checks header, blocks and content', async () => {
    await expectDamage(flipped(compressed, 4), 0);
    await expectDamage(flipped(compressed, 6), 0);
    await expectDamage(flipped(linked, Math.floor(linked.length / 2)), 100);
    await expectDamage(flipped(compressed, compressed.length - 1), 400);
    await expectDamage(concat(compressed, Buffer.from('garbage')), 400);
  });

  it('says which compression', async () => {
    const { error } = await drain(compressed.subarray(0, 5));
    expect((error as Error).message).toContain('<bytes>: the lz4 data is cut off');
  });
});

describe('any damage', () => {
  it('ends, with rows and an NfstreamError at most', async () => {
    const small = makePcap(somePackets(20));
    const samples: Uint8Array[] = [new Uint8Array(gzipSync(small))];
    if (hasTool('zstd')) samples.push(zstd(small), zstd(small, '-19'));
    if (hasTool('lz4')) samples.push(lz4(small), lz4(small, '-B4', '-BD', '--no-frame-crc'));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...samples),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(255)), { maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        async (sample, changes, cut) => {
          const bytes = sample.slice(0, cut < 0.5 ? Math.floor(sample.length * cut * 2) : sample.length);
          for (const [at, value] of changes) bytes[Math.floor(at * (bytes.length - 1))] = value;
          const { error } = await drain(bytes);
          if (error !== undefined) expect(error).toBeInstanceOf(NfstreamError);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('the libraries', () => {
  it('are loaded by the first capture that needs them, not at start-up', () => {
    const folder = new URL('../../src/source/', import.meta.url);
    const libraries = /^import (?!type ).*from '(fzstd|lz4-napi|xxhash-wasm)'/m;
    const files = readdirSync(folder).filter((file) => libraries.test(readFileSync(new URL(file, folder), 'utf8')));
    expect(files).toEqual([]);
  });
});
