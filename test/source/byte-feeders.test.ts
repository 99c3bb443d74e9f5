import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource } from '../../src/source/open-source.ts';
import { PacketBatch, SOURCE_END, SOURCE_WAIT } from '../../src/source/source.ts';
import { makePcap, somePackets } from './captures.ts';
import { drain } from './drain.ts';

const pcap = makePcap(somePackets(3000));
let folder = '';
let path = '';
let expected: Awaited<ReturnType<typeof drain>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-source-'));
  chmodSync(folder, 0o755);
  path = join(folder, 'some.txt');
  writeFileSync(path, pcap);
  expected = await drain(pcap);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Descriptors of this process, where the system can tell. */
function descriptorCount(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

describe('files', () => {
  it('are recognised by content and read to their end, and closed', async () => {
    const before = descriptorCount();
    expect(await drain(path)).toEqual(expected);
    expect(await drain(path, { chunkBytes: 5000 })).toEqual(expected);
    const zipped = join(folder, 'zipped.pcap');
    writeFileSync(zipped, gzipSync(pcap));
    expect(await drain(zipped)).toEqual(expected);
    expect(descriptorCount()).toBe(before);
  });

  it('knows size and position', async () => {
    const source = openSource(path);
    expect([source.name, source.size]).toEqual([path, null]);
    await source.open();
    expect([source.size, source.position]).toEqual([pcap.length, 0]);
    const batch = new PacketBatch();
    for (let rows = 0; rows !== SOURCE_END; rows = source.read(batch)) if (rows === SOURCE_WAIT) await source.fill();
    expect([source.position, source.bytesRead]).toEqual([pcap.length, pcap.length]);
    await source.close();
  });

  it('counts stored bytes where the file is compressed', async () => {
    const stored = gzipSync(pcap);
    const zipped = join(folder, 'position.gz');
    writeFileSync(zipped, stored);
    const source = openSource(zipped);
    await source.open();
    expect(source.size).toBe(stored.length);
    const batch = new PacketBatch();
    for (let rows = 0; rows !== SOURCE_END; rows = source.read(batch)) if (rows === SOURCE_WAIT) await source.fill();
    expect([source.position, source.bytesRead]).toEqual([stored.length, pcap.length]);
    await source.close();
  });

  it('that are not there, folders, and what lies below a file', async () => {
    const missing = join(folder, 'missing.pcap');
    expect((await drain(missing)).error).toMatchObject({ code: 'SOURCE_NOT_FOUND', file: missing });
    expect((await drain(join(path, 'x'))).error).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect((await drain(folder)).error).toMatchObject({ code: 'SOURCE_IS_DIRECTORY', file: folder });
    expect((await drain(`${path}\0`)).error).toMatchObject({ code: 'SOURCE_UNREADABLE' });
  });

  it('without permission', async () => {
    const secret = join(folder, 'secret.pcap');
    writeFileSync(secret, pcap);
    chmodSync(secret, 0);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65534);
    try {
      const { error } = await drain(secret);
      expect(error).toMatchObject({ code: 'SOURCE_DENIED', file: secret });
      expect((error as Error).message).toBe(`${secret}: no permission to read it`);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it('name themselves in errors', async () => {
    const cut = join(folder, 'cut.pcap');
    writeFileSync(cut, pcap.subarray(0, 70));
    const { error } = await drain(cut);
    expect((error as Error).message).toBe(
      `${cut}: the capture ends inside a record at byte 24 (needs 76 bytes, 46 are there)`,
    );
    const empty = join(folder, 'empty.pcap');
    writeFileSync(empty, '');
    expect((await drain(empty)).error).toMatchObject({ code: 'EMPTY_CAPTURE', file: empty });
    expect((await drain('/dev/null')).error).toMatchObject({ code: 'EMPTY_CAPTURE' });
  });

  it('are closed in the middle of a read', async () => {
    const before = descriptorCount();
    for (const input of [path, join(folder, 'zipped.pcap')]) {
      const source = openSource(input, { chunkBytes: 3000 });
      await source.open();
      const filling = source.fill();
      await Promise.all([source.close(), filling]);
      expect(source.read(new PacketBatch())).toBe(SOURCE_END);
      const late = openSource(input);
      await Promise.all([late.open(), late.close()]);
    }
    expect(descriptorCount()).toBe(before);
  });
});

describe.skipIf(process.platform === 'win32')('named pipes', () => {
  it('are read while somebody writes, whoever comes first', async () => {
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    const before = descriptorCount();
    const draining = drain(pipe);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const writer = await open(pipe, 'w');
    for (let at = 0; at < pcap.length; at += 100_000) await writer.write(pcap.subarray(at, at + 100_000));
    await writer.close();
    expect(await draining).toEqual(expected);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(descriptorCount()).toBe(before);
  });

  it('are given up while nobody writes', async () => {
    const pipe = join(folder, 'silent');
    execFileSync('mkfifo', [pipe]);
    const source = openSource(pipe);
    await source.open();
    expect(source.size).toBeNull();
    const filling = source.fill();
    await new Promise((resolve) => setTimeout(resolve, 20));
    await Promise.all([source.close(), filling]);
    expect(source.read(new PacketBatch())).toBe(SOURCE_END);
  });
});

describe('streams', () => {
  it('are read in chunks of any size, and destroyed', async () => {
    for (const size of [1, 100, 70000, 5_000_000]) {
      const bytes = size === 1 ? pcap.subarray(0, 5000) : pcap;
      const chunks: Buffer[] = [];
      for (let at = 0; at < bytes.length; at += size) chunks.push(Buffer.from(bytes.subarray(at, at + size)));
      const stream = Readable.from(chunks);
      const { rows } = await drain(stream);
      expect(rows).toEqual(expected.rows.slice(0, rows.length));
      expect(rows.length).toBeGreaterThanOrEqual(size === 1 ? 5 : 3000);
      expect(stream.destroyed).toBe(true);
    }
  });

  it('are not read ahead without bound', async () => {
    let pushed = 0;
    const endless = new Readable({
      read() {
        pushed += 65536;
        this.push(pushed === 65536 ? Buffer.from(makePcap([])) : Buffer.alloc(65536));
      },
    });
    const source = openSource(endless);
    await source.open();
    await source.fill();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(pushed).toBeLessThan(4_000_000);
    await source.close();
  });

  it('that fail keep what they gave before', async () => {
    const cause = new Error('the cable fell out');
    const stream = new PassThrough();
    stream.write(pcap.subarray(0, 2000));
    setTimeout(() => stream.destroy(cause), 20);
    const { rows, error } = await drain(stream);
    expect(rows.length).toBeGreaterThan(2);
    expect(error).toMatchObject({ code: 'SOURCE_UNREADABLE', file: '<stream>', cause });
    expect((error as Error).message).toContain('the cable fell out');
  });

  it('that were destroyed, have ended, or give text', async () => {
    const destroyed = new PassThrough();
    destroyed.destroy();
    expect((await drain(destroyed)).error).toMatchObject({ code: 'SOURCE_UNREADABLE' });
    const failed = new PassThrough();
    failed.on('error', () => {});
    failed.destroy(new Error('before'));
    await new Promise((resolve) => setImmediate(resolve));
    expect((await drain(failed)).error).toMatchObject({ code: 'SOURCE_UNREADABLE' });
    const ended = Readable.from([]).resume();
    await new Promise((resolve) => ended.on('close', resolve));
    expect((await drain(ended)).error).toMatchObject({ code: 'EMPTY_CAPTURE' });
    const closing = new PassThrough();
    setTimeout(() => closing.destroy(), 10);
    expect((await drain(closing)).error).toMatchObject({ code: 'SOURCE_UNREADABLE' });
    expect((await drain(Readable.from(['some text']))).error).toMatchObject({ code: 'SOURCE_UNREADABLE' });
  });

  it('deliver packets as they come', async () => {
    const stream = new PassThrough();
    const source = openSource(stream);
    const batch = new PacketBatch();
    await source.open();
    stream.write(pcap.subarray(0, 24 + 76));
    let rows = source.read(batch);
    while (rows === SOURCE_WAIT) {
      await source.fill();
      rows = source.read(batch);
    }
    expect(rows).toBe(1);
    expect(source.read(batch)).toBe(SOURCE_WAIT);
    const filling = source.fill();
    stream.write(pcap.subarray(100, 100 + 16 + 97));
    await filling;
    expect(source.read(batch)).toBe(1);
    expect(batch.timeMs[0]).toBe(expected.rows[1].timeMs);
    const pending = source.fill();
    await Promise.all([source.close(), pending]);
    expect(stream.destroyed).toBe(true);
  });
});

describe('standard input', () => {
  it.each(['-', '/dev/stdin'])('%s is read, then left alone', async (name) => {
    const before = Object.getOwnPropertyDescriptor(process, 'stdin') as PropertyDescriptor;
    const stdin = new PassThrough();
    Object.defineProperty(process, 'stdin', { value: stdin, configurable: true });
    try {
      const source = openSource(name);
      await source.open();
      stdin.write(pcap.subarray(0, 100));
      await source.fill();
      expect(source.read(new PacketBatch())).toBe(1);
      expect([source.name, source.size]).toEqual([name, null]);
      const filling = source.fill();
      await Promise.all([source.close(), filling]);
      expect(stdin.destroyed).toBe(false);
      expect(stdin.isPaused()).toBe(true);
      expect(stdin.listenerCount('readable')).toBe(0);
    } finally {
      Object.defineProperty(process, 'stdin', before);
    }
  });
});
