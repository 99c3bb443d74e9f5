// npm run bench:micro [-- NAME...] [-- --markdown]
//
// Parts by themselves, on modules of dist/: decode, table, statistics, export and stages, or those that are named. What they
// print is said at the head of each file, where options of their own are, too: node bench/micro/NAME.mjs
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const NAMES = ['decode', 'table', 'statistics', 'export', 'stages'];

const flags = process.argv.slice(2).filter((arg) => arg === '--markdown');
const named = process.argv.slice(2).filter((arg) => arg !== '--markdown');
const pathOf = (name) => fileURLToPath(new URL(`${name}.mjs`, import.meta.url));
const unknown = named.find((name) => !NAMES.includes(name));
if (unknown !== undefined) {
  console.error(`bench:micro: Expected some of ${NAMES.join(', ')}, but received ${unknown}`);
  process.exit(2);
}
for (const name of named.length > 0 ? named : NAMES) {
  console.log(`\n== ${name}`);
  const { status } = spawnSync(process.execPath, [pathOf(name), ...flags], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
