// Follows the sequence numbers of one TCP connection (RFC 9293 section 3.4) and tells retransmissions apart from data
// that merely arrives out of order, by Wireshark's rules, so that counts agree with tshark's tcp.analysis.retransmission
// (read off tshark 4.0 by experiment and from its documentation; the rules are told here in our own words).
//
// A segment that takes sequence space (data, SYN or FIN) and begins before `nextSeq` brings nothing new. It is
//   spurious           the other side acknowledged its data already                             -> a retransmission
//   fast               the other side asked for it: two duplicate ACKs or more, the last one
//                      less than 20 ms ago, for just this sequence number                       -> a retransmission
//   out of order       else, if it comes sooner after the newest data than a round trip takes   -> none
//   retransmitted      otherwise                                                                -> a retransmission
// Keep-alives and zero-window probes take no part. Sequence numbers are kept as 32-bit integers that wrap around:
// a - b | 0 is their signed distance.
import type { Direction } from '../classifier/classifier.ts';
import type { Packet } from '../classifier/packet.ts';

const FLAG_FIN = 0x01;
const FLAG_SYN = 0x02;
const FLAG_RST = 0x04;
const FLAG_ACK = 0x10;

/** A fast retransmission follows the last duplicate ACK within this time. */
const FAST_US = 20_000;
const FAST_DUPLICATE_ACKS = 2;
/**
 * The last acknowledgement is of bytes that the capture lacks. Until the next duplicate ACK this counts as enough of
 * them, as in Wireshark, whose -1 for it is compared as an unsigned number.
 */
const ACKED_UNSEEN = 0x7fff_ffff;
/** Data is out of order, not retransmitted, within this time where the handshake's round-trip time is unknown. */
const REORDER_US = 3_000;
/**
 * No sequence number yet. It is also an ordinary one, that one in 4 billion segments has; but a host that refuses a
 * connection resets it with sequence number 0 whatever number the connection has (RFC 9293 section 3.5.2).
 */
const NONE = 0;

const ORDINARY = 0;
const KEEP_ALIVE = 1;
const WINDOW_PROBE = 2;

/** The columns of a packet that are read here. */
export type Segment = Pick<Packet, 'timestamp' | 'tcpFlags' | 'tcpSeq' | 'tcpAck' | 'tcpWindow'>;

/** One direction. Numbers but times are 32-bit integers, which V8 keeps without a box. */
class Half {
  /** The first sequence number: of the SYN, or what it must have been. Meaningful when `hasBase`. */
  base = 0;
  hasBase = false;
  /** The sequence number after the highest byte seen, and when that byte was seen. */
  nextSeq = NONE;
  nextSeqTime = 0;
  /** End of the data seen without a gap. */
  gaplessEnd = NONE;
  /** The last segment's acknowledgement number, window and time. */
  lastAck = NONE;
  lastWindow = -1;
  lastTime = 0;
  lastKind = ORDINARY;
  duplicateAcks = 0;
}

/** The sequence analysis of one flow. A SYN with another initial sequence number begins another connection in it. */
export class TcpSequence {
  #halves: [Half, Half] = [new Half(), new Half()];
  /** Time of the last SYN, 0 for none, and from it to the first segment that acknowledges anything. */
  #synTime = 0;
  #roundTripUs = 0;

  /** Takes the next segment in, in the order of capture, with its bytes of data; whether it is a retransmission. */
  update(segment: Segment, direction: Direction, size: number): boolean {
    const flags = segment.tcpFlags;
    const seq = segment.tcpSeq | 0;
    const time = segment.timestamp;
    if ((flags & (FLAG_SYN | FLAG_ACK)) === FLAG_SYN) this.#begin(seq, direction);
    const forward = this.#halves[direction];
    const reverse = this.#halves[1 - direction];
    const ack = segment.tcpAck | 0;
    if (!forward.hasBase) setBase(forward, (flags & FLAG_SYN) !== 0 ? seq : seq - 1);
    if (!reverse.hasBase && (flags & FLAG_ACK) !== 0) setBase(reverse, ack - 1);

    const window = segment.tcpWindow;
    const kind = kindOf(forward, reverse, flags, seq, size);
    if (kind !== WINDOW_PROBE) countDuplicateAck(forward, reverse, flags, seq, ack, size, window);
    if (ack !== forward.lastAck) forward.duplicateAcks = 0;
    if ((flags & FLAG_ACK) !== 0) noteUnseen(reverse, ack);

    const space = (flags & (FLAG_SYN | FLAG_FIN)) !== 0 ? 1 : 0;
    const isRetransmission =
      kind !== KEEP_ALIVE && size + space > 0 && this.#isRetransmission(forward, reverse, seq, size, space, time);

    advance(forward, kind, seq, (seq + size + space) | 0, time);
    forward.lastAck = ack;
    forward.lastWindow = window;
    forward.lastTime = time;
    forward.lastKind = kind;
    if ((flags & (FLAG_SYN | FLAG_ACK)) === FLAG_SYN) this.#synTime = time;
    if ((flags & (FLAG_SYN | FLAG_ACK)) === FLAG_ACK && this.#synTime !== 0 && this.#roundTripUs === 0) {
      this.#roundTripUs = microseconds(this.#synTime, time);
    }
    return isRetransmission;
  }

  #begin(seq: number, direction: Direction): void {
    const forward = this.#halves[direction];
    if (!forward.hasBase) return;
    if (forward.base === seq) {
      forward.nextSeq = forward.gaplessEnd;
      return;
    }
    this.#halves = [new Half(), new Half()];
    this.#synTime = 0;
    this.#roundTripUs = 0;
  }

  #isRetransmission(forward: Half, reverse: Half, seq: number, size: number, space: number, time: number): boolean {
    if (size > 0 && reverse.lastAck !== NONE && ((seq + size - reverse.lastAck) | 0) <= 0) return true;
    if (forward.nextSeq === NONE) return false;
    const ahead = (seq - forward.nextSeq) | 0;
    // One byte back with more than one byte: the byte was a zero-window probe's.
    if (ahead >= 0 || (ahead === -1 && size > 1)) return false;
    if (reverse.duplicateAcks >= FAST_DUPLICATE_ACKS && reverse.lastAck === seq) {
      const sinceAck = microseconds(reverse.lastTime, time);
      if (sinceAck >= 0 && sinceAck < FAST_US) return true;
    }
    const sinceNext = microseconds(forward.nextSeqTime, time);
    const isSoon = sinceNext >= 0 && sinceNext < (this.#roundTripUs === 0 ? REORDER_US : this.#roundTripUs);
    return !isSoon || ((seq + size + space - forward.nextSeq) | 0) === 0;
  }
}

/** Whole ones: the times' own fraction is binary, and a limit must not be missed by it. */
function microseconds(from: number, to: number): number {
  return Math.round((to - from) * 1000);
}

function setBase(half: Half, base: number): void {
  half.base = base | 0;
  half.hasBase = true;
}

function kindOf(forward: Half, reverse: Half, flags: number, seq: number, size: number): number {
  if (size > 1) return ORDINARY;
  if (size === 1 && seq === forward.nextSeq && reverse.lastWindow === 0) return WINDOW_PROBE;
  const isOneBack = seq === ((forward.nextSeq - 1) | 0);
  return isOneBack && (flags & (FLAG_SYN | FLAG_FIN | FLAG_RST)) === 0 ? KEEP_ALIVE : ORDINARY;
}

/** An empty segment that repeats the one before, where no keep-alive asked for it, is a duplicate ACK (RFC 5681). */
function countDuplicateAck(
  forward: Half,
  reverse: Half,
  flags: number,
  seq: number,
  ack: number,
  size: number,
  window: number,
): void {
  if (size !== 0 || window === 0 || window !== forward.lastWindow) return;
  if (seq !== forward.nextSeq || ack !== forward.lastAck || reverse.lastKind === KEEP_ALIVE) return;
  if ((flags & (FLAG_SYN | FLAG_FIN | FLAG_RST)) !== 0) return;
  forward.duplicateAcks = forward.duplicateAcks === ACKED_UNSEEN ? 1 : forward.duplicateAcks + 1;
}

/** `ack` is beyond everything that was seen without a gap: segments are missing from the capture. */
function noteUnseen(reverse: Half, ack: number): void {
  if (reverse.gaplessEnd === NONE || ((ack - reverse.gaplessEnd) | 0) <= 0) return;
  if (((reverse.gaplessEnd - reverse.nextSeq) | 0) < 0) reverse.gaplessEnd = reverse.nextSeq;
  else reverse.duplicateAcks = ACKED_UNSEEN;
}

function advance(forward: Half, kind: number, seq: number, end: number, time: number): void {
  if (kind === WINDOW_PROBE) return;
  if (forward.nextSeq === NONE || ((end - forward.nextSeq) | 0) > 0) {
    forward.nextSeq = end;
    forward.nextSeqTime = time;
  }
  if (forward.gaplessEnd === NONE || seq === forward.gaplessEnd) forward.gaplessEnd = forward.nextSeq;
}
