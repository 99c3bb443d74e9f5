// Loads a native addon, or says why not: every path that was tried with the reason it failed.
//
// It never throws: the addons are optional, and only the caller knows whether their absence is an error. Callers
// turn a failure into NDPI_UNAVAILABLE or FILTER_UNAVAILABLE with `describeFailure`.
//
// Environment: NFSTREAM_NATIVE=off pretends that there are no addons; NFSTREAM_NATIVE=FOLDER looks for
// `<name>.node` in that folder alone.
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import {
  ADDON_CONTRACT,
  type AddonBase,
  type AddonName,
  BUILD_COMMAND,
  PACKAGE_ROOT,
  platformFolder,
} from './addon.ts';

const require = createRequire(import.meta.url);

/** One path that was looked at, and why it did not do. */
export interface LoadAttempt {
  readonly path: string;
  readonly reason: string;
}

export interface LoadedAddon<T> {
  readonly ok: true;
  readonly addon: T;
  /** The binary's path. */
  readonly path: string;
}

export interface LoadFailure {
  readonly ok: false;
  readonly name: AddonName;
  /** In the order of trying; empty only when NFSTREAM_NATIVE=off. */
  readonly tried: readonly LoadAttempt[];
  /** For people: what was tried and the command that mends it. */
  readonly message: string;
}

/** The binaries that `loadAddon` would try, in order. */
export function addonPaths(
  name: AddonName,
  { NFSTREAM_NATIVE: environment }: { NFSTREAM_NATIVE?: string | undefined } = process.env,
): string[] {
  if (environment === 'off') return [];
  if (environment !== undefined && environment !== '') return [resolve(environment, `${name}.node`)];
  return [join(PACKAGE_ROOT, 'prebuilds', platformFolder(), `${name}.node`)];
}

/** Loads the addon `name`. Never throws; loading twice gives the same addon. */
export function loadAddon<T extends AddonBase>(name: AddonName): LoadedAddon<T> | LoadFailure {
  const tried: LoadAttempt[] = [];
  for (const path of addonPaths(name)) {
    if (!existsSync(path)) {
      tried.push({ path, reason: 'no such file: no binary for this platform came with the package or was built' });
      continue;
    }
    try {
      const addon = require(path) as T;
      const expected = ADDON_CONTRACT[name];
      if (addon.contract === expected) return { ok: true, addon, path };
      tried.push({
        path,
        reason: `expected contract ${expected} and received ${addon.contract}: it is of another version`,
      });
    } catch (error) {
      tried.push({ path, reason: loadReason(error) });
    }
  }
  return { ok: false, name, tried, message: describeFailure(name, tried) };
}

/** The dynamic linker's message without the noise, or what else went wrong. */
function loadReason(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const missing = /(lib[\w+.-]+): cannot open shared object file/.exec(message)?.[1];
  if (missing !== undefined) return `it needs the shared library ${missing}, which is not installed (${message})`;
  return message.split('\n', 1)[0]!.trim();
}

function describeFailure(name: AddonName, tried: readonly LoadAttempt[]): string {
  const host = `${platformFolder()}, Node ${process.version}`;
  if (tried.length === 0) return `the ${name} addon is switched off by NFSTREAM_NATIVE=off`;
  const lines = tried.map(({ path, reason }) => `  ${path}: ${reason}`);
  return `the ${name} addon does not load on ${host}. Tried:\n${lines.join('\n')}\nTo compile it here: ${BUILD_COMMAND}`;
}
