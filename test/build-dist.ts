// Compiles src/ to dist/ before tests that need it, unless dist/ is newer. It is built beside and swapped in, so that
// whatever runs from the old one meanwhile isn't disturbed.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');
const DIST = join(ROOT, 'dist');
const MARK = join(DIST, 'index.js');

function newest(folder: string): number {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return Math.max(...entries.map((entry) => statSync(join(entry.parentPath, entry.name)).mtimeMs));
}

function isFresh(): boolean {
  if (!existsSync(MARK)) return false;
  const inputs = ['package.json', 'tsconfig.json', 'tsconfig.build.json'].map((f) => statSync(join(ROOT, f)).mtimeMs);
  return statSync(MARK).mtimeMs > Math.max(newest(join(ROOT, 'src')), ...inputs);
}

export default function setup(): void {
  if (isFresh()) return;
  const fresh = join(ROOT, 'build', `dist-${process.pid}`);
  mkdirSync(fresh, { recursive: true });
  try {
    execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json', '--outDir', fresh], { cwd: ROOT, stdio: 'pipe' });
  } catch (error) {
    // Type errors are the type checker's test to report; what was compiled all the same runs.
    const { stdout } = error as { stdout: Buffer };
    console.warn(`src/ does not compile cleanly:\n${stdout}`);
    if (!existsSync(join(fresh, 'index.js'))) throw new Error('src/ does not compile');
  }
  const old = `${fresh}-old`;
  if (existsSync(DIST)) renameSync(DIST, old);
  renameSync(fresh, DIST);
  rmSync(old, { recursive: true, force: true });
}
