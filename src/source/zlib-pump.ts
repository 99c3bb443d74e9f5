// Drives one decompressing stream of node:zlib a piece at a time: write a piece, get what came out of it.
//
// The streams' own buffering is bypassed: they run in flowing mode, so that chunks are handed on as they are made,
// and the next piece is written only when the last one is done. That bounds memory by one piece's output.
import type { Transform } from 'node:stream';

/** A stream of node:zlib. */
export type ZlibStream = Transform & { readonly bytesWritten: number };

export class ZlibPump {
  /** The compressed data ended inside what was written; `consumed` says where. */
  isEnded = false;
  /** What made the stream give up. */
  failure: Error | null = null;
  private readonly stream: ZlibStream;
  private chunks: Uint8Array[] = [];
  private settle: (() => void) | null = null;

  constructor(stream: ZlibStream) {
    this.stream = stream;
    stream.on('data', (chunk: Uint8Array) => this.chunks.push(chunk));
    stream.on('end', () => {
      this.isEnded = true;
      this.settle?.();
    });
    stream.on('error', (error: Error) => {
      this.failure = error;
      this.settle?.();
    });
  }

  /** Bytes that belonged to the compressed data, of all that was written. */
  get consumed(): number {
    return this.stream.bytesWritten;
  }

  /** Writes `piece`, which must not change until this resolves, with the chunks that came out. Look at `failure` then. */
  async write(piece: Uint8Array): Promise<Uint8Array[]> {
    await new Promise<void>((resolve) => {
      this.settle = resolve;
      this.stream.write(piece, () => resolve());
    });
    return this.taken();
  }

  /** Tells that there is no more input. */
  async finish(): Promise<Uint8Array[]> {
    await new Promise<void>((resolve) => {
      this.settle = resolve;
      this.stream.end();
    });
    return this.taken();
  }

  private taken(): Uint8Array[] {
    const chunks = this.chunks;
    this.chunks = [];
    return chunks;
  }

  close(): void {
    this.stream.destroy();
  }
}
