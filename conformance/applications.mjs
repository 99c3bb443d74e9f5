// Application names by us and by ndpiReader of the same nDPI, with the same packet budget, for the flows that both see.
//
// ndpiReader ends no flow while it reads a file and looks into no tunnel unless asked, so neither do we here.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { splitLine } from './expected.mjs';

const BUDGET = 20;
const OPTIONS = { inactiveTimeout: Infinity, activeTimeout: Infinity, decodeTunnels: false, dissections: BUDGET };
// It gives up after one packet more than it is told. Without -v 2 it leaves out flows that it has no name for.
const READER_OPTIONS = ['-q', '-v', '2', '-T', `${BUDGET - 1}`, '-U', `${BUDGET - 1}`];
const run = promisify(execFile);

/**
 * @typedef {object} Disagreement
 * @property {string} flow
 * @property {string} ours
 * @property {string} theirs
 */

/** The version ndpiReader says it is, or undefined when it is not installed. */
export async function ndpiReaderVersion() {
  try {
    const { stdout } = await run('ndpiReader', ['-h']);
    return /nDPI (\S+)/.exec(stdout)?.[1];
  } catch (error) {
    return /nDPI (\S+)/.exec(error.stdout ?? '')?.[1];
  }
}

/**
 * @param {new (options: any) => AsyncIterable<any>} Streamer
 * @param {string} path of a capture
 * @returns {Promise<{ both: number, onlyOne: number, disagreements: Disagreement[] }>}
 */
export async function compareApplications(Streamer, path) {
  const [theirs, ours] = await Promise.all([labelsOfNdpiReader(path), labelsOfStreamer(Streamer, path)]);
  let both = 0;
  let onlyOne = 0;
  /** @type {Disagreement[]} */
  const disagreements = [];
  for (const flow of new Set([...theirs.keys(), ...ours.keys()])) {
    const left = ours.get(flow) ?? [];
    const right = theirs.get(flow) ?? [];
    // The same endpoints twice (in two VLANs, say) can't be told apart in ndpiReader's output: compared as a set.
    const count = Math.min(left.length, right.length);
    both += count;
    onlyOne += left.length + right.length - 2 * count;
    const rest = [...right];
    const unmatched = left.filter((label) => {
      const at = rest.indexOf(label);
      if (at >= 0) rest.splice(at, 1);
      return at < 0;
    });
    for (let i = 0; i < Math.min(unmatched.length, rest.length); i++) {
      disagreements.push({ flow, ours: unmatched[i], theirs: rest[i] });
    }
  }
  return { both, onlyOne, disagreements };
}

/** @returns {Promise<Map<string, string[]>>} labels by flow */
async function labelsOfNdpiReader(path) {
  const folder = await mkdtemp(join(tmpdir(), 'applications-'));
  const csv = join(folder, 'flows.csv');
  try {
    await run('ndpiReader', [...READER_OPTIONS, '-i', path, '-C', csv], { maxBuffer: 1 << 28 });
    const [header, ...lines] = (await readFile(csv, 'latin1')).split('\n').filter(Boolean);
    const names = header.slice(1).split(',');
    const labels = new Map();
    for (const line of lines) {
      const cells = splitLine(line);
      const get = (name) => cells[names.indexOf(name)];
      const ends = [`${get('src_ip')} ${get('src_port')}`, `${get('dst_ip')} ${get('dst_port')}`];
      add(labels, get('protocol'), ends, get('ndpi_proto'));
    }
    return labels;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function labelsOfStreamer(Streamer, path) {
  const labels = new Map();
  try {
    for await (const flow of new Streamer({ source: path, ...OPTIONS })) {
      const { ip_src, src_port, ip_dst, dst_port, ip_protocol, metrics } = flow.toJSON();
      add(labels, ip_protocol, [`${ip_src} ${src_port}`, `${ip_dst} ${dst_port}`], metrics.application_name);
    }
  } catch (error) {
    if (!/_CAPTURE$/.test(error.code)) throw error;
  }
  return labels;
}

function add(labels, protocol, ends, label) {
  // ndpiReader prints a lone zero group of an IPv6 address as if it were left out.
  const flow = `${protocol} ${ends.sort().join(' - ')}`.replaceAll(':0:', '::');
  labels.set(flow, [...(labels.get(flow) ?? []), label]);
}
