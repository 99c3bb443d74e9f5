import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KEY_WORDS, METERED, SKIP_NOT_IP, SKIP_REASONS } from '../../src/packet/packet-columns.ts';
import { PacketDecoder } from '../../src/packet/packet-decoder.ts';
import { PacketBatch } from '../../src/source/source.ts';
import type { Frame, Row } from './batch.ts';
import { DEFAULT_OPTIONS, decodeFrame, decodeFrames, makeBatch, readRow } from './batch.ts';
import type { Bytes } from './encode.ts';
import {
  capwap,
  concat,
  ethernet,
  ethernetIp,
  extension,
  geneve,
  gre,
  gtpU,
  hex,
  ieee80211,
  ipv4,
  ipv6,
  ipv6Fragment,
  llcSnap,
  mpls,
  ppp,
  pppoe,
  radiotap,
  tcp,
  tzsp,
  udp,
  vlanTag,
  vxlan,
} from './encode.ts';
import { expectOffsetsInside } from './truncate.ts';

const PACKET = ipv4({ src: '192.168.0.1' }, tcp({}, new Uint8Array(20)));
const FRAME = ethernetIp(PACKET);
const ARP = ethernet({ etherType: 0x0806 }, new Uint8Array(28));
const over = (dstPort: number, payload: Bytes): Bytes => ethernetIp(ipv4({ protocol: 17 }, udp({ dstPort }, payload)));
const snap = llcSnap({ etherType: 0x0800 }, PACKET);

/** One frame for every protocol: seeds for the property tests. */
const SEEDS: Frame[] = [
  ...[
    FRAME,
    ethernet({ etherType: 0x8100 }, vlanTag({ id: 5, etherType: 0x0800 }, PACKET)),
    ethernet({ etherType: 0x8847 }, mpls([1, 2], concat(new Uint8Array(4), FRAME))),
    ethernet({ etherType: 0x8864 }, pppoe({}, ppp({ protocol: 0x21 }, PACKET))),
    ethernetIp(ipv6({ nextHeader: 0 }, extension({ nextHeader: 44 }, ipv6Fragment({ hasMore: true }, udp())))),
    ethernetIp(ipv6({ nextHeader: 44 }, ipv6Fragment({ offset: 64, id: 99 }, udp()))),
    ethernetIp(ipv4({ protocol: 17, hasMoreFragments: true }, udp({}, PACKET))),
    ethernetIp(ipv4({ protocol: 47 }, gre({ type: 0x6558, key: 4, sequence: 1 }, FRAME))),
    ethernetIp(ipv4({ protocol: 41 }, ipv6({ nextHeader: 4 }, PACKET))),
    over(2152, gtpU({ extensions: [{ type: 0x85, content: new Uint8Array(2) }] }, PACKET)),
    over(4789, vxlan({ vni: 7 }, FRAME)),
    over(6081, geneve({ vni: 7, options: new Uint8Array(8) }, FRAME)),
    over(5247, capwap({ isNative: true }, ieee80211({}, snap))),
    over(37008, tzsp({ encapsulated: 18, tags: hex('0a01b00001') }, ieee80211({ subtype: 8 }, snap))),
  ].map((bytes) => ({ bytes })),
  { bytes: radiotap({ flags: 0x10, tsft: true, words: 2 }, ieee80211({ subtype: 8 }, snap)), linkType: 127 },
  { bytes: PACKET, linkType: 101 },
];

const LINK_TYPES = [0, 1, 9, 12, 14, 50, 51, 101, 104, 105, 108, 113, 127, 228, 229, 276];

/** Fails when a byte outside [from, to) is read, or when it is read by anything but a getter. */
function guardedView(bytes: Uint8Array, from: number, to: number): DataView {
  const view = new DataView(bytes.buffer);
  const check = (size: number, at: number): number => {
    if (at < from || at + size > to) throw new Error(`read of ${size} at ${at} outside ${from} to ${to}`);
    return at;
  };
  const guarded = {
    getUint8: (at: number) => view.getUint8(check(1, at)),
    getUint16: (at: number, isLittle?: boolean) => view.getUint16(check(2, at), isLittle),
    getUint32: (at: number, isLittle?: boolean) => view.getUint32(check(4, at), isLittle),
    getInt32: (at: number, isLittle?: boolean) => view.getInt32(check(4, at), isLittle),
  };
  return guarded as unknown as DataView;
}

/** Decodes with every read watched, and checks what must hold for any bytes at all. */
function expectTotal(frame: Frame, snaplen: number, decodeTunnels: boolean): void {
  const decoder = new PacketDecoder({ ...DEFAULT_OPTIONS, snaplen, decodeTunnels, fragmentTableSize: 4 }, 1);
  const batch = makeBatch([frame]);
  const captured = Math.min(frame.bytes.length, snaplen);
  batch.view = guardedView(batch.bytes, batch.frameAt[0], batch.frameAt[0] + captured);
  decoder.decode(batch);
  const row = readRow(decoder.columns, batch, 0);
  expect(SKIP_REASONS).toContain(row.status);
  expect(row.status).not.toBe('filtered');
  expectOffsetsInside(row, captured);
  if (row.status === 'metered') {
    expect([4, 6]).toContain(row.version);
    expect(batch.bytes[batch.frameAt[0] + row.ipAt] >> 4).toBe(row.version);
    if (![6, 17, 132].includes(row.protocol)) expect([row.srcPort, row.dstPort]).toEqual([0, 0]);
    if (row.protocol !== 6) expect(row.tcpFlags).toBe(0);
  }
}

describe('PacketDecoder', () => {
  it('lays the key out in words', () => {
    const decoder = new PacketDecoder(DEFAULT_OPTIONS, 3);
    const packet6 = ipv6({ src: '1:2:3:4:5:6:7:8', dst: 'ffff::fffe' }, tcp({ srcPort: 0xfffe, dstPort: 1 }));
    const mirrored = over(4789, vxlan({ vni: 0xabcdef }, ethernetIp(packet6)));
    const tagged = ethernet({ etherType: 0x8100 }, vlanTag({ id: 0xfff, etherType: 0x0800 }, PACKET));
    decoder.decode(makeBatch([{ bytes: tagged }, { bytes: ethernetIp(packet6) }, { bytes: mirrored }]));
    const words = [...new Uint32Array(decoder.columns.key)];
    const ports = (40000 << 16) | 443;
    expect(words.slice(0, 11)).toEqual([0xc0a80001, 0, 0, 0, 0x0a000002, 0, 0, 0, ports >>> 0, 0x0fff0406, 0]);
    const key6 = [0x10002, 0x30004, 0x50006, 0x70008, 0xffff0000, 0, 0, 0xfffe, 0xfffe0001, 0x0606];
    expect(words.slice(11, 22)).toEqual([...key6, 0]);
    expect(words.slice(22)).toEqual([...key6, 0x04abcdef]);
  });

  it.each(SKIP_REASONS.slice(1))('leaves rows alone that have the status %s', (reason) => {
    const status = SKIP_REASONS.indexOf(reason);
    const batch = makeBatch([{ bytes: FRAME }, { bytes: FRAME }, { bytes: FRAME }]);
    const decoder = new PacketDecoder(DEFAULT_OPTIONS, 3);
    decoder.columns.status[1] = status;
    decoder.columns.key.fill(-7);
    decoder.decode(batch);
    expect([...decoder.columns.status]).toEqual([0, status, 0]);
    expect(new Set(decoder.columns.key.subarray(KEY_WORDS, KEY_WORDS * 2))).toEqual(new Set([-7]));
    expect(new Set(decoder.columns.key.subarray(KEY_WORDS * 2))).not.toContain(-7);
  });

  it('decodes rows 0 to count - 1 and no others', () => {
    const decoder = new PacketDecoder(DEFAULT_OPTIONS, 3);
    const batch = makeBatch([{ bytes: FRAME }, { bytes: ARP }, { bytes: ARP }]);
    batch.count = 2;
    decoder.decode(batch);
    const decoded = [METERED, SKIP_NOT_IP, METERED];
    expect([...decoder.columns.status]).toEqual(decoded);
    batch.count = 0;
    decoder.decode(batch);
    decoder.decode(new PacketBatch());
    expect([...decoder.columns.status]).toEqual(decoded);
  });

  it('decodes each row as if it were alone', () => {
    const answer = (row: Row): Row | string => (row.status === 'metered' ? row : row.status);
    const alone = SEEDS.map((frame) => answer(decodeFrame(frame.bytes, frame)));
    const together = decodeFrames(SEEDS).map(answer);
    const twice = decodeFrames([...SEEDS, ...SEEDS].reverse())
      .reverse()
      .map(answer);
    expect(together).toEqual(alone);
    expect(twice.slice(0, SEEDS.length)).toEqual(alone);
    expect(alone.filter((row) => typeof row === 'string')).toEqual(['fragment_orphan']);
  });

  it('writes every column of a metered row, whatever was there', () => {
    for (const frame of SEEDS) {
      const batch = makeBatch([frame]);
      const rows = [0, -1].map((before) => {
        const decoder = new PacketDecoder(DEFAULT_OPTIONS, 1);
        const { status, ...columns } = decoder.columns;
        status.fill(0);
        for (const column of Object.values(columns)) column.fill(before);
        decoder.decode(batch);
        return decoder.columns;
      });
      if (rows[0].status[0] === 0) expect(rows[1]).toEqual(rows[0]);
    }
  });

  it('ends an IP packet of unknown length with the frame, by its wire length unless that is less than what is there', () => {
    const unknown = ipv4({ totalLength: 0 }, tcp({}, new Uint8Array(20)));
    const ipSize = (wireLength: number): number => decodeFrame(ethernetIp(unknown), { wireLength }).ipSize;
    expect([0, 73, 74, 75, 1514].map(ipSize)).toEqual([60, 60, 60, 61, 1500]);
  });

  it('is total: any bytes, any link type, any cut', () => {
    const frame = fc.record({
      bytes: fc.uint8Array({ maxLength: 200 }),
      linkType: fc.constantFrom(...LINK_TYPES),
      wireLength: fc.integer({ min: 0, max: 0xffffffff }),
    });
    fc.assert(
      fc.property(frame, fc.nat(220), fc.boolean(), (any, snaplen, decodeTunnels) =>
        expectTotal(any, snaplen, decodeTunnels),
      ),
      { numRuns: 3000 },
    );
  });

  it('is total: frames of every protocol with some bytes changed, cut anywhere', () => {
    const changes = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 6 });
    const wireLength = fc.option(fc.integer({ min: 0, max: 0xffffffff }));
    fc.assert(
      fc.property(fc.constantFrom(...SEEDS), changes, fc.nat(220), wireLength, (seed, edits, snaplen, wire) => {
        const bytes = Uint8Array.from(seed.bytes);
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        const frame: Frame = { ...seed, bytes };
        if (wire !== null) frame.wireLength = wire;
        expectTotal(frame, snaplen, true);
      }),
      { numRuns: 5000 },
    );
  });

  it('is total: every seed cut at every byte', () => {
    for (const seed of SEEDS) {
      for (let length = 0; length <= seed.bytes.length; length++) expectTotal(seed, length, true);
    }
  });
});
