// Explanations on captures made here: each kind explains its own difference, by what the capture holds, and no other.
import { describe, expect, it } from 'vitest';
import { readFrames, writeCapture } from '../../conformance/frames.mjs';
import { LIBRARY } from './library.ts';
import { frame, SECOND, verdict } from './made.ts';

interface Expected {
  flow: readonly [src: string, srcPort: number, dst: string, dstPort: number, protocol: number];
  packets: number;
  bytes: number;
  first: number;
  last: number;
}

async function check(capture: Uint8Array, expected: readonly Expected[]) {
  const flags = ['syn', 'cwr', 'ece', 'urg', 'ack', 'psh', 'rst', 'fin'];
  const rows = expected.map(({ flow: [src, srcPort, dst, dstPort, protocol], packets, bytes, first, last }) => ({
    src_ip: src,
    src_port: srcPort,
    dst_ip: dst,
    dst_port: dstPort,
    protocol,
    vlan_id: 0,
    bidirectional_first_seen_ms: first,
    bidirectional_last_seen_ms: last,
    src2dst_packets: packets,
    dst2src_packets: 0,
    src2dst_bytes: bytes,
    dst2src_bytes: 0,
    ...Object.fromEntries(flags.flatMap((flag) => ['src2dst', 'dst2src'].map((way) => [`${way}_${flag}_packets`, 0]))),
  }));
  return await verdict(capture, rows);
}

const word = (value: number) => [value >> 8, value & 0xff];
const ethernet = (type: number, payload: readonly number[]) => [...new Array(12).fill(0), ...word(type), ...payload];

function ipv4(protocol: number, payload: readonly number[], length = 20 + payload.length): number[] {
  return [0x45, 0, ...word(length), 0, 1, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, ...payload];
}

function ipv6(protocol: number, payload: readonly number[], length = payload.length): number[] {
  const address = (last: number) => [0xfd, ...new Array(14).fill(0), last];
  return [0x60, 0, 0, 0, ...word(length), protocol, 64, ...address(1), ...address(2), ...payload];
}

function udp(srcPort: number, dstPort: number, payload: readonly number[]): number[] {
  return [...word(srcPort), ...word(dstPort), ...word(8 + payload.length), 0, 0, ...payload];
}

const V4 = ['10.0.0.1', '10.0.0.2'] as const;
const FLOW = [V4[0], 1000, V4[1], 2000, 17] as const;
const PACKET = ethernet(0x800, ipv4(17, udp(1000, 2000, [1, 2, 3, 4])));
const PLAIN: Expected = { flow: FLOW, packets: 1, bytes: 46, first: SECOND, last: SECOND };
const NONE = { kinds: [], unexplained: 0 };

describe('explain', () => {
  it('has nothing to do where nothing differs', async () => {
    expect(await check(writeCapture([frame(SECOND, PACKET)]), [PLAIN])).toEqual(NONE);
  });

  it('explains nothing by nothing', async () => {
    const capture = writeCapture([frame(SECOND, PACKET)]);
    const wrong = [{ bytes: 47 }, { packets: 2 }, { first: 999 }, { last: 1001 }];
    for (const change of wrong) {
      expect(await check(capture, [{ ...PLAIN, ...change }])).toEqual({ kinds: [''], unexplained: 1 });
    }
    expect(await check(capture, [])).toEqual({ kinds: [''], unexplained: 1 });
    expect(await check(capture, [PLAIN, PLAIN])).toEqual({ kinds: [''], unexplained: 1 });
  });

  it('explains one difference and leaves the other', async () => {
    const other = ethernet(0x800, ipv4(132, [...word(5), ...word(6), ...new Array(8).fill(0)]));
    const sctp: Expected = { ...PLAIN, flow: [V4[0], 0, V4[1], 0, 132] };
    const capture = writeCapture([frame(SECOND, PACKET), frame(SECOND, other)]);
    expect(await check(capture, [PLAIN, sctp])).toEqual({ kinds: ['sctp_ports'], unexplained: 0 });
    const { kinds, unexplained } = await check(capture, [{ ...PLAIN, bytes: 45 }, sctp]);
    expect(kinds.sort()).toEqual(['', 'sctp_ports']);
    expect(unexplained).toBe(1);
  });

  it('link_type: a type that NFStream does not know, none that it knows', async () => {
    const cooked2 = [...word(0x800), 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, ...new Array(8).fill(0)];
    const unknown = frame(SECOND, [...cooked2, ...PACKET.slice(14)], 276);
    expect(await check(writeCapture([unknown]), [])).toEqual({ kinds: ['link_type'], unexplained: 0 });
    expect(await check(writeCapture([frame(SECOND, PACKET.slice(14), 101)]), [])).toEqual({
      kinds: [''],
      unexplained: 1,
    });
  });

  it('ipv6_cut: packets that are not there whole, no others', async () => {
    const whole = frame(SECOND, ethernet(0x86dd, ipv6(17, udp(1000, 2000, [1, 2, 3, 4]))));
    const cut = { ...frame(SECOND, ethernet(0x86dd, ipv6(17, udp(1000, 2000, []), 600))), wire: 654 };
    const row: Expected = { ...PLAIN, flow: ['fd00::1', 1000, 'fd00::2', 2000, 17], bytes: 66 };
    expect(await check(writeCapture([whole, cut]), [row])).toEqual({ kinds: ['ipv6_cut'], unexplained: 0 });
    expect(await check(writeCapture([whole, whole]), [row])).toEqual({ kinds: [''], unexplained: 1 });
  });

  it('total_length_0: packets that state it, no others of their length', async () => {
    const stated = frame(SECOND, PACKET);
    const zero = frame(SECOND, ethernet(0x800, ipv4(17, udp(1000, 2000, [1, 2, 3, 4]), 0)));
    expect(await check(writeCapture([stated, zero]), [PLAIN])).toEqual({ kinds: ['total_length_0'], unexplained: 0 });
    expect(await check(writeCapture([stated, stated]), [PLAIN])).toEqual({ kinds: [''], unexplained: 1 });
  });

  it('clock: to the newest time of a metered packet, no further', async () => {
    const arp = frame(9 * SECOND, ethernet(0x806, new Array(28).fill(0)));
    const capture = writeCapture([arp, frame(5 * SECOND, PACKET), frame(SECOND, PACKET)]);
    const moved = (time: number) => [{ ...PLAIN, packets: 2, bytes: 92, first: time, last: time }];
    expect(await check(capture, moved(5 * SECOND))).toEqual({ kinds: ['clock'], unexplained: 0 });
    expect(await check(capture, moved(9 * SECOND))).toEqual({ kinds: [''], unexplained: 1 });
  });

  it('whole_ms: a timeout reached only when times are cut', async () => {
    const capture = writeCapture([frame(SECOND + 0.9, PACKET), frame(121 * SECOND + 0.1, PACKET)]);
    const second = { ...PLAIN, first: 121 * SECOND, last: 121 * SECOND };
    expect(await check(capture, [PLAIN, second])).toEqual({ kinds: ['whole_ms'], unexplained: 0 });
  });

  it('truncated: only where the capture breaks off and nothing is expected', async () => {
    const capture = writeCapture([frame(SECOND, PACKET), frame(SECOND, PACKET)]).slice(0, -5);
    expect(await check(capture, [])).toEqual({ kinds: ['truncated'], unexplained: 0 });
    expect(await check(capture, [{ ...PLAIN, bytes: 47 }])).toEqual({ kinds: [''], unexplained: 1 });
  });

  it('tunnel: Geneve that is not looked into', async () => {
    const geneve = [0, 0, 0x65, 0x58, 0, 0, 7, 0, ...PACKET];
    const bytes = ethernet(0x800, ipv4(17, udp(3000, 6081, geneve)));
    const row: Expected = { ...PLAIN, flow: [V4[0], 3000, V4[1], 6081, 17], bytes: bytes.length };
    expect(await check(writeCapture([frame(SECOND, bytes)]), [row])).toEqual({ kinds: ['tunnel'], unexplained: 0 });
    expect(await check(writeCapture([frame(SECOND, bytes)]), [])).toEqual({ kinds: [''], unexplained: 1 });
  });

  describe('tunnel_port', () => {
    const inner = PACKET.slice(14);
    const gtp = [0x30, 0xff, ...word(inner.length), 0, 0, 0, 9, ...inner];
    const over = (srcPort: number, dstPort: number, payload: readonly number[]) =>
      writeCapture([frame(SECOND, ethernet(0x800, ipv4(17, udp(srcPort, dstPort, payload))))]);
    const outerRow = (srcPort: number, dstPort: number, payload: readonly number[]): Expected => ({
      ...PLAIN,
      flow: [V4[0], srcPort, V4[1], dstPort, 17],
      bytes: 42 + payload.length,
    });
    const EXPLAINED = { kinds: ['tunnel_port'], unexplained: 0 };
    const NOT = { kinds: [''], unexplained: 1 };

    it('a packet inside what only comes from the port', async () => {
      expect(await check(over(2152, 53, gtp), [{ ...PLAIN, bytes: 42 + gtp.length }])).toEqual(EXPLAINED);
    });

    it('packets too short for the tunnel that are lost', async () => {
      expect(await check(over(37008, 53, [1, 2]), [])).toEqual(EXPLAINED);
      expect(await check(over(37009, 53, [1, 2]), [])).toEqual(NOT);
      expect(await check(over(37008, 53, [9, 9, 9, 9, 9]), [])).toEqual(NOT);
    });

    it('forms that only we know', async () => {
      const transmitted = [1, 1, 0, 1, 1, ...PACKET];
      expect(await check(over(9, 37008, transmitted), [outerRow(9, 37008, transmitted)])).toEqual(EXPLAINED);
      const received = [1, 0, 0, 1, 1, ...PACKET];
      expect(await check(over(9, 37008, received), [{ ...PLAIN, bytes: 42 + received.length }])).toEqual(NONE);
    });

    it('does not explain a regular tunnel away', async () => {
      expect(await check(over(9, 2152, gtp), [outerRow(9, 2152, gtp)])).toEqual({
        kinds: [''],
        unexplained: 2,
      });
    });
  });

  it.each([
    ['an EtherType that is none', ethernet(0x8903, PACKET.slice(14))],
    ['EtherType 0', ethernet(0, PACKET.slice(14))],
    ['a header of 4 bytes', ethernet(0x800, [0x41, ...PACKET.slice(15, 34)])],
  ])('not_ip: %s', async (_, bytes) => {
    // With 4 bytes of header the ports are where the identification is.
    const flow: Expected['flow'] = bytes.length < 40 ? [V4[0], 1, V4[1], 0, 17] : FLOW;
    const capture = writeCapture([frame(SECOND, bytes)]);
    expect(await check(capture, [{ ...PLAIN, flow, bytes: bytes.length }])).toEqual({
      kinds: ['not_ip'],
      unexplained: 0,
    });
    expect(await check(capture, [{ ...PLAIN, flow, bytes: 7 }])).toEqual({ kinds: [''], unexplained: 1 });
  });
});

describe('frames', () => {
  it('are the same when they were written and read again', async () => {
    const frames = [frame(1_700_000_000_123.456, PACKET), frame(0.001, [1], 113), { ...frame(5, []), wire: 70_000 }];
    expect(await readFrames(LIBRARY, writeCapture(frames))).toEqual({ frames, damage: undefined });
  });

  it('never come later by rounding', async () => {
    const { frames } = await readFrames(LIBRARY, writeCapture([frame(1.9999, PACKET)]));
    expect(frames[0]?.timeMs).toBe(1.999);
  });
});
