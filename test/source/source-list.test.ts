import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSource, type SourceInput } from '../../src/source/open-source.ts';
import { PacketBatch, SOURCE_END, SOURCE_WAIT } from '../../src/source/source.ts';
import { concat, enhancedPacket, interfaceBlock, makePcap, sectionHeader, somePackets } from './captures.ts';
import { drain } from './drain.ts';

const first = makePcap(somePackets(5));
const second = concat(
  sectionHeader(),
  interfaceBlock({ linkType: 113 }),
  enhancedPacket({ units: 5_000_000n, data: first.slice(40, 100) }),
);
let folder = '';
const inFolder = (name: string) => join(folder, name);

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-list-'));
  writeFileSync(inFolder('a.pcap'), first);
  writeFileSync(inFolder('b.pcapng.gz'), gzipSync(second));
  writeFileSync(inFolder('cut.pcap'), first.subarray(0, first.length - 1));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('a list of sources', () => {
  it('is read as one, in the order given', async () => {
    const stream = Readable.from([Buffer.from(first)]);
    const { rows, error, bytesRead } = await drain([inFolder('b.pcapng.gz'), inFolder('a.pcap'), second, stream]);
    expect(error).toBeUndefined();
    const [a, b] = [await drain(first), await drain(second)];
    expect(rows).toEqual([...b.rows, ...a.rows, ...b.rows, ...a.rows]);
    expect(bytesRead).toBe(2 * (first.length + second.length));
  });

  it('is one source where it has one', async () => {
    expect(await drain([first])).toEqual(await drain(first));
  });

  it('has the sum of sizes, where all are known, and the name of the current part', async () => {
    const source = openSource([inFolder('a.pcap'), inFolder('b.pcapng.gz'), second]);
    await source.open();
    expect(source.size).toBe(first.length + gzipSync(second).length + second.length);
    expect(source.name).toBe(inFolder('a.pcap'));
    const batch = new PacketBatch();
    for (let rows = 0; rows !== SOURCE_END; rows = source.read(batch)) await source.fill();
    expect(source.name).toBe('<bytes>');
    expect(source.position).toBe(source.size);
    await source.close();
    const unknown = openSource([first, Readable.from([])]);
    await unknown.open();
    expect(unknown.size).toBeNull();
    await unknown.close();
  });

  it('stops at damage, and names the file', async () => {
    const { rows, error } = await drain([inFolder('a.pcap'), inFolder('cut.pcap'), inFolder('a.pcap')]);
    expect(rows).toHaveLength(9);
    expect(error).toMatchObject({ code: 'TRUNCATED_CAPTURE', file: inFolder('cut.pcap') });
  });

  it('tells before the first packet that a later file is missing', async () => {
    const { rows, error } = await drain([inFolder('a.pcap'), inFolder('missing.pcap')]);
    expect(rows).toEqual([]);
    expect(error).toMatchObject({ code: 'SOURCE_NOT_FOUND', file: inFolder('missing.pcap') });
  });

  it('ends where a later file vanishes before its turn', async () => {
    writeFileSync(inFolder('vanishes.pcap'), first);
    const source = openSource([first, inFolder('vanishes.pcap'), first]);
    await source.open();
    rmSync(inFolder('vanishes.pcap'));
    const batch = new PacketBatch();
    await source.fill();
    expect(source.read(batch)).toBe(5);
    expect(source.read(batch)).toBe(SOURCE_WAIT);
    await expect(source.fill()).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND', file: inFolder('vanishes.pcap') });
    expect(source.read(batch)).toBe(SOURCE_END);
    await source.close();
  });

  it('is closed at any time', async () => {
    const silent = new Readable({ read() {} });
    const source = openSource([silent, inFolder('a.pcap')]);
    await source.open();
    const filling = source.fill();
    await Promise.all([source.close(), filling]);
    expect(source.read(new PacketBatch())).toBe(SOURCE_END);
    expect(silent.destroyed).toBe(true);
  });
});

describe('openSource', () => {
  it('touches nothing before it is opened', () => {
    expect(openSource(inFolder('missing.pcap')).name).toBe(inFolder('missing.pcap'));
    expect(openSource(first)).toMatchObject({ name: '<bytes>', bytesRead: 0, position: 0 });
    expect(openSource(Readable.from([])).name).toBe('<stream>');
  });

  it.each([
    ['', 'an empty path'],
    [[], 'an empty list'],
    [['a.pcap', 7], 'a number'],
    [null, 'null'],
    [undefined, 'undefined'],
    [{}, 'an object'],
  ])('takes no %j', (source, received) => {
    const open = () => openSource(source as unknown as SourceInput);
    expect(open).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
    expect(open).toThrow(`for source but received ${received}`);
  });
});
