// node bench/micro/stages.mjs [CAPTURE] [--options JSON] [--every PACKETS] [--packets N] [--json] [--dist FOLDER]
//
// Where the time of a whole run goes, ns a packet, and how that changes as it goes on: a row for each half million packets, so
// that one sees the compiler and caches warm up. CAPTURE is a path or a name of captures.mjs (small by default); nDPI is off
// unless the options say otherwise.
//
//   wait       for bytes, which are read ahead while others are metered
//   parse      records of the capture into columns
//   decode     headers into columns, filters included
//   look up    keys hashed and the batch's flows found, by the kernel (part of the meter, as is the next)
//   update     the rest of the meter: flows begun, counted and ended; nDPI and user code
//   hand over  finished flows on their way out, and whatever is in none of the others
//
// Seconds in `end`: flows that the end of the capture ended.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { capture } from '../captures.mjs';
import { cpuModel, print } from '../table.mjs';
import { args, markdown } from './dist.mjs';
import { STAGES, timeStages } from './stage-times.mjs';

const { values, positionals } = parseArgs({
  args,
  allowPositionals: true,
  options: {
    options: { type: 'string', default: '{}' },
    every: { type: 'string', default: '500000' },
    packets: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const [name = 'small'] = positionals;
const path = existsSync(name) ? name : capture(name);
const packets = values.packets === undefined ? {} : { packets: Number(values.packets) };
const options = { source: path, enableNdpi: false, ...packets, ...JSON.parse(values.options) };
const result = await timeStages(options, Number(values.every));
if (values.json) console.log(JSON.stringify(result));
else show(result);

function show({ packets, flows, samples, endSeconds, wallSeconds, cpuSeconds }) {
  const round = (value) => value.toFixed(0);
  console.log(`${cpuModel()}, Node ${process.version}, ${path}, ${values.options}: ns a packet`);
  print(
    [
      ['packets', ...STAGES, 'all', 'live flows', ''],
      ...samples.map((one) => [
        one.packets.toLocaleString('en'),
        ...STAGES.map((stage) => round(one.ns[stage])),
        round(one.all),
        one.live.toLocaleString('en'),
        '',
      ]),
    ],
    { markdown },
  );
  console.log(
    `${packets.toLocaleString('en')} packets, ${flows.toLocaleString('en')} flows: ${wallSeconds.toFixed(2)} s, ` +
      `${cpuSeconds.toFixed(2)} s of CPU; end ${endSeconds.toFixed(2)} s`,
  );
}
