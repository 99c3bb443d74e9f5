// Domain names in DNS messages, as text.
//
//   | n (1..63) | label, n bytes | n | label | ... | 0          or, in place of a label and what follows it,
//   | 11 offset (14 bits) |                                     a pointer to an earlier place in the message
//
// Specification: RFC 1035 sections 3.1 and 4.1.4; labels are UTF-8 (RFC 6762 section 16). Text: labels joined by dots
// without one at the end; a dot or backslash inside a label gets a backslash before it, as RFC 6763 section 4.3 has it.
// Pointers must point backwards, so that no chain of them loops, and a name is 255 bytes at most.

const MAX_LABEL_BYTES = 63;
const MAX_NAME_BYTES = 255;
const POINTER_BITS = 0xc0;
const DOT = 0x2e;
const BACKSLASH = 0x5c;

/** Keeps U+FEFF at the beginning, too: what was sent is shown. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** Reads names of one message. */
export class DnsNameReader {
  readonly #bytes: Uint8Array;
  readonly #at: number;
  readonly #end: number;
  /** Where the message goes on after the name that was read last. */
  next = 0;

  /** The message is `bytes[at, end)`. */
  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }

  /** The name at `at` (in `bytes`), `''` for the root; null if it is malformed or cut, and `next` is meaningless then. */
  read(at: number): string | null {
    const bytes = this.#bytes;
    let lowest = at;
    let next = at;
    let size = 0;
    let hasJumped = false;
    let name = '';
    while (next < this.#end) {
      const length = bytes[next];
      if (length === 0) {
        if (!hasJumped) this.next = next + 1;
        return name;
      }
      if (length <= MAX_LABEL_BYTES) {
        const labelEnd = next + 1 + length;
        size += 1 + length;
        if (labelEnd > this.#end || size >= MAX_NAME_BYTES) return null;
        const label = labelText(bytes, next + 1, labelEnd);
        name = name === '' ? label : `${name}.${label}`;
        next = labelEnd;
        continue;
      }
      if ((length & POINTER_BITS) !== POINTER_BITS || next + 1 >= this.#end) return null;
      const target = this.#at + (((length & ~POINTER_BITS) << 8) | bytes[next + 1]);
      if (target >= lowest) return null;
      if (!hasJumped) this.next = next + 2;
      hasJumped = true;
      lowest = target;
      next = target;
    }
    return null;
  }
}

function labelText(bytes: Uint8Array, at: number, end: number): string {
  const label = decoder.decode(bytes.subarray(at, end));
  for (let i = at; i < end; i++) {
    if (bytes[i] === DOT || bytes[i] === BACKSLASH) return label.replace(/[.\\]/g, '\\$&');
  }
  return label;
}
