// What a meter tells nDPI in another thread, one after the other in a buffer that goes there and back: packets of flows,
// each flow by its slot, and the ends of flows.
//
//   SHOWN    [ head | length | timeMs .... | bytes of the IP packet, up to a multiple of 8 ]
//   others   [ head | key, up to its tunnel ........................................ | 0 ]
//
//   head     slot << 3 | IS_FIRST where the flow is another one than that of the slot's last event | kind
import * as packet from '../packet/packet-columns.ts';

// Own constants are folded into the code, imported ones are not.
const { KEY_TUNNEL } = packet;

/** Kinds of events. A packet that nDPI can be shown. */
export const SHOWN = 0;
/** One that it can't. */
export const PASSED = 1;
/** The flow has ended; nobody asks what it was. */
export const ENDED = 2;
/** It is exported: its findings are the next answer. */
export const EXPORTED = 3;
export const KIND = 3;
export const IS_FIRST = 4;
export const SLOT_SHIFT = 3;

const SHOWN_BYTES = 16;
/** Head, key, and what makes it a multiple of 8. */
const KEY_EVENT_BYTES = 48;
/** Bytes of all but the largest buffers. */
const BUFFER_BYTES = 1 << 18;
/** Shorter packets are copied byte by byte: what `set` needs first costs more. */
const SHORT_BYTES = 48;

/** A buffer with events. */
export class NdpiEvents {
  readonly buffer: ArrayBuffer;
  readonly words: Int32Array;
  readonly doubles: Float64Array;
  readonly bytes: Uint8Array;
  /** Bytes filled. */
  filled = 0;

  constructor(buffer: ArrayBuffer = new ArrayBuffer(BUFFER_BYTES)) {
    this.buffer = buffer;
    this.words = new Int32Array(buffer);
    this.doubles = new Float64Array(buffer);
    this.bytes = new Uint8Array(buffer);
  }

  /** One with room for a packet of so many bytes at least. */
  static forPacket(length: number): NdpiEvents {
    return new NdpiEvents(new ArrayBuffer(Math.max(BUFFER_BYTES, SHOWN_BYTES + paddedLength(length))));
  }

  hasRoom(packetBytes: number): boolean {
    const most = Math.max(SHOWN_BYTES + paddedLength(packetBytes), KEY_EVENT_BYTES);
    return this.filled + most <= this.buffer.byteLength;
  }

  /** HOT PATH: adds the IP packet at `bytes[from]` to `bytes[to - 1]`, which there must be room for. */
  show(head: number, bytes: Uint8Array, from: number, to: number, timeMs: number): void {
    const at = this.filled;
    const length = to - from;
    this.words[at >> 2] = head | SHOWN;
    this.words[(at >> 2) + 1] = length;
    this.doubles[(at >> 3) + 1] = timeMs;
    const own = this.bytes;
    const ownAt = at + SHOWN_BYTES;
    if (length <= SHORT_BYTES) for (let i = 0; i < length; i++) own[ownAt + i] = bytes[from + i];
    else own.set(bytes.subarray(from, to), ownAt);
    this.filled = ownAt + paddedLength(length);
  }

  /** Adds another event, which there must be room for; `key[keyAt]` begins the flow's key. */
  tell(head: number, kind: number, key: Int32Array, keyAt: number): void {
    const at = this.filled >> 2;
    const { words } = this;
    words[at] = head | kind;
    for (let i = 0; i < KEY_TUNNEL; i++) words[at + 1 + i] = key[keyAt + i];
    this.filled += KEY_EVENT_BYTES;
  }
}

/** Where the event behind the one at `at` begins. */
export function nextEvent(words: Int32Array, at: number): number {
  if ((words[at >> 2] & KIND) !== SHOWN) return at + KEY_EVENT_BYTES;
  return at + SHOWN_BYTES + paddedLength(words[(at >> 2) + 1]);
}

/** Where a packet's bytes begin in the event at `at`. */
export function packetOf(at: number): number {
  return at + SHOWN_BYTES;
}

/** Where the key begins in the event at `at`, in words. */
export function keyOf(at: number): number {
  return (at >> 2) + 1;
}

function paddedLength(length: number): number {
  return (length + 7) & ~7;
}
