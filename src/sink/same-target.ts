// Whether two outputs are one and the same file, by whatever names.
import { type BigIntStats, fstat } from 'node:fs';
import { stat } from 'node:fs/promises';
import { NfstreamError } from '../errors.ts';
import { futurePath } from './future-path.ts';
import { standardDescriptor } from './output.ts';

/** @throws NfstreamError INVALID_OPTION naming two targets that are one file, or one stream. */
export async function refuseSameTargets(targets: readonly string[]): Promise<void> {
  const seen = new Map<string, string>();
  for (const target of targets) {
    const identity = await identityOf(target);
    if (identity === null) continue;
    const other = seen.get(identity);
    if (other !== undefined) {
      const both = other === target ? 'twice' : `and ${JSON.stringify(other)}, which is the same`;
      throw new NfstreamError(
        'INVALID_OPTION',
        `Expected different files for target but received ${JSON.stringify(target)} ${both}`,
      );
    }
    seen.set(identity, target);
  }
}

/**
 * What two names of one file, there or not yet, or of one FIFO or stream have in common. Null for devices: two outputs
 * may share them.
 */
async function identityOf(target: string): Promise<string | null> {
  const descriptor = standardDescriptor(target);
  return (await fileIdentityOf(target)) ?? (descriptor === null ? null : `descriptor ${descriptor}`);
}

/** The same of a file or FIFO; null for anything else. */
export async function fileIdentityOf(target: string): Promise<string | null> {
  const descriptor = standardDescriptor(target);
  const facts = descriptor === null ? await factsOf(target) : await openFacts(descriptor);
  if (facts?.isFile() || (facts?.isFIFO() && descriptor === null)) return `${facts.dev}:${facts.ino}`;
  return facts === null && descriptor === null ? futurePath(target) : null;
}

async function factsOf(path: string): Promise<BigIntStats | null> {
  try {
    return await stat(path, { bigint: true });
  } catch {
    return null;
  }
}

function openFacts(descriptor: number): Promise<BigIntStats | null> {
  return new Promise((fulfil) => {
    fstat(descriptor, { bigint: true }, (error, facts) => fulfil(error === null ? facts : null));
  });
}
