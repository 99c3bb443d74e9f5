// What ends a meter's thread from within, as an error that names the meter.
import { NfstreamError } from '../errors.ts';

/** @param name `meter 1 of 2` */
export function crashOf(name: string, error: Error): NfstreamError {
  const isOutOfMemory = (error as NodeJS.ErrnoException).code === 'ERR_WORKER_OUT_OF_MEMORY';
  const what = isOutOfMemory
    ? 'ran out of memory; lower capacity, or give Node.js more with --max-old-space-size'
    : `left an error uncaught: ${String(error)}`;
  return new NfstreamError('METER_FAILED', `${name} ${what}`, { cause: error });
}

export function exitOf(name: string, code: number): NfstreamError {
  // Node.js' code for a module whose top-level await nothing can settle any more.
  const what =
    code === 13 ? 'awaits a promise that nothing settles any more' : `ended by itself, with exit code ${code}`;
  return new NfstreamError('METER_FAILED', `${name} ${what}`);
}
