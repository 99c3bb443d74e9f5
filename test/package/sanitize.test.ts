// The addons under AddressSanitizer and UndefinedBehaviorSanitizer, the short way; script/sanitize without --short
// takes every capture at hand.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');
const NOT_AVAILABLE = 77;

it('script/sanitize --short finds nothing', { timeout: 120_000 }, ({ skip }) => {
  const { NFSTREAM_NATIVE: _, ...env } = process.env;
  const run = spawnSync(join(ROOT, 'script', 'sanitize'), ['--short'], { cwd: ROOT, env, encoding: 'utf8' });
  if (run.status === NOT_AVAILABLE) skip(run.stderr);
  expect(run.stderr).toBe('');
  expect(run.stdout).toContain('sanitize: nothing found');
  expect(run.status).toBe(0);
});
