// The compiled library, whose threads run; what vitest makes of the sources does not reach a thread.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type * as Library from '../../src/index.ts';
import type { StreamerOptions } from '../../src/options.ts';
import type { StreamerStats } from '../../src/stats.ts';

export const ROOT = join(import.meta.dirname, '..', '..');
export const LIBRARY = join(ROOT, 'dist', 'index.js');
export const { Streamer, NfstreamError } = (await import(pathToFileURL(LIBRARY).href)) as typeof Library;

export const fixture = (name: string): string => join(ROOT, 'fixtures', name);

export interface Outcome {
  /** Records as JSON, in the order in which they came. */
  readonly flows: string[];
  readonly stats: Omit<StreamerStats, 'seconds'>;
  readonly error: Library.NfstreamError | undefined;
}

/** Runs to the end, whatever that is. */
export async function outcomeOf(options: StreamerOptions): Promise<Outcome> {
  const streamer = new Streamer({ handleSigint: false, ...options });
  const flows: string[] = [];
  let error: unknown;
  try {
    for await (const flow of streamer) flows.push(JSON.stringify(flow));
  } catch (caught) {
    error = caught;
  }
  const { seconds: _, ...stats } = streamer.stats;
  return { flows, stats, error: error as Library.NfstreamError | undefined };
}

/** What is in the ledger as read, and what became of it. */
export function ledger(stats: Outcome['stats']): { read: number; dealtWith: number } {
  const skipped = Object.values(stats.packets_skipped).reduce((sum, count) => sum + count, 0);
  return { read: stats.packets_read, dealtWith: stats.packets_metered + skipped };
}
