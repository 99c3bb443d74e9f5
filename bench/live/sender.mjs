// tcpreplay, for some seconds at some rate.
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { capture, writeMix, writeSmall } from '../captures.mjs';
import { OUT } from './network.mjs';

const DEMO = fileURLToPath(new URL('../../fixtures/demo.pcapng', import.meta.url));
const PACKETS = 1_000_000;
/** Below this the file is read as it goes; preloading takes a second and is needed for the highest rates only. */
const PRELOAD_FROM = 400_000;

/** Beginnings of the captures of captures.mjs: a whole one takes tcpreplay seconds to load. Longer replays repeat them. */
export const LIVE_CAPTURES = {
  mix: () => capture('live-mix', (path) => writeMix(path, PACKETS)),
  small: () => capture('live-small', (path) => writeSmall(path, PACKETS, 100_000)),
  few: () => capture('live-few', (path) => writeSmall(path, PACKETS, 1000)),
};

/**
 * @typedef {object} Sent
 * @property {number} packets
 * @property {number} seconds
 * @property {number} rate packets a second
 */

/**
 * @param {import('./network.mjs').Network} network
 * @param {string} path
 * @param {number} rate packets a second; Infinity for as fast as it goes
 * @param {number} seconds
 * @returns {Promise<Sent>}
 */
export function send(network, path, rate, seconds) {
  const speed = rate === Number.POSITIVE_INFINITY ? ['--topspeed'] : [`--pps=${Math.round(rate)}`];
  if (rate >= PRELOAD_FROM) speed.push('--preload-pcap');
  return tcpreplay(network, [...speed, '--loop=0', `--duration=${seconds}`, path]);
}

/** Every protocol of the demo capture, from other addresses each time round: compilers and caches get warm. */
export function warmUp(network) {
  return tcpreplay(network, ['--pps=60000', '--unique-ip', '--loop=0', '--duration=2', DEMO]);
}

/** A replay without end. @returns {{ process: import('node:child_process').ChildProcess, sent: Promise<Sent> }} */
export function sendOn(network, path, rate) {
  return start(network, [`--pps=${Math.round(rate)}`, '--loop=0', path]);
}

function tcpreplay(network, args) {
  return start(network, args).sent;
}

function start(network, args) {
  const [program, ...rest] = network.onSender('0', ['tcpreplay', '-q', '--no-flow-stats', '-i', OUT, ...args]);
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      said = (said + chunk).slice(-4000);
    });
  }
  const sent = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      const [, packets, seconds] = /Actual: (\d+) packets .* sent in ([\d.]+) seconds/.exec(said) ?? [];
      const failed = Number(/Failed packets:\s+(\d+)/.exec(said)?.[1] ?? 0);
      if (packets === undefined || failed > 0) return reject(new Error(`tcpreplay ended with ${code}: ${said.trim()}`));
      resolve({ packets: Number(packets), seconds: Number(seconds), rate: Number(packets) / Number(seconds) });
    });
  });
  return { process: child, sent };
}
