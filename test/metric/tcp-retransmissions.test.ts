// Retransmissions: each of Wireshark's rules on segments made for it; random conversations and real captures against
// tshark's tcp.analysis.retransmission; what must hold of any segments.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Direction } from '../../src/classifier/classifier.ts';
import { metric } from '../../src/metric/metric.ts';
import { tcpRetransmissions } from '../../src/metric/tcp-retransmissions.ts';
import { type Segment, TcpSequence } from '../../src/metric/tcp-sequence.ts';
import { makePcap } from '../source/captures.ts';
import { HAS_TSHARK, tsharkRows } from '../tshark.ts';
import { ACK, captureOf, conversations, FIN, frameOf, type MadeSegment, RST, SYN } from './segments.ts';
import { capture, HAS_CAPTURES, keyOfFlow, lasting, mixedStreams, tsharkFlows } from './tshark-flows.ts';

/** From client or server, time in ms, flags, sequence number and acknowledgement relative to the first ones, bytes. */
type Step = [from: 0 | 1, at: number, flags: number, seq: number, ack: number, size?: number, window?: number];

const HANDSHAKE: Step[] = [
  [0, 0, SYN, 0, 0],
  [1, 5, SYN | ACK, 0, 1],
  [0, 10, ACK, 1, 1],
];

/** Marks of each step: is it a retransmission? */
function marks(steps: readonly Step[], bases: [number, number] = [1000, 5000]): boolean[] {
  const sequence = new TcpSequence();
  return steps.map(([from, at, flags, seq, ack, size = 0, window = 1000]) => {
    const segment: Segment = {
      timestamp: 1.7e12 + at,
      tcpFlags: flags,
      tcpSeq: (bases[from] + seq) >>> 0,
      tcpAck: (flags & ACK) === 0 ? 0 : (bases[1 - from] + ack) >>> 0,
      tcpWindow: window,
    };
    return sequence.update(segment, from, size);
  });
}

/** What is marked of the steps after the handshake. */
const opened = (...steps: Step[]) => marks([...HANDSHAKE, ...steps]).slice(HANDSHAKE.length);

describe('TcpSequence', () => {
  it('marks nothing of a connection in order', () => {
    expect(opened([0, 11, ACK, 1, 1, 100], [1, 15, ACK, 1, 101, 50], [0, 20, FIN | ACK, 101, 51])).toEqual([
      false,
      false,
      false,
    ]);
    expect(marks(HANDSHAKE)).toEqual([false, false, false]);
  });

  it('marks a SYN, a SYN/ACK and a FIN that are sent again', () => {
    expect(
      marks([
        [0, 0, SYN, 0, 0],
        [0, 1000, SYN, 0, 0],
        [1, 1010, SYN | ACK, 0, 1],
        [1, 3010, SYN | ACK, 0, 1],
        [0, 3020, ACK, 1, 1],
        [0, 3030, FIN | ACK, 1, 1],
        [0, 6030, FIN | ACK, 1, 1],
      ]),
    ).toEqual([false, true, false, true, false, false, true]);
  });

  it('marks data that was acknowledged already (spurious), however soon it comes', () => {
    expect(opened([0, 11, ACK, 1, 1, 100], [1, 11.1, ACK, 1, 101], [0, 11.2, ACK, 1, 1, 100])[2]).toBe(true);
  });

  it('tells out of order from sent again by the round-trip time of the handshake, here 10 ms', () => {
    const late = (ms: number) => opened([0, 20, ACK, 101, 1, 100], [0, 20 + ms, ACK, 1, 1, 100])[1];
    expect([late(0), late(9.5), late(10), late(500)]).toEqual([false, false, true, true]);
  });

  it('takes 3 ms for the round-trip time where no handshake was seen', () => {
    const late = (ms: number) =>
      marks([
        [0, 0, ACK, 1, 1, 100],
        [0, 20, ACK, 201, 1, 100],
        [0, 20 + ms, ACK, 101, 1, 100],
      ])[2];
    expect([late(2.5), late(3.5)]).toEqual([false, true]);
  });

  it('marks the newest data sent again at once, as it can not be out of order', () => {
    expect(opened([0, 11, ACK, 1, 1, 100], [0, 11.1, ACK, 1, 1, 100])).toEqual([false, true]);
  });

  it('marks what two duplicate ACKs asked for within 20 ms (fast)', () => {
    const start: Step[] = [
      [0, 11, ACK, 1, 1, 100],
      [1, 15, ACK, 1, 101],
    ];
    const later: Step = [0, 20, ACK, 201, 1, 100];
    const duplicate = (at: number): Step => [1, at, ACK, 1, 101];
    // Within 10 ms of the newest data it were out of order otherwise.
    const again = (at: number): Step => [0, at, ACK, 101, 1, 100];
    expect(opened(...start, later, duplicate(21), duplicate(22), again(25)).at(-1)).toBe(true);
    expect(opened(...start, later, duplicate(21), again(25)).at(-1)).toBe(false);
    const another: Step = [0, 41, ACK, 301, 1, 100];
    expect(opened(...start, later, duplicate(21), duplicate(22.5), another, again(42)).at(-1)).toBe(true);
    expect(opened(...start, later, duplicate(21), duplicate(22.5), another, again(43)).at(-1)).toBe(false);
  });

  it('leaves keep-alives and zero-window probes alone', () => {
    expect(opened([0, 11, ACK, 1, 1, 100], [0, 9000, ACK, 100, 1, 1], [0, 9500, ACK, 100, 1, 0])).toEqual([
      false,
      false,
      false,
    ]);
    // The server's window is 0; the probe's byte comes again with the data behind it.
    expect(
      opened([1, 11, ACK, 1, 1, 0, 0], [0, 900, ACK, 1, 1, 1], [1, 901, ACK, 1, 1, 0, 500], [0, 902, ACK, 1, 1, 100]),
    ).toEqual([false, false, false, false]);
  });

  it('begins anew with a SYN of another initial number, and after a refusal', () => {
    expect(opened([0, 11, ACK, 1, 1, 100], [0, 60_000, SYN, -900, 0], [0, 60_001, ACK, -899, 1, 50])).toEqual([
      false,
      false,
      false,
    ]);
    // The side that sends the SYN was only known by what the other one acknowledged.
    expect(
      marks([
        [1, 0, ACK, 100_000, 777, 10],
        [0, 900, SYN, 0, 0],
        [1, 901, SYN | ACK, 0, 1],
      ]),
    ).toEqual([false, false, false]);
    // Refused with sequence number 0 (RFC 9293), then accepted with a number that is before 0 as the circle goes.
    expect(
      marks(
        [
          [0, 0, SYN, 0, 0],
          [1, 1, RST | ACK, -0xf000_0000, 1],
          [0, 500, SYN, 0, 0],
          [1, 501, SYN | ACK, 0, 1],
        ],
        [1000, 0xf000_0000],
      ),
    ).toEqual([false, false, true, false]);
  });

  it('says the same wherever the sequence numbers wrap around', () => {
    const steps: Step[] = [
      ...HANDSHAKE,
      [0, 11, ACK, 1, 1, 500],
      [0, 12, ACK, 1001, 1, 500],
      [0, 13, ACK, 501, 1, 500],
      [1, 14, ACK, 1, 501],
      [0, 300, ACK, 1001, 1, 500],
      [0, 301, ACK, 1, 1, 500],
    ];
    const expected = [false, false, false, false, false, false, false, true, true];
    for (const base of [1000, 2 ** 31 - 700, 2 ** 32 - 700, 2 ** 32 - 1001]) {
      expect(marks(steps, [base, 2 ** 32 - 1 - base])).toEqual(expected);
    }
  });
});

const segmentArbitrary: fc.Arbitrary<MadeSegment> = fc.record({
  port: fc.integer({ min: 1, max: 3 }),
  from: fc.constantFrom<0 | 1>(0, 1),
  at: fc.integer({ min: 0, max: 2_000_000 }),
  flags: fc.integer({ min: 0, max: 255 }),
  seq: fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 50 })),
  ack: fc.oneof(fc.integer({ min: 0, max: 2 ** 32 - 1 }), fc.integer({ min: 0, max: 50 })),
  window: fc.constantFrom(0, 1, 65535),
  size: fc.constantFrom(0, 1, 2, 40),
});

describe('tcpRetransmissions', () => {
  const again: MadeSegment[] = [
    { port: 1, from: 0, at: 0, flags: ACK, seq: 100, ack: 5, size: 10 },
    { port: 1, from: 0, at: 500_000, flags: ACK, seq: 100, ack: 5, size: 10 },
    { port: 1, from: 1, at: 600_000, flags: ACK, seq: 5, ack: 110, size: 4 },
    { port: 1, from: 1, at: 900_000, flags: ACK, seq: 5, ack: 110, size: 4 },
    { port: 1, from: 1, at: 990_000, flags: ACK, seq: 5, ack: 110, size: 4 },
  ];

  it('counts each direction, whoever began', async () => {
    for await (const flow of lasting(captureOf(again), { again: tcpRetransmissions() })) {
      expect(flow.metrics.again).toEqual([1, 2]);
    }
    for await (const flow of lasting(
      captureOf(again.map((made) => ({ ...made, from: (1 - made.from) as Direction }))),
      {
        again: tcpRetransmissions(),
      },
    )) {
      expect(flow.metrics.again).toEqual([1, 2]);
    }
  });

  it('does not mix what two instances know', async () => {
    const once = tcpRetransmissions();
    const seen: unknown[] = [];
    for await (const flow of lasting(captureOf(again), {
      one: tcpRetransmissions(),
      other: tcpRetransmissions(),
      once,
    })) {
      seen.push(flow.metrics.one, flow.metrics.other, flow.metrics.once);
    }
    expect(seen).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
  });

  it('passes over headers that are cut or contradict themselves, and other protocols', async () => {
    const frames = again.slice(0, 2).map(frameOf);
    const tcpAt = 14 + 20;
    const values: unknown[] = [];
    const add = async (edit: (frame: Uint8Array) => Uint8Array) => {
      const packets = frames.map((frame, i) => ({
        seconds: 1000 + i,
        fraction: 0,
        data: edit(frame.slice()),
        wireLength: frame.length,
      }));
      for await (const flow of lasting(makePcap(packets), { again: tcpRetransmissions() }))
        values.push(flow.metrics.again);
    };
    for (let kept = 4; kept < 20; kept++) await add((frame) => frame.subarray(0, tcpAt + kept));
    expect(values).toEqual([...Array(12).fill([0, 0]), ...Array(4).fill([1, 0])]);
    values.length = 0;
    const offset = (words: number) => add((frame) => frame.fill(words << 4, tcpAt + 12, tcpAt + 13));
    await offset(4);
    await offset(8);
    expect(values).toEqual([
      [0, 0],
      [0, 0],
    ]);
    values.length = 0;
    // UDP.
    await add((frame) => frame.fill(17, 14 + 9, 14 + 10));
    expect(values).toEqual([null]);
  });

  it('never fails and never counts down, whatever the segments', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(segmentArbitrary, { maxLength: 60 }), async (segments) => {
        const next = tcpRetransmissions();
        const counted = metric<number[]>((packet, flow, direction) => {
          const before = flow.metrics.again || [0, 0];
          const value = next(packet, flow as never, direction) as number[];
          const steps = [value[0] - before[0], value[1] - before[1]];
          expect(steps[1 - direction]).toBe(0);
          expect([0, 1]).toContain(steps[direction]);
          return value;
        });
        for await (const flow of lasting(captureOf(segments), { again: counted })) {
          const [forth, back] = flow.metrics.again as number[];
          expect(forth).toBeLessThan(Math.max(1, flow.src_to_dst_pkts));
          expect(back).toBeLessThan(Math.max(1, flow.dst_to_src_pkts) + 1);
        }
      }),
      { numRuns: 200 },
    );
  });
});

/** Many retransmissions of all kinds, reused ports, fuzzed headers, keep-alives; and the kinds that differ. */
const CAPTURES = [
  'ndpi/1kxun.pcap',
  'ndpi/fuzz-2006-06-26-2594.pcap',
  'ndpi/gnutella.pcap',
  'ndpi/heuristic_tcp_ack_payload.pcap',
  'ndpi/rtsp.pcap',
  'ndpi/telnet.pcap',
  'ndpi/ultrasurf.pcap',
  'nfstream/alexa-app.pcapng',
  'nfstream/dnp3.pcap',
  'nfstream/mongodb.pcap',
  'nfstream/skype.pcap',
  'nfstream/wechat.pcap',
];

async function compare(path: string) {
  const truth = tsharkFlows(path);
  const mixed = mixedStreams(truth);
  const result = { flows: 0, explained: 0, unexplained: [] as string[], retransmissions: 0 };
  for await (const flow of lasting(path, { again: tcpRetransmissions() })) {
    const packets = truth.get(keyOfFlow(flow));
    // Without ports: a first fragment too short for them, or a header that the IP length has no room for.
    if (flow.ip_protocol !== 6 || packets === undefined) continue;
    result.flows++;
    const expected = [0, 0];
    for (const { side, isRetransmission } of packets) if (isRetransmission) expected[side]++;
    const [forth, back] = flow.metrics.again as number[];
    const isSorted = `${flow.ip_src}|${flow.src_port}` < `${flow.ip_dst}|${flow.dst_port}`;
    const received = isSorted ? [forth, back] : [back, forth];
    result.retransmissions += forth + back;
    if (received.join() === expected.join()) continue;
    const isExplained = packets.some(({ stream, isOverlong }) => isOverlong || mixed.has(stream));
    if (isExplained) result.explained++;
    else result.unexplained.push(`${keyOfFlow(flow)}: received ${received}, expected ${expected}`);
  }
  return result;
}

describe.skipIf(!HAS_TSHARK)('tcpRetransmissions and tshark (skipped without tshark)', () => {
  it('mark the same segments of random conversations', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'nfstream-retransmissions-'));
    try {
      const path = join(folder, 'random.pcap');
      const segments = conversations(300, 30, 20260401);
      writeFileSync(path, captureOf(segments));
      const expected = tsharkRows(path, ['tcp.analysis.retransmission']).map(([mark]) => mark);
      expect(expected).toHaveLength(segments.length);
      const next = tcpRetransmissions();
      const received: string[] = [];
      const marked = metric<number[]>((packet, flow, direction) => {
        const value = next(packet, flow as never, direction) as number[];
        const before = (flow.metrics.again || [0, 0])[direction];
        received.push(value[direction] > before ? '1' : '');
        return value;
      });
      for await (const _flow of lasting(path, { again: marked }));
      const differing = received.flatMap((mark, i) => (mark === expected[i] ? [] : [{ frame: i + 1, mark }]));
      expect(differing).toEqual([]);
      expect(received.filter((mark) => mark === '1').length).toBeGreaterThan(1000);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.skipIf(!HAS_CAPTURES)('count the same in captures (skipped without ../shared/captures)', async () => {
    let explained = 0;
    let retransmissions = 0;
    for (const name of CAPTURES) {
      const result = await compare(capture(name));
      expect(result.unexplained, name).toEqual([]);
      expect(result.flows, name).toBeGreaterThan(0);
      explained += result.explained;
      retransmissions += result.retransmissions;
    }
    expect(retransmissions).toBeGreaterThan(1500);
    // telnet.pcap's headers are longer than its frames, mongodb.pcap has each connection in two VLANs.
    expect(explained).toBeLessThan(8);
  });

  it('count the same in the fixtures', async () => {
    for (const name of ['demo.pcapng', 'raw.pcap', 'vlan.pcap', 'qinq.pcap', 'cooked.pcap', 'fragments.pcap']) {
      expect((await compare(`fixtures/${name}`)).unexplained, name).toEqual([]);
    }
  });
});
