// With tcpEnd a flow ends when its connection has, a second later, whatever the timeouts say.
import { describe, expect, it } from 'vitest';
import type { MeterOptions } from '../../src/flow/meter-options.ts';
import { meterPackets, type TestPacket } from './metered.ts';

const FIN = 0x11;
const SYN = 0x02;
const SYN_ACK = 0x12;
const ACK = 0x10;
const RST = 0x04;

const CLIENT = { src: 1, dst: 2, srcPort: 4000, dstPort: 80, protocol: 6 };
const SERVER = { src: 2, dst: 1, srcPort: 80, dstPort: 4000, protocol: 6 };
const there = (time: number, flags: number): TestPacket => ({ ...CLIENT, time, flags });
const back = (time: number, flags: number): TestPacket => ({ ...SERVER, time, flags });
const other = (time: number): TestPacket => ({ time, src: 8, dst: 9, protocol: 17 });

/** [packets, export_reason, flow_id, segment] of the flows of the connection, in the order of their export. */
function ends(packets: TestPacket[], options: Partial<MeterOptions> = {}): number[][] {
  const { records } = meterPackets(packets, { tcpEnd: true, ...options });
  return records
    .filter(({ ip_protocol }) => ip_protocol === 6)
    .map((r) => [r.src_to_dst_pkts + r.dst_to_src_pkts, r.export_reason, r.flow_id, r.segment]);
}

const CONNECTION = [there(0, SYN), back(10, SYN_ACK), there(20, ACK), there(30, FIN), back(40, FIN)];

describe('a flow ends when its connection has', () => {
  it('a second after a FIN each way; packets until then are its own, later ones are not', () => {
    expect(ends([...CONNECTION, there(50, ACK), there(1039.9, ACK), there(1040, ACK)])).toEqual([
      [7, -2, 1, 0],
      [1, 2, 8, 0],
    ]);
  });

  it.each([
    ['of the source', there(25, RST)],
    ['of the destination', back(25, RST | ACK)],
  ])('a second after an RST %s', (_who, reset) => {
    const packets = [there(0, SYN), back(10, SYN_ACK), reset, back(900, RST), there(1024, ACK), back(1025, RST)];
    expect(ends(packets)).toEqual([
      [5, -2, 1, 0],
      [1, -2, 6, 0],
    ]);
  });

  it('with the time of other packets alone', () => {
    const { records } = meterPackets([...CONNECTION, other(1300), other(1301)], { tcpEnd: true });
    expect(records.map(({ export_reason }) => export_reason)).toEqual([-2, 2]);
  });

  it('with the source, a second or not', () => {
    expect(ends(CONNECTION)).toEqual([[5, -2, 1, 0]]);
  });

  it('and is counted as such', () => {
    const { meter } = meterPackets(CONNECTION, { tcpEnd: true });
    expect(meter.exported).toMatchObject({ tcp_end: 1, termination: 0, inactive: 0 });
  });

  it('when a SYN begins another connection between the same ports, at once', () => {
    expect(ends([...CONNECTION, there(50, SYN), back(60, SYN_ACK)])).toEqual([
      [5, -2, 1, 0],
      [2, 2, 6, 0],
    ]);
    // The answer to a SYN that was sent again does not.
    expect(ends([...CONNECTION, back(50, SYN_ACK)])).toEqual([[6, -2, 1, 0]]);
  });

  it('when the server begins the next one: it is the source then', () => {
    const { records } = meterPackets([...CONNECTION, back(50, SYN)], { tcpEnd: true });
    expect(records.map(({ ip_src }) => ip_src)).toEqual(['0.0.0.1', '0.0.0.2']);
  });

  it('for lack of room: it is complete, and neither lost nor called evicted', () => {
    for (const onCapacity of ['drop', 'export'] as const) {
      const { records, meter } = meterPackets([...CONNECTION, other(60)], { tcpEnd: true, capacity: 1, onCapacity });
      expect(records.map(({ export_reason }) => export_reason)).toEqual([-2, 2]);
      expect(meter.flowsEvicted).toBe(0);
    }
  });

  it('though its FINs lie in different segments', () => {
    const halves = [
      there(0, SYN),
      back(1000, FIN),
      there(4000, ACK),
      there(8000, ACK),
      there(9000, FIN),
      back(9001, ACK),
    ];
    expect(ends(halves, { activeTimeoutMs: 5000 })).toEqual([
      [3, 1, 1, 0],
      [3, -2, 1, 1],
    ]);
  });

  it('not cut by the active timeout in that second', () => {
    expect(ends([...CONNECTION, there(60, ACK)], { activeTimeoutMs: 50 })).toEqual([[6, -2, 1, 0]]);
    expect(ends([...CONNECTION, there(60, ACK)], { activeTimeoutMs: 50, expiresActive: true })).toEqual([
      [6, -2, 1, 0],
    ]);
  });

  it('after the inactive timeout where that is shorter', () => {
    expect(ends([...CONNECTION, there(139, ACK), there(140, ACK)], { inactiveTimeoutMs: 100 })).toEqual([
      [6, -2, 1, 0],
      [1, 2, 7, 0],
    ]);
  });

  it('with timeouts that never end anything', () => {
    const never = { inactiveTimeoutMs: Number.POSITIVE_INFINITY, activeTimeoutMs: Number.POSITIVE_INFINITY };
    const { records } = meterPackets([...CONNECTION, other(1300), other(1301)], { tcpEnd: true, ...never });
    expect(records.map(({ export_reason }) => export_reason)).toEqual([-2, 2]);
  });
});

describe('a flow goes on', () => {
  it.each([
    ['a FIN one way', [there(0, SYN), back(10, SYN_ACK), there(20, FIN), there(30, FIN), back(40, ACK)]],
    ['a SYN while the connection lasts', [there(0, SYN), there(10, SYN), back(20, SYN_ACK)]],
  ])('after %s', (_what, packets) => {
    expect(ends([...packets, there(20_000, ACK)])).toEqual([[packets.length + 1, 2, 1, 0]]);
  });

  it('after FINs and an RST where tcpEnd is off', () => {
    expect(ends([...CONNECTION, back(50, RST), there(20_000, SYN)], { tcpEnd: false })).toEqual([[7, 2, 1, 0]]);
  });

  it('in a slot whose flow before ended: its FINs are not of the next one', () => {
    const again = (packet: TestPacket) => ({ ...packet, time: packet.time + 2000, srcPort: 4001 });
    const next = [again(there(0, SYN)), again(there(10, FIN)), again(there(9000, ACK))];
    // The other flow keeps its own slot.
    const packets = [other(0), ...CONNECTION, other(1500), ...next];
    expect(ends(packets, { capacity: 2 })).toEqual([
      [5, -2, 2, 0],
      [3, 2, 8, 0],
    ]);
  });
});
