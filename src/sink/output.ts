// Bytes in pieces, out in big chunks: to a file, standard output, a FIFO or a device.
//
// A file is written under a temporary name beside its target and renamed when it is finished, so that a file under
// its own name is always whole. One that is there already is refused, unless it is empty or `overwrite` is given: then it
// is replaced at the end, not before. `direct` writes a file under its own name from the start, for runs that last: what
// was written stays whatever happens, as whole lines. What is no regular file (a device, a FIFO, `-`, /dev/stdout,
// /dev/fd/N) is always written directly. Every write is asynchronous, also to a pipe, so a reader that stalls doesn't
// stall signals and timers.
import type { Stats } from 'node:fs';
import { access, constants, open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { NfstreamError } from '../errors.ts';
import { DescriptorOutput } from './descriptor-output.ts';
import { futurePath } from './future-path.ts';
import { existsAlready, openFailed, opening } from './output-error.ts';

const STANDARD_OUTPUT = 1;
const STANDARD_ERROR = 2;

export interface Output {
  /** The target as it was given, for messages. */
  readonly name: string;
  /** Whether it is a regular file, which has its name when it is closed. */
  readonly isFile: boolean;
  /** Bytes added so far. */
  readonly bytes: number;

  /**
   * Adds text, as UTF-8, or bytes, which are the output's from now on: don't change them. When it returns a promise, wait
   * for it before the next call. Rejects with OUTPUT_FAILED, also where it was earlier data that could not be written.
   */
  append(data: string | Uint8Array): Promise<void> | void;

  /**
   * Writes the rest; a file gets its name. Rejects with OUTPUT_FAILED, and then no temporary file is left; or with
   * OUTPUT_EXISTS where somebody else made a file of the name meanwhile, and then the message says where the data are.
   */
  close(): Promise<void>;

  /** Removes the temporary file, or writes the rest where there is none. Never rejects. */
  abandon(): Promise<void>;

  /** Removes the temporary file at once: for a process that is about to die. */
  unlink(): void;
}

export interface OutputOptions {
  /** Replace a file that is there already (default false). */
  readonly overwrite?: boolean;
  /** Write a file under its own name at once; one that may be overwritten is emptied first (default false). */
  readonly direct?: boolean;
  /**
   * Called when data could not be written, as soon as that is known: the next `append` says why, but where rows are rare
   * it may be long until then.
   */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/**
 * Opens `target` for writing: a path, or `-` for standard output.
 * @throws NfstreamError OUTPUT_EXISTS or OUTPUT_FAILED that names the target.
 */
export async function openOutput(target: string, options: OutputOptions = {}): Promise<Output> {
  const { direct = false, overwrite = false, onFailure } = options;
  const descriptor = standardDescriptor(target);
  if (descriptor !== null) return new DescriptorOutput(target, descriptor, { isFile: false, onFailure });
  try {
    const existing = await statOrNull(target);
    if (existing?.isDirectory()) throw new NfstreamError('OUTPUT_FAILED', `${opening(target)}: it is a folder`);
    const isFile = existing === null || existing.isFile();
    if (isFile && !overwrite && existing !== null && existing.size > 0) throw existsAlready(target);
    if (direct || !isFile) {
      // Appending: whoever rotates logs copies the file and empties it, and rows go on at its begin.
      const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_APPEND;
      const handle = await open(target, isFile ? flags : 'w');
      return new DescriptorOutput(target, handle.fd, { handle, isFile, isCutBack: isFile, onFailure });
    }
    return await openBeside(target, existing, options);
  } catch (error) {
    if (error instanceof NfstreamError) throw error;
    throw openFailed(target, error);
  }
}

/** Behind a symbolic link it is the file that gets made or replaced, not the link. */
async function openBeside(target: string, existing: Stats | null, options: OutputOptions): Promise<Output> {
  const { overwrite = false, onFailure } = options;
  if (existing !== null) await access(target, constants.W_OK);
  const final = existing === null ? await futurePath(target) : await realpath(target);
  // A quarter of what a name may have, as a character can take three bytes.
  const stem = basename(final).slice(0, 64);
  const temporary = join(dirname(final), `.${stem}.${process.pid}-${Math.random().toString(36).slice(2, 10)}.part`);
  const handle = await open(temporary, 'wx');
  const renaming = { temporary, final, overwrite };
  const output = new DescriptorOutput(target, handle.fd, { handle, isFile: true, renaming, onFailure });
  if (existing !== null) {
    try {
      await handle.chmod(existing.mode & 0o7777);
    } catch {
      // Some file systems have no modes.
    }
  }
  return output;
}

/** Null where there is nothing of that name. */
export async function statOrNull(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** `-` and the names of open descriptors; these are not opened again: a socket can't be, and a file would be cut. */
export function standardDescriptor(target: string): number | null {
  if (target === '-' || target === '/dev/stdout') return STANDARD_OUTPUT;
  if (target === '/dev/stderr') return STANDARD_ERROR;
  const numbered = /^\/(?:dev|proc\/self)\/fd\/(\d{1,6})$/.exec(target);
  return numbered === null ? null : Number(numbered[1]);
}
