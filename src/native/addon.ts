// What the loader and the build agree on: the addons' names, where a binary lies, and the contract number that a
// binary was compiled for.
//
// A binary is `<package>/prebuilds/<platform>-<arch>[-musl]/<name>.node`, whether it came with the package or was
// compiled here. Both addons are Node-API, so one binary serves every Node.js from 20 on.
import { join } from 'node:path';

export const ADDON_NAMES = ['ndpi', 'capture'] as const;
export type AddonName = (typeof ADDON_NAMES)[number];

/**
 * Compiled into a binary and compared when it is loaded: a binary of another version of this package is refused with
 * a message instead of misbehaving. Raise the number when the addon's interface changes. The hundreds tell the addons
 * apart.
 */
export const ADDON_CONTRACT: Readonly<Record<AddonName, number>> = { ndpi: 103, capture: 203 };

/** What every addon exports besides its own functions. */
export interface AddonBase {
  /** The ADDON_CONTRACT that it was compiled for. */
  readonly contract: number;
}

/** The package's root folder, from `src/native/` as well as from `dist/native/`. */
export const PACKAGE_ROOT: string = join(import.meta.dirname, '..', '..');

/** The command that mends a missing or unfitting addon. */
export const BUILD_COMMAND = 'npx nfstream build-native';

/** Name of this platform's folder under `prebuilds/`: `linux-x64`, `linux-arm64-musl`, `darwin-arm64`, ... */
export function platformFolder(): string {
  return `${process.platform}-${process.arch}${isMusl() ? '-musl' : ''}`;
}

let musl: boolean | undefined;

function isMusl(): boolean {
  if (musl === undefined) {
    musl = false;
    if (process.platform === 'linux') {
      // The report lists glibc's version when Node runs on glibc. Its network part looks names up, and is not needed.
      const report = process.report as { excludeNetwork?: boolean; getReport(): unknown };
      const before = report.excludeNetwork;
      report.excludeNetwork = true;
      const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } };
      if (before !== undefined) report.excludeNetwork = before;
      musl = header.glibcVersionRuntime === undefined;
    }
  }
  return musl;
}
