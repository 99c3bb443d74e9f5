// The modules under measurement: those of dist/, or of the build that --dist names.
import { pathToFileURL } from 'node:url';

const flag = process.argv.indexOf('--dist');
const folder = flag < 0 ? new URL('../../dist/', import.meta.url) : pathToFileURL(`${process.argv[flag + 1]}/`);

/** Without --dist and what it takes. */
export const args = process.argv.slice(2).filter((_, i) => flag < 0 || (i + 2 !== flag && i + 2 !== flag + 1));

/** @param {string} path below dist/ */
export const load = (path) => import(new URL(path, folder).href);
