// What the scripts here take all of them: --dist FOLDER, the build whose modules are measured (dist/ by default), and --markdown.
import { pathToFileURL } from 'node:url';

const flag = process.argv.indexOf('--dist');
const folder = flag < 0 ? new URL('../../dist/', import.meta.url) : pathToFileURL(`${process.argv[flag + 1]}/`);

/** Whether tables are to be printed as Markdown. */
export const markdown = process.argv.includes('--markdown');

/** Without --dist and what it takes, and --markdown. */
export const args = process.argv.filter(
  (arg, i) => i > 1 && arg !== '--markdown' && (flag < 0 || (i !== flag && i !== flag + 1)),
);

/** @param {string} path below dist/ */
export const load = (path) => import(new URL(path, folder).href);
