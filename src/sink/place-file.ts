// The last step of a file that was written under a temporary name.
import { renameSync, statSync } from 'node:fs';

/**
 * Gives a file that is whole its name, and returns whether it did: one that is there with content keeps the name unless
 * `overwrite` is given. Nothing of this process happens between the look and the renaming.
 */
export function placeFile(temporary: string, final: string, overwrite: boolean): boolean {
  if (!overwrite && (statSync(final, { throwIfNoEntry: false })?.size ?? 0) > 0) return false;
  renameSync(temporary, final);
  return true;
}
