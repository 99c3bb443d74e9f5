// Runs a function of a test in a Node.js of its own inside a fresh network namespace, which is gone with that process.
// The namespace has a loopback interface and a cable, `wire0` to `wire1`; what is sent to 192.0.2.2 arrives at `wire1`,
// and nothing else ever does.
import { spawn, spawnSync } from 'node:child_process';
import { text } from 'node:stream/consumers';
import type { CaptureAddon, CaptureHandle, CaptureSettings, CaptureTarget } from '../../src/native/capture.ts';
import { loadCapture } from '../../src/native/capture.ts';

/** A capture with the batch that it reads into. */
export interface OpenCapture {
  handle: CaptureHandle;
  target: CaptureTarget;
}

/** A packet as hexadecimal text, so that packets can be compared as a whole. */
export interface Packet {
  timeMs: number;
  wireLength: number;
  hex: string;
}

/** What the function finds in the namespace. It can use nothing else: only its text gets there. */
export interface Tools {
  addon: CaptureAddon;
  addonPath: string;
  require: NodeJS.Require;
  settings: CaptureSettings;
  open(device: string, settings?: Partial<CaptureSettings>, rows?: number, bytes?: number): OpenCapture;
  /** All that waits now. */
  readAll(capture: OpenCapture): Packet[];
  /** Reads and waits until there are `count` packets, or for `ms` in vain. */
  take(capture: OpenCapture, count: number, ms?: number): Promise<Packet[]>;
  /** Resolves when `ready` was called. */
  ready(handle: CaptureHandle): Promise<void>;
  counters(handle: CaptureHandle): number[];
  /** How often this process' threads were scheduled. */
  switches(): number;
  sleep(ms: number): Promise<void>;
  sh(command: string): string;
  /** Sends datagrams: the first four bytes of each payload are its number, counted from 0 through all calls. */
  send(count: number, payloadBytes?: number): Promise<void>;
  /** Runs tcpdump while `during` does, and returns the file that it wrote, in base64. */
  tcpdump(options: string[], during: () => Promise<unknown>): Promise<string>;
}

const SETUP = `
ip link set lo up
ip link add wire0 type veth peer name wire1 || exit 99
for name in wire0 wire1; do
  echo 1 > /proc/sys/net/ipv6/conf/$name/disable_ipv6
  ip link set $name arp off up
done
ip addr add 192.0.2.1/24 dev wire0
exec "$@"
`;

const loaded = loadCapture();
if (!loaded.ok) throw new Error(loaded.message);
const { path: addonPath } = loaded;

/** Whether namespaces can be made here. Where not, tests skip. */
export const hasNamespaces =
  spawnSync('unshare', ['--net', 'sh', '-c', SETUP, 'sh', 'true'], { stdio: 'ignore' }).status === 0;
export const hasTcpdump = spawnSync('tcpdump', ['--version'], { stdio: 'ignore' }).status === 0;
if (!hasNamespaces) console.warn('Skipped: tests of live capture need root, `unshare` and `ip` to make namespaces.');

/** Runs in the namespace, with `require` and the arguments of `tellAddon`. */
function makeTools(require: NodeJS.Require, addonPath: string): Tools {
  const { execSync, spawn } = require('node:child_process') as typeof import('node:child_process');
  const { createSocket } = require('node:dgram') as typeof import('node:dgram');
  const { readdirSync, readFileSync, rmSync } = require('node:fs') as typeof import('node:fs');
  const addon = require(addonPath) as CaptureAddon;
  const settings: CaptureSettings = {
    snaplen: 65535,
    promiscuous: true,
    bufferSize: 1 << 22,
    batchTimeoutMs: 20,
    immediate: false,
    filter: '',
    isHeld: false,
  };
  const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  let sequence = 0;
  const tools: Tools = {
    addon,
    addonPath,
    require,
    settings,
    sleep,
    open(device, changes = {}, rows = 256, bytes = 1 << 18) {
      const handle = addon.openCapture(device, { ...settings, ...changes });
      if ('kind' in handle) throw new Error(`${handle.kind}: ${handle.message}`);
      const target = {
        bytes: new Uint8Array(bytes),
        timeMs: new Float64Array(rows),
        frameAt: new Int32Array(rows),
        capturedLength: new Int32Array(rows),
        wireLength: new Uint32Array(rows),
      };
      handle.attach(target);
      return { handle, target };
    },
    readAll({ handle, target }) {
      const packets: Packet[] = [];
      for (;;) {
        const rows = handle.read(0, 0);
        if (rows === 0) return packets;
        for (let row = 0; row < rows; row++) {
          const at = target.frameAt[row];
          const hex = Buffer.from(target.bytes.subarray(at, at + target.capturedLength[row])).toString('hex');
          packets.push({ timeMs: target.timeMs[row], wireLength: target.wireLength[row], hex });
        }
      }
    },
    async take(capture, count, ms = 3000) {
      const deadline = performance.now() + ms;
      const packets = tools.readAll(capture);
      while (packets.length < count && performance.now() < deadline) {
        await Promise.race([tools.ready(capture.handle), sleep(deadline - performance.now())]);
        packets.push(...tools.readAll(capture));
      }
      return packets;
    },
    ready: (handle) => new Promise((resolve) => handle.wait(resolve)),
    counters(handle) {
      const counters = new Float64Array(3);
      if (!handle.stats(counters)) throw new Error('no counters');
      return [...counters];
    },
    switches() {
      let switches = 0;
      for (const task of readdirSync('/proc/self/task')) {
        const status = readFileSync(`/proc/self/task/${task}/status`, 'utf8');
        for (const [, count] of status.matchAll(/ctxt_switches:\s*(\d+)/g)) switches += Number(count);
      }
      return switches;
    },
    sh: (command) => execSync(command, { encoding: 'utf8', stdio: 'pipe' }),
    async send(count, payloadBytes = 20) {
      const socket = createSocket('udp4');
      await new Promise<void>((resolve) => socket.connect(9, '192.0.2.2', resolve));
      for (let i = 0; i < count; i++) {
        const payload = Buffer.alloc(payloadBytes, sequence);
        payload.writeUInt32BE(sequence++);
        await new Promise<void>((resolve, reject) =>
          socket.send(payload, (error) => (error ? reject(error) : resolve())),
        );
      }
      socket.close();
    },
    async tcpdump(options, during) {
      const file = `/tmp/nfstream-${process.pid}.pcap`;
      const args = ['-w', file, '-U', '-Z', 'root', '--time-stamp-precision=nano', ...options];
      const child = spawn('tcpdump', args, { stdio: ['ignore', 'ignore', 'pipe'] });
      let said = '';
      await new Promise<void>((resolve, reject) => {
        child.once('exit', () => reject(new Error(`tcpdump ended: ${said}`)));
        child.stderr.on('data', (chunk) => {
          said += chunk;
          if (said.includes('listening on')) resolve();
        });
      });
      try {
        await during();
        // It asks for packets to be handed over every second.
        await sleep(1200);
      } finally {
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.kill('SIGINT');
        await ended;
      }
      const bytes = readFileSync(file).toString('base64');
      rmSync(file);
      return bytes;
    },
  };
  return tools;
}

/** Runs the script `text` there; the addon's path is `process.argv[1]`. Resolves to what it printed and how it ended. */
export async function spawnInNamespace(
  script: string,
  user: string[] = [],
): Promise<{ code: number | null; signal: string | null; stdout: string; stderr: string }> {
  const node = [...user, process.execPath, '--expose-gc', '-e', script, addonPath];
  const child = spawn('unshare', ['--net', 'sh', '-c', SETUP, 'sh', ...node], { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
  const ended = new Promise<[number | null, string | null]>((resolve) =>
    child.once('close', (code, signal) => resolve([code, signal])),
  );
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  clearTimeout(timer);
  return { code, signal, stdout, stderr };
}

/** Runs `body` there and resolves to what it returns (as JSON has it). */
export async function inNamespace<T>(body: (tools: Tools) => T | Promise<T>): Promise<T> {
  const script = `
    const tools = (${makeTools.toString()})(require, process.argv[1]);
    Promise.resolve((${body.toString()})(tools)).then((result) => {
      process.stdout.write('\\n' + JSON.stringify(result), () => process.exit());
    });`;
  const { code, signal, stdout, stderr } = await spawnInNamespace(script);
  if (code !== 0) throw new Error(`ended with ${signal ?? code}: ${stderr}${stdout}`);
  return JSON.parse(stdout.slice(stdout.lastIndexOf('\n') + 1)) as T;
}
