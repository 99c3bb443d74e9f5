// Compiles the addons of native/ with this machine's C++ compiler, straight, without node-gyp: an addon is one source
// file, Node's C headers come from the npm package node-api-headers, and one command does it.
//
//   native/<name>.cc + native/*.h ──► prebuilds/<platform>-<arch>[-musl]/<name>.node + <name>.json (how it was built)
//
// Unchanged inputs are not compiled again. A binary is tried in a Node.js of its own before it replaces the old one,
// and replaces it by a rename, so a process that runs on the old one is not disturbed.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { NfstreamError } from '../errors.ts';
import { ADDON_CONTRACT, ADDON_NAMES, type AddonName, PACKAGE_ROOT, platformFolder } from './addon.ts';
import { findLinkages, LIBRARIES, type Linkage } from './libraries.ts';

const run = promisify(execFile);
const require = createRequire(import.meta.url);

export interface BuildOptions {
  /** Which addons; all by default. */
  only?: readonly AddonName[];
  /** Where the binaries go; by default the package's own `prebuilds/<platform>`. */
  outDir?: string;
  /** Build with AddressSanitizer and UndefinedBehaviorSanitizer, for `script/sanitize`. */
  sanitize?: boolean;
  /** Compile although nothing changed. */
  force?: boolean;
  /** Receives one line for each thing done. */
  log?: (line: string) => void;
}

/** One addon after `buildNative`. */
export interface BuiltAddon {
  readonly name: AddonName;
  readonly path: string;
  /** True when the binary that was there fits and nothing was compiled. */
  readonly unchanged: boolean;
  /** How the library is linked. */
  readonly linkage: Linkage['kind'];
}

/** The file beside a binary. */
interface BuildRecord {
  /** Hash of everything that the binary was made from. */
  inputs: string;
  linkage: Linkage['kind'];
  compiler: string;
}

interface Compiler {
  readonly command: string;
  /** Words of $CXX after the first. */
  readonly args: readonly string[];
  /** First line of `--version`. */
  readonly version: string;
  /** Debian's library folder name (`x86_64-linux-gnu`), or ''. */
  readonly multiarch: string;
}

/**
 * Compiles the addons. Builds all it can, then rejects with NATIVE_BUILD_FAILED if one failed; the message has the
 * command, the compiler's output and what to install.
 */
export async function buildNative(options: BuildOptions = {}): Promise<BuiltAddon[]> {
  const outDir = resolve(options.outDir ?? join(PACKAGE_ROOT, 'prebuilds', platformFolder()));
  const compiler = await findCompiler();
  await mkdir(outDir, { recursive: true });
  const built: BuiltAddon[] = [];
  const failures: string[] = [];
  for (const name of options.only ?? ADDON_NAMES) {
    try {
      built.push(await buildOne(name, outDir, compiler, options));
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
    }
  }
  if (failures.length > 0) throw new NfstreamError('NATIVE_BUILD_FAILED', failures.join('\n\n'));
  return built;
}

async function buildOne(
  name: AddonName,
  outDir: string,
  compiler: Compiler,
  options: BuildOptions,
): Promise<BuiltAddon> {
  const log = options.log ?? (() => {});
  const path = join(outDir, `${name}.node`);
  const recordPath = join(outDir, `${name}.json`);
  const linkages = await findLinkages(name, compiler.multiarch);
  const source = join(PACKAGE_ROOT, 'native', `${name}.cc`);
  const failed: string[] = [];
  for (const linkage of linkages) {
    const temporary = join(outDir, `.${name}.${process.pid}.node`);
    const args = [...compiler.args, ...compileFlags(name, linkage, options), source, '-o', temporary, ...linkage.link];
    const command = [compiler.command, ...args].join(' ');
    const inputs = await hashInputs(name, compiler, linkage, command.replace(temporary, path));
    const previous = await readRecord(recordPath);
    if (options.force !== true && previous?.inputs === inputs && (await exists(path))) {
      log(`${name}: ${path} is up to date`);
      return { name, path, unchanged: true, linkage: linkage.kind };
    }
    try {
      log(`${name}: ${command}`);
      await run(compiler.command, args, { maxBuffer: 1 << 26 });
      if (options.sanitize !== true) await tryLoading(temporary);
      await rename(temporary, path);
      const record: BuildRecord = { inputs, linkage: linkage.kind, compiler: compiler.version };
      await writeFile(recordPath, `${JSON.stringify(record, null, 2)}\n`);
      log(`${name}: built ${path} (${LIBRARIES[name].module} ${linkage.kind})`);
      return { name, path, unchanged: false, linkage: linkage.kind };
    } catch (error) {
      await rm(temporary, { force: true });
      failed.push(describe(command, error));
    }
  }
  throw new Error(`compiling the ${name} addon failed.\n${failed.join('\n')}\n${advice(name, failed.join('\n'))}`);
}

function compileFlags(name: AddonName, linkage: Linkage, options: BuildOptions): string[] {
  const { include_dir: nodeApi } = require('node-api-headers') as { include_dir: string };
  const flags = ['-std=c++17', '-fPIC', '-pthread', '-fvisibility=hidden', '-Wall', '-Wextra', '-Werror'];
  flags.push(`-DNFSTREAM_ADDON_CONTRACT=${ADDON_CONTRACT[name]}`, '-DNAPI_VERSION=8', '-DBUILDING_NODE_EXTENSION');
  flags.push('-isystem', nodeApi, ...linkage.compile);
  if (options.sanitize === true) {
    flags.push('-O1', '-g', '-fno-omit-frame-pointer', '-fsanitize=address,undefined');
  } else {
    flags.push('-O2', '-DNDEBUG');
  }
  if (process.platform === 'darwin') return [...flags, '-bundle', '-undefined', 'dynamic_lookup'];
  // The library's own symbols stay inside: another addon may bring another nDPI.
  return [
    ...flags,
    '-shared',
    '-Wl,--exclude-libs,ALL',
    '-Wl,-Bsymbolic',
    // A missing symbol shows when the addon is loaded, not when it is first called.
    '-Wl,-z,relro,-z,now',
    ...(options.sanitize === true ? [] : ['-s']),
  ];
}

/** The first that runs of $CXX, c++, g++, clang++. Rejects with NATIVE_BUILD_FAILED and what to install. */
export async function findCompiler(): Promise<Compiler> {
  const { CXX } = process.env;
  const fromEnvironment = CXX?.trim();
  const candidates = fromEnvironment ? [fromEnvironment] : ['c++', 'g++', 'clang++'];
  for (const candidate of candidates) {
    const [command, ...args] = candidate.split(/\s+/) as [string, ...string[]];
    try {
      const { stdout } = await run(command, [...args, '--version']);
      const version = stdout.split('\n', 1)[0]!.trim();
      return { command, args, version, multiarch: await printMultiarch(command) };
    } catch {
      // Not this one.
    }
  }
  const tried = candidates.map((candidate) => `\`${candidate} --version\``).join(', ');
  throw new NfstreamError(
    'NATIVE_BUILD_FAILED',
    `expected a C++17 compiler and found none: tried ${tried}${fromEnvironment ? ' (from CXX)' : ''}. ` +
      installHint('g++', 'Xcode command line tools: `xcode-select --install`'),
  );
}

async function printMultiarch(command: string): Promise<string> {
  try {
    return (await run(command, ['-print-multiarch'])).stdout.trim();
  } catch {
    return '';
  }
}

/** A binary can link and still lack a symbol; that shows only when it is loaded. */
async function tryLoading(path: string): Promise<void> {
  await run(process.execPath, ['-e', 'require(process.argv[1])', path]);
}

async function hashInputs(name: AddonName, compiler: Compiler, linkage: Linkage, command: string): Promise<string> {
  const hash = createHash('sha256').update(`${compiler.version}\n${command}\n`);
  const folder = join(PACKAGE_ROOT, 'native');
  const headers = (await readdir(folder)).filter((file) => file.endsWith('.h')).sort();
  for (const file of [...headers, `${name}.cc`]) hash.update(file).update(await readFile(join(folder, file)));
  if (linkage.archive !== undefined) {
    const { size, mtimeMs } = await stat(linkage.archive);
    hash.update(`${size} ${mtimeMs}`);
  }
  return hash.digest('hex');
}

async function readRecord(path: string): Promise<BuildRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as BuildRecord;
  } catch {
    return undefined;
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function describe(command: string, error: unknown): string {
  const { stderr, message } = error as { stderr?: string; message: string };
  const output = (stderr || message).trim().split('\n');
  const shown = output.length > 40 ? [...output.slice(0, 40), `... ${output.length - 40} lines more`] : output;
  return `Ran: ${command}\n${shown.join('\n')}`;
}

/** What to install, from what the compiler missed. */
function advice(name: AddonName, output: string): string {
  const { debian, homebrew, lib, header } = LIBRARIES[name];
  const headerName = header.slice(header.lastIndexOf('/') + 1);
  if (output.includes(headerName) || new RegExp(`(cannot find -l${lib}|library '?${lib}'? not found)`).test(output)) {
    return `Header or library of ${lib} is missing. ${installHint(debian, homebrew)}`;
  }
  if (/cannot find -lgcrypt|lib\w*gcrypt/.test(output)) {
    return `libgcrypt is missing, which this nDPI needs. ${installHint('libgcrypt20-dev', 'libgcrypt')}`;
  }
  if (output.includes('node_api.h'))
    return 'Node-API headers are missing: run `npm install` (package node-api-headers).';
  if (output.includes('native/')) return 'If the sources are unchanged, please report this with the output above.';
  return installHint(`g++ pkg-config ${debian}`, homebrew);
}

function installHint(debian: string, homebrew: string): string {
  const brew = homebrew.includes(' ') ? homebrew : `\`brew install ${homebrew}\``;
  return `On Debian or Ubuntu: \`apt install ${debian}\`; on macOS: ${brew}.`;
}
