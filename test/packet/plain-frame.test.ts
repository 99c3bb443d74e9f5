// The fast path against the layers: whatever it decodes, they decode to the same columns, and it decodes what it is for.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Kernel } from '../../src/kernel/kernel.ts';
import { DecodeState } from '../../src/packet/decode-state.ts';
import * as etherType from '../../src/packet/ether-type.ts';
import * as ethernetFrame from '../../src/packet/ethernet.ts';
import { FragmentTable } from '../../src/packet/fragment-table.ts';
import * as ipProtocol from '../../src/packet/ip-protocol.ts';
import * as ipTunnel from '../../src/packet/ip-tunnel.ts';
import * as linkLayer from '../../src/packet/link-layer.ts';
import { KEY_WORDS, METERED, PacketColumns, SKIP_FILTERED, SKIP_REASONS } from '../../src/packet/packet-columns.ts';
import type { DecoderOptions } from '../../src/packet/packet-decoder.ts';
import { decodeOtherFrames, NOT_PLAIN, PacketDecoder } from '../../src/packet/packet-decoder.ts';
import type { PacketBatch } from '../../src/source/source.ts';
import type { Frame } from './batch.ts';
import { DEFAULT_OPTIONS, makeBatch, readRow } from './batch.ts';
import type { Bytes } from './encode.ts';
import {
  authentication,
  capwap,
  concat,
  ethernet,
  ethernetIp,
  extension,
  geneve,
  gre,
  gtpU,
  icmpEcho,
  ieee80211,
  ipv4,
  ipv6,
  ipv6Fragment,
  llcSnap,
  mpls,
  sctp,
  tcp,
  tzsp,
  udp,
  vlanTag,
  vxlan,
} from './encode.ts';
import { readCapture } from './read-capture.ts';

const CAPTURES = '../shared/captures';
const DATA = new Uint8Array(12).fill(0xa5);
const TCP4 = ipv4({ src: '203.0.113.9', dst: '198.51.100.7' }, tcp({ flags: 0xc2, options: new Uint8Array(12) }, DATA));
const UDP4 = ipv4({ protocol: 17 }, udp({}, DATA));
const TCP6 = ipv6({ src: '1:2:3:4:5:6:7:8', dst: 'ffff::fffe' }, tcp({}, DATA));
const UDP6 = ipv6({ nextHeader: 17 }, udp({}, DATA));

const etherTypeOf = (packet: Bytes): number => (packet[0] >> 4 === 6 ? 0x86dd : 0x0800);
const tagged = (packet: Bytes, outer = 0x8100): Bytes =>
  ethernet({ etherType: outer }, vlanTag({ id: 0xfff, priority: 7, etherType: etherTypeOf(packet) }, packet));
const over = (dstPort: number, payload: Bytes, srcPort = 40000): Bytes =>
  ethernetIp(ipv4({ protocol: 17 }, udp({ srcPort, dstPort }, payload)));

/** What the fast path is for. */
const PLAIN: Bytes[] = [
  ...[TCP4, UDP4, TCP6, UDP6].flatMap((packet) => [ethernetIp(packet), tagged(packet)]),
  ethernetIp(ipv4({}, tcp())),
  ethernetIp(ipv4({ protocol: 17 }, udp())),
  ethernetIp(ipv6({}, tcp())),
  ethernetIp(ipv6({ nextHeader: 17 }, udp())),
  // Padding behind the packet, a length beyond the frame, data offsets that contradict themselves.
  concat(ethernetIp(ipv4({}, tcp())), new Uint8Array(6)),
  ethernetIp(ipv4({ totalLength: 1500 }, tcp())),
  ethernetIp(ipv6({ payloadLength: 65535 }, tcp())),
  ethernetIp(ipv4({}, tcp({ offsetWords: 0 }, DATA))),
  ethernetIp(ipv4({}, tcp({ offsetWords: 15 }, DATA))),
];

/** What it must leave to the layers. */
const OTHER: Bytes[] = [
  ethernetIp(ipv4({ options: new Uint8Array(8) }, tcp({}, DATA))),
  ethernetIp(ipv4({ headerWords: 4 }, tcp({}, DATA))),
  ethernetIp(ipv4({ version: 6 }, tcp({}, DATA))),
  ethernet({ etherType: 0x86dd }, ipv6({ version: 4 }, tcp({}, DATA))),
  ethernetIp(ipv4({ totalLength: 0 }, tcp({}, DATA))),
  ethernetIp(ipv4({ totalLength: 19 }, tcp({}, DATA))),
  ethernetIp(ipv4({ totalLength: 39 }, tcp({}, DATA))),
  ethernetIp(ipv4({ totalLength: 27, protocol: 17 }, udp({}, DATA))),
  ethernetIp(ipv6({ payloadLength: 0 }, tcp({}, DATA))),
  ethernetIp(ipv6({ payloadLength: 19 }, tcp({}, DATA))),
  ethernetIp(ipv4({ protocol: 17, hasMoreFragments: true, id: 7 }, udp({}, DATA))),
  ethernetIp(ipv4({ protocol: 17, fragmentOffset: 16, id: 7 }, DATA)),
  ethernetIp(ipv4({ protocol: 17, fragmentOffset: 16, id: 8 }, DATA)),
  ethernetIp(ipv6({ nextHeader: 44 }, ipv6Fragment({ hasMore: true, id: 9 }, udp({}, DATA)))),
  ethernetIp(ipv6({ nextHeader: 44 }, ipv6Fragment({ offset: 16, id: 9 }, DATA))),
  ethernetIp(ipv6({ nextHeader: 0 }, extension({ nextHeader: 6 }, tcp({}, DATA)))),
  ethernetIp(ipv6({ nextHeader: 51 }, authentication({ nextHeader: 17 }, udp({}, DATA)))),
  ethernetIp(ipv4({ protocol: 1 }, icmpEcho(DATA))),
  ethernetIp(ipv4({ protocol: 132 }, sctp({}, DATA))),
  ethernetIp(ipv4({ protocol: 4 }, TCP4)),
  ethernetIp(ipv4({ protocol: 41 }, TCP6)),
  ethernetIp(ipv4({ protocol: 47 }, gre({ type: 0x6558, key: 4 }, ethernetIp(TCP4)))),
  over(2152, gtpU({}, TCP4)),
  over(4789, vxlan({ vni: 7 }, ethernetIp(TCP4))),
  over(6081, geneve({ vni: 7 }, ethernetIp(TCP4))),
  over(5247, capwap({ isNative: true }, ieee80211({}, llcSnap({ etherType: 0x0800 }, TCP4)))),
  over(37008, tzsp({ encapsulated: 1 }, ethernetIp(TCP4))),
  over(4789, DATA),
  over(1, DATA, 5247),
  tagged(TCP4, 0x88a8),
  ethernet({ etherType: 0x8100 }, vlanTag({ id: 1, etherType: 0x8100 }, vlanTag({ id: 2, etherType: 0x0800 }, TCP4))),
  ethernet({ etherType: 0x8847 }, mpls([1, 2], TCP4)),
  ethernet({ etherType: 0x0806 }, new Uint8Array(28)),
];
const ALL = [...PLAIN, ...OTHER];

const KERNEL = Kernel.forDecoding();

/** The fast path alone; returns how many rows it leaves to the layers. */
function decodePlain(batch: PacketBatch, snaplen = 65535, decodeTunnels = true): number {
  return KERNEL.passes.decode(batch.count, batch.bytes.byteOffset, snaplen, decodeTunnels ? 1 : 0);
}

/** Status of each row after the fast path alone. */
function plainStatus(frames: readonly Frame[], options: Partial<DecoderOptions> = {}): number[] {
  const { snaplen, decodeTunnels } = { ...DEFAULT_OPTIONS, ...options };
  const status = KERNEL.status.subarray(0, frames.length).fill(METERED);
  const others = decodePlain(makeBatch(frames, KERNEL), snaplen, decodeTunnels);
  expect(others).toBe(status.filter((one) => one === NOT_PLAIN).length);
  return [...status];
}

/** Decodes with and without the fast path, into columns that held different values before, and compares. */
function expectSameColumns(frames: readonly Frame[], options: Partial<DecoderOptions> = {}): void {
  const all = { ...DEFAULT_OPTIONS, ...options };
  const decoder = new PacketDecoder(all, KERNEL.capacity, KERNEL);
  const layers = new PacketColumns(KERNEL.capacity);
  const fragments = all.fragments === 'assign' ? new FragmentTable(all.fragmentTableSize) : null;
  const state = new DecodeState(layers, all.decodeTunnels, fragments);
  // Fragments find the first one of theirs in an earlier batch, too.
  for (let from = 0; from < frames.length; from += KERNEL.capacity) {
    const batch = makeBatch(frames.slice(from, from + KERNEL.capacity), KERNEL);
    const fast = decoder.columns;
    for (const column of Object.values(fast)) column.fill(-1);
    fast.status.fill(METERED);
    layers.status.fill(NOT_PLAIN);
    decodeOtherFrames(state, batch, all.snaplen);
    decoder.decode(batch);
    for (let row = 0; row < batch.count; row++) {
      if (isSameRow(fast, layers, row)) continue;
      expect({ row, ...readRow(fast, batch, row) }).toEqual({ row, ...readRow(layers, batch, row) });
      throw new Error(`row ${row} differs in what readRow does not show`);
    }
  }
}

const COLUMNS = ['tcpFlags', 'isLaterFragment', 'ipAt', 'ipSize', 'transportAt', 'payloadAt', 'ipEnd'] as const;

function isSameRow(one: PacketColumns, other: PacketColumns, row: number): boolean {
  if (one.status[row] !== other.status[row]) return false;
  if (one.status[row] !== METERED) return true;
  for (const column of COLUMNS) if (one[column][row] !== other[column][row]) return false;
  for (let at = row * KEY_WORDS; at < (row + 1) * KEY_WORDS; at++) if (one.key[at] !== other.key[at]) return false;
  return true;
}

function listCaptures(): string[] {
  if (!existsSync(CAPTURES)) return [];
  const paths = readdirSync(CAPTURES, { recursive: true, encoding: 'utf8' });
  return paths.filter((path) => /\.(pcap|pcapng|cap)$/.test(path)).sort();
}

describe('the fast path', () => {
  it('decodes what it is for, and leaves the rest to the layers', () => {
    expect(plainStatus(PLAIN.map((bytes) => ({ bytes })))).toEqual(PLAIN.map(() => METERED));
    expect(plainStatus(OTHER.map((bytes) => ({ bytes })))).toEqual(OTHER.map(() => NOT_PLAIN));
    expect(plainStatus([{ bytes: PLAIN[0], linkType: 113 }])).toEqual([NOT_PLAIN]);
    expect(plainStatus([{ bytes: over(4789, DATA) }], { decodeTunnels: false })).toEqual([METERED]);
  });

  it('leaves rows alone that are not to be metered, and those behind the batch', () => {
    const batch = makeBatch([{ bytes: PLAIN[0] }, { bytes: PLAIN[0] }, { bytes: PLAIN[0] }], KERNEL);
    batch.count = 2;
    const { status, key } = KERNEL;
    status.set([SKIP_FILTERED, METERED, METERED]);
    key.fill(-7);
    expect(decodePlain(batch)).toBe(0);
    expect([...status.subarray(0, 3)]).toEqual([SKIP_FILTERED, METERED, METERED]);
    for (const row of [0, 2]) {
      expect(new Set(key.subarray(row * KEY_WORDS, (row + 1) * KEY_WORDS))).toEqual(new Set([-7]));
    }
  });

  it('needs the transport header whole, and no more than that', () => {
    for (const [packet, bytes] of [
      [TCP4, 54],
      [UDP4, 42],
      [TCP6, 74],
      [UDP6, 62],
    ] as const) {
      const frame = { bytes: ethernetIp(packet) };
      expect([bytes - 1, bytes].map((snaplen) => plainStatus([frame], { snaplen })[0])).toEqual([NOT_PLAIN, METERED]);
      const cuts = [bytes - 1, bytes].map((length) => ({ bytes: frame.bytes.subarray(0, length), wireLength: 1514 }));
      expect(plainStatus(cuts)).toEqual([NOT_PLAIN, METERED]);
    }
  });

  it('takes every port for a tunnel that mayBeTunnel takes for one, and no other', () => {
    const batch = makeBatch([{ bytes: ethernetIp(UDP4) }], KERNEL);
    const state = new DecodeState(new PacketColumns(1), true, null);
    state.view = batch.view;
    const portsAt = batch.frameAt[0] + 34;
    const disagreed: number[] = [];
    let tunnels = 0;
    for (const at of [portsAt, portsAt + 2]) {
      batch.view.setUint32(portsAt, 0);
      for (let port = 0; port < 0x10000; port++) {
        batch.view.setUint16(at, port);
        KERNEL.status[0] = METERED;
        const isTunnel = ipTunnel.mayBeTunnel(state, 17, portsAt, portsAt + 20);
        if (isTunnel) tunnels++;
        if (decodePlain(batch) !== (isTunnel ? 1 : 0)) disagreed.push(port);
      }
    }
    expect(disagreed).toEqual([]);
    expect(tunnels).toBe(7);
  });

  it('has constants that equal those of the layers', () => {
    const originals: Record<string, unknown> = {
      ...linkLayer,
      ...etherType,
      ...ipProtocol,
      ...ipTunnel,
      ...ethernetFrame,
    };
    const names = Object.keys(KERNEL.passes).filter((name) => name in originals);
    const copies = KERNEL.passes as unknown as Record<string, { value: number }>;
    for (const name of names) expect(copies[name].value, name).toBe(originals[name]);
    expect(names.length).toBe(14);
    expect(NOT_PLAIN).toBeGreaterThan(SKIP_REASONS.length);
  });
});

describe('PacketDecoder with and without the fast path', () => {
  it('gives the same columns for frames of every kind, with and without tunnels and fragments', () => {
    const frames = ALL.map((bytes) => ({ bytes }));
    for (const decodeTunnels of [true, false]) {
      for (const fragments of ['assign', 'ignore'] as const) expectSameColumns(frames, { decodeTunnels, fragments });
    }
  });

  it('gives the same columns for every cut, by the capture and by the snaplen, and any wire length', () => {
    for (const bytes of ALL) {
      const cuts = Array.from({ length: bytes.length }, (_, length) => bytes.subarray(0, length));
      for (const wireLength of [0, bytes.length, 0xffffffff]) {
        expectSameColumns(cuts.map((cut) => ({ bytes: cut, wireLength })));
      }
      for (let snaplen = 0; snaplen <= bytes.length; snaplen++) expectSameColumns([{ bytes }], { snaplen });
    }
  });

  it('gives the same columns for every value of every byte of the headers', () => {
    for (const seed of PLAIN) {
      for (let at = 12; at < Math.min(seed.length, 78); at++) {
        expectSameColumns(Array.from({ length: 256 }, (_, value) => ({ bytes: seed.with(at, value) })));
      }
    }
  });

  it('gives the same columns for batches of changed and cut frames', () => {
    const changes = fc.array(fc.tuple(fc.nat(80), fc.nat(255)), { maxLength: 4 });
    const frame = fc
      .tuple(fc.constantFrom(...ALL), changes, fc.nat(120), fc.constantFrom(1, 1, 1, 101, 113))
      .map(([seed, edits, cut, linkType]): Frame => {
        const bytes = Uint8Array.from(seed.subarray(0, cut < 30 ? seed.length : cut));
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        return { bytes, linkType, wireLength: seed.length };
      });
    const batch = fc.array(frame, { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(batch, fc.constantFrom(65535, 60, 96), fc.boolean(), (frames, snaplen, decodeTunnels) =>
        expectSameColumns(frames, { snaplen, decodeTunnels, fragmentTableSize: 4 }),
      ),
      { numRuns: 3000 },
    );
  });

  it.skipIf(listCaptures().length === 0)(`gives the same columns for every capture of ${CAPTURES}`, () => {
    const paths = listCaptures();
    expect(paths.length).toBeGreaterThan(300);
    for (const path of paths) {
      const frames = readCapture(join(CAPTURES, path));
      expectSameColumns(frames);
      expectSameColumns(frames, { snaplen: 70, decodeTunnels: false, fragments: 'ignore' });
    }
  });
});
