// An output on an open descriptor: pieces are gathered and written one chunk after the other.
import { unlinkSync, write } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { NfstreamError } from '../errors.ts';
import type { Output } from './output.ts';
import { existsMeanwhile, writeFailed } from './output-error.ts';
import { placeFile } from './place-file.ts';

/** Bytes are handed on when there are so many. */
const CHUNK = 1 << 16;
/** Fewer wait for more at most this long, so that a slow input's rows can be watched. */
const LINGER_MS = 200;
const BUSY_RETRY_MS = 5;

const LINE_FEED = 0x0a;

interface Renaming {
  readonly temporary: string;
  readonly final: string;
  /** Whether a file that is there at the end may be replaced though it isn't empty. */
  readonly overwrite: boolean;
}

export interface Ownership {
  readonly isFile: boolean;
  /** Missing where the descriptor isn't ours to close. */
  readonly handle?: FileHandle;
  readonly renaming?: Renaming;
  /** Whether a line that was written in part is taken away again. */
  readonly isCutBack?: boolean;
  readonly onFailure: ((error: unknown) => void) | undefined;
}

export class DescriptorOutput implements Output {
  readonly name: string;
  readonly isFile: boolean;
  readonly #descriptor: number;
  readonly #handle: FileHandle | undefined;
  readonly #isCutBack: boolean;
  readonly #onFailure: ((error: unknown) => void) | undefined;
  #renaming: Renaming | undefined;
  #pieces: Uint8Array[] = [];
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;
  /** All writes so far, one after the other. */
  #written: Promise<void> = Promise.resolve();
  /** What the first of them that failed met. */
  #failure: NfstreamError | undefined;
  bytes = 0;

  constructor(name: string, descriptor: number, { isFile, handle, renaming, isCutBack, onFailure }: Ownership) {
    this.name = name;
    this.isFile = isFile;
    this.#descriptor = descriptor;
    this.#handle = handle;
    this.#renaming = renaming;
    this.#isCutBack = isCutBack ?? false;
    this.#onFailure = onFailure;
  }

  append(data: string | Uint8Array): Promise<void> | void {
    // A piece that the timer wrote may have failed with nobody waiting for it.
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const piece = typeof data === 'string' ? Buffer.from(data, 'utf8') : data;
    if (piece.length === 0) return;
    this.#add(piece);
    this.#waiting += piece.length;
    this.bytes += piece.length;
    if (this.#waiting >= CHUNK) return this.#flush();
    if (this.#renaming === undefined) {
      this.#timer ??= setTimeout(() => void this.#flush().catch(() => {}), LINGER_MS).unref();
    }
  }

  /** Pieces that follow each other in one buffer, as a sink's of text do, are one: nothing has to be copied then. */
  #add(piece: Uint8Array): void {
    const last = this.#pieces.at(-1);
    if (last?.buffer === piece.buffer && last.byteOffset + last.length === piece.byteOffset) {
      this.#pieces[this.#pieces.length - 1] = new Uint8Array(piece.buffer, last.byteOffset, last.length + piece.length);
    } else {
      this.#pieces.push(piece);
    }
  }

  /** Starts the next write and waits for the one before it: at most two chunks stand in memory. */
  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const before = this.#written;
    if (this.#waiting > 0) {
      const bytes = this.#pieces.length === 1 ? this.#pieces[0] : Buffer.concat(this.#pieces, this.#waiting);
      this.#pieces = [];
      this.#waiting = 0;
      this.#written = before.then(() => this.#writeAll(bytes));
      // The failure is met by whoever waits next.
      this.#written.catch((error: unknown) => this.#onFailure?.(error));
    }
    return before;
  }

  async #writeAll(bytes: Uint8Array): Promise<void> {
    let at = 0;
    while (at < bytes.length) {
      try {
        at += await writeSome(this.#descriptor, bytes, at);
      } catch (error) {
        // Somebody who shares the terminal or pipe made it non-blocking.
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') {
          if (this.#isCutBack) await this.#cutBack(bytes, at);
          this.#failure = writeFailed(this.name, error);
          throw this.#failure;
        }
        await sleep(BUSY_RETRY_MS);
      }
    }
  }

  /** A disk can be full in the middle of a row: leaves the whole ones among the first `at` of `bytes`. */
  async #cutBack(bytes: Uint8Array, at: number): Promise<void> {
    const whole = at === 0 ? 0 : bytes.lastIndexOf(LINE_FEED, at - 1) + 1;
    try {
      const { size } = await (this.#handle as FileHandle).stat();
      await this.#handle?.truncate(Math.max(0, size - (at - whole)));
    } catch {
      // The part of a line stays.
    }
  }

  async close(): Promise<void> {
    try {
      await this.#flush();
      await this.#written;
      await this.#handle?.close();
      if (this.#renaming !== undefined) this.#place(this.#renaming);
      this.#renaming = undefined;
    } catch (error) {
      await this.abandon();
      throw error instanceof NfstreamError ? error : writeFailed(this.name, error);
    }
  }

  /** Somebody else may have made a file of the name since it was looked for. */
  #place({ temporary, final, overwrite }: Renaming): void {
    if (placeFile(temporary, final, overwrite)) return;
    this.#renaming = undefined;
    throw existsMeanwhile(this.name, temporary);
  }

  async abandon(): Promise<void> {
    clearTimeout(this.#timer);
    this.unlink();
    try {
      await this.#flush();
      await this.#written;
    } catch {
      // Given up already.
    }
    await this.#handle?.close().catch(() => {});
  }

  unlink(): void {
    if (this.#renaming === undefined) return;
    this.#pieces = [];
    this.#waiting = 0;
    try {
      unlinkSync(this.#renaming.temporary);
    } catch {
      // Gone already, or beyond reach.
    }
    this.#renaming = undefined;
  }
}

function writeSome(descriptor: number, bytes: Uint8Array, at: number): Promise<number> {
  return new Promise((fulfil, reject) => {
    write(descriptor, bytes, at, bytes.length - at, null, (error, count) => {
      if (error) reject(error);
      else fulfil(count);
    });
  });
}
