// Starts a thread of a meter on a file of this folder.
import { Worker, type WorkerOptions } from 'node:worker_threads';

/** @param file its name without an ending: sources run where Node.js, or what it runs under, takes TypeScript */
export function startThread(file: string, options: WorkerOptions): Worker {
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return new Worker(new URL(`./${file}.${ending}`, import.meta.url), {
    ...options,
    // What belongs to `node --eval` is no option of a thread that runs a file.
    ...(process.execArgv.some((option) => option.startsWith('--input-type')) ? { execArgv: [] } : {}),
  });
}
