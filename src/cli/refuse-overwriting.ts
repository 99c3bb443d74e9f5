// Keeps a slip of the fingers from replacing a capture by its flows, or one output by another.
import { stat } from 'node:fs/promises';
import type { MeterArguments } from './meter-arguments.ts';
import { usage } from './parse-flags.ts';

/** @throws NfstreamError USAGE when a file to write is also read, under whatever name, or is written twice. */
export async function refuseToOverwriteSources({ sources, flows, stats }: MeterArguments): Promise<void> {
  const readFrom = new Set<string>();
  for (const source of sources) {
    // `- < FILE` reads a file, too.
    const file = await identityOf(source === '-' ? '/dev/stdin' : source);
    if (file !== null) readFrom.add(file);
  }
  const output = flows === null ? null : await identityOf(flows.target);
  if (output !== null && readFrom.has(output)) throw isSource('output', flows?.target);
  const counters = stats === null ? null : await identityOf(stats);
  if (counters === null) return;
  if (readFrom.has(counters)) throw isSource('stats', stats);
  if (counters === output) {
    throw usage(`Expected different files for --output and --stats but received ${JSON.stringify(stats)} for both`);
  }
}

function isSource(flag: string, target: unknown): Error {
  return usage(`Expected a file that is no SOURCE for --${flag} but received ${JSON.stringify(target)}`);
}

/** Device and inode of a regular file; null for anything else, and for what doesn't exist yet. */
async function identityOf(path: string): Promise<string | null> {
  try {
    const facts = await stat(path, { bigint: true });
    return facts.isFile() ? `${facts.dev}:${facts.ino}` : null;
  } catch {
    return null;
  }
}
