// The kernel's sock_diag for `systemVisibility`, or the error that says why there is none.
import { getSystemErrorName } from 'node:util';
import { NfstreamError } from '../errors.ts';
import { loadCapture } from '../native/capture.ts';
import {
  encodeQuestion,
  NO_SOCKET,
  QUESTION_BYTES,
  SocketDiag,
  type SocketDiagAddon,
  TCP,
  UDP,
} from './socket-diag.ts';

const ENOENT = 2;

/** @throws NfstreamError SYSTEM_UNAVAILABLE on systems other than Linux, and where the addon does not load. */
export function loadSocketDiag(): SocketDiagAddon {
  const { platform } = process;
  if (platform !== 'linux') {
    throw new NfstreamError('SYSTEM_UNAVAILABLE', `systemVisibility works on Linux only, and this is ${platform}`);
  }
  const loaded = loadCapture();
  if (!loaded.ok) {
    throw new NfstreamError('SYSTEM_UNAVAILABLE', `systemVisibility was asked for, but ${loaded.message}`);
  }
  return loaded.addon;
}

/**
 * Opens it in the network namespace of this thread, and sees that the kernel answers about TCP and about UDP.
 *
 * @throws NfstreamError SYSTEM_UNAVAILABLE with the kernel's reason
 */
export function openSocketDiag(addon: SocketDiagAddon): SocketDiag {
  const diag = SocketDiag.open(addon);
  if (typeof diag === 'number') throw noSocketDiag(diag);
  const question = new Uint8Array(QUESTION_BYTES);
  const where = { bytes: new Uint8Array([127, 0, 0, 1]), localAt: 0, remoteAt: 0, length: 4 };
  for (const protocol of [TCP, UDP]) {
    encodeQuestion(question, protocol, where, 1, 1);
    const status = diag.ask(question, { state: NO_SOCKET, inode: 0 });
    if (status === 0 || status === ENOENT) continue;
    diag.close();
    throw noSocketDiag(status);
  }
  return diag;
}

function noSocketDiag(errno: number): NfstreamError {
  const reason = errno > 0 ? getSystemErrorName(-errno) : 'no answer';
  return new NfstreamError(
    'SYSTEM_UNAVAILABLE',
    `systemVisibility: expected the kernel to answer sock_diag questions for TCP and UDP and received ${reason}`,
  );
}
