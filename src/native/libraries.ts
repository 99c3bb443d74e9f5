// Where the C libraries of the addons are on this machine, and the compiler flags that follow: by pkg-config where it
// knows them, else by looking into the usual folders.
//
// nDPI is linked statically where its archive is there, so that the binary needs no nDPI package where it runs
// (what the archive itself needs, libgcrypt and libm, stays shared: Debian's libgpg-error.a is not
// position-independent). libpcap is always shared: it belongs to the system that captures.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { AddonName } from './addon.ts';

const run = promisify(execFile);

/** One way to link an addon's library. */
export interface Linkage {
  readonly kind: 'static' | 'shared';
  /** Flags for the compiler, before the source. */
  readonly compile: readonly string[];
  /** Flags for the linker, after the source. */
  readonly link: readonly string[];
  /** The archive, when `kind` is static. */
  readonly archive?: string;
}

interface LibrarySpec {
  /** Name for pkg-config. */
  readonly module: string;
  /** A header, relative to an include folder, that proves that folder. */
  readonly header: string;
  /** The `-l` name. */
  readonly lib: string;
  /** Preferred over the shared library, where it exists. */
  readonly archive?: string;
  /** What the archive needs, where pkg-config does not say. */
  readonly archiveNeeds?: readonly string[];
  /** Packages that hold library and headers. */
  readonly debian: string;
  readonly homebrew: string;
}

export const LIBRARIES: Readonly<Record<AddonName, LibrarySpec>> = {
  ndpi: {
    module: 'libndpi',
    header: 'ndpi/ndpi_api.h',
    lib: 'ndpi',
    archive: 'libndpi.a',
    archiveNeeds: ['-lm', '-lgcrypt'],
    debian: 'libndpi-dev',
    homebrew: 'ndpi',
  },
  capture: { module: 'libpcap', header: 'pcap/pcap.h', lib: 'pcap', debian: 'libpcap-dev', homebrew: 'libpcap' },
};

/** Folders that hold `include` and `lib`, after pkg-config's answer. */
const PREFIXES = [
  '/usr',
  '/usr/local',
  '/opt/homebrew',
  '/opt/homebrew/opt/libpcap',
  '/usr/local/opt/libpcap',
  '/opt/local',
] as const;

/** The ways to link `name`'s library here, the preferred one first; the last one relies on the compiler's own paths. */
export async function findLinkages(name: AddonName, multiarch: string): Promise<Linkage[]> {
  const library = LIBRARIES[name];
  const prefix = PREFIXES.find((folder) => existsSync(join(folder, 'include', library.header)));
  const compile =
    (await pkgConfig('--cflags', library.module)) ??
    (prefix === undefined ? [] : includeFlags(join(prefix, 'include'), library.header));
  const system = compile.map((flag) => (flag.startsWith('-I') ? `-isystem${flag.slice(2)}` : flag));

  const linkages: Linkage[] = [];
  if (library.archive !== undefined) {
    const folders = [
      ...((await pkgConfig('--variable=libdir', library.module)) ?? []),
      ...PREFIXES.flatMap((folder) => [join(folder, 'lib', multiarch), join(folder, 'lib64'), join(folder, 'lib')]),
    ];
    const archive = folders.map((folder) => join(folder, library.archive!)).find((path) => existsSync(path));
    if (archive !== undefined) {
      const pkg = await pkgConfig('--libs', library.module, '--static');
      const needs = pkg?.filter((flag) => flag !== `-l${library.lib}`) ?? library.archiveNeeds ?? [];
      linkages.push({ kind: 'static', compile: system, link: [archive, ...needs], archive });
    }
  }
  const shared =
    (await pkgConfig('--libs', library.module)) ??
    (prefix === undefined || prefix === '/usr' ? [] : [`-L${join(prefix, 'lib')}`]).concat(`-l${library.lib}`);
  linkages.push({ kind: 'shared', compile: system, link: shared });
  return linkages;
}

/** The sources include `ndpi_api.h`, as pkg-config has it, and `pcap/pcap.h`. Naming /usr/include breaks the C++ headers. */
function includeFlags(folder: string, header: string): string[] {
  const parent = `-I${join(folder, header, '..')}`;
  return folder === '/usr/include' ? [parent] : [parent, `-I${folder}`];
}

/** pkg-config's answer as flags, or undefined when it, or the module, is not there. */
async function pkgConfig(question: string, module: string, ...more: string[]): Promise<string[] | undefined> {
  const { PKG_CONFIG } = process.env;
  try {
    const { stdout } = await run(PKG_CONFIG ?? 'pkg-config', [question, ...more, module]);
    return stdout.split(/\s+/).filter((flag) => flag !== '');
  } catch {
    return undefined;
  }
}
