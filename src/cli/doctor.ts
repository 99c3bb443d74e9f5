// What works on this machine, and the command that mends what doesn't: `nfstream doctor`.
//
// Everything is tried, not guessed: addons are loaded, a compressed capture of each kind is read, a capture socket is
// opened for a moment. The report is plain data (`--json`); `formatDoctor` prints it for people.
import { existsSync, readFileSync } from 'node:fs';
import { type AddonName, BUILD_COMMAND, platformFolder } from '../native/addon.ts';
import { findCompiler } from '../native/build.ts';
import { type CaptureAddon, loadCapture } from '../native/capture.ts';
import { LIBRARIES } from '../native/libraries.ts';
import type { LoadAttempt, LoadedAddon, LoadFailure } from '../native/load.ts';
import { loadNdpi } from '../native/ndpi.ts';
import { grantCommand } from '../source/capture-rights.ts';
import { openSource } from '../source/open-source.ts';
import { PacketBatch, SOURCE_END, SOURCE_WAIT } from '../source/source.ts';
import { version } from '../version.ts';
import { printable } from './terminal.ts';

/** One thing that works or doesn't. */
export interface DoctorFinding {
  ok: boolean;
  /** What was found, or why it does not work. */
  detail: string;
  /** Commands that mend it, in order; empty where nothing has to be done. */
  fix: string[];
}

export interface DoctorAddon extends DoctorFinding {
  name: AddonName;
  /** What does not work without it. */
  purpose: string;
  /** The binary that is loaded. */
  path: string | null;
  /** The linked library's own version. */
  library_version: string | null;
  /** Binaries that were tried in vain. */
  tried: readonly LoadAttempt[];
}

export interface DoctorReport {
  /** Whether addons and compressions work. Capture rights and compiler don't count: reading files needs neither. */
  ok: boolean;
  nfstream: string;
  node: string;
  platform: string;
  arch: string;
  /** `glibc` or `musl` on Linux, else null. */
  libc: string | null;
  addons: DoctorAddon[];
  compression: (DoctorFinding & { name: string })[];
  compiler: DoctorFinding;
  capture_rights: DoctorFinding;
}

/** A pcap file without packets, compressed by gzip, zstd and lz4. */
const COMPRESSED = {
  gzip: 'H4sIAAAAAAACA7tyeNNCJgYWBhj4/5+BgRHIAwDh16ERGAAAAA==',
  zstd: 'KLUv/SQYwQAA1MOyoQIABAAAAAAAAAAAAP//AAABAAAAoasnQg==',
  lz4: 'BCJNGGRApxQAAACE1MOyoQIABAABAID//wAAAQAAAAAAAABcB4vO',
} as const;

/** Linux: man 7 capabilities. */
const CAP_NET_RAW_BIT = 13n;

/** Examines the machine. Never rejects. */
export async function doctor(): Promise<DoctorReport> {
  const ndpi = loadNdpi();
  const capture = loadCapture();
  const addons = [
    addonFinding('capture', 'interfaces and filters', capture, (addon) => addon.libVersion()),
    addonFinding('ndpi', 'application labels', ndpi, (addon) => `nDPI ${addon.libraryVersion}`),
  ];
  const compression = await Promise.all(
    Object.entries(COMPRESSED).map(async ([name, bytes]) => ({ name, ...(await compressionFinding(bytes)) })),
  );
  return {
    ok: [...addons, ...compression].every(({ ok }) => ok),
    nfstream: version(),
    node: process.version,
    platform: process.platform,
    arch: process.arch,
    libc: process.platform === 'linux' ? (platformFolder().endsWith('-musl') ? 'musl' : 'glibc') : null,
    addons,
    compression,
    compiler: await compilerFinding(),
    capture_rights: captureRights(capture),
  };
}

/** The report as text, one line a finding and below it what to run. Ends with a line end. */
export function formatDoctor(report: DoctorReport): string {
  const libc = report.libc === null ? '' : `, ${report.libc}`;
  const lines = [`nfstream ${report.nfstream} on Node.js ${report.node}, ${report.platform}-${report.arch}${libc}`, ''];
  const add = (name: string, { ok, detail, fix }: DoctorFinding, otherwise = 'FAIL') => {
    const [first, ...more] = detail.split('\n').map(printable);
    lines.push(`${(ok ? 'ok' : otherwise).padEnd(6)}${name.padEnd(16)}${first}`.trimEnd());
    for (const line of more) lines.push(`        ${line}`);
    for (const command of fix) lines.push(`        run: ${printable(command)}`);
  };
  for (const addon of report.addons) {
    add(`${addon.name} addon`, addon.path === null ? addon : { ...addon, detail: `${addon.detail}, ${addon.path}` });
  }
  for (const finding of report.compression) add(finding.name, finding);
  add('compiler', report.compiler, 'none');
  add('capture rights', report.capture_rights, 'none');
  lines.push('', summary(report));
  return `${lines.join('\n')}\n`;
}

function summary({ ok, addons, capture_rights }: DoctorReport): string {
  const missing = addons.filter((addon) => !addon.ok).map(({ name, purpose }) => `${purpose} (${name})`);
  if (ok) return capture_rights.ok ? 'All works.' : 'All works but live capture, for which rights are missing.';
  if (missing.length === 0) return 'Some compressed captures can not be read.';
  return `Capture files are metered all the same, but without ${missing.join(' and without ')}.`;
}

function addonFinding<T extends CaptureAddon | { readonly libraryVersion: string }>(
  name: AddonName,
  purpose: string,
  loaded: LoadedAddon<T> | LoadFailure,
  versionOf: (addon: T) => string,
): DoctorAddon {
  if (loaded.ok) {
    const version = versionOf(loaded.addon);
    return {
      name,
      purpose,
      ok: true,
      detail: version,
      fix: [],
      path: loaded.path,
      library_version: version,
      tried: [],
    };
  }
  const { tried, message } = loaded;
  const { NFSTREAM_NATIVE } = process.env;
  const fix = NFSTREAM_NATIVE ? ['unset NFSTREAM_NATIVE'] : [installCommand(name), BUILD_COMMAND];
  const detail = tried.length === 0 ? message : ['does not load', ...tried.map(tell)].join('\n');
  return { name, purpose, ok: false, detail, fix, path: null, library_version: null, tried };
}

const tell = ({ path, reason }: LoadAttempt): string => `tried ${path}: ${reason}`;

/** Installs compiler, library and headers; does nothing where they are. */
function installCommand(name: AddonName): string {
  const { debian, homebrew } = LIBRARIES[name];
  if (process.platform === 'darwin') return `xcode-select --install; brew install ${homebrew}`;
  if (existsSync('/usr/bin/apt-get')) return `sudo apt-get install g++ ${debian}`;
  return `# install a C++17 compiler and what your system has for ${debian}`;
}

async function compressionFinding(base64: string): Promise<DoctorFinding> {
  const source = openSource(Buffer.from(base64, 'base64'));
  try {
    await source.open();
    const batch = new PacketBatch(1);
    for (;;) {
      const rows = source.read(batch);
      if (rows === SOURCE_END) return { ok: true, detail: 'captures are read', fix: [] };
      if (rows === SOURCE_WAIT) await source.fill();
    }
  } catch (error) {
    return { ok: false, detail: messageOf(error), fix: ['npm install'] };
  } finally {
    await source.close();
  }
}

async function compilerFinding(): Promise<DoctorFinding> {
  try {
    const { version } = await findCompiler();
    return { ok: true, detail: version, fix: [] };
  } catch (error) {
    return { ok: false, detail: messageOf(error), fix: [] };
  }
}

/** Whether this process may capture from an interface. */
function captureRights(capture: LoadedAddon<CaptureAddon> | LoadFailure): DoctorFinding {
  const privilege = privilegeOf();
  if (!capture.ok) {
    const detail = 'not tried, the capture addon does not load';
    return { ok: false, detail: privilege === '' ? detail : `${privilege}; ${detail}`, fix: [] };
  }
  const message = capture.addon.probeCapture(process.platform === 'linux' ? 'any' : 'lo0');
  if (message === '') return { ok: true, detail: privilege === '' ? 'a capture can be opened' : privilege, fix: [] };
  return { ok: false, detail: `${message}\nReading files needs none.`, fix: grantCommands() };
}

function privilegeOf(): string {
  if (process.getuid?.() === 0 && process.platform !== 'linux') return 'root';
  if (process.platform !== 'linux') return '';
  return hasNetRaw(readStatus()) ? `CAP_NET_RAW${process.getuid?.() === 0 ? ' (root)' : ''}` : '';
}

function readStatus(): string {
  try {
    return readFileSync('/proc/self/status', 'utf8');
  } catch {
    return '';
  }
}

/** Whether CAP_NET_RAW is effective, by the text of /proc/self/status. */
export function hasNetRaw(status: string): boolean {
  const hex = /^CapEff:\s*([0-9a-f]+)$/im.exec(status)?.[1];
  return hex !== undefined && ((BigInt(`0x${hex}`) >> CAP_NET_RAW_BIT) & 1n) === 1n;
}

function grantCommands(): string[] {
  if (process.platform === 'linux') return [grantCommand()];
  if (process.platform === 'darwin') return ['brew install --cask wireshark-chmodbpf'];
  return [];
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
