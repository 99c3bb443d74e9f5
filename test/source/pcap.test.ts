import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PcapParser } from '../../src/source/pcap.ts';
import { PacketBatch } from '../../src/source/source.ts';
import { concat, makePcap, payload, somePackets } from './captures.ts';
import { drain, rowsOf } from './drain.ts';

const packet = { seconds: 1472393122, fraction: 365661, data: payload(60), wireLength: 74 };

describe('pcap', () => {
  it('reads the example of the file format by hand: little-endian, microseconds', async () => {
    const bytes = Buffer.from(
      'd4c3b2a1020004000000000000000000ffff000001000000' + // file header
        'a2b6c257' +
        '5d940500' +
        '04000000' +
        '2a000000' +
        'deadbeef',
      'hex',
    );
    const { rows, error, bytesRead } = await drain(bytes);
    expect(error).toBeUndefined();
    expect(rows).toEqual([{ timeMs: 1472378530365.661, wireLength: 42, linkType: 1, data: '\xde\xad\xbe\xef' }]);
    expect(bytesRead).toBe(44);
  });

  it.each([
    ['microseconds', 0xa1b2c3d4, 365661, 1472393122365.661],
    ['nanoseconds', 0xa1b23c4d, 365661789, 1472393122000 + 365661789 / 1e6],
    ['modified', 0xa1b2cd34, 365661, 1472393122365.661],
  ])('reads %s in both byte orders', async (_, magic, fraction, timeMs) => {
    for (const isLittleEndian of [true, false]) {
      const bytes = makePcap(
        [
          { ...packet, fraction },
          { ...packet, fraction: 0 },
        ],
        { magic, isLittleEndian },
      );
      const { rows, error } = await drain(bytes);
      expect(error).toBeUndefined();
      expect(rows.map((row) => row.timeMs)).toEqual([timeMs, 1472393122000]);
      expect(rows[0].data).toBe(Buffer.from(packet.data).toString('latin1'));
      expect(rows[0].wireLength).toBe(74);
    }
  });

  it('reads times of the year 2100 as unsigned', async () => {
    const { rows } = await drain(makePcap([{ ...packet, seconds: 4102444800, fraction: 1 }]));
    expect(rows[0].timeMs).toBe(4102444800000.001);
  });

  it('keeps nanoseconds to better than a microsecond', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(999999999), (seconds, fraction) => {
        const bytes = makePcap([{ ...packet, seconds, fraction }], { magic: 0xa1b23c4d });
        const batch = new PacketBatch(1);
        new PcapParser(0xa1b23c4d, true).parse(batch, new DataView(bytes.buffer), 0, bytes.length);
        const nanoseconds = BigInt(seconds) * 1000000000n + BigInt(fraction);
        expect(
          Math.abs(Number(BigInt(Math.round(batch.timeMs[0] * 4096)) * 1000000n - nanoseconds * 4096n) / 4096),
        ).toBeLessThan(500);
      }),
    );
  });

  it('masks what lies beside the link type: the length of the frame check sequence', async () => {
    const { rows } = await drain(makePcap([packet], { linkType: 0x24000001 }));
    expect(rows[0].linkType).toBe(1);
    expect((await drain(makePcap([packet], { linkType: 276 }))).rows[0].linkType).toBe(276);
  });

  it.each([
    [2, 2],
    [543, 0],
    [2, 3],
  ])('reads the lengths of version %i.%i the other way round', async (...version) => {
    const bytes = makePcap([packet], { version });
    // On disk: wire length 74, then captured length 60.
    new DataView(bytes.buffer).setUint32(24 + 8, 74, true);
    new DataView(bytes.buffer).setUint32(24 + 12, 60, true);
    const { rows, error } = await drain(bytes);
    expect(error).toBeUndefined();
    expect([rows[0].wireLength, rows[0].data.length]).toEqual([74, 60]);
  });

  it('reads the lengths of version 2.3 as they are where the captured one comes first', async () => {
    const { rows } = await drain(makePcap([packet], { version: [2, 3] }));
    expect([rows[0].wireLength, rows[0].data.length]).toEqual([74, 60]);
  });

  it('reads captured lengths above the snap length, and empty records', async () => {
    const { rows, error } = await drain(makePcap([packet, { ...packet, data: new Uint8Array(0) }], { snaplen: 20 }));
    expect(error).toBeUndefined();
    expect(rows.map((row) => row.data.length)).toEqual([60, 0]);
  });

  it.each([
    [262145, 65535],
    [300001, 300000],
    [0xffffffff, 65535],
    [0x80000000, 0xffffffff],
  ])('takes a captured length of %i for damage where the snap length is %i', async (length, snaplen) => {
    const bytes = concat(makePcap([packet, packet], { snaplen }), payload(40));
    new DataView(bytes.buffer).setUint32(24 + 76 + 8, length, true);
    const { rows, error } = await drain(bytes);
    expect(rows).toHaveLength(1);
    expect(error).toMatchObject({ code: 'DAMAGED_CAPTURE', file: '<bytes>', offset: 100 });
    expect((error as Error).message).toContain('at byte 100');
  });

  it('accepts records up to the limit', async () => {
    const large = { ...packet, data: payload(262144), wireLength: 262144 };
    const { rows, error } = await drain(makePcap([large, packet]));
    expect(error).toBeUndefined();
    expect(rows.map((row) => row.data.length)).toEqual([262144, 60]);
    const larger = { ...packet, data: payload(400000), wireLength: 400000 };
    expect((await drain(makePcap([larger], { snaplen: 500000 }))).rows).toHaveLength(1);
  });

  it('says which version it expected', async () => {
    const { error } = await drain(makePcap([packet], { version: [7, 1] }));
    expect(error).toMatchObject({ code: 'NOT_A_CAPTURE', offset: 0 });
    expect((error as Error).message).toContain('expected pcap version 2.4 and received 7.1');
  });

  it('fills no row outside of the bytes, whatever the bytes', () => {
    const packets = makePcap(somePackets(8));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(packets.length - 1), fc.nat(255)), { maxLength: 6 }),
        fc.nat(packets.length),
        fc.integer({ min: 1, max: 5 }),
        (changes, end, capacity) => {
          const bytes = packets.slice();
          for (const [at, value] of changes) bytes[at] = value;
          const parser = new PcapParser(0xa1b2c3d4, true);
          const batch = new PacketBatch(capacity);
          const view = new DataView(bytes.buffer);
          let at = 0;
          for (;;) {
            const rows = parser.parse(batch, view, at, end);
            expect(parser.next).toBeGreaterThanOrEqual(at);
            expect(parser.next).toBeLessThanOrEqual(end);
            batch.count = rows;
            batch.bytes = bytes;
            batch.view = view;
            rowsOf(batch);
            for (let i = 0; i < rows; i++) {
              expect(batch.frameAt[i] + batch.capturedLength[i]).toBeLessThanOrEqual(parser.next);
            }
            const before = at;
            at = parser.next;
            if (rows === 0) break;
            expect(at).toBeGreaterThan(before);
          }
          if (parser.damage === null) expect(parser.need).toBeGreaterThan(end - at);
        },
      ),
    );
  });
});
