// Whether two outputs are one and the same file, by whatever names.
import { fstat, type Stats } from 'node:fs';
import { readlink, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { NfstreamError } from '../errors.ts';
import { standardDescriptor } from './output.ts';

/** More symbolic links than this lead nowhere (Linux: 40). */
const MOST_LINKS = 40;

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

/** Null for devices and pipes: two outputs may share them. */
async function identityOf(target: string): Promise<string | null> {
  const descriptor = standardDescriptor(target);
  const facts = descriptor === null ? await factsOf(target) : await openFacts(descriptor);
  if (facts?.isFile()) return `${facts.dev}:${facts.ino}`;
  if (descriptor !== null) return `descriptor ${descriptor}`;
  return facts === null ? await pathOf(target) : null;
}

/** Of no file yet: the path that it will have, without links on the way. */
async function pathOf(target: string): Promise<string> {
  let path = resolve(target);
  for (let links = 0; links < MOST_LINKS; links++) {
    try {
      path = resolve(dirname(path), await readlink(path));
    } catch {
      break;
    }
  }
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch {
    return path;
  }
}

async function factsOf(path: string): Promise<Stats | null> {
  try {
    return await stat(path);
  } catch {
    return null;
  }
}

async function openFacts(descriptor: number): Promise<Stats | null> {
  try {
    return await promisify(fstat)(descriptor);
  } catch {
    return null;
  }
}
