// What it takes to capture from an interface: for the error of whoever may not, and for `nfstream doctor`.
import { realpathSync } from 'node:fs';

/** Gives the right to the very program that runs (Linux): a link to it can't have any. */
export function grantCommand(): string {
  const program = realpathSync(process.execPath);
  const quoted = /^[\w./+-]+$/.test(program) ? program : `'${program.replaceAll("'", "'\\''")}'`;
  return `sudo setcap cap_net_raw=eip ${quoted}`;
}

/** What is missing, and the command that grants it. */
export function deniedText(): string {
  return process.platform === 'linux'
    ? `no right to capture; run as root, or grant it once: ${grantCommand()}`
    : 'no right to capture: run as root, or give yourself read access to /dev/bpf*';
}
