// Reads stored bytes for a decoder that thinks in fields and blocks: look at n bytes, take n bytes, skip n bytes.
// Invariant: what `peek`, `take` and `some` return lies in one buffer that is reused; it is valid until the next call.
import type { ByteFeeder } from './byte-feeder.ts';

const BUFFER_BYTES = 1 << 18;

export class CompressedInput {
  private readonly feeder: ByteFeeder;
  private buffer: Uint8Array;
  private start = 0;
  private end = 0;
  private isOver = false;
  /** Offset of `buffer[0]` among the stored bytes. */
  private base: number;

  constructor(feeder: ByteFeeder) {
    this.feeder = feeder;
    this.base = feeder.position;
    this.buffer = new Uint8Array(BUFFER_BYTES);
  }

  /** Offset of the next unread byte among the stored bytes. */
  get at(): number {
    return this.base + this.start;
  }

  /** Bytes buffered and unread. */
  get buffered(): number {
    return this.end - this.start;
  }

  /** The next `count` bytes without taking them; fewer only where the input ends. */
  async peek(count: number): Promise<Uint8Array> {
    while (this.buffered < count && !this.isOver) await this.more(count);
    return this.buffer.subarray(this.start, Math.min(this.start + count, this.end));
  }

  /** The next `count` bytes, or null where the input ends before (nothing is taken then). */
  async take(count: number): Promise<Uint8Array | null> {
    const bytes = await this.peek(count);
    if (bytes.length < count) return null;
    this.start += count;
    return bytes;
  }

  /** Takes 1 to `most` bytes; none only at the input's end. */
  async some(most: number): Promise<Uint8Array> {
    await this.peek(1);
    const bytes = this.buffer.subarray(this.start, Math.min(this.start + most, this.end));
    this.start += bytes.length;
    return bytes;
  }

  /** Gives back the last `count` bytes of what the previous call took. */
  unread(count: number): void {
    this.start -= count;
  }

  /** Skips `count` bytes; false where the input ends before. */
  async skip(count: number): Promise<boolean> {
    for (let left = count; left > 0; ) {
      const bytes = await this.some(left);
      if (bytes.length === 0) return false;
      left -= bytes.length;
    }
    return true;
  }

  /** Reads once more, with room for `count` bytes from `start` on. */
  private async more(count: number): Promise<void> {
    if (this.start + count > this.buffer.length || this.start === this.end) {
      const unread = this.buffer.subarray(this.start, this.end);
      const roomy = count > this.buffer.length ? new Uint8Array(count) : this.buffer;
      if (roomy === this.buffer) roomy.copyWithin(0, this.start, this.end);
      else roomy.set(unread);
      this.buffer = roomy;
      this.base += this.start;
      this.end -= this.start;
      this.start = 0;
    }
    const arrived = await this.feeder.readInto(this.buffer, this.end, this.buffer.length);
    if (arrived === 0) this.isOver = true;
    this.end += arrived;
  }
}
