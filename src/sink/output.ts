// Text in pieces, out in big chunks: to a file, standard output, a FIFO or a device.
//
// A file is written under a temporary name beside its target and renamed when it is finished, so that a file under
// its own name is always whole; an existing one is replaced then, not before. `direct` writes it under its own name from
// the start, for runs that last: what was written stays whatever happens, as whole lines. What is no regular file (a
// device, a FIFO, `-`, /dev/stdout, /dev/fd/N) is always written directly. Every write is asynchronous, also to a pipe,
// so a reader that stalls doesn't stall signals and timers.
import { type Stats, unlinkSync, write } from 'node:fs';
import { access, constants, type FileHandle, open, realpath, rename, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getSystemErrorMap } from 'node:util';
import { NfstreamError } from '../errors.ts';

/** Text is handed on when it is at least this long (UTF-16 units, mostly bytes). */
const CHUNK = 1 << 16;
/** Text that is shorter waits for more at most this long, so that a slow input's rows can be watched. */
const LINGER_MS = 200;
const BUSY_RETRY_MS = 5;

const LINE_FEED = 0x0a;

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

export interface Output {
  /** The target as it was given, for messages. */
  readonly name: string;

  /**
   * Adds text. When it returns a promise, wait for it before the next call. Rejects with OUTPUT_FAILED, also where it was
   * earlier text that could not be written.
   */
  append(text: string): Promise<void> | void;

  /** Writes the rest; a file gets its name. Rejects with OUTPUT_FAILED, and then no temporary file is left. */
  close(): Promise<void>;

  /** Removes the temporary file, or writes the rest where there is none. Never rejects. */
  abandon(): Promise<void>;

  /** Removes the temporary file at once: for a process that is about to die. */
  unlink(): void;
}

export interface OutputOptions {
  /** Write a file under its own name at once; one that is there is emptied first (default false). */
  readonly direct?: boolean;
  /**
   * Called when text could not be written, as soon as that is known: the next `append` says why, but where rows are rare
   * it may be long until then.
   */
  readonly onFailure?: () => void;
}

/**
 * Opens `target` for writing: a path, or `-` for standard output.
 * @throws NfstreamError OUTPUT_FAILED that names the target.
 */
export async function openOutput(target: string, options: OutputOptions = {}): Promise<Output> {
  const { direct = false, onFailure } = options;
  const descriptor = standardDescriptor(target);
  if (descriptor !== null) return new DescriptorOutput(target, descriptor, { onFailure });
  try {
    const existing = await statOrNull(target);
    if (existing?.isDirectory()) throw new NfstreamError('OUTPUT_FAILED', `${opening(target)}: it is a folder`);
    const isFile = existing === null || existing.isFile();
    if (direct || !isFile) {
      // Appending: whoever rotates logs copies the file and empties it, and rows go on at its begin.
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND;
      const handle = await open(target, isFile ? flags : 'w');
      return new DescriptorOutput(target, handle.fd, { handle, isCutBack: isFile, onFailure });
    }
    return await openBeside(target, existing, onFailure);
  } catch (error) {
    if (error instanceof NfstreamError) throw error;
    throw openFailed(target, error);
  }
}

/** Behind a symbolic link it is the file that gets replaced, not the link. */
async function openBeside(
  target: string,
  existing: Stats | null,
  onFailure: OutputOptions['onFailure'],
): Promise<Output> {
  if (existing !== null) await access(target, constants.W_OK);
  const final = existing === null ? resolve(target) : await realpath(target);
  // A quarter of what a name may have, as a character can take three bytes.
  const stem = basename(final).slice(0, 64);
  const temporary = join(dirname(final), `.${stem}.${process.pid}-${Math.random().toString(36).slice(2, 10)}.part`);
  const handle = await open(temporary, 'wx');
  const output = new DescriptorOutput(target, handle.fd, { handle, renaming: { temporary, final }, onFailure });
  if (existing !== null) {
    try {
      await handle.chmod(existing.mode & 0o7777);
    } catch {
      // Some file systems have no modes.
    }
  }
  return output;
}

async function statOrNull(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** `-` and the names of open descriptors; these are not opened again: a socket can't be, and a file would be cut. */
function standardDescriptor(target: string): number | null {
  if (target === '-' || target === '/dev/stdout') return STANDARD_OUTPUT;
  if (target === '/dev/stderr') return STANDARD_ERROR;
  const numbered = /^\/(?:dev|proc\/self)\/fd\/(\d{1,6})$/.exec(target);
  return numbered === null ? null : Number(numbered[1]);
}

interface Ownership {
  /** Missing where the descriptor isn't ours to close. */
  readonly handle?: FileHandle;
  readonly renaming?: { readonly temporary: string; readonly final: string };
  /** Whether a line that was written in part is taken away again. */
  readonly isCutBack?: boolean;
  readonly onFailure: OutputOptions['onFailure'] | undefined;
}

class DescriptorOutput implements Output {
  readonly name: string;
  readonly #descriptor: number;
  readonly #handle: FileHandle | undefined;
  readonly #isCutBack: boolean;
  readonly #onFailure: (() => void) | undefined;
  #renaming: Ownership['renaming'];
  #text = '';
  #timer: NodeJS.Timeout | undefined;
  /** All writes so far, one after the other. */
  #written: Promise<void> = Promise.resolve();
  /** What the first of them that failed met. */
  #failure: NfstreamError | undefined;

  constructor(name: string, descriptor: number, { handle, renaming, isCutBack = false, onFailure }: Ownership) {
    this.name = name;
    this.#descriptor = descriptor;
    this.#handle = handle;
    this.#renaming = renaming;
    this.#isCutBack = isCutBack;
    this.#onFailure = onFailure;
  }

  append(text: string): Promise<void> | void {
    // A piece that the timer wrote may have failed with nobody waiting for it.
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    this.#text += text;
    if (this.#text.length >= CHUNK) return this.#flush();
    if (this.#renaming === undefined) {
      this.#timer ??= setTimeout(() => void this.#flush().catch(() => {}), LINGER_MS).unref();
    }
  }

  /** Starts the next write and waits for the one before it: at most two chunks stand in memory. */
  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const before = this.#written;
    if (this.#text !== '') {
      const bytes = Buffer.from(this.#text, 'utf8');
      this.#text = '';
      this.#written = before.then(() => this.#writeAll(bytes));
      // The failure is met by whoever waits next.
      this.#written.catch(() => this.#onFailure?.());
    }
    return before;
  }

  async #writeAll(bytes: Buffer): Promise<void> {
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
  async #cutBack(bytes: Buffer, at: number): Promise<void> {
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
      if (this.#renaming !== undefined) await rename(this.#renaming.temporary, this.#renaming.final);
      this.#renaming = undefined;
    } catch (error) {
      await this.abandon();
      throw error instanceof NfstreamError ? error : writeFailed(this.name, error);
    }
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
    this.#text = '';
    try {
      unlinkSync(this.#renaming.temporary);
    } catch {
      // Gone already, or beyond reach.
    }
    this.#renaming = undefined;
  }
}

function writeSome(descriptor: number, bytes: Buffer, at: number): Promise<number> {
  return new Promise((fulfil, reject) => {
    write(descriptor, bytes, at, bytes.length - at, null, (error, count) => {
      if (error) reject(error);
      else fulfil(count);
    });
  });
}

function opening(target: string): string {
  return `Opening ${JSON.stringify(target)} for writing failed`;
}

function openFailed(target: string, cause: unknown): NfstreamError {
  const isFolderMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const reason = isFolderMissing ? `there is no folder ${JSON.stringify(dirname(target))}` : reasonOf(cause);
  return new NfstreamError('OUTPUT_FAILED', `${opening(target)}: ${reason}`, { file: target, cause });
}

function writeFailed(target: string, cause: unknown): NfstreamError {
  const place = target === '-' ? 'standard output' : JSON.stringify(target);
  return new NfstreamError('OUTPUT_FAILED', `Writing ${place} failed: ${reasonOf(cause)}`, { file: target, cause });
}

/** `no space left on device (ENOSPC)` */
function reasonOf(cause: unknown): string {
  const { errno, code, message } = cause as NodeJS.ErrnoException;
  const [, meaning] = (errno === undefined ? undefined : getSystemErrorMap().get(errno)) ?? [];
  return meaning === undefined ? String(message ?? cause) : `${meaning} (${code})`;
}
