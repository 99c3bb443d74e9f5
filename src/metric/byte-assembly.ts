// Puts pieces of a byte stream together that come in any order, overlap or are repeated: TCP segments, DTLS fragments,
// QUIC CRYPTO frames. Bounded in bytes and in holes; the first copy of a byte wins.
//
//   offset 0 ─────────────► end          what has arrived without a hole
//            ████████████████░░░░███░░   ranges beyond a hole wait until it is filled

/** Holes at a time. More is no reordering but an attack. */
const MAX_RANGES = 16;
const FIRST_ROOM = 2048;

export class ByteAssembly {
  /** What arrived, by offset; valid to `end`. Replaced when it grows. */
  bytes: Uint8Array = new Uint8Array(FIRST_ROOM);
  readonly #limit: number;
  /** [start, end) pairs, sorted, apart from each other. */
  #ranges: number[] = [];

  /** `limit`: bytes beyond this offset are not kept. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Where the bytes that follow offset 0 without a hole end. */
  get end(): number {
    return this.#ranges.length > 0 && this.#ranges[0] === 0 ? this.#ranges[1] : 0;
  }

  /** Takes in `source[at, sourceEnd)` as the bytes from `offset` on. What is too far or one hole too many is dropped. */
  put(offset: number, source: Uint8Array, at: number, sourceEnd: number): void {
    let start = offset;
    if (start < 0) start = 0;
    const end = Math.min(offset + (sourceEnd - at), this.#limit);
    if (start >= end) return;
    this.#grow(end);
    const shift = at - offset;
    const ranges = this.#ranges;
    let merged = start;
    let mergedEnd = end;
    let index = 0;
    while (index < ranges.length && ranges[index + 1] < start) index += 2;
    const first = index;
    for (; index < ranges.length && ranges[index] <= end; index += 2) {
      if (start < ranges[index]) this.#copy(start, ranges[index], source, shift);
      start = Math.max(start, ranges[index + 1]);
      merged = Math.min(merged, ranges[index]);
      mergedEnd = Math.max(mergedEnd, ranges[index + 1]);
    }
    if (index === first && ranges.length === 2 * MAX_RANGES) return;
    if (start < end) this.#copy(start, end, source, shift);
    ranges.splice(first, index - first, merged, mergedEnd);
  }

  #copy(from: number, to: number, source: Uint8Array, shift: number): void {
    this.bytes.set(source.subarray(from + shift, to + shift), from);
  }

  #grow(size: number): void {
    if (size <= this.bytes.length) return;
    const larger = new Uint8Array(Math.min(this.#limit, Math.max(size, 2 * this.bytes.length)));
    larger.set(this.bytes);
    this.bytes = larger;
  }
}
