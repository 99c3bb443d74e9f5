// Test support: captures of TCP segments with given numbers and times, and random conversations with losses,
// retransmissions, reordering, keep-alives, zero windows, resets, reused ports and wrapping sequence numbers.
import { concat, ethernetIp, ipv4, u8, u16, u32 } from '../packet/encode.ts';
import { type MadePacket, makePcap } from '../source/captures.ts';

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

export interface MadeSegment {
  /** Which conversation it belongs to: its client's port. */
  port: number;
  /** 0: from the client, 1: from the server. */
  from: 0 | 1;
  /** Microseconds since the beginning of the capture. */
  at: number;
  flags: number;
  seq: number;
  ack: number;
  window?: number;
  size?: number;
}

export const CLIENT = '10.0.0.1';
export const SERVER = '10.0.0.2';
export const SERVER_PORT = 9999;
/** Not 0: there tshark takes a time stamp for none. */
const BEGIN_SECONDS = 1_700_000_000;

export function frameOf(segment: MadeSegment): Uint8Array {
  const isClient = segment.from === 0;
  const tcp = concat(
    isClient ? u16(segment.port, SERVER_PORT) : u16(SERVER_PORT, segment.port),
    u32(segment.seq >>> 0, segment.ack >>> 0),
    u8(0x50, segment.flags),
    u16(segment.window ?? 1024, 0, 0),
    new Uint8Array(segment.size ?? 0).fill(0x55),
  );
  const [src, dst] = isClient ? [CLIENT, SERVER] : [SERVER, CLIENT];
  return ethernetIp(ipv4({ protocol: 6, src, dst }, tcp));
}

export function captureOf(segments: readonly MadeSegment[]): Uint8Array {
  return makePcap(
    segments.map(
      (segment): MadePacket => ({
        seconds: BEGIN_SECONDS + Math.floor(segment.at / 1e6),
        fraction: segment.at % 1e6,
        data: frameOf(segment),
      }),
    ),
  );
}

/** The same numbers for the same seed: a linear congruential generator (Numerical Recipes' constants). */
export function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Times between segments, microseconds: about the thresholds that matter (3 ms, 20 ms, a round trip), and longer. */
const STEPS = [0, 1, 10, 500, 2_999, 3_000, 3_001, 10_000, 19_999, 20_000, 20_001, 60_000, 1_500_000];

interface Side {
  next: number;
  acked: number;
  window: number;
}

/** One conversation that obeys TCP by and large, and breaks its rules often enough. */
export function conversation(port: number, count: number, draw: (below: number) => number): MadeSegment[] {
  const segments: MadeSegment[] = [];
  const isn = () => (draw(3) === 0 ? 2 ** 32 - 1 - draw(3000) : 1 + draw(2 ** 31));
  const begun = (next: number, window: number): Side => ({ next, acked: 0, window });
  let first = 0;
  let sides: [Side, Side] = [begun(isn(), 1024), begun(isn(), 2048)];
  let at = port * 1000;
  const put = (from: 0 | 1, flags: number, seq: number, size = 0) => {
    const side = sides[from];
    segments.push({ port, from, at, flags, seq, ack: (flags & ACK) === 0 ? 0 : side.acked, window: side.window, size });
  };
  const handshake = () => {
    first = sides[0].next;
    put(0, SYN, sides[0].next);
    if (draw(6) === 0) put(0, SYN, sides[0].next);
    at += STEPS[draw(STEPS.length)];
    sides[1].acked = sides[0].next + 1;
    if (draw(8) === 0) return put(1, RST | ACK, 0);
    if (draw(8) !== 0) put(1, SYN | ACK, sides[1].next);
    if (draw(8) === 0) put(1, SYN | ACK, sides[1].next);
    at += STEPS[draw(STEPS.length)];
    sides[0].next++;
    sides[1].next++;
    sides[0].acked = sides[1].next;
    put(0, ACK, sides[0].next);
  };
  if (draw(4) !== 0) handshake();
  while (segments.length < count) {
    at += STEPS[draw(STEPS.length)];
    const from = draw(2) as 0 | 1;
    const [self, peer] = [sides[from], sides[1 - from]];
    const size = [1, 2, 10, 100, 1000][draw(5)];
    switch (draw(16)) {
      case 0: // Sent again, from somewhere before.
        put(from, ACK, self.next - [1, 2, 10, 100, 1000, 5000][draw(6)], size);
        break;
      case 1: // Lost before the capture.
        self.next += size;
        put(from, ACK, self.next, size);
        self.next += size;
        break;
      case 2:
      case 3: {
        // Reordered: the later one first, perhaps with an acknowledgement between.
        put(from, ACK, self.next + size, size);
        if (draw(2) === 0) put((1 - from) as 0 | 1, ACK, peer.next);
        at += STEPS[draw(6)];
        put(from, ACK, self.next, size);
        self.next += 2 * size;
        break;
      }
      case 4: {
        // Duplicate ACKs, and what they ask for.
        const copies = 1 + draw(4);
        for (let i = 0; i < copies; i++) put(from, ACK, self.next);
        at += STEPS[draw(STEPS.length)];
        put((1 - from) as 0 | 1, ACK, self.acked, size);
        break;
      }
      case 5: // A keep-alive with or without its byte, and the answer.
        put(from, ACK, self.next - 1, draw(2));
        put((1 - from) as 0 | 1, ACK, peer.next);
        break;
      case 6: // The window closes; the peer probes; it opens.
        self.window = draw(2) * 512;
        put(from, ACK, self.next);
        put((1 - from) as 0 | 1, ACK, peer.next, 1);
        break;
      case 7:
        put(from, FIN | ACK, self.next, draw(2) * size);
        if (draw(2) === 0) self.next++;
        break;
      case 8:
        if (draw(3) !== 0) break;
        put(from, RST | (draw(2) * ACK), self.next + draw(2) * 5000);
        // Tried again: with new numbers, or with the same ones.
        if (draw(3) === 0) sides = [begun(isn(), 1024), begun(isn(), 2048)];
        else if (draw(2) === 0) sides = [begun(first, 1024), begun(isn(), 2048)];
        else break;
        handshake();
        break;
      case 9: // Acknowledges what was not sent.
        if (draw(3) === 0) self.acked += size;
        put(from, ACK, self.next);
        break;
      default:
        self.acked = peer.next;
        put(from, ACK, self.next, size);
        self.next += size;
    }
  }
  return segments;
}

/** `count` conversations, their segments mixed in the order of time. */
export function conversations(count: number, length: number, seed: number): MadeSegment[] {
  const draw = random(seed);
  const all: MadeSegment[] = [];
  for (let i = 0; i < count; i++) all.push(...conversation(1024 + i, length, draw));
  return all.sort((a, b) => a.at - b.at);
}
