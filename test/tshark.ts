// Test support: the fields that tshark shows of each packet of a capture.
import { execFileSync, spawnSync } from 'node:child_process';

export const HAS_TSHARK = spawnSync('tshark', ['--version']).status === 0;

/** One row for each packet that is shown: the fields' text, '' where a packet has none. `args` choose and set. */
export function tsharkRows(file: string, fields: readonly string[], args: readonly string[] = []): string[][] {
  const shown = fields.flatMap((field) => ['-e', field]);
  const text = execFileSync('tshark', ['-n', '-r', file, ...args, '-T', 'fields', ...shown], {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => line.split('\t'));
}
