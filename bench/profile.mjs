// node bench/profile.mjs [CAPTURE] [--options JSON] [--top N] [--keep FOLDER]
//
// Where a run of the library spends its time, by function: V8's sampling profiler (--cpu-prof) over one run of meter.mjs, summed up. CAPTURE is a
// path or a name of captures.mjs (mix by default). `self` is the function without what it calls; what V8 has inlined into a
// function counts as its own. Native code, nDPI among it, is one line for each entry into it: for what happens in there,
// perf and callgrind (docs/performance.md). --keep leaves the profile in a folder, for Chrome's developer tools.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { capture } from './captures.mjs';
import { METER } from './contenders.mjs';
import { measure } from './measure.mjs';
import { print } from './table.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    options: { type: 'string', default: '{"enableNdpi":false}' },
    top: { type: 'string', default: '20' },
    keep: { type: 'string' },
  },
});
const [name = 'mix'] = positionals;
const path = existsSync(name) ? name : capture(name);
const folder = values.keep ?? mkdtempSync(join(tmpdir(), 'bench-profile-'));
try {
  const flags = ['--cpu-prof', `--cpu-prof-dir=${folder}`, '--cpu-prof-interval=500'];
  await measure([process.execPath, ...flags, METER, path, values.options]);
  for (const file of readdirSync(folder).filter((entry) => entry.endsWith('.cpuprofile')))
    show(file, JSON.parse(readFileSync(join(folder, file), 'utf8')));
} finally {
  if (values.keep === undefined) rmSync(folder, { recursive: true });
}

/** One thread's profile. */
function show(file, { nodes, samples, timeDeltas }) {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const spent = new Map();
  let all = 0;
  for (let i = 0; i < samples.length; i++) {
    const place = places.get(samples[i]);
    spent.set(place, (spent.get(place) ?? 0) + timeDeltas[i]);
    all += timeDeltas[i];
  }
  const most = [...spent].sort((a, b) => b[1] - a[1]).slice(0, Number(values.top));
  console.log(`${file}: ${(all / 1e6).toFixed(2)} s`);
  print([
    ['function', 'self ms', '%', 'where'],
    ...most.map(([place, us]) => {
      const [called, where] = place.split('\t');
      return [called, (us / 1000).toFixed(0), ((100 * us) / all).toFixed(1), where];
    }),
  ]);
}

function placeOf({ functionName, url, lineNumber }) {
  return `${functionName || '(anonymous)'}\t${url === '' ? '' : `${basename(url)}:${lineNumber + 1}`}`;
}
