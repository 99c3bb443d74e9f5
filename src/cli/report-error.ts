// What goes wrong, as one line on standard error and an exit code. The codes are those of src/errors.ts.
import { ERROR_CODES, NfstreamError, type NfstreamErrorCode } from '../errors.ts';
import { printable } from './terminal.ts';

/** Messages that are lists by nature: a compiler's output, the paths that were tried. */
const SEVERAL_LINES: ReadonlySet<NfstreamErrorCode> = new Set([
  'NDPI_UNAVAILABLE',
  'FILTER_UNAVAILABLE',
  'CAPTURE_UNAVAILABLE',
  'NATIVE_BUILD_FAILED',
]);

export function isOutputFailed(error: unknown): error is NfstreamError {
  return error instanceof NfstreamError && error.code === 'OUTPUT_FAILED';
}

/** Whether whoever read our output has left: `nfstream FILE | head`. It has what it wanted, so this is no failure. */
export function isReaderGone(error: unknown): boolean {
  if (!isOutputFailed(error)) return false;
  const { code } = (error.cause ?? {}) as NodeJS.ErrnoException;
  return code === 'EPIPE' || code === 'ECONNRESET';
}

/** Prints to standard error. That nobody is there to read it is no reason to fail. */
export function printError(text: string): void {
  if (process.stderr.listenerCount('error') === 0) process.stderr.on('error', () => {});
  process.stderr.write(text);
}

/** Whether --debug, or the environment in its place, asks for stacks and for the checks that cost. */
export function isDebugging(hasFlag: boolean): boolean {
  const { NFSTREAM_DEBUG } = process.env;
  return hasFlag || (NFSTREAM_DEBUG !== undefined && !/^0?$/.test(NFSTREAM_DEBUG));
}

/** The text to print, with its line end. `hasStack` adds the stacks of the error and of its causes. */
export function errorText(error: unknown, hasStack: boolean): string {
  const text = `nfstream: ${messageOf(error)}\n`;
  if (!hasStack) return text;
  const stacks: string[] = [];
  for (let e = error; e instanceof Error; e = e.cause) stacks.push(`${e.stack ?? e.message}\n`);
  return text + stacks.join('caused by: ');
}

function messageOf(error: unknown): string {
  if (!(error instanceof NfstreamError)) {
    return `internal error: ${printable(String(error))} (please report it; --debug prints where it happened)`;
  }
  const { code, message } = error;
  const safe = SEVERAL_LINES.has(code) ? message.split('\n').map(printable).join('\n') : printable(message);
  return `${safe} [${code}]`;
}

export function exitCodeOf(error: unknown): number {
  return error instanceof NfstreamError ? ERROR_CODES[error.code].exit : 1;
}
