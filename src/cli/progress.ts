// The progress line on standard error: how far the run is, how fast, how many flows, how long it will take. It is
// redrawn five times a second, begins only when a run takes long enough to wonder, and leaves nothing behind. A live run,
// which is never near its end, has a line of its own (status-line.ts).
import type { StreamerStats } from '../stats.ts';
import { formatClock, formatCount, formatUnit } from './format.ts';
import { statusLine } from './status-line.ts';
import { bar, styled, type Terminal } from './terminal.ts';

const REDRAW_MS = 200;
const BAR_COLUMNS = 20;
/** Speed is that of about the last two seconds. */
const SPEED_MEMORY = 10;

const START_OF_LINE = '\r';
const ERASE_LINE = '\x1b[2K';

/** What is redrawn from, read when it is time to draw. */
export interface Running {
  readonly isLive: boolean;
  readonly stats: StreamerStats;
  readonly progress: { readonly position: number; readonly size: number | null };
}

/** One moment of a run. */
export interface Sample {
  readonly ms: number;
  readonly position: number;
  readonly packets: number;
  readonly bytes: number;
}

export class Progress {
  readonly #running: Running;
  readonly #terminal: Terminal;
  readonly #print: (text: string) => void;
  readonly #samples: Sample[] = [{ ms: performance.now(), position: 0, packets: 0, bytes: 0 }];
  readonly #timer: NodeJS.Timeout;
  #isShown = false;

  constructor(running: Running, terminal: Terminal, print: (text: string) => void) {
    this.#running = running;
    this.#terminal = terminal;
    this.#print = print;
    this.#timer = setInterval(() => this.#draw(), REDRAW_MS).unref();
  }

  /** Takes the line away, so that something else can be printed; the next redraw brings it back. */
  hide(): void {
    if (this.#isShown) this.#print(START_OF_LINE + ERASE_LINE);
    this.#isShown = false;
  }

  stop(): void {
    clearInterval(this.#timer);
    this.hide();
  }

  #draw(): void {
    const { stats, progress, isLive } = this.#running;
    const { packets_read: packets, bytes_read: bytes } = stats;
    this.#samples.push({ ms: performance.now(), position: progress.position, packets, bytes });
    if (this.#samples.length > SPEED_MEMORY) this.#samples.shift();
    const flows = sumOf(stats.flows_exported) + stats.flows_live;
    const line = isLive
      ? statusLine(this.#samples, stats, this.#terminal)
      : progressLine(this.#samples, progress.size, flows, this.#terminal);
    this.#print(`${START_OF_LINE}${ERASE_LINE}${line}`);
    this.#isShown = true;
  }
}

function sumOf(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/** The line for the newest of `samples`; it never reaches the last column, where terminals wrap. */
export function progressLine(
  samples: readonly Sample[],
  size: number | null,
  flows: number,
  terminal: Terminal,
): string {
  const first = samples[0];
  const last = samples[samples.length - 1];
  const seconds = (last.ms - first.ms) / 1000;
  const speed = (from: number, to: number) => (seconds > 0 ? (to - from) / seconds : 0);
  const byteSpeed = speed(first.position, last.position);
  const parts: string[] = [];
  const hasBar = size !== null && size > 0;
  if (hasBar) {
    const share = Math.min(1, last.position / size);
    const filled = bar(terminal, share, BAR_COLUMNS).padEnd(BAR_COLUMNS);
    parts.push(`${filled} ${String(Math.floor(share * 100)).padStart(3)} %`);
  }
  parts.push(formatUnit(last.position, 'B'));
  parts.push(`${formatUnit(speed(first.packets, last.packets), '').trimEnd()} packets/s`);
  parts.push(`${formatCount(flows)} flows`);
  if (size !== null && size > last.position && byteSpeed > 0) {
    parts.push(`${formatClock((size - last.position) / byteSpeed)} left`);
  }
  const text = parts.join('  ').slice(0, terminal.columns - 1);
  const end = hasBar ? BAR_COLUMNS : 0;
  return styled(terminal, 'cyan', text.slice(0, end)) + text.slice(end);
}
