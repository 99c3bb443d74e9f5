// Keeps a slip of the fingers from replacing a capture or a plugin by flows or counters, or one output by another.
import { stat } from 'node:fs/promises';
import { fileIdentityOf, refuseSameTargets } from '../sink/same-target.ts';
import { withFlagNames } from './flag-names.ts';
import type { MeterArguments } from './meter-arguments.ts';
import { usage } from './parse-flags.ts';

/** @throws NfstreamError USAGE when a file to write is also read, under whatever name, or is written twice. */
export async function refuseToOverwriteSources({ files, plugins, outputs, stats }: MeterArguments): Promise<void> {
  /** What each file is read as. */
  const readFrom = new Map<string, 'SOURCE' | '--plugin'>();
  for (const source of files) {
    // `- < FILE` reads a file, too.
    const file = await identityOf(source === '-' ? '/dev/stdin' : source);
    if (file !== null) readFrom.set(file, 'SOURCE');
  }
  for (const plugin of plugins) {
    const file = await identityOf(plugin);
    if (file !== null) readFrom.set(file, '--plugin');
  }
  const refuseRead = (flag: string, target: unknown, file: string | null) => {
    const role = file === null ? undefined : readFrom.get(file);
    if (role === undefined) return;
    throw usage(`Expected a file that is no ${role} for --${flag} but received ${JSON.stringify(target)}`);
  };
  const targets = outputs.map(({ target }) => target);
  for (const target of targets) refuseRead('output', target, await identityOf(target));
  try {
    await refuseSameTargets(targets);
  } catch (error) {
    throw usage((withFlagNames(error) as Error).message);
  }
  if (stats === null) return;
  refuseRead('stats', stats, await identityOf(stats));
  const counters = await fileIdentityOf(stats);
  const written = await Promise.all(targets.map(fileIdentityOf));
  if (counters !== null && written.includes(counters)) {
    throw usage(`Expected different files for --output and --stats but received ${JSON.stringify(stats)} for both`);
  }
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
