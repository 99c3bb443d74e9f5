// Memory: bytes for a live flow, and a capture ten times as long.
//
//   bytes a flow   peak memory with 500,000 live flows less that with 50,000, divided by the difference; the peak, so
//                  that a table that doubles is counted with both its halves
//   flat           peak memory over 1 million packets and over 10 million of the same 20,000 flows
import { fileURLToPath } from 'node:url';
import { capture, writeFlows, writeSmall } from './captures.mjs';
import { hasGnuTime, measure } from './measure.mjs';

const METER = fileURLToPath(new URL('meter.mjs', import.meta.url));

export async function measureMemory() {
  if (!hasGnuTime) return;
  console.log('\nmemory, no nDPI');
  const few = 50_000;
  const many = 500_000;
  // All are live until the end: no timeout.
  const options = { enableNdpi: false, activeTimeout: 1e9, inactiveTimeout: 1e9, capacity: 1 << 20 };
  const small = await peak(
    capture('memory-few', (path) => writeFlows(path, few)),
    options,
  );
  const large = await peak(
    capture('memory-many', (path) => writeFlows(path, many)),
    options,
  );
  const perFlow = (large - small) / (many - few);
  console.log(
    `  ${many.toLocaleString('en')} live flows: ${mega(large)} MB, ${few.toLocaleString('en')}: ${mega(small)} MB; ` +
      `${perFlow.toFixed(0)} bytes a flow (target: under 400: ${perFlow < 400 ? 'met' : 'NOT MET'})`,
  );
  const short = await peak(
    capture('memory-short', (path) => writeSmall(path, 1_000_000, 20_000)),
    { enableNdpi: false },
  );
  const long = await peak(
    capture('memory-long', (path) => writeSmall(path, 10_000_000, 20_000)),
    { enableNdpi: false },
  );
  const isFlat = long < short * 1.1;
  console.log(
    `  1 million packets: ${mega(short)} MB, 10 million packets of the same flows: ${mega(long)} MB ` +
      `(target: flat in the capture's length: ${isFlat ? 'met' : 'NOT MET'})`,
  );
}

async function peak(path, options) {
  const runs = [];
  for (let run = 0; run < 3; run++) {
    runs.push((await measure([process.execPath, METER, path, JSON.stringify(options), 'batches'])).rss);
  }
  return Math.min(...runs);
}

function mega(bytes) {
  return (bytes / 1e6).toFixed(0);
}
