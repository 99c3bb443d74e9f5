#!/usr/bin/env node
// Starts the command line in dist/. A clone that was not built has none.
let main;
try {
  ({ main } = await import('../dist/cli/main.js'));
} catch (error) {
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || !error.message.includes('/dist/cli/main.js')) throw error;
  process.stderr.write('nfstream: dist/ is missing; in a clone of the repository run: script/setup\n');
  process.exit(1);
}
process.exit(await main(process.argv.slice(2)));
