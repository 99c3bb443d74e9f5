// Runs the command line as users do: a child process of bin/nfstream.js.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll } from 'vitest';

export const ROOT = join(import.meta.dirname, '..', '..');
export const BIN = join(ROOT, 'bin', 'nfstream.js');

export interface Finished {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  input?: Uint8Array;
  env?: Record<string, string>;
}

/** What the tests' own environment has must not change results. */
function environment(extra: Record<string, string> = {}): NodeJS.ProcessEnv {
  const { NO_COLOR: _1, NFSTREAM_DEBUG: _2, LC_ALL: _3, LC_CTYPE: _4, ...rest } = process.env;
  return { ...rest, LANG: 'C', ...extra };
}

export function start(args: readonly string[], env?: Record<string, string>): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, [BIN, ...args], { cwd: ROOT, env: environment(env) });
}

export async function finish(child: ChildProcessWithoutNullStreams): Promise<Finished> {
  const closed = new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.once('close', (code, signal) => resolve([code, signal])),
  );
  const [stdout, stderr, [code, signal]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code, signal, stdout, stderr };
}

export async function nfstream(args: readonly string[], { input, env }: RunOptions = {}): Promise<Finished> {
  const child = start(args, env);
  // A child that doesn't read its input closes the pipe.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return finish(child);
}

/** A line of bash with `nfstream` as a command. */
export async function bash(line: string): Promise<Finished> {
  const script = `nfstream() { ${JSON.stringify(process.execPath)} ${JSON.stringify(BIN)} "$@"; }\n${line}`;
  return finish(spawn('bash', ['-c', script], { cwd: ROOT, env: environment() }));
}

/** A folder for one test file, gone afterwards; returns paths in it. */
export function temporaryFolder(): (name: string, content?: Uint8Array | string) => string {
  const folder = mkdtempSync(join(tmpdir(), 'nfstream-cli-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return (name, content) => {
    const path = join(folder, name);
    if (content !== undefined) writeFileSync(path, content);
    return path;
  };
}

export function records(lines: string): Record<string, unknown>[] {
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}
