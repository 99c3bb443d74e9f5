// What went wrong while a plugin was loaded, as one line: the file, what happened, and where in whose source.
import { thrownText as textOfThrown } from '../classifier/user-code-error.ts';
import { NfstreamError } from '../errors.ts';

/** jiti's report of a file that does not parse: a kind, a message and a place; lines from 1, columns from 0. */
const PARSE_ERROR = /^ParseError: (.*?) *\n (.*):(\d+):(\d+)$/s;

/** A frame of a stack in user code, and not in Node.js: its file and line. Columns are those of compiled code. */
const FRAME = /^ +at (?:.* \()?(?:async )?(?:file:\/\/)?((?!node:)[^()]*:\d+):\d+\)?$/;
const JITI = /[\\/]jiti[\\/](dist|lib)[\\/]/;
const HERE = new URL('.', import.meta.url).pathname;

/** @param file as it was given */
export function readFailed(file: string, cause: unknown): NfstreamError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return pluginFailed(file, `can not be read: ${REASONS[code ?? ''] ?? message}`, cause);
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'no such file',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
};

/** @param file as it was given */
export function loadFailed(file: string, cause: unknown): NfstreamError {
  return pluginFailed(file, whatHappened(cause), cause);
}

function pluginFailed(file: string, what: string, cause: unknown): NfstreamError {
  return new NfstreamError('PLUGIN_FAILED', `${JSON.stringify(file)} ${what}`, { file, cause });
}

function whatHappened(cause: unknown): string {
  if (!(cause instanceof Error)) return `threw ${thrownText(cause)}`;
  const parse = PARSE_ERROR.exec(cause.message);
  if (parse !== null) return `does not parse: ${parse[1]} (${parse[2]}:${parse[3]}:${Number(parse[4]) + 1})`;
  const { code } = cause as NodeJS.ErrnoException;
  if (code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND') return `threw ${thrownText(cause)}`;
  const [what] = cause.message.split('\n');
  return `imports what is not there: ${what}${placeOf(cause)}`;
}

/** What user code threw, and where. */
export function thrownText(cause: unknown): string {
  const text = textOfThrown(cause);
  return cause instanceof Error ? `${text}${placeOf(cause)}` : text;
}

/** ` (FILE:LINE)` of the innermost frame in user code; '' where there is none. */
function placeOf({ stack = '' }: Error): string {
  for (const line of stack.split('\n')) {
    const place = FRAME.exec(line)?.[1];
    if (place === undefined || JITI.test(place)) continue;
    return place.startsWith(HERE) ? '' : ` (${place})`;
  }
  return '';
}
