// Warnings as lines on standard error: the Streamer's own, and one when the kernel first drops packets.
import type { StreamerOptions } from '../options.ts';
import type { StreamerStats } from '../stats.ts';
import { warningWithFlagNames } from './flag-names.ts';
import { formatCount } from './format.ts';
import type { MeterArguments } from './meter-arguments.ts';
import { printError } from './report-error.ts';
import { printable } from './terminal.ts';

const LOOK_MS = 1000;

/** What is looked at for drops. */
export interface Watched {
  readonly isLive: boolean;
  readonly stats: StreamerStats;
}

export class Warnings {
  readonly #args: MeterArguments;
  readonly #watched: Watched;
  readonly #clear: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #listener = (warning: Error) => {
    if (warning.name === 'NfstreamWarning') this.#print(warningWithFlagNames(warning.message));
  };
  #hasDropped = false;

  /** `clear` is called before a line is printed. */
  constructor(args: MeterArguments, watched: Watched, clear: () => void) {
    this.#args = args;
    this.#watched = watched;
    this.#clear = clear;
    // Without its own listener Node.js prints nothing.
    process.removeAllListeners('warning');
    process.on('warning', this.#listener);
    if (watched.isLive && !args.isQuiet) this.#timer = setInterval(() => this.#look(), LOOK_MS).unref();
  }

  /** Looks for the last time. */
  close(): void {
    clearInterval(this.#timer);
    if (this.#timer !== undefined) this.#look();
    process.off('warning', this.#listener);
  }

  #look(): void {
    const dropped = this.#watched.stats.capture?.packets_dropped_by_kernel ?? 0;
    if (dropped === 0 || this.#hasDropped) return;
    this.#hasDropped = true;
    this.#print(dropWarning(dropped, this.#args.options));
  }

  #print(text: string): void {
    if (this.#args.isQuiet) return;
    this.#clear();
    printError(`nfstream: warning: ${printable(text)}\n`);
  }
}

/** What happened, and all that helps where it is not in use yet. */
export function dropWarning(dropped: number, { enableNdpi }: StreamerOptions): string {
  const what = dropped === 1 ? 'a packet' : `${formatCount(dropped)} packets`;
  const helps = ['Raise --buffer-size', 'meter less by --filter', 'or meter side by side by --meters'];
  if (enableNdpi !== false) helps.splice(2, 1, 'meter side by side by --meters', 'or leave labels out by --no-ndpi');
  return `The kernel dropped ${what} that came faster than they were metered (packets_dropped_by_kernel of --stats). ${helps.join(', ')}.`;
}
