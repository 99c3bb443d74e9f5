// What the place that text goes to can show: width, colours, block characters; and text made safe for it.
import { isatty } from 'node:tty';

export interface Terminal {
  readonly isTerminal: boolean;
  /** Characters in a line. */
  readonly columns: number;
  readonly hasColor: boolean;
  /** Whether block characters and dashes beyond ASCII show. */
  readonly hasUnicode: boolean;
}

const USUAL_COLUMNS = 80;

type Environment = Readonly<Record<string, string | undefined>>;

/** Looks at standard output or standard error. Colours need a terminal, no NO_COLOR and a TERM other than `dumb`. */
export function terminalOf(name: 'stdout' | 'stderr', environment: Environment = process.env): Terminal {
  const isTerminal = isatty(name === 'stdout' ? 1 : 2);
  const columns = isTerminal ? process[name].columns : 0;
  return describeTerminal(isTerminal, columns, environment);
}

export function describeTerminal(isTerminal: boolean, columns: number, environment: Environment): Terminal {
  const { NO_COLOR, TERM, LC_ALL, LC_CTYPE, LANG, WT_SESSION } = environment;
  // The first of them that is set and not empty counts (POSIX, "Environment Variables", 8.2).
  const locale = LC_ALL || LC_CTYPE || LANG || '';
  return {
    isTerminal,
    columns: columns > 0 ? columns : USUAL_COLUMNS,
    hasColor: isTerminal && !NO_COLOR && TERM !== 'dumb',
    hasUnicode: /utf-?8/i.test(locale) || WT_SESSION !== undefined,
  };
}

export type Style = 'bold' | 'dim' | 'cyan' | 'red';

const STYLES: Readonly<Record<Style, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  cyan: [36, 39],
  red: [31, 39],
};

export function styled(terminal: Terminal, style: Style, text: string): string {
  if (!terminal.hasColor || text === '') return text;
  const [on, off] = STYLES[style];
  return `\x1b[${on}m${text}\x1b[${off}m`;
}

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/** A bar of `share` (0 to 1) of `width` characters, to an eighth of a character; a share above 0 shows. */
export function bar(terminal: Terminal, share: number, width: number): string {
  const exact = Math.min(1, Math.max(0, share)) * width;
  if (!terminal.hasUnicode) return '#'.repeat(exact > 0 ? Math.max(1, Math.round(exact)) : 0);
  const eighths = exact > 0 ? Math.max(1, Math.round(exact * 8)) : 0;
  return '█'.repeat(eighths >> 3) + EIGHTHS[eighths & 7];
}

/** Line ends and control characters as escapes: a file's name can't move the cursor or break a line. */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  return text.replace(/[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (character) =>
    character === '\n' ? '\\n' : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
