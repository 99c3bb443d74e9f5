// What a reviewer should not have to look for: format, lint, types, unused code, long files, the order of the stages.
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '..', '..');
const LINES_MAX = 400;
const MINUTE = 60_000;

/** Runs a tool of node_modules; the output, empty when it has nothing to say against the code. */
async function complaintsOf(tool: string, ...args: string[]): Promise<string> {
  const child = spawn(join(ROOT, 'node_modules', '.bin', tool), args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = new Promise<number | null>((resolve) => child.once('close', resolve));
  const [stdout, stderr, code] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return code === 0 ? '' : `${tool} ended with ${code}\n${stdout}${stderr}`;
}

function files(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('the sources', () => {
  it(
    'are formatted and free of lint',
    async () => {
      expect(await complaintsOf('biome', 'check', '--error-on-warnings', '--colors=off', '.')).toBe('');
    },
    2 * MINUTE,
  );

  it(
    'have no type errors',
    async () => {
      for (const project of ['.', 'kernel']) {
        expect(await complaintsOf('tsc', '--noEmit', '--pretty', 'false', '-p', project)).toBe('');
      }
    },
    2 * MINUTE,
  );

  it(
    'have no unused files, exports or dependencies',
    async () => {
      expect(await complaintsOf('knip', '--no-progress')).toBe('');
    },
    2 * MINUTE,
  );

  it(`have no file of more than ${LINES_MAX} lines`, () => {
    const long = ['src', 'native', 'test', 'bin', 'bench', 'conformance', 'script']
      .flatMap(files)
      .filter((path) => /\.(ts|mjs|js|cc|h)$/.test(path))
      .map((path) => ({ path, lines: readFileSync(path, 'utf8').split('\n').length - 1 }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(long).toEqual([]);
  });

  it('open with a comment that says what the file is for', () => {
    const bare = ['src', 'native']
      .flatMap(files)
      .filter((path) => /\.(ts|cc|h)$/.test(path) && !readFileSync(path, 'utf8').startsWith('// '));
    expect(bare).toEqual([]);
  });

  it('are named in kebab-case, and nothing is called utils', () => {
    const odd = files('src')
      .map((path) => basename(path))
      .filter(
        (name) => !/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(name) || /^(utils?|helpers?|types|misc|common)\./.test(name),
      );
    expect(odd).toEqual(['README.md']);
  });
});

describe('package-lock.json', () => {
  it('lists every optional dependency, also those of other platforms, without which `npm ci` refuses', () => {
    // npm leaves those out that the registry at hand did not have when the lock was written.
    const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { optionalDependencies?: Record<string, string> }>;
    };
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        (name) =>
          packages[`node_modules/${name}`] === undefined && packages[`${path}/node_modules/${name}`] === undefined,
      ),
    );
    expect(missing).toEqual([]);
  });
});

describe('the order of the stages', () => {
  /** From left to right: each imports from those to its left. A sink sees finished flows only; native/ sees no stage. */
  const STAGES = ['source', 'packet', 'flow', 'classifier', 'sink'];
  const OUTSIDE = ['../cli/main.ts', '../pipeline.ts', '../streamer.ts', '../index.ts'];
  const ALLOWED: Readonly<Record<string, readonly string[]>> = {
    source: [],
    packet: ['source'],
    flow: ['source', 'packet'],
    classifier: ['source', 'packet', 'flow'],
    sink: ['flow', 'classifier'],
    native: [],
  };

  it('is held by the linter', () => {
    const folder = mkdtempSync(join(tmpdir(), 'nfstream-lint-'));
    try {
      copyFileSync(join(ROOT, 'biome.json'), join(folder, 'biome.json'));
      const forbidden: string[] = [];
      for (const [stage, allowed] of Object.entries(ALLOWED)) {
        const others = STAGES.filter((other) => other !== stage);
        const paths = [...others.map((other) => `../${other}/${other}.ts`), ...OUTSIDE, '../errors.ts', './probe.ts'];
        mkdirSync(join(folder, 'src', stage), { recursive: true });
        writeFileSync(
          join(folder, 'src', stage, 'probe.ts'),
          paths.map((path, at) => `import type * as a${at} from '${path}';\n`).join(''),
        );
        const bad = [
          ...others.filter((other) => !allowed.includes(other)).map((other) => `../${other}/${other}.ts`),
          ...OUTSIDE,
        ];
        forbidden.push(...bad.map((path) => `src/${stage}/probe.ts:${paths.indexOf(path) + 1}`));
      }
      const args = [
        'lint',
        '--vcs-enabled=false',
        '--only=style/noRestrictedImports',
        '--reporter=json',
        '--max-diagnostics=none',
      ];
      const { stdout } = spawnSync(join(ROOT, 'node_modules', '.bin', 'biome'), [...args, '.'], { cwd: folder });
      const { diagnostics } = JSON.parse(stdout.toString()) as {
        diagnostics: { location: { path: string; start: { line: number } } }[];
      };
      const refused = diagnostics.map(({ location }) => `${location.path}:${location.start.line}`);
      expect(refused.sort()).toEqual(forbidden.sort());
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
