import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { NfstreamError } from '../../src/errors.ts';
import { PACKAGE_ROOT } from '../../src/native/addon.ts';
import { buildNative } from '../../src/native/build.ts';
import { findLinkages } from '../../src/native/libraries.ts';

/** Whether `c++` compiles a file that includes `header`. */
function compiles(header: string): boolean {
  const args = ['-fsyntax-only', '-x', 'c++', '-I/usr/include/ndpi', '-'];
  return spawnSync('c++', args, { input: `#include <${header}>\n` }).status === 0;
}
const canBuild = compiles('pcap/pcap.h') && compiles('ndpi_api.h');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-build-'));
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

/** Makes `$CXX` a shell script with this body. */
function fakeCompiler(body: string): string {
  const path = join(folder, 'fake-cxx');
  writeFileSync(path, `#!/bin/sh\nif [ "$1" = --version ]; then echo 'fake 1.0'; exit 0; fi\n${body}\n`);
  chmodSync(path, 0o755);
  vi.stubEnv('CXX', path);
  return path;
}

async function failure(options: Parameters<typeof buildNative>[0]): Promise<NfstreamError> {
  return buildNative(options).then(
    () => {
      throw new Error('the build succeeded');
    },
    (error: NfstreamError) => error,
  );
}

describe('buildNative', () => {
  it.skipIf(!canBuild)('builds an addon that loads, once', async () => {
    const outDir = join(folder, 'out');
    const log: string[] = [];
    const [first] = await buildNative({ only: ['ndpi'], outDir, log: (line) => log.push(line) });
    expect(first).toMatchObject({ name: 'ndpi', path: join(outDir, 'ndpi.node'), unchanged: false });
    expect(log[0]).toMatch(/^ndpi: \S+ .*-Werror.*native\/ndpi\.cc/);
    expect(readdirSync(outDir).sort()).toEqual(['ndpi.json', 'ndpi.node']);
    const loaded = `const addon = require(${JSON.stringify(first?.path)}); process.stdout.write(addon.libraryVersion)`;
    expect(execFileSync(process.execPath, ['-e', loaded], { encoding: 'utf8' })).toMatch(/^\d+\.\d+/);

    if (process.platform === 'linux' && (await findLinkages('ndpi', '')).some(({ kind }) => kind === 'static')) {
      expect(first?.linkage).toBe('static');
      expect(execFileSync('ldd', [String(first?.path)], { encoding: 'utf8' })).not.toContain('libndpi');
    }

    const [second] = await buildNative({ only: ['ndpi'], outDir });
    expect(second).toEqual({ ...first, unchanged: true });
    writeFileSync(join(outDir, 'ndpi.json'), '{ damaged');
    const [third] = await buildNative({ only: ['ndpi'], outDir });
    expect(third?.unchanged).toBe(false);
  });

  it.skipIf(!canBuild)('does without pkg-config', async () => {
    vi.stubEnv('PKG_CONFIG', join(folder, 'no-such-command'));
    expect(await buildNative({ only: ['capture'], outDir: folder })).toMatchObject([
      { name: 'capture', linkage: 'shared', unchanged: false },
    ]);
  });

  it('says which compilers it tried and what to install', async () => {
    vi.stubEnv('CXX', join(folder, 'no-such-compiler'));
    const error = await failure({ outDir: folder });
    expect(error.code).toBe('NATIVE_BUILD_FAILED');
    expect(error.message).toContain(`${join(folder, 'no-such-compiler')} --version`);
    expect(error.message).toContain('(from CXX)');
    expect(error.message).toContain('apt install g++');
    expect(error.message).toContain('xcode-select');
  });

  it.each([
    ['ndpi', 'ndpi.cc:1:10: fatal error: ndpi_api.h: No such file or directory', 'libndpi-dev', 'brew install ndpi'],
    [
      'ndpi',
      '/usr/bin/ld: cannot find -lgcrypt: No such file or directory',
      'libgcrypt20-dev',
      'brew install libgcrypt',
    ],
    ['capture', 'capture.cc:5:10: fatal error: pcap/pcap.h: No such file', 'libpcap-dev', 'brew install libpcap'],
    ['capture', '/usr/bin/ld: cannot find -lpcap: No such file', 'libpcap-dev', 'brew install libpcap'],
  ] as const)('%s: turns "%s" into the packages to install', async (only, output, debian, homebrew) => {
    const compiler = fakeCompiler(`echo '${output}' >&2; exit 1`);
    const { code, message } = await failure({ only: [only], outDir: folder });
    expect(code).toBe('NATIVE_BUILD_FAILED');
    expect(message).toContain(`Ran: ${compiler} -std=c++17`);
    expect(message).toContain(output);
    expect(message).toContain(debian);
    expect(message).toContain(homebrew);
  });

  it.skipIf(!canBuild)('builds what it can, then fails for the rest and leaves no debris', async () => {
    fakeCompiler('case "$*" in *ndpi.cc*) echo "ndpi.cc: error: no" >&2; exit 1;; esac\nexec c++ "$@"');
    const outDir = join(folder, 'out');
    const { message } = await failure({ outDir });
    expect(message).toContain('compiling the ndpi addon failed');
    expect(message).not.toContain('compiling the capture addon failed');
    expect(readdirSync(outDir).sort()).toEqual(['capture.json', 'capture.node']);
  });

  it.skipIf(!canBuild)('refuses a binary that links and does not load', async () => {
    // Leaves out the library, so that the addon lacks its symbols.
    fakeCompiler('for a in "$@"; do shift; case "$a" in -lpcap) ;; *) set -- "$@" "$a";; esac; done; exec c++ "$@"');
    const { message } = await failure({ only: ['capture'], outDir: folder });
    expect(message).toContain('undefined symbol: pcap_');
    expect(existsSync(join(folder, 'capture.node'))).toBe(false);
  });
});

describe('the NOTICE', () => {
  it('states the licences and how to link another nDPI', () => {
    const notice = readFileSync(join(PACKAGE_ROOT, 'NOTICE'), 'utf8');
    for (const word of ['nDPI', 'Lesser General Public License', 'build-native', 'libpcap', 'BSD']) {
      expect(notice).toContain(word);
    }
  });
});
