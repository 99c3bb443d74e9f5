// When connections end, by slot: what was seen of each one's FINs, over all segments of its conversation, and the clock at
// which its flow ends because the connection has (RFC 9293 section 3.6: a FIN each way, or an RST).
import { SlotClocks } from './slot-clocks.ts';

/** How long a flow whose connection has ended still takes packets: the last acknowledgements. */
const LINGER_MS = 1000;

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;
/** A FIN from source to destination is bit 0, one the other way bit 1. */
const BOTH_FINS = 0b11;

export class TcpEnds {
  readonly #lingerMs: number;
  readonly #clocks = new SlotClocks();
  #fins = new Uint8Array(1024);

  /** No flow lingers for longer than `inactiveTimeoutMs`. */
  constructor(inactiveTimeoutMs: number) {
    this.#lingerMs = Math.min(LINGER_MS, inactiveTimeoutMs);
  }

  /** A conversation begins in `slot`. */
  begin(slot: number): void {
    this.#clocks.set(slot, Number.POSITIVE_INFINITY);
    if (slot >= this.#fins.length) {
      const longer = new Uint8Array(Math.max(slot + 1, this.#fins.length * 2));
      longer.set(this.#fins);
      this.#fins = longer;
    }
    this.#fins[slot] = 0;
  }

  /** The clock at which the flow ends because its connection has; Infinity while it has not. */
  get(slot: number): number {
    return this.#clocks.get(slot);
  }

  /** Whether the connection has ended, and its flow lingers; timeouts are nothing to it any more. */
  isClosing(slot: number): boolean {
    return this.#clocks.get(slot) !== Number.POSITIVE_INFINITY;
  }

  /** Whether a flow whose connection has ended is over when a packet with these flags comes. SYN without ACK: another one. */
  isOver(slot: number, clockMs: number, flags: number): boolean {
    return clockMs >= this.#clocks.get(slot) || (flags & (SYN | ACK)) === SYN;
  }

  /** A packet of the connection, with these flags. Returns whether it has ended with this one. */
  see(slot: number, direction: number, flags: number, clockMs: number): boolean {
    if ((flags & (FIN | RST)) === 0 || this.isClosing(slot)) return false;
    if ((flags & FIN) !== 0) this.#fins[slot] |= 1 << direction;
    if ((flags & RST) === 0 && this.#fins[slot] !== BOTH_FINS) return false;
    this.#clocks.set(slot, clockMs + this.#lingerMs);
    return true;
  }
}
