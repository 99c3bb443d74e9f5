// npm run conformance [-- FOLDER] [--applications] [--with-ndpi] [--show N]
//
// Compares flows with the expected files of FOLDER (default ../shared/captures), prints a line for each capture that
// differs and the totals, and exits 1 when a difference is not explained by the capture itself (see explain.mjs; the
// rows are printed). --with-ndpi also counts, for
// information, on how many equal flows the application name is the expected one (which another nDPI made).
// --applications compares application names with ndpiReader instead. --show prints N differences of each capture.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Streamer } from '../dist/index.js';
import { PacketDecoder } from '../dist/packet/packet-decoder.js';
import { openSource } from '../dist/source/open-source.js';
import { PacketBatch } from '../dist/source/source.js';
import { compareApplications, ndpiReaderVersion } from './applications.mjs';
import { checkCapture, countBy, findCaptures } from './conformance.mjs';
import { KINDS } from './imitations.mjs';

const library = { Streamer, openSource, PacketBatch, PacketDecoder };

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
if (findCaptures(folder).length === 0) {
  console.error(`conformance: expected captures with their CAPTURE.csv in ${join(folder, 'expected')} and found none`);
  process.exit(2);
}
await (values.applications ? applications() : flows());

async function flows() {
  const reports = [];
  for (const name of findCaptures(folder)) {
    const report = await checkCapture(library, folder, name, { enableNdpi: values['with-ndpi'] });
    reports.push(report);
    if (report.differences.length > 0) printCapture(report);
  }
  const sum = (countOf) => reports.reduce((total, report) => total + countOf(report), 0);
  const equal = sum((report) => report.equal);
  const kinds = reports.flatMap((report) => report.kinds);
  console.log(`\n${reports.length} captures: ${sum((report) => report.expected)} flows expected, ${equal} equal`);
  console.log(`differing by reason: ${listed(countBy(reports.flatMap(reasonsOf)))}`);
  console.log(`explained: ${kinds.filter((joined) => joined !== '').length} of ${kinds.length} differences`);
  for (const { name, text } of KINDS) {
    const count = kinds.filter((joined) => joined.split('+').includes(name)).length;
    if (count > 0) console.log(`DIFFERS ${name} (${count}): ${text}`);
  }
  const damaged = reports.filter(({ damage }) => damage !== undefined).length;
  if (damaged > 0) console.log(`${damaged} captures are damaged and were metered up to the damage`);
  if (values['with-ndpi']) {
    const same = sum((report) => report.sameApplication);
    const share = ((100 * same) / equal).toFixed(2);
    console.log(`application as expected, for information (another nDPI): ${same} = ${share} %`);
  }
  const unexplained = reports.filter((report) => report.unexplained.length > 0).length;
  console.log(`captures with unexplained differences: ${unexplained}`);
  process.exitCode = unexplained > 0 ? 1 : 0;
}

/** @param {import('./conformance.mjs').CaptureReport} report */
function printCapture({ name, expected, equal, reasons, kinds, imitated, unexplained, damage, differences }) {
  const damaged = damage === undefined ? '' : ` [${damage}]`;
  const verdict = listed(verdicts(countBy(kinds)));
  console.log(`${name}: ${expected} expected, ${equal} equal; ${listed(reasons)}: ${verdict}${damaged}`);
  differences.slice(0, show).forEach((difference, i) => {
    printDifference(difference, kinds[i]);
  });
  if (unexplained.length === 0) return;
  const how = imitated === '' ? '' : `, even with ${imitated} imitated`;
  console.log(`  UNEXPLAINED (${unexplained.length}${how}):`);
  for (const difference of unexplained) printDifference(difference, '');
}

/** @param {import('./compare.mjs').Difference} difference @param {string} kind */
function printDifference({ reason, expected: theirs, ours }, kind) {
  console.log(`  ${reason}${kind === '' ? '' : ` (${kind})`}`);
  console.log(`    expected ${JSON.stringify(theirs)}\n    ours     ${JSON.stringify(ours)}`);
}

/** @param {Record<string, number>} kinds @returns {Record<string, number>} */
function verdicts(kinds) {
  return Object.fromEntries(
    Object.entries(kinds).map(([kind, count]) => [kind === '' ? 'UNEXPLAINED' : `DIFFERS ${kind}`, count]),
  );
}

function reasonsOf({ differences }) {
  return differences.map(({ reason }) => reason);
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
