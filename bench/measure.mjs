// Runs a command and says what it cost: wall time by our clock, CPU time and peak memory by GNU time.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const GNU_TIME = '/usr/bin/time';
export const hasGnuTime = spawnSync(GNU_TIME, ['-f', '%M', 'true']).status === 0;

/**
 * @typedef {object} Cost
 * @property {number} wall seconds
 * @property {number} cpu seconds, user and system; NaN without GNU time
 * @property {number} rss peak resident memory in bytes; NaN without GNU time
 * @property {string} output what it wrote to standard output
 */

/**
 * @param {readonly string[]} command
 * @param {{ keepOutput?: boolean }} [options] otherwise standard output goes to /dev/null
 * @returns {Promise<Cost>} rejects when the command fails, with what it said
 */
export async function measure(command, { keepOutput = false } = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'bench-'));
  const report = join(folder, 'time');
  const [program, ...args] = hasGnuTime ? [GNU_TIME, '-o', report, '-f', '%U %S %M', ...command] : command;
  try {
    const started = performance.now();
    const child = spawn(program, args, { stdio: ['ignore', keepOutput ? 'pipe' : 'ignore', 'pipe'] });
    let output = '';
    let errors = '';
    child.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    child.stderr.on('data', (chunk) => {
      errors = (errors + chunk).slice(-2000);
    });
    const code = await new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', resolve);
    });
    const wall = (performance.now() - started) / 1000;
    if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code}: ${errors.trim()}`);
    if (!hasGnuTime) return { wall, cpu: Number.NaN, rss: Number.NaN, output };
    const [user, system, kilobytes] = readFileSync(report, 'utf8').trim().split(' ').map(Number);
    return { wall, cpu: user + system, rss: kilobytes * 1024, output };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
