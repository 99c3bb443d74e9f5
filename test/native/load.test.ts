import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ADDON_CONTRACT, ADDON_NAMES, BUILD_COMMAND, PACKAGE_ROOT, platformFolder } from '../../src/native/addon.ts';
import { addonPaths, type LoadFailure, loadAddon } from '../../src/native/load.ts';

const hasCompiler = (() => {
  try {
    execFileSync('c++', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();
const built = addonPaths('capture', {})[0] as string;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-load-'));
  vi.stubEnv('NFSTREAM_NATIVE', folder);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

function failureOf(name: 'ndpi' | 'capture'): LoadFailure {
  const loaded = loadAddon(name);
  if (loaded.ok) throw new Error(`${loaded.path} loads`);
  return loaded;
}

describe('addonPaths', () => {
  it('is the folder of this platform in the package', () => {
    expect(addonPaths('ndpi', {})).toEqual([join(PACKAGE_ROOT, 'prebuilds', platformFolder(), 'ndpi.node')]);
    expect(existsSync(join(PACKAGE_ROOT, 'package.json'))).toBe(true);
    expect(platformFolder()).toMatch(new RegExp(`^${process.platform}-${process.arch}(-musl)?$`));
  });

  it('is what NFSTREAM_NATIVE says', () => {
    expect(addonPaths('ndpi', { NFSTREAM_NATIVE: 'off' })).toEqual([]);
    expect(addonPaths('ndpi', { NFSTREAM_NATIVE: '/some/where' })).toEqual(['/some/where/ndpi.node']);
  });
});

describe('loadAddon', () => {
  it.skipIf(!existsSync(built))('loads what was built here', () => {
    vi.stubEnv('NFSTREAM_NATIVE', undefined);
    for (const name of ADDON_NAMES) {
      const loaded = loadAddon(name);
      if (!loaded.ok) throw new Error(loaded.message);
      expect(loaded.addon.contract).toBe(ADDON_CONTRACT[name]);
      expect(loadAddon(name)).toEqual(loaded);
    }
  });

  it('can be switched off', () => {
    vi.stubEnv('NFSTREAM_NATIVE', 'off');
    expect(failureOf('ndpi')).toEqual({
      ok: false,
      name: 'ndpi',
      tried: [],
      message: 'the ndpi addon is switched off by NFSTREAM_NATIVE=off',
    });
  });

  it('says that there is no file, where it looked, and what to run', () => {
    const { tried, message } = failureOf('ndpi');
    expect(tried).toHaveLength(1);
    expect(tried[0]?.path).toBe(join(folder, 'ndpi.node'));
    expect(tried[0]?.reason).toMatch(/^no such file/);
    expect(message).toContain(join(folder, 'ndpi.node'));
    expect(message).toContain(platformFolder());
    expect(message).toContain(process.version);
    expect(message).toContain(BUILD_COMMAND);
  });

  it("has the dynamic linker's words for a file that is no addon", () => {
    writeFileSync(join(folder, 'ndpi.node'), 'these bytes are no shared object, whatever their name says');
    expect(failureOf('ndpi').tried[0]?.reason).toContain('ndpi.node');
  });

  it.skipIf(!existsSync(built))('refuses the binary of another contract', () => {
    copyFileSync(built, join(folder, 'ndpi.node'));
    expect(failureOf('ndpi').tried[0]?.reason).toBe(
      `expected contract ${ADDON_CONTRACT.ndpi} and received ${ADDON_CONTRACT.capture}: it is of another version`,
    );
  });

  it.skipIf(!hasCompiler || process.platform !== 'linux')('names a shared library that is missing', () => {
    const compile = (source: string, ...args: string[]) =>
      execFileSync('c++', ['-shared', '-fPIC', '-x', 'c++', '-', ...args], { input: source, cwd: folder });
    compile('int absent() { return 1; }', '-o', 'libabsent.so');
    compile('int absent(); int present() { return absent(); }', '-L.', '-labsent', '-o', 'capture.node');
    rmSync(join(folder, 'libabsent.so'));
    const { tried } = failureOf('capture');
    expect(tried[0]?.reason).toMatch(/^it needs the shared library libabsent\.so, which is not installed/);
  });
});
