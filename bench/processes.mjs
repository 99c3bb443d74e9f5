// node bench/processes.mjs [--most N]
//
// What it costs to find the process of a flow. First the two ways to a connection's socket, netlink's sock_diag and the
// tables in /proc/net, with 100, 1,000 and 10,000 sockets; then the way from a socket to its process, /proc/PID/fd; then
// what the classifier adds to metering, for a new flow and for each packet after its first; then how long a process has to
// live to be found. Loopback only, in a network namespace of its own (needs root or user namespaces: unshare). It runs
// what is in dist/ (script/setup).
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import net from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ProcessClassifier } from '../dist/classifier/process-classifier.js';
import { NFStreamClassifier, Streamer } from '../dist/index.js';
import { loadCapture } from '../dist/native/capture.js';
import { encodeQuestion, QUESTION_BYTES, SocketDiag, TCP, UDP } from '../dist/system/socket-diag.js';
import { SocketHolders } from '../dist/system/socket-holders.js';
import { median } from './measure.mjs';
import { CaptureWriter } from './processes/capture.mjs';
import { foundByLifetime, LIFETIMES_MS } from './processes/lifetimes.mjs';

const SOCKETS = [100, 1000, 10_000];
const PROCESSES = 300;
const LOOPBACK = new Uint8Array([127, 0, 0, 1, 127, 0, 0, 1]);
const NLM_F_DUMP = 0x300;

const { values } = parseArgs({ options: { most: { type: 'string', default: '10000' }, inside: { type: 'boolean' } } });
if (!values.inside) enter();

const loaded = loadCapture();
if (!loaded.ok) throw new Error(loaded.message);
const { addon } = loaded;
const diag = SocketDiag.open(addon);
if (typeof diag === 'number') throw new Error(`no sock_diag: errno ${diag}`);

console.log(`${/model name\s*: (.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]}, Node ${process.version}`);

/** Runs this script again in a network namespace whose loopback is up. */
function enter() {
  const self = [process.execPath, fileURLToPath(import.meta.url), '--inside', ...process.argv.slice(2)];
  const line = 'ip link set lo up && ulimit -n "$(ulimit -Hn)" && exec "$@"';
  const { status } = spawnSync('unshare', ['--map-root-user', '--net', 'bash', '-c', line, 'bash', ...self], {
    stdio: 'inherit',
  });
  process.exit(status ?? 1);
}

/** Median over some rounds of what one call takes, µs. @param {() => unknown} call */
function cost(call, calls = 1, rounds = 7) {
  const times = [];
  for (let round = -1; round < rounds; round++) {
    const since = performance.now();
    for (let i = 0; i < calls; i++) call();
    if (round >= 0) times.push(((performance.now() - since) * 1000) / calls);
  }
  return median(times);
}

function question(protocol, localPort, remotePort) {
  const made = new Uint8Array(QUESTION_BYTES);
  encodeQuestion(made, protocol, { bytes: LOOPBACK, localAt: 0, remoteAt: 4, length: 4 }, localPort, remotePort);
  return made;
}

async function compareSockets() {
  const rows = [['sockets', 'sock_diag, one', 'no such', 'sock_diag, all', '/proc/net, all read', 'read and parsed']];
  const server = net.createServer({ pauseOnConnect: true }, (socket) => sockets.push(socket));
  const sockets = [];
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  for (const count of SOCKETS.filter((number) => number <= Number(values.most))) {
    while (sockets.length < count - 1) {
      const client = net.connect(port, '127.0.0.1');
      await new Promise((resolve, reject) => client.once('connect', resolve).once('error', reject));
      sockets.push(client);
      while (sockets.length % 2 === 1) await sleep(0);
    }
    const client = sockets.find((socket) => socket.remotePort === port);
    const found = { state: 0, inode: 0 };
    const [hit, miss] = [question(TCP, client.localPort, port), question(UDP, 1, 1)];
    if (diag.ask(hit, found) !== 0 || found.inode === 0) throw new Error('the socket is not found');
    rows.push([
      count,
      micros(cost(() => diag.ask(hit, found), 2000)),
      micros(cost(() => diag.ask(miss, found), 2000)),
      micros(cost(() => dump(TCP) + dump(UDP))),
      micros(cost(() => TABLES.map((path) => readFileSync(path).length))),
      micros(cost(() => TABLES.map((path) => parseTable(readFileSync(path, 'latin1')).size))),
    ]);
  }
  print('The socket of a connection: time of one look', rows);
  for (const socket of sockets) socket.destroy();
  server.close();
}

const TABLES = ['tcp', 'tcp6', 'udp', 'udp6'].map((name) => `/proc/self/net/${name}`);

/** All sockets of a protocol, IPv4 and IPv6: bytes of the answers. */
function dump(protocol) {
  const answer = new Uint8Array(1 << 16);
  let bytes = 0;
  for (const family of [2, 10]) {
    const asked = question(protocol, 0, 0);
    new DataView(asked.buffer).setUint16(6, 1 | NLM_F_DUMP, true);
    asked[16] = family;
    asked.fill(0, 28, 60);
    for (let ask = asked; ; ask = new Uint8Array(0)) {
      const length = addon.askSocketDiag(diag.file, ask, answer);
      if (length < 0) throw new Error(`sock_diag: errno ${-length}`);
      bytes += length;
      // NLMSG_DONE comes alone, or last.
      let type = 0;
      const view = new DataView(answer.buffer);
      for (let at = 0; at < length; at += (view.getUint32(at, true) + 3) & ~3) type = view.getUint16(at + 4, true);
      if (type === 3) break;
    }
  }
  return bytes;
}

/** Inodes by ends, as who reads these tables needs them. */
function parseTable(text) {
  const inodes = new Map();
  for (const line of text.split('\n').slice(1)) {
    const fields = line.trim().split(/\s+/);
    if (fields.length > 9) inodes.set(`${fields[1]} ${fields[2]}`, Number(fields[9]));
  }
  return inodes;
}

async function compareHolders() {
  const rows = [['processes', 'files', 'reading all', 'a process that has just begun', 'that was known']];
  const children = [];
  for (const count of [0, PROCESSES]) {
    while (children.length < count) children.push(spawn('sleep', ['600'], { stdio: 'ignore' }));
    await sleep(count === 0 ? 0 : 1000);
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    const files = pids.flatMap((pid) => list(pid));
    const all = cost(() => {
      for (const pid of pids) for (const file of list(pid)) link(file);
    });
    const begun = [];
    const known = [];
    const holders = new SocketHolders();
    holders.survey(Number.POSITIVE_INFINITY);
    for (let i = 0; i < 7; i++) {
      const child = spawn('python3', ['-c', HOLD], { stdio: ['pipe', 'pipe', 'inherit'] });
      await new Promise((resolve) => child.stdout.once('data', resolve));
      const inode = list(child.pid)
        .map(link)
        .find((text) => text?.startsWith('socket:['));
      const number = Number(/\d+/.exec(inode)[0]);
      begun.push(
        cost(
          () => {
            holders.want(number, performance.now());
            holders.search(Number.POSITIVE_INFINITY);
          },
          1,
          1,
        ),
      );
      let time = performance.now();
      known.push(
        cost(() => {
          time += 1000;
          if (holders.find(number, time)?.pid !== child.pid) throw new Error('not found');
        }, 100),
      );
      child.kill();
    }
    rows.push([pids.length, files.length, micros(all), micros(median(begun)), micros(median(known))]);
  }
  for (const child of children) child.kill();
  print('The process of a socket: time of one look', rows);
}

const HOLD = 'import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);print(1,flush=True);sys.stdin.read()';

function list(pid) {
  try {
    return readdirSync(`/proc/${pid}/fd`).map((file) => `/proc/${pid}/fd/${file}`);
  } catch {
    return [];
  }
}

function link(path) {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

async function compareLifetimes() {
  const rows = [['the client and its connection live for', ...LIFETIMES_MS.map((ms) => `${ms} ms`)]];
  for (const immediate of [false, true]) {
    const found = await foundByLifetime(immediate);
    rows.push([immediate ? 'immediate' : 'batches of 50 ms', ...found.map((share) => `${share} %`)]);
  }
  print('Clients that are found, of those that begin, connect, wait and end', rows);
}

class Idle extends NFStreamClassifier {
  onFlowUpdate() {
    return true;
  }
}

/** CPU time of metering, µs, with a classifier, for a capture that comes in portions with a pause after each. */
async function meter(classifier, portions, pauseMs) {
  const source = Readable.from(
    (async function* () {
      for (const bytes of portions) {
        yield bytes;
        await sleep(pauseMs);
      }
    })(),
  );
  let found = 0;
  let flows = 0;
  const before = process.cpuUsage();
  const since = performance.now();
  for await (const flow of new Streamer({ source, enableNdpi: false, userClassifiers: classifier })) {
    flows++;
    if (flow.metrics.process_id !== null) found++;
  }
  const { user, system } = process.cpuUsage(before);
  return { cpu: user + system, wall: (performance.now() - since) * 1000, found, flows };
}

async function compareMetering() {
  const server = net.createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  const scenes = [
    ['2,000 new flows/s for 5 s', { portions: 50, flows: 200, packets: 1 }, 100],
    ['10,000 new flows/s for 5 s', { portions: 50, flows: 1000, packets: 1 }, 100],
    ['200,000 new flows at once', { portions: 1, flows: 200_000, packets: 1 }, 0],
    ['1,000 flows of 1,000 packets', { portions: 1, flows: 1000, packets: 1000 }, 0],
  ];
  const rows = [
    ['to a port that this process listens at', 'CPU without', 'CPU with', 'each flow', 'each packet', 'found'],
  ];
  for (const [name, { portions, flows, packets }, pauseMs] of scenes) {
    const writer = new CaptureWriter(port);
    const bytes = Array.from({ length: portions }, () => writer.portion(flows, packets));
    const runs = [];
    for (let i = 0; i < 3; i++) {
      const without = await meter(new Idle(), bytes, pauseMs);
      const with_ = await meter(new ProcessClassifier(), bytes, pauseMs);
      runs.push({ without, with_, over: with_.cpu - without.cpu });
    }
    const over = median(runs.map((run) => run.over));
    const { with_ } = runs[0];
    rows.push([
      name,
      `${(median(runs.map(({ without }) => without.cpu)) / 1000).toFixed(0)} ms`,
      `${(median(runs.map((run) => run.with_.cpu)) / 1000).toFixed(0)} ms`,
      micros(over / (portions * flows)),
      packets === 1 ? '' : micros(over / (portions * flows * packets), 3),
      `${((100 * with_.found) / with_.flows).toFixed(0)} %`,
    ]);
  }
  print('Metering with the classifier, beside one that does nothing: CPU time', rows);
  server.close();
}

function micros(value, digits = 1) {
  return `${value < 10 ? value.toFixed(digits) : Math.round(value).toLocaleString('en')} µs`;
}

function print(title, rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  console.log(`\n${title}`);
  for (const row of rows) {
    const cells = row.map((cell, i) => (i === 0 ? String(cell).padEnd(widths[i]) : String(cell).padStart(widths[i])));
    console.log(cells.join('  '));
  }
}

await compareSockets();
await compareHolders();
await compareMetering();
await compareLifetimes();
process.exit();
