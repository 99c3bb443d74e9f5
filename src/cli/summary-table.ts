// The summary as text: totals, then two tables with bars, then what was skipped or dropped. It fits the terminal's
// width; names give way before figures, and bars before names.
import type { StreamerStats } from '../stats.ts';
import { formatCount, formatDuration, formatShare, formatTime, formatUnit } from './format.ts';
import type { Summary } from './summary.ts';
import { bar, printable, styled, type Terminal } from './terminal.ts';
import { bytesOf, type Tally, type TopCounter } from './top-counter.ts';

const ROWS = 10;
const MOST_COLUMNS = 100;
/** A narrower terminal wraps lines. */
const LEAST_COLUMNS = 40;
const INDENT = 2;
const GAP = 2;
const TOTALS_GAP = 4;
const MOST_BAR = 32;
const LEAST_BAR = 4;
/** An address of IPv4: the tables give up figures before they cut these. */
const USUAL_NAME = 15;

/** All lines, with a line end after each. `files` are remarks on what was written. */
export function summaryTable(
  title: string,
  summary: Summary,
  stats: StreamerStats,
  terminal: Terminal,
  files: readonly string[] = [],
): string {
  // A live run lasts as long as it was watched, whenever its packets came.
  const seconds = stats.capture === null ? (summary.lastMs - summary.firstMs) / 1000 : stats.seconds;
  const lines: string[] = ['', ...heading(title, summary, seconds, terminal)];
  if (summary.flows > 0) {
    const label = summary.hasApplications ? 'Applications' : 'Protocols and ports';
    const applications = tableOf(label, ['flows', 'packets', 'bytes'], summary.applications, summary.bytes);
    const talkers = tableOf('Talkers', ['flows', 'sent', 'received'], summary.talkers, summary.bytes);
    const grid = gridOf([applications, talkers], terminal);
    lines.push('', ...tableLines(applications, grid, terminal), '', ...tableLines(talkers, grid, terminal));
  }
  const remarks = [...skipped(stats), ...dropped(stats), ...inexact(summary), ...files.map(printable)];
  if (remarks.length > 0) lines.push('');
  for (const remark of remarks) {
    const words = remark.split(' ').map((text) => ({ text, width: text.length }));
    lines.push(...wrapped(words, 1, widthOf(terminal)).map((line) => styled(terminal, 'dim', line)));
  }
  return `${lines.map((line) => (line === '' ? '\n' : `${' '.repeat(INDENT)}${line.trimEnd()}\n`)).join('')}\n`;
}

function heading(title: string, summary: Summary, seconds: number, terminal: Terminal): string[] {
  const { flows, packets, bytes, firstMs } = summary;
  const name = printable(title);
  const head: Piece[] = [{ text: styled(terminal, 'bold', name), width: name.length }];
  if (flows === 0) return [head[0].text, '', 'no flows'];
  const begin = formatTime(firstMs);
  const when = `${begin} UTC`;
  if (begin !== '') head.push({ text: styled(terminal, 'dim', when), width: when.length });
  const figures: [string, string][] = [
    [formatCount(flows), flows === 1 ? 'flow' : 'flows'],
    [formatCount(packets), packets === 1 ? 'packet' : 'packets'],
    splitUnit(formatUnit(bytes, 'B')),
    [formatDuration(seconds), ''],
  ];
  const bitsPerSecond = (bytes * 8) / seconds;
  if (bitsPerSecond >= 1 && seconds > 0) figures.push(splitUnit(formatUnit(bitsPerSecond, 'bit/s')));
  const totals = figures.map(([figure, unit]) => ({
    width: `${figure} ${unit}`.trimEnd().length,
    text: `${styled(terminal, 'bold', figure)} ${unit}`.trimEnd(),
  }));
  return [...wrapped(head, GAP, widthOf(terminal)), '', ...wrapped(totals, TOTALS_GAP, widthOf(terminal))];
}

/** Text that stays on one line, and how wide it is without its styles. */
interface Piece {
  readonly text: string;
  readonly width: number;
}

/** As many pieces on a line as it holds. */
function wrapped(pieces: readonly Piece[], gap: number, width: number): string[] {
  const lines: string[] = [];
  let taken = Number.POSITIVE_INFINITY;
  for (const piece of pieces) {
    taken += gap + piece.width;
    if (taken > width) {
      lines.push(piece.text);
      taken = piece.width;
    } else {
      lines.push(`${lines.pop()}${' '.repeat(gap)}${piece.text}`);
    }
  }
  return lines;
}

function splitUnit(text: string): [string, string] {
  const at = text.indexOf(' ');
  return [text.slice(0, at), text.slice(at + 1)];
}

interface Row {
  readonly name: string;
  /** Of the bar. */
  readonly share: number;
  readonly cells: readonly string[];
}

type Figure = 'flows' | 'packets' | 'bytes' | 'sent' | 'received';

const FIGURES: Readonly<Record<Figure, (tally: Tally) => string>> = {
  flows: ({ flows }) => formatCount(flows),
  packets: ({ packets }) => formatCount(packets),
  bytes: (tally) => formatUnit(bytesOf(tally), 'B'),
  sent: ({ sentBytes }) => formatUnit(sentBytes, 'B'),
  received: ({ receivedBytes }) => formatUnit(receivedBytes, 'B'),
};

interface Table {
  readonly title: string;
  readonly figures: readonly Figure[];
  readonly rows: readonly Row[];
  /** Below the rows; '' for nothing. */
  readonly more: string;
}

function tableOf(title: string, figures: readonly Figure[], counter: TopCounter, totalBytes: number): Table {
  const tallies = counter.top(ROWS);
  const rows = tallies.map((tally) => {
    const share = totalBytes === 0 ? 0 : bytesOf(tally) / totalBytes;
    return { name: printable(tally.key), share, cells: [formatShare(share), ...figures.map((f) => FIGURES[f](tally))] };
  });
  const count = counter.size - tallies.length;
  const more = count === 0 ? '' : `and ${counter.missed > 0 ? 'more than ' : ''}${formatCount(count)} more`;
  return { title, figures, rows, more };
}

/** One grid for all tables, so that their columns stand below each other. */
interface Grid {
  readonly name: number;
  /** 0 where there is no room for bars. */
  readonly bar: number;
  /** The share, then the figures. */
  readonly cells: readonly number[];
  /** Figures that are left out, from the left, where there is no room for names otherwise. */
  readonly left: number;
}

function gridOf(tables: readonly Table[], terminal: Terminal): Grid {
  const headed = tables.flatMap(({ figures, rows }) => [['', ...figures], ...rows.map(({ cells }) => cells)]);
  const all = headed[0].map((_, i) => Math.max(...headed.map((row) => row[i].length)));
  const names = tables.flatMap(({ title, rows }) => [title, ...rows.map((row) => row.name)]);
  const longest = Math.max(...names.map((text) => text.length));
  const width = widthOf(terminal);
  for (let left = 0; ; left++) {
    const cells = withoutFigures(all, left);
    const room = width - cells.reduce((sum, cell) => sum + GAP + cell, 0);
    if (room < Math.min(longest, USUAL_NAME) && left < all.length - 2) continue;
    const name = Math.min(longest, room);
    const bar = room - name - GAP;
    return { name, bar: bar < LEAST_BAR ? 0 : Math.min(bar, MOST_BAR), cells, left };
  }
}

function widthOf(terminal: Terminal): number {
  return Math.max(LEAST_COLUMNS, Math.min(terminal.columns, MOST_COLUMNS)) - INDENT;
}

function withoutFigures<T>(cells: readonly T[], left: number): T[] {
  return cells.toSpliced(1, left);
}

function tableLines({ title, figures, rows, more }: Table, grid: Grid, terminal: Terminal): string[] {
  const line = (name: string, barText: string, cells: readonly string[]) => {
    const parts = [toWidth(name, grid.name, terminal)];
    if (grid.bar > 0) parts.push(styled(terminal, 'cyan', barText) + ' '.repeat(grid.bar - barText.length));
    parts.push(...withoutFigures(cells, grid.left).map((cell, i) => cell.padStart(grid.cells[i])));
    return parts.join(' '.repeat(GAP));
  };
  const head = line(title, '', ['', ...figures]);
  const most = Math.max(...rows.map(({ share }) => share));
  const lines = [
    styled(terminal, 'bold', head),
    styled(terminal, 'dim', (terminal.hasUnicode ? '─' : '-').repeat(head.length)),
    ...rows.map(({ name, share, cells }) => line(name, bar(terminal, most > 0 ? share / most : 0, grid.bar), cells)),
  ];
  if (more !== '') lines.push(styled(terminal, 'dim', more));
  return lines;
}

/** Cut or padded to exactly `width` characters. */
function toWidth(text: string, width: number, terminal: Terminal): string {
  if (text.length <= width) return text.padEnd(width);
  const mark = terminal.hasUnicode ? '…' : '~';
  return `${text.slice(0, width - 1)}${mark}`;
}

function skipped({ packets_skipped, packets_read }: StreamerStats): string[] {
  const reasons = Object.entries(packets_skipped).filter(([, count]) => count > 0);
  if (reasons.length === 0) return [];
  const sum = reasons.reduce((total, [, count]) => total + count, 0);
  const list = reasons.map(([reason, count]) => `${formatCount(count)} ${reason.replaceAll('_', ' ')}`);
  return [`${formatCount(sum)} of ${formatCount(packets_read)} packets skipped: ${list.join(', ')}`];
}

function dropped({ flows_evicted }: StreamerStats): string[] {
  return flows_evicted === 0 ? [] : [`${formatCount(flows_evicted)} flows dropped for lack of room: see --capacity`];
}

function inexact({ applications, talkers }: Summary): string[] {
  const missed = Math.max(applications.missed, talkers.missed);
  if (missed === 0) return [];
  return [`more names than are counted exactly: a row may lack up to ${formatUnit(missed, 'B')}`];
}
