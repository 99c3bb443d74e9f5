// What an output could not do, in one line that names it.
import { dirname } from 'node:path';
import { getSystemErrorMap } from 'node:util';
import { NfstreamError } from '../errors.ts';

export function opening(target: string): string {
  return `Opening ${JSON.stringify(target)} for writing failed`;
}

export function openFailed(target: string, cause: unknown): NfstreamError {
  const isFolderMissing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
  const reason = isFolderMissing ? `there is no folder ${JSON.stringify(dirname(target))}` : reasonOf(cause);
  return new NfstreamError('OUTPUT_FAILED', `${opening(target)}: ${reason}`, { file: target, cause });
}

export function writeFailed(target: string, cause: unknown): NfstreamError {
  const place = target === '-' ? 'standard output' : JSON.stringify(target);
  return new NfstreamError('OUTPUT_FAILED', `Writing ${place} failed: ${reasonOf(cause)}`, { file: target, cause });
}

/** How a file that is in the way may be replaced; the command line has its own word for it. */
export const OVERWRITE_HINT = 'to replace it: overwrite: true';

export function existsAlready(target: string): NfstreamError {
  const message = `${JSON.stringify(target)} is there already; ${OVERWRITE_HINT}`;
  return new NfstreamError('OUTPUT_EXISTS', message, { file: target });
}

/** Somebody made the file during the run. */
export function existsMeanwhile(target: string, temporary: string): NfstreamError {
  const message =
    `${JSON.stringify(target)} is there since the run began and was not replaced; ` +
    `what was written is in ${JSON.stringify(temporary)}`;
  return new NfstreamError('OUTPUT_EXISTS', message, { file: target });
}

/** `no space left on device (ENOSPC)` */
function reasonOf(cause: unknown): string {
  const { errno, code, message } = cause as NodeJS.ErrnoException;
  const [, meaning] = (errno === undefined ? undefined : getSystemErrorMap().get(errno)) ?? [];
  return meaning === undefined ? String(message ?? cause) : `${meaning} (${code})`;
}
