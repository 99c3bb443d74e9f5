// npm run conformance [-- FOLDER] [--applications] [--with-ndpi] [--show N] [--write-list]
//
// Compares flows with the expected files of FOLDER (default ../shared/captures), column by column. Prints a line for each
// capture that differs, a table of the columns, the list of the kinds of difference and the totals, and exits 1 when a
// difference is not explained by the capture itself (see explain.mjs; it is printed), or when the schemas classic and
// nfstream6 contradict each other. --with-ndpi also counts, for information, how often the columns that depend on nDPI's
// version are as expected (which another nDPI made). --applications compares application names with ndpiReader instead.
// --show prints N differences of each capture. --write-list brings the list of captures in docs/conformance.md up to date.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Streamer } from '../dist/index.js';
import { PacketDecoder } from '../dist/packet/packet-decoder.js';
import { openSource } from '../dist/source/open-source.js';
import { PacketBatch } from '../dist/source/source.js';
import { compareApplications, ndpiReaderVersion } from './applications.mjs';
import { checkCapture, countBy, findCaptures } from './conformance.mjs';
import { captureList, summarizeColumns, summarizeKinds, withList } from './report.mjs';
import { compareSchemas } from './schemas.mjs';

const library = { Streamer, openSource, PacketBatch, PacketDecoder };
const DOCUMENT = new URL('../docs/conformance.md', import.meta.url);

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    applications: { type: 'boolean', default: false },
    'with-ndpi': { type: 'boolean', default: false },
    'write-list': { type: 'boolean', default: false },
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
  const schemas = { flows: 0, disagreements: [] };
  for (const name of findCaptures(folder)) {
    const report = await checkCapture(library, folder, name, { enableNdpi: values['with-ndpi'] });
    reports.push(report);
    if (report.differences.length > 0) printCapture(report);
    const { flows: both, disagreements } = await compareSchemas(library, join(folder, name));
    schemas.flows += both;
    schemas.disagreements.push(...disagreements.map((pair) => ({ name, ...pair })));
  }
  printColumns(summarizeColumns(reports));
  if (values['with-ndpi']) printAgreement(reports);
  printKinds(summarizeKinds(reports).filter(({ captures }) => captures.length > 0));
  const isExplained = printTotals(reports);
  for (const pair of schemas.disagreements) console.log(`CONTRADICTION ${JSON.stringify(pair)}`);
  const contradicting = schemas.disagreements.length;
  console.log(`schemas classic and nfstream6: ${schemas.flows} flows in both, ${contradicting} contradict each other`);
  if (values['write-list']) writeFileSync(DOCUMENT, withList(readFileSync(DOCUMENT, 'utf8'), captureList(reports)));
  process.exitCode = isExplained && contradicting === 0 ? 0 : 1;
}

/** @param {import('./conformance.mjs').CaptureReport} report */
function printCapture({ name, expected, equal, kinds, imitated, unexplained, damage, differences }) {
  const damaged = damage === undefined ? '' : ` [${damage}]`;
  const verdict = listed(verdicts(countBy(kinds)));
  console.log(
    `${name}: ${expected} expected, ${equal} equal; ${listed(countBy(differences.map(formOf)))}: ${verdict}${damaged}`,
  );
  differences.slice(0, show).forEach((difference, i) => {
    printDifference(difference, kinds[i]);
  });
  if (unexplained.length === 0) return;
  const how = imitated === '' ? '' : `, even with ${imitated} imitated`;
  console.log(`  UNEXPLAINED (${unexplained.length}${how}):`);
  for (const difference of unexplained) printDifference(difference, '');
}

/** @param {import('./compare.mjs').Difference} difference */
function formOf({ expected, ours }) {
  if (ours === undefined) return 'missing';
  return expected === undefined ? 'extra' : 'different';
}

/** @param {import('./compare.mjs').Difference} difference @param {string} kind */
function printDifference(difference, kind) {
  const { columns, expected: theirs, ours } = difference;
  const { src_ip, src_port, dst_ip, dst_port, protocol } = theirs ?? ours;
  const flow = `${src_ip} ${src_port} - ${dst_ip} ${dst_port} protocol ${protocol}`;
  console.log(`  ${formOf(difference)}${kind === '' ? '' : ` (${kind})`}: ${flow}`);
  for (const column of columns) {
    console.log(`    ${column}: expected ${JSON.stringify(theirs[column])}, ours ${JSON.stringify(ours[column])}`);
  }
}

/** @param {Record<string, number>} kinds @returns {Record<string, number>} */
function verdicts(kinds) {
  return Object.fromEntries(
    Object.entries(kinds).map(([kind, count]) => [kind === '' ? 'UNEXPLAINED' : `DIFFERS ${kind}`, count]),
  );
}

/** @param {import('./report.mjs').ColumnSummary[]} columns */
function printColumns(columns) {
  console.log(`\n${'column'.padEnd(28)}   flows   equal  differ  explained`);
  for (const { column, compared, equal, different, explained, kinds } of columns) {
    const counts = [compared, equal, different, explained].map((count) => String(count).padStart(8)).join('');
    console.log(`${column.padEnd(28)}${counts}   ${different === 0 ? '' : listed(kinds)}`.trimEnd());
  }
}

/** @param {import('./conformance.mjs').CaptureReport[]} reports */
function printAgreement(reports) {
  const equal = sum(reports, (report) => report.equal);
  console.log('\nof the equal flows, as expected, for information (another nDPI):');
  for (const column of Object.keys(reports.find(({ agreeing }) => Object.keys(agreeing).length > 0)?.agreeing ?? {})) {
    const same = sum(reports, (report) => report.agreeing[column] ?? 0);
    console.log(
      `${column.padEnd(28)}${String(equal).padStart(8)}${String(same).padStart(8)}   ${percent(same, equal)}`,
    );
  }
}

/** @param {import('./report.mjs').KindSummary[]} kinds */
function printKinds(kinds) {
  console.log('');
  for (const { name, text, flows: count, captures } of kinds) {
    console.log(`DIFFERS ${name} (${count} differences): ${text}\n  ${captures.join(', ')}`);
  }
}

/** @param {import('./conformance.mjs').CaptureReport[]} reports @returns {boolean} whether all is explained */
function printTotals(reports) {
  const expected = sum(reports, (report) => report.expected);
  const equal = sum(reports, (report) => report.equal);
  const kinds = reports.flatMap((report) => report.kinds);
  const explained = kinds.filter((joined) => joined !== '').length;
  const damaged = reports.filter(({ damage }) => damage !== undefined).length;
  const unexplained = reports.filter((report) => report.unexplained.length > 0);
  console.log(
    `\n${reports.length} captures: ${expected} flows expected, ${equal} equal in every column (${percent(equal, expected)})`,
  );
  console.log(`differences: ${listed(countBy(reports.flatMap((report) => report.differences.map(formOf))))}`);
  console.log(`explained: ${explained} of ${kinds.length}`);
  if (damaged > 0) console.log(`${damaged} captures are damaged and were metered up to the damage`);
  if (unexplained.length > 0) console.log(`captures with unexplained differences: ${unexplained.length}`);
  else console.log('100 % equal but for the kinds listed');
  return unexplained.length === 0;
}

function sum(list, numberOf) {
  return list.reduce((total, one) => total + numberOf(one), 0);
}

function percent(part, whole) {
  return `${((100 * part) / Math.max(1, whole)).toFixed(2)} %`;
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
