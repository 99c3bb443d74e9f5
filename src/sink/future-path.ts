// Where a file will be that is not there yet: what two names of it, and links that lead to nothing, have in common.
import { readlink, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';

/** More symbolic links than this lead nowhere (Linux: 40). */
const MOST_LINKS = 40;

/** The path that a file which is not there yet will have: links, also those that lead to nothing, are followed. */
export async function futurePath(target: string): Promise<string> {
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
