import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PcapngParser } from '../../src/source/pcapng.ts';
import { InterfaceTable } from '../../src/source/pcapng-interfaces.ts';
import { PacketBatch } from '../../src/source/source.ts';
import { stampTime } from '../../src/source/stamp-time.ts';
import {
  ByteWriter,
  concat,
  enhancedPacket,
  interfaceBlock,
  makeBlock,
  makePcap,
  obsoletePacket,
  payload,
  sectionHeader,
  simplePacket,
} from './captures.ts';
import { drain, rowsOf } from './drain.ts';

const data = payload(61);
const text = Buffer.from(data).toString('latin1');
const MICROSECONDS = 1472393122365661n;

function tableOf(made: { resolution?: number; offsetSeconds?: bigint }): InterfaceTable {
  const table = new InterfaceTable();
  const block = interfaceBlock(made);
  expect(table.add(new DataView(block.buffer), 8, block.length - 4, true)).toBeNull();
  return table;
}

describe('pcapng', () => {
  it('reads all blocks that carry packets and skips all others', async () => {
    const { rows, error } = await drain(
      concat(
        sectionHeader(),
        makeBlock(0x0bad, payload(9)),
        interfaceBlock(),
        enhancedPacket({ units: MICROSECONDS, data, wireLength: 99 }),
        makeBlock(4, payload(20)), // name resolution
        obsoletePacket({ units: MICROSECONDS + 1n, data }),
        makeBlock(5, payload(12)), // statistics
        makeBlock(10, payload(100)), // decryption secrets
        simplePacket(data, 61),
        makeBlock(0x40000bad, payload(4)), // custom
      ),
    );
    expect(error).toBeUndefined();
    expect(rows).toEqual([
      { timeMs: 1472393122365.661, wireLength: 99, linkType: 1, data: text },
      { timeMs: 1472393122365.662, wireLength: 61, linkType: 1, data: text },
      { timeMs: 1472393122365.662, wireLength: 61, linkType: 1, data: text },
    ]);
  });

  it('reads simple packets up to the snap length, with time 0 before any other', async () => {
    const { rows, error } = await drain(
      concat(sectionHeader(), interfaceBlock({ snaplen: 16 }), simplePacket(data.slice(0, 16), 1000)),
    );
    expect(error).toBeUndefined();
    expect(rows).toEqual([{ timeMs: 0, wireLength: 1000, linkType: 1, data: text.slice(0, 16) }]);
  });

  it('gives each interface its link type, resolution and offset', async () => {
    const { rows, error } = await drain(
      concat(
        sectionHeader(),
        interfaceBlock({ linkType: 1 }),
        interfaceBlock({ linkType: 113, resolution: 9 }),
        interfaceBlock({ linkType: 276, resolution: 0x8a }), // 1/1024 s
        interfaceBlock({ linkType: 101, resolution: 3, offsetSeconds: 1472393000n }),
        interfaceBlock({ linkType: 101, resolution: 0, offsetSeconds: -5n }),
        enhancedPacket({ interfaceId: 0, units: MICROSECONDS, data }),
        enhancedPacket({ interfaceId: 1, units: MICROSECONDS * 1000n + 125n, data }),
        enhancedPacket({ interfaceId: 2, units: 1472393122n * 1024n + 512n, data }),
        enhancedPacket({ interfaceId: 3, units: 122365n, data }),
        enhancedPacket({ interfaceId: 4, units: 1472393127n, data }),
        obsoletePacket({ interfaceId: 1, units: MICROSECONDS * 1000n, data }),
      ),
    );
    expect(error).toBeUndefined();
    expect(rows.map((row) => [row.linkType, row.timeMs])).toEqual([
      [1, 1472393122365.661],
      [113, 1472393122000 + 365.661125],
      [276, 1472393122500],
      [101, 1472393122365],
      [101, 1472393122000],
      [113, 1472393122365.661],
    ]);
  });

  it('reads sections of different byte orders and forgets interfaces and time between them', async () => {
    const { rows, error } = await drain(
      concat(
        sectionHeader(),
        interfaceBlock({ linkType: 113, resolution: 9 }),
        enhancedPacket({ units: MICROSECONDS * 1000n, data }),
        sectionHeader(false),
        interfaceBlock({ linkType: 12 }, false),
        simplePacket(data, 61, false),
        enhancedPacket({ units: MICROSECONDS, data, isLittleEndian: false }),
        obsoletePacket({ units: MICROSECONDS, data, isLittleEndian: false }),
        sectionHeader(),
        interfaceBlock({ linkType: 1 }),
        enhancedPacket({ units: MICROSECONDS, data }),
      ),
    );
    expect(error).toBeUndefined();
    expect(rows.map((row) => row.linkType)).toEqual([113, 12, 12, 12, 1]);
    expect(rows[1].timeMs).toBe(0);
    for (const i of [0, 2, 3, 4]) expect(rows[i].timeMs).toBe(1472393122365.661);
    for (const row of rows) expect(row.data).toBe(text);
  });

  it('knows more interfaces than it had room for', async () => {
    const blocks = Array.from({ length: 300 }, (_, i) => interfaceBlock({ linkType: i, resolution: i % 10 }));
    const packets = [299, 0, 9].map((interfaceId) => enhancedPacket({ interfaceId, units: 1000000000n, data }));
    const { rows } = await drain(concat(sectionHeader(), ...blocks, ...packets));
    expect(rows.map((row) => [row.linkType, row.timeMs])).toEqual([
      [299, 1000],
      [0, 1e12],
      [9, 1000],
    ]);
  });

  it('has the time of any 64-bit stamp up to the year 2039 to half a microsecond', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0x80, max: 0x80 + 40 })),
        fc.bigInt({ min: -(2n ** 29n), max: 2n ** 29n }),
        fc.bigInt({ min: 0n, max: 1_650_000_000n * 10n ** 9n }),
        (resolution, offsetSeconds, nanoseconds) => {
          const unitsPerSecond = resolution & 0x80 ? 2n ** BigInt(resolution & 0x7f) : 10n ** BigInt(resolution);
          const units = BigInt.asUintN(64, (nanoseconds * unitsPerSecond) / 10n ** 9n);
          const timeMs = tableOf({ resolution, offsetSeconds }).timeMs(
            0,
            Number(units >> 32n),
            Number(units & 0xffffffffn),
          );
          // In 2^-20 ms, to compare in integers.
          const exact = ((units * 2n ** 20n * 1000n) / unitsPerSecond + offsetSeconds * 1000n * 2n ** 20n) as bigint;
          const difference = Number(BigInt(Math.round(timeMs * 2 ** 20)) - exact) / 2 ** 20;
          expect(Math.abs(difference)).toBeLessThan(0.0005);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('has the same time, to the bit, as a pcap of the same resolution', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(999999999), (seconds, fraction) => {
        const nanoseconds = BigInt(seconds) * 1000000000n + BigInt(fraction);
        const fromNg = tableOf({ resolution: 9 }).timeMs(
          0,
          Number(nanoseconds >> 32n),
          Number(nanoseconds & 0xffffffffn),
        );
        expect(fromNg).toBe(stampTime(seconds, fraction, 1e9));
      }),
      { numRuns: 1000 },
    );
  });

  it('gives a finite time for any stamp', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(0xffffffff), fc.nat(0xffffffff), (resolution, high, low) => {
        expect(Number.isFinite(tableOf({ resolution }).timeMs(0, high, low))).toBe(true);
      }),
    );
  });

  const start = concat(sectionHeader(), interfaceBlock(), enhancedPacket({ units: 1n, data }));
  const packet = enhancedPacket({ units: 1n, data });
  const changed = (bytes: Uint8Array, at: number, value: number) => {
    const copy = bytes.slice();
    new DataView(copy.buffer).setUint32(at, value, true);
    return copy;
  };
  const badOption = (code: number, length: number, room: number) =>
    makeBlock(1, new ByteWriter().u16(1, 0).u32(0).u16(code, length).raw(payload(room)).take());

  it.each([
    ['a length that is no multiple of 4', changed(packet, 4, packet.length + 2)],
    ['a length below 12', changed(packet, 4, 8)],
    ['a length of zero', changed(packet, 4, 0)],
    ['an absurd length', changed(packet, 4, 0x7ffffff0)],
    ['lengths that differ', changed(packet, packet.length - 4, packet.length + 4)],
    ['more captured bytes than the block has', changed(packet, 20, packet.length)],
    ['a huge captured length', changed(packet, 20, 0xffffffff)],
    ['an unknown interface', changed(packet, 8, 1)],
    ['an unknown interface in an obsolete block', obsoletePacket({ interfaceId: 1, units: 1n, data })],
    ['a packet block without room for its header', makeBlock(6, payload(12))],
    ['a simple packet without room for its header', makeBlock(3, new Uint8Array(0))],
    ['a simple packet that is not all there', simplePacket(data, 1000)],
    ['an interface without room for its header', makeBlock(1, payload(4))],
    ['a resolution of 2 bytes', badOption(9, 2, 4)],
    ['an offset of 4 bytes', badOption(14, 4, 4)],
    ['an option that runs over', badOption(2, 100, 8)],
    ['a section header without magic', changed(sectionHeader(), 8, 1)],
    ['a section of version 2', sectionHeader(true, [2, 0])],
    ['a short section header', makeBlock(0x0a0d0d0a, new ByteWriter().u32(0x1a2b3c4d).take())],
  ])('takes %s for damage, after the packets before it', async (_, block) => {
    const { rows, error } = await drain(concat(start, block, packet));
    expect(rows).toHaveLength(1);
    expect(error).toMatchObject({ code: 'DAMAGED_CAPTURE', offset: start.length, file: '<bytes>' });
    expect((error as Error).message).toContain(`at byte ${start.length}`);
  });

  it('takes a simple packet before any interface for damage', async () => {
    const { error } = await drain(concat(sectionHeader(), simplePacket(data)));
    expect(error).toMatchObject({ code: 'DAMAGED_CAPTURE', offset: 28 });
  });

  it('is no capture without its magic or with another version', async () => {
    expect((await drain(changed(sectionHeader(), 8, 0))).error).toMatchObject({ code: 'NOT_A_CAPTURE', offset: 0 });
    expect((await drain(sectionHeader(true, [9, 0]))).error).toMatchObject({ code: 'NOT_A_CAPTURE', offset: 0 });
  });

  it('ends without packets where there are none', async () => {
    expect(await drain(sectionHeader())).toMatchObject({ rows: [], error: undefined, bytesRead: 28 });
    expect(await drain(makePcap([]))).toMatchObject({ rows: [], error: undefined, bytesRead: 24 });
  });

  it('fills no row outside of the bytes, whatever the bytes', () => {
    const sound = concat(
      sectionHeader(),
      interfaceBlock({ snaplen: 40 }),
      interfaceBlock({ resolution: 9, offsetSeconds: 3n }),
      enhancedPacket({ units: 7n, data, interfaceId: 1 }),
      simplePacket(data.slice(0, 40), 100),
      sectionHeader(false),
      interfaceBlock({}, false),
      obsoletePacket({ units: 9n, data, isLittleEndian: false }),
      enhancedPacket({ units: 7n, data, isLittleEndian: false }),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(sound.length),
        fc.integer({ min: 1, max: 5 }),
        (changes, end, capacity) => {
          const bytes = sound.slice();
          for (const [at, value] of changes) bytes[at] = value;
          const view = new DataView(bytes.buffer);
          const parser = new PcapngParser();
          const batch = new PacketBatch(capacity);
          batch.bytes = bytes;
          batch.view = view;
          let at = 0;
          for (;;) {
            batch.count = parser.parse(batch, view, at, end);
            expect(parser.next).toBeGreaterThanOrEqual(at);
            expect(parser.next).toBeLessThanOrEqual(end);
            rowsOf(batch);
            if (batch.count === 0) {
              at = parser.next;
              break;
            }
            expect(parser.next).toBeGreaterThan(at);
            at = parser.next;
          }
          if (parser.damage === null) expect(parser.need).toBeGreaterThan(end - at);
        },
      ),
      { numRuns: 500 },
    );
  });
});
