// npm run conformance [-- FOLDER] [--applications] [--with-ndpi] [--show N]
//
// Compares flows with the expected files of FOLDER (default ../shared/captures), prints a line for each capture that
// differs and the totals, and exits 1 when a difference is not in differs.json. --with-ndpi also counts, for
// information, on how many equal flows the application name is the expected one (which another nDPI made).
// --applications compares application names with ndpiReader instead. --show prints N differences of each capture.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Streamer } from '../dist/index.js';
import { compareApplications, ndpiReaderVersion } from './applications.mjs';
import { checkCapture, findCaptures, REGISTER } from './conformance.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    applications: { type: 'boolean', default: false },
    'with-ndpi': { type: 'boolean', default: false },
    show: { type: 'string', default: '0' },
  },
});
const folder = positionals[0] ?? '../shared/captures';
const show = Number(values.show);
if (!existsSync(join(folder, 'expected'))) {
  console.error(`conformance: expected a folder with captures and expected/ and received ${folder}`);
  process.exit(2);
}
await (values.applications ? applications() : flows());

async function flows() {
  const total = { captures: 0, expected: 0, equal: 0, damaged: 0, sameApplication: 0, unexplained: 0 };
  const byReason = {};
  const byKind = {};
  for (const name of findCaptures(folder)) {
    const report = await checkCapture(Streamer, folder, name, { enableNdpi: values['with-ndpi'] });
    total.captures++;
    total.expected += report.expected;
    total.equal += report.equal;
    total.sameApplication += report.sameApplication;
    if (report.damage !== undefined) total.damaged++;
    if (report.isUnexplained) total.unexplained++;
    for (const [reason, count] of Object.entries(report.reasons)) byReason[reason] = (byReason[reason] ?? 0) + count;
    if (report.kind !== undefined) byKind[report.kind] = (byKind[report.kind] ?? 0) + report.differences.length;
    if (report.differences.length > 0 || report.isUnexplained) printCapture(report);
  }
  console.log(`\n${total.captures} captures: ${total.expected} flows expected, ${total.equal} equal`);
  console.log(`differing by reason: ${listed(byReason)}`);
  for (const [kind, count] of Object.entries(byKind))
    console.log(`DIFFERS ${kind} (${count}): ${REGISTER.kinds[kind]}`);
  if (total.damaged > 0) console.log(`${total.damaged} captures are damaged and were metered up to the damage`);
  if (values['with-ndpi']) {
    const share = ((100 * total.sameApplication) / total.equal).toFixed(2);
    console.log(`application as expected, for information (another nDPI): ${total.sameApplication} = ${share} %`);
  }
  console.log(`captures with unexplained differences: ${total.unexplained}`);
  process.exitCode = total.unexplained > 0 ? 1 : 0;
}

/** @param {import('./conformance.mjs').CaptureReport} report */
function printCapture({ name, expected, equal, reasons, kind, isUnexplained, damage, differences }) {
  const verdict = isUnexplained ? 'UNEXPLAINED' : `DIFFERS ${kind}`;
  const damaged = damage === undefined ? '' : ` [${damage}]`;
  console.log(`${name}: ${expected} expected, ${equal} equal; ${listed(reasons)}: ${verdict}${damaged}`);
  for (const { reason, expected: theirs, ours } of differences.slice(0, show)) {
    console.log(`  ${reason}\n    expected ${JSON.stringify(theirs)}\n    ours     ${JSON.stringify(ours)}`);
  }
}

async function applications() {
  const version = await ndpiReaderVersion();
  if (version === undefined) {
    console.error('conformance: --applications needs ndpiReader (Debian: apt-get install libndpi-bin)');
    process.exit(2);
  }
  let both = 0;
  let onlyOne = 0;
  let agree = 0;
  for (const name of findCaptures(folder)) {
    const report = await compareApplications(Streamer, join(folder, name));
    both += report.both;
    onlyOne += report.onlyOne;
    agree += report.both - report.disagreements.length;
    for (const { flow, ours, theirs } of report.disagreements) {
      console.log(`${name}: ${flow}: ours ${ours}, ndpiReader's ${theirs}`);
    }
  }
  const share = (100 * agree) / both;
  console.log(
    `\nndpiReader ${version}: ${both} flows that both see (${onlyOne} that one sees), ${agree} agree: ${share.toFixed(2)} %`,
  );
  process.exitCode = share >= 99 ? 0 : 1;
}

function listed(counts) {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return parts.length > 0 ? parts.join(', ') : 'none';
}
