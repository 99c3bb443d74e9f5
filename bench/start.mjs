// How long it takes to begin: commands that have next to nothing to do, whole processes. Node's own start is beside them.
import { capture, writeMix } from './captures.mjs';
import { CLI } from './contenders.mjs';
import { measure, median } from './measure.mjs';
import { judge, TARGETS } from './targets.mjs';

const RUNS = 15;

/** @returns {Promise<import('./rows.mjs').Row[]>} */
export async function measureStart() {
  const path = capture('hundred', (file) => writeMix(file, 100));
  const commands = [
    { what: 'node -e 0', command: [process.execPath, '-e', '0'] },
    { what: 'nfstream --version', command: [process.execPath, CLI, '--version'], target: 'version, ms' },
    { what: 'nfstream F, 100 packets, no nDPI', command: [process.execPath, CLI, path, '--no-ndpi'] },
    { what: 'nfstream F, 100 packets, nDPI', command: [process.execPath, CLI, path], target: 'hundred packets, ms' },
  ].map((one) => ({ ...one, costs: [] }));
  for (let turn = -1; turn < RUNS; turn++) {
    for (const { command, costs } of commands) {
      const cost = await measure(command);
      // The first turn brings modules and addons into the page cache.
      if (turn >= 0) costs.push(cost);
    }
  }
  return commands.map(({ what, costs, target }) => {
    const middle = (key) => median(costs.map((cost) => cost[key]));
    const ms = middle('wall') * 1000;
    return {
      part: 'start',
      what,
      wall: middle('wall'),
      cpu: middle('cpu'),
      rss: middle('rss'),
      figure: `${ms.toFixed(0)} ms`,
      verdicts: target === undefined ? [] : [judge(TARGETS[target], 'start', ms)],
    };
  });
}
