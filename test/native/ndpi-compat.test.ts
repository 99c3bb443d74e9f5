import { execFile, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { PACKAGE_ROOT } from '../../src/native/addon.ts';

const hasCompiler = spawnSync('c++', ['--version']).status === 0;
const flags = ['-std=c++17', '-fsyntax-only', '-Wall', '-Wextra', '-Werror', '-DNFSTREAM_ADDON_CONTRACT=1'];
const nodeApi = join(PACKAGE_ROOT, 'node_modules/node-api-headers/include');
const include = ['-isystem', nodeApi, `-I${join(import.meta.dirname, 'imitation')}`];
const source = join(PACKAGE_ROOT, 'native/ndpi.cc');
const compile = (...more: string[]) => promisify(execFile)('c++', [...flags, '-DNAPI_VERSION=8', ...include, ...more]);

describe.skipIf(!hasCompiler)('native/ndpi-compat.h', () => {
  it.concurrent.each([406, 410, 412, 500])('fits the shape of nDPI %i', async (version) => {
    expect((await compile(`-DIMITATE=${version}`, source)).stderr).toBe('');
  });

  it('would not compile if the shape were another', async () => {
    // Without this the tests above could pass because nothing is looked at.
    const wrong = compile('-DIMITATE=500', '-Dndpi_detection_giveup=renamed_giveup(int)', source);
    await expect(wrong).rejects.toThrow(/giveup/);
  });
});
