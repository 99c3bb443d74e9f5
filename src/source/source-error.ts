// Turns what the operating system says about a source into an NfstreamError with a SOURCE_ code.
import { NfstreamError, type NfstreamErrorCode } from '../errors.ts';

function errorCode(cause: unknown): string {
  const code = (cause as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : '';
}

function meaningOf(code: string): { code: NfstreamErrorCode; problem: string } | null {
  switch (code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return { code: 'SOURCE_NOT_FOUND', problem: 'no such file or interface' };
    case 'EISDIR':
      return { code: 'SOURCE_IS_DIRECTORY', problem: 'expected a capture file and received a folder' };
    case 'EACCES':
    case 'EPERM':
      return { code: 'SOURCE_DENIED', problem: 'no permission to read it' };
    default:
      return null;
  }
}

/** The error for `cause`, which was caught while opening or reading the source called `name`. */
export function sourceError(name: string, cause: unknown): NfstreamError {
  if (cause instanceof NfstreamError) return cause;
  const known = meaningOf(errorCode(cause));
  if (known) return new NfstreamError(known.code, `${name}: ${known.problem}`, { file: name, cause });
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new NfstreamError('SOURCE_UNREADABLE', `${name}: reading failed: ${reason}`, { file: name, cause });
}

/** The error for a folder given as a capture. */
export function directoryError(name: string): NfstreamError {
  return sourceError(name, Object.assign(new Error('is a directory'), { code: 'EISDIR' }));
}
