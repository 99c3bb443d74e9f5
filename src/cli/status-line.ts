// The line of a live run: packets and bits per second, flows and how full their table is, what was exported, and what was
// lost, which stands out. Where the terminal is narrow the least important figures are left out.
import type { StreamerStats } from '../stats.ts';
import { formatClock, formatCount, formatShare, formatUnit } from './format.ts';
import type { Sample } from './progress.ts';
import { type Style, styled, type Terminal } from './terminal.ts';

interface Figure {
  readonly text: string;
  readonly style?: Style;
  /** The higher, the sooner it is left out. */
  readonly rank: number;
}

const GAP = 2;

/** The line for the newest of `samples`; it never reaches the last column, where terminals wrap. */
export function statusLine(samples: readonly Sample[], stats: StreamerStats, terminal: Terminal): string {
  const figures = figuresOf(samples, stats);
  let room = terminal.columns - 1;
  const shown = new Set<Figure>();
  for (const figure of figures.toSorted((a, b) => a.rank - b.rank)) {
    const width = figure.text.length + (shown.size === 0 ? 0 : GAP);
    if (width > room) break;
    room -= width;
    shown.add(figure);
  }
  return figures
    .filter((figure) => shown.has(figure))
    .map(({ text, style }) => (style === undefined ? text : styled(terminal, style, text)))
    .join(' '.repeat(GAP));
}

function figuresOf(samples: readonly Sample[], stats: StreamerStats): Figure[] {
  const first = samples[0];
  const last = samples[samples.length - 1];
  const seconds = (last.ms - first.ms) / 1000;
  const speed = (from: number, to: number) => (seconds > 0 ? (to - from) / seconds : 0);
  const packets = formatUnit(speed(first.packets, last.packets), '').trimEnd();
  const bits = formatUnit(speed(first.bytes, last.bytes) * 8, 'bit/s');
  const fill = stats.flows_capacity > 0 ? ` (${formatShare(stats.flows_live / stats.flows_capacity)})` : '';
  const exported = Object.values(stats.flows_exported).reduce((sum, count) => sum + count, 0);
  const { packets_received: received = 0, packets_dropped_by_kernel: dropped = 0 } = stats.capture ?? {};
  const { packets_dropped_by_interface: missed = 0, queue_high_water: queued = 0 } = stats.capture ?? {};
  const down = stats.capture?.interfaces_down ?? 0;
  const live = `${formatCount(stats.flows_live)} ${stats.flows_live === 1 ? 'flow' : 'flows'}${fill}`;
  const figures: Figure[] = [
    { text: formatClock(Math.floor(stats.seconds)), rank: 5 },
    { text: `${packets} packets/s`, style: 'cyan', rank: 0 },
    { text: bits, rank: 4 },
    { text: `${short(received)} received`, rank: 7 },
    { text: live, rank: 2 },
    { text: `${short(exported)} exported`, rank: 3 },
  ];
  if (down > 0)
    figures.unshift({ text: `${down} ${down === 1 ? 'interface' : 'interfaces'} down`, style: 'red', rank: -1 });
  if (stats.flows_evicted > 0) figures.push({ text: `${short(stats.flows_evicted)} evicted`, style: 'red', rank: 1.5 });
  if (missed > 0) figures.push({ text: `${short(missed)} missed by interface`, style: 'red', rank: 6 });
  figures.push({ text: `queue peak ${short(queued)}`, rank: 8 });
  figures.push({ text: `${short(dropped)} dropped`, ...(dropped > 0 ? { style: 'red' } : {}), rank: 1 });
  return figures;
}

/** `523`, `12.3k`, `1.20M`: exact figures are in the counters. */
function short(count: number): string {
  return formatUnit(count, '').replace(' ', '');
}
