// Bytes for a live flow: peak memory with 500,000 live flows less that with 50,000, divided by the difference; the peak, so
// that a table that doubles is counted with both its halves.
import { capture, writeFlows } from './captures.mjs';
import { METER } from './contenders.mjs';
import { measure } from './measure.mjs';
import { judge, TARGETS } from './targets.mjs';

const FEW = 50_000;
const MANY = 500_000;

/** Classic columns, no nDPI. @returns {Promise<import('./rows.mjs').Row[]>} */
export async function measureMemory(runs) {
  const few = await peak(
    capture('memory-few', (path) => writeFlows(path, FEW)),
    runs,
  );
  const many = await peak(
    capture('memory-many', (path) => writeFlows(path, MANY)),
    runs,
  );
  const perFlow = (many - few) / (MANY - FEW);
  return [
    { part: 'memory', what: `${FEW.toLocaleString('en')} live flows, no nDPI`, rss: few },
    {
      part: 'memory',
      what: `${MANY.toLocaleString('en')} live flows, no nDPI`,
      rss: many,
      figure: `${perFlow.toFixed(0)} bytes a live flow`,
      verdicts: [judge(TARGETS['bytes a live flow'], 'memory', perFlow)],
    },
  ];
}

async function peak(path, runs) {
  // All are live until the end: no timeout.
  const options = { enableNdpi: false, activeTimeout: 1e9, inactiveTimeout: 1e9, capacity: 1 << 20 };
  const sizes = [];
  for (let run = 0; run < runs; run++) {
    sizes.push((await measure([process.execPath, METER, path, JSON.stringify(options), 'batches'])).rss);
  }
  return Math.min(...sizes);
}
