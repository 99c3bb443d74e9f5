// What a running process has cost so far, from /proc (proc(5)); all its threads count, those that ended not.
import { readdirSync, readFileSync } from 'node:fs';

/** Seconds on a CPU, of all threads: /proc/PID/task/TID/schedstat has nanoseconds, where utime and stime have 10 ms. */
export function cpuSeconds(pid) {
  return sumOfThreads(pid, 0);
}

/** Seconds for which a thread could have run and had no CPU: others had it. */
export function waitedSeconds(pid) {
  return sumOfThreads(pid, 1);
}

function sumOfThreads(pid, field) {
  let ns = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    ns += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[field]);
  }
  return ns / 1e9;
}

/** Bytes resident, at most so far and now. */
export function residentBytes(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN) * 1024;
  return { peak: field('VmHWM'), now: field('VmRSS') };
}
