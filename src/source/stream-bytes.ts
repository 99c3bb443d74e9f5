// Bytes of a Node.js Readable, pulled: the stream is read only as far as someone asks, so its own back-pressure
// holds. Chunks of any size; whatever is buffered goes into one `readInto`.
import type { Readable } from 'node:stream';
import { NfstreamError } from '../errors.ts';
import type { ByteFeeder, ByteOrigin } from './byte-feeder.ts';
import { sourceError } from './source-error.ts';

/** How a feeder lets go of its stream. */
export type StreamRelease = (stream: Readable) => void;

const destroyStream: StreamRelease = (stream) => {
  stream.destroy();
};

export class StreamFeeder implements ByteFeeder {
  position = 0;
  private readonly stream: Readable;
  private readonly name: string;
  private readonly release: StreamRelease;
  /** Rest of a chunk that did not fit into the caller's buffer. */
  private rest: Uint8Array | null = null;
  private failure: unknown;
  private isOver = false;
  private isClosed = false;
  private wake: (() => void) | null = null;

  constructor(stream: Readable, name: string, release: StreamRelease = destroyStream) {
    this.stream = stream;
    this.name = name;
    this.release = release;
    if (stream.errored) this.failure = stream.errored;
    else if (stream.readableEnded) this.isOver = true;
    else if (stream.destroyed) this.failure = new Error('the stream is closed already');
    stream.on('readable', this.onReadable);
    stream.on('end', this.onEnd);
    stream.on('error', this.onError);
    stream.on('close', this.onClose);
  }

  private readonly onReadable = () => this.notify();

  private readonly onEnd = () => {
    this.isOver = true;
    this.notify();
  };

  private readonly onError = (error: unknown) => {
    this.failure ??= error;
    this.notify();
  };

  private readonly onClose = () => {
    if (!this.isOver) this.failure ??= new Error('the stream was closed before its end');
    this.notify();
  };

  private notify(): void {
    const wake = this.wake;
    this.wake = null;
    wake?.();
  }

  async readInto(target: Uint8Array, at: number, end: number): Promise<number> {
    for (;;) {
      if (this.isClosed) return 0;
      let to = at;
      while (to < end) {
        const chunk = this.rest ?? this.nextChunk();
        if (chunk === null) break;
        const count = Math.min(chunk.length, end - to);
        target.set(count === chunk.length ? chunk : chunk.subarray(0, count), to);
        this.rest = count === chunk.length ? null : chunk.subarray(count);
        to += count;
      }
      if (to > at) {
        this.position += to - at;
        return to - at;
      }
      if (this.failure !== undefined) throw sourceError(this.name, this.failure);
      if (this.isOver) return 0;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }

  private nextChunk(): Uint8Array | null {
    const chunk: unknown = this.stream.read();
    if (chunk === null || chunk instanceof Uint8Array) return chunk;
    const message = `${this.name}: expected a stream of bytes and received a ${typeof chunk}`;
    throw new NfstreamError('SOURCE_UNREADABLE', message, { file: this.name });
  }

  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    this.rest = null;
    this.stream.off('readable', this.onReadable);
    this.stream.off('end', this.onEnd);
    this.stream.off('close', this.onClose);
    // `onError` stays: a late error of a stream that nobody reads any more must not end the process.
    this.release(this.stream);
    this.notify();
  }
}

/** A capture that comes out of a Readable, once. */
export class StreamOrigin implements ByteOrigin {
  readonly name = '<stream>';
  readonly size = null;
  readonly isSeekable = false;
  private readonly stream: Readable;

  constructor(stream: Readable) {
    this.stream = stream;
  }

  async probe(): Promise<void> {}

  async open(): Promise<ByteFeeder> {
    return new StreamFeeder(this.stream, this.name);
  }
}
