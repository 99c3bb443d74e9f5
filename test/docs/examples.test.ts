// Every code block of the README and of docs/ runs: ```ts blocks are type-checked together and run one by one,
// ```sh blocks run in a shell, both from the project's root, as a reader would.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { beforeAll, describe, expect, it } from 'vitest';

const ROOT = new URL('../../', import.meta.url).pathname;
const BUILD = join(ROOT, 'build/docs');

interface Block {
  name: string;
  language: string;
  code: string;
}

function blocksOf(file: string): Block[] {
  const text = readFileSync(join(ROOT, file), 'utf8');
  return [...text.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map((match) => {
    const line = text.slice(0, match.index).split('\n').length;
    return { name: `${file}:${line}`, language: match[1], code: match[2] };
  });
}

const files = [
  'README.md',
  ...readdirSync(join(ROOT, 'docs')).flatMap((f) => (f.endsWith('.md') ? [`docs/${f}`] : [])),
];
const blocks = files.flatMap(blocksOf);
const programs = blocks.filter((block) => block.language === 'ts');
const commands = blocks.filter((block) => block.language === 'sh');
const pathOf = (block: Block) => join(BUILD, `${block.name.replace(/[^\w]+/g, '-')}.ts`);

beforeAll(() => {
  rmSync(BUILD, { recursive: true, force: true });
  mkdirSync(BUILD, { recursive: true });
  for (const block of programs) writeFileSync(pathOf(block), block.code);
});

describe('documentation', () => {
  it('has programs and commands to run, and marks every block with its language', () => {
    expect(programs.length).toBeGreaterThan(5);
    expect(commands.length).toBeGreaterThan(0);
    expect(files.filter((file) => /^[ \t]+```/m.test(readFileSync(join(ROOT, file), 'utf8')))).toEqual([]);
    // A fresh clone has no such folder: it is these tests' own.
    expect(commands.filter(({ code }) => code.includes('build/'))).toEqual([]);
    expect(blocks.filter((block) => !['ts', 'sh', 'json', 'text', 'python'].includes(block.language))).toEqual([]);
  });

  it('has programs that pass the type checker', () => {
    const program = ts.createProgram(programs.map(pathOf), {
      target: ts.ScriptTarget.ES2023,
      lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
      module: ts.ModuleKind.NodeNext,
      types: ['node'],
      // What `tsc --init` writes.
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
      verbatimModuleSyntax: true,
      skipLibCheck: true,
      outDir: BUILD,
      rootDir: BUILD,
    });
    program.emit();
    const problems = ts.getPreEmitDiagnostics(program);
    expect(ts.formatDiagnostics(problems, { ...ts.sys, getCanonicalFileName: (f) => f, getNewLine: () => '\n' })).toBe(
      '',
    );
  }, 60_000);

  it.each(programs.map((block) => [block.name, block] as const))('program %s runs', (_name, block) => {
    const out = execFileSync('node', [pathOf(block).replace(/\.ts$/, '.js')], { cwd: ROOT, encoding: 'utf8' });
    expect(out.length).toBeGreaterThan(0);
  });

  it.each(commands.map((block) => [block.name, block] as const))('commands %s run', (_name, block) => {
    // A run writes over nothing; these files and folders are from the tests before.
    for (const [, file] of block.code.matchAll(/ (?:-o|--stats) (\/tmp\/[\w.-]+)/g))
      rmSync(file, { force: true, recursive: true });
    execFileSync('bash', ['-euo', 'pipefail', '-c', block.code], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  });
});
