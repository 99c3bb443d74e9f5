// The summary as text: totals, then two tables with bars, then what was skipped or dropped. It fits the terminal's
// width; names give way before figures, and bars before names.
import type { StreamerStats } from '../stats.ts';
import { formatCount, formatDuration, formatShare, formatTime, formatUnit } from './format.ts';
import type { Summary } from './summary.ts';
import { bar, printable, styled, type Terminal } from './terminal.ts';
import { bytesOf, type Tally, type TopCounter } from './top-counter.ts';

const ROWS = 10;
const MOST_COLUMNS = 100;
const INDENT = 2;
const GAP = 2;
const MOST_BAR = 32;
const LEAST_BAR = 4;

/** All lines, with a line end after each. */
export function summaryTable(title: string, summary: Summary, stats: StreamerStats, terminal: Terminal): string {
  const lines = ['', ...heading(title, summary, terminal)];
  if (summary.flows > 0) {
    const label = summary.hasApplications ? 'Applications' : 'Protocols and ports';
    const applications = table(label, ['flows', 'packets', 'bytes'], summary.applications, summary.bytes, terminal);
    const talkers = table('Talkers', ['flows', 'sent', 'received'], summary.talkers, summary.bytes, terminal);
    lines.push('', ...applications, '', ...talkers);
  }
  const remarks = [...skipped(stats), ...dropped(stats), ...inexact(summary)];
  if (remarks.length > 0) lines.push('', ...remarks.map((remark) => styled(terminal, 'dim', remark)));
  return `${lines.map((line) => (line === '' ? '\n' : `${' '.repeat(INDENT)}${line.trimEnd()}\n`)).join('')}\n`;
}

function heading(title: string, summary: Summary, terminal: Terminal): string[] {
  const { flows, packets, bytes, firstMs, lastMs } = summary;
  const name = styled(terminal, 'bold', printable(title));
  if (flows === 0) return [name, '', 'no flows'];
  const seconds = (lastMs - firstMs) / 1000;
  const begin = formatTime(firstMs);
  const when = begin === '' ? '' : `  ${styled(terminal, 'dim', `${begin} UTC`)}`;
  const figures: [string, string][] = [
    [formatCount(flows), flows === 1 ? 'flow' : 'flows'],
    [formatCount(packets), packets === 1 ? 'packet' : 'packets'],
    splitUnit(formatUnit(bytes, 'B')),
    splitUnit(formatDuration(seconds)),
  ];
  if (seconds > 0) figures.push(splitUnit(formatUnit((bytes * 8) / seconds, 'bit/s')));
  const totals = figures.map(([figure, unit]) => `${styled(terminal, 'bold', figure)} ${unit}`);
  return [`${name}${when}`, '', totals.join('    ')];
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

function table(
  title: string,
  figures: readonly Figure[],
  counter: TopCounter,
  totalBytes: number,
  terminal: Terminal,
): string[] {
  const shareOf = (bytes: number) => (totalBytes === 0 ? 0 : bytes / totalBytes);
  const tallies = counter.top(ROWS);
  const rows: Row[] = tallies.map((tally) => {
    const share = shareOf(bytesOf(tally));
    return { name: printable(tally.key), share, cells: [formatShare(share), ...figures.map((f) => FIGURES[f](tally))] };
  });
  const more = counter.size - tallies.length;
  const names = ['', ...figures];
  const widths = names.map((name, i) => Math.max(name.length, ...rows.map(({ cells }) => cells[i].length)));
  const width = Math.min(terminal.columns, MOST_COLUMNS) - INDENT;
  const room = width - widths.reduce((sum, cell) => sum + GAP + cell, 0);
  const nameWidth = Math.min(Math.max(title.length, ...rows.map(({ name }) => name.length)), Math.max(room, 8));
  const left = room - nameWidth - GAP;
  const barWidth = left < LEAST_BAR ? 0 : Math.min(left, MOST_BAR);
  const most = Math.max(...rows.map(({ share }) => share));
  const line = (name: string, barText: string, cells: readonly string[]) => {
    const parts = [toWidth(name, nameWidth, terminal)];
    if (barWidth > 0) parts.push(styled(terminal, 'cyan', barText) + ' '.repeat(barWidth - barText.length));
    parts.push(...cells.map((cell, i) => cell.padStart(widths[i])));
    return parts.join(' '.repeat(GAP));
  };
  const ruleWidth = nameWidth + (barWidth > 0 ? GAP + barWidth : 0) + width - room;
  const rule = (terminal.hasUnicode ? '─' : '-').repeat(ruleWidth);
  const lines = [
    styled(terminal, 'bold', line(title, '', names)),
    styled(terminal, 'dim', rule),
    ...rows.map(({ name, share, cells }) => line(name, bar(terminal, most === 0 ? 0 : share / most, barWidth), cells)),
  ];
  if (more > 0)
    lines.push(styled(terminal, 'dim', `and ${counter.missed > 0 ? 'more than ' : ''}${formatCount(more)} more`));
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
