// What watches an interface in these tests: nfstream as a child process (the command line, or a script that uses the
// library), and tcpdump, whose file is the truth that flows are compared with.
import type { ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { StreamerStats } from '../../src/stats.ts';
import { type Finished, type Host, until } from './network.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const BIN = join(ROOT, 'bin', 'nfstream.js');
/** What scripts import the library from. */
export const LIBRARY = join(ROOT, 'dist', 'index.js');

/** A clock tick of /proc/PID/stat, s: USER_HZ is 100 on every Linux that Node runs on. */
const TICK = 0.01;

export type Row = Record<string, unknown>;

/** An nfstream process on a host: what it has printed, when, and what it costs. */
export class MeterProcess {
  readonly #child: ChildProcess;
  readonly #closed: Promise<readonly [number | null, NodeJS.Signals | null]>;
  stdout = '';
  stderr = '';
  /** Flows printed so far, each with the wall clock's time at which its line was complete, ms. */
  readonly arrived: { readonly row: Row; readonly atMs: number }[] = [];
  #partial = '';

  private readonly host: Host;

  constructor(host: Host, child: ChildProcess) {
    this.host = host;
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => this.#print(chunk));
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk;
    });
    this.#closed = new Promise((resolve) => child.once('close', (code, signal) => resolve([code, signal])));
  }

  get pid(): number {
    return this.#child.pid as number;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  #print(chunk: string): void {
    const atMs = Date.now();
    this.stdout += chunk;
    const lines = (this.#partial + chunk).split('\n');
    this.#partial = lines.pop() as string;
    for (const line of lines) {
      if (line.startsWith('{')) this.arrived.push({ row: JSON.parse(line) as Row, atMs });
    }
  }

  /**
   * Resolves once it captures on `interfaces` interfaces: its packet sockets are bound and running, as the kernel tells,
   * and what it does to get there (the filter, the meter's memory) is done, as it has come to rest.
   */
  async listens(interfaces = 1): Promise<void> {
    await until('nfstream listens', () => {
      if (this.hasEnded) throw new Error(`nfstream has ended: ${this.stderr}`);
      return this.runningSockets() >= interfaces;
    });
    await this.rests();
  }

  /** Resolves once it has used no CPU for a while. */
  async rests(): Promise<void> {
    let [last, calm] = [-1, 0];
    await until('nfstream rests', () => {
      const now = this.hasEnded ? last : this.cpuSeconds();
      calm = now === last ? calm + 1 : 0;
      last = now;
      return calm === 6;
    });
  }

  /** Packet sockets that are bound to an interface which is up. */
  runningSockets(): number {
    const folder = `/proc/${this.pid}/fd`;
    const own = new Set<string>();
    for (const fd of readdirSync(folder)) {
      try {
        own.add(/^socket:\[(\d+)\]$/.exec(readlinkSync(join(folder, fd)))?.[1] ?? '');
      } catch {
        // Closed meanwhile.
      }
    }
    const [, ...lines] = readFileSync(`/proc/${this.pid}/net/packet`, 'utf8').trimEnd().split('\n');
    // sk RefCnt Type Proto Iface R Rmem User Inode
    return lines.map((line) => line.trim().split(/\s+/)).filter((row) => row[5] === '1' && own.has(row[8])).length;
  }

  /** Processor time of the process with all its threads. */
  cpuSeconds(): number {
    const stat = readFileSync(`/proc/${this.pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return (Number(fields[11]) + Number(fields[12])) * TICK;
  }

  /** Memory of its own, MiB: what is resident, but for files and the kernel's ring, which are mapped. */
  megabytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^RssAnon:\s+(\d+) kB/m.exec(status)?.[1]) / 1024;
  }

  /** Nobody reads its rows any more: the pipe fills, then its writes wait. */
  pauseReading(): void {
    this.#child.stdout?.pause();
  }

  resumeReading(): void {
    this.#child.stdout?.resume();
  }

  signal(name: NodeJS.Signals): void {
    this.#child.kill(name);
  }

  /** Resolves with all rows and how it ended. */
  async ended(): Promise<Finished & { rows: Row[] }> {
    const [code, signal] = await this.#closed;
    const { stdout, stderr } = this;
    return { code, signal, stdout, stderr, rows: this.arrived.map(({ row }) => row) };
  }

  /** The run's end as users ask for it. */
  stop(name: NodeJS.Signals = 'SIGINT'): Promise<Finished & { rows: Row[] }> {
    this.signal(name);
    return this.ended();
  }

  /** The counters that --stats wrote. */
  stats(): StreamerStats {
    return JSON.parse(readFileSync(join(this.host.folder, `stats-${this.pid}.json`), 'utf8')) as StreamerStats;
  }
}

/** Starts the command line on a host. Its counters go to a file: see `stats`. */
export function nfstream(host: Host, ...args: readonly string[]): MeterProcess {
  // The file is named by the process, which the shell becomes.
  const line = `exec "$@" --stats "stats-$$.json"`;
  const child = host.spawn(['sh', '-c', line, 'sh', process.execPath, BIN, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return new MeterProcess(host, child);
}

/** Starts a module that uses the library: `code` finds `Streamer` imported. What it prints is up to it. */
export function script(host: Host, code: string): MeterProcess {
  const source = `import { Streamer } from ${JSON.stringify(LIBRARY)};\n${code}`;
  const args = ['--input-type=module', '--eval', source];
  return new MeterProcess(host, host.spawn([process.execPath, ...args], { stdio: ['ignore', 'pipe', 'pipe'] }));
}

/** What tcpdump says at its end. */
export interface TcpdumpCounts {
  readonly captured: number;
  readonly received: number;
  readonly dropped: number;
}

export interface Tcpdump {
  readonly file: string;
  /** Ends it; all that it received is in the file then. */
  stop(): Promise<TcpdumpCounts>;
}

/** Starts tcpdump on an interface and resolves once it listens. */
export async function tcpdump(host: Host, device: string, ...filter: readonly string[]): Promise<Tcpdump> {
  const file = join(host.folder, `${device}-${Math.random().toString(36).slice(2)}.pcap`);
  const options = ['-Z', 'root', '-nn', '-U', '--immediate-mode', '--time-stamp-precision=nano', '-B', '16384'];
  const child = host.spawn(['tcpdump', ...options, '-i', device, '-w', file, ...filter], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    log += chunk;
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  await until('tcpdump listens', () => {
    if (child.exitCode !== null) throw new Error(log);
    return log.includes('listening on');
  });
  const count = (what: string) => Number(new RegExp(`(\\d+) packets? ${what}`).exec(log)?.[1]);
  return {
    file,
    async stop() {
      child.kill('SIGINT');
      await closed;
      return { captured: count('captured'), received: count('received'), dropped: count('dropped by kernel') };
    },
  };
}
