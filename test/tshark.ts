// Test support: the fields that tshark shows of each packet of a capture.
import { execFileSync, spawnSync } from 'node:child_process';

export const HAS_TSHARK = spawnSync('tshark', ['--version']).status === 0;

/** Options: a field's values in all layers of a packet, outermost first, with commas between; packets as they are captured. */
export const EACH_LAYER = [
  ...['-o', 'ip.defragment:FALSE', '-o', 'ipv6.defragment:FALSE'],
  ...['-E', 'occurrence=a', '-E', 'aggregator=,'],
] as const;

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
