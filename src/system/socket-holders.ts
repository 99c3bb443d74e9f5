// Which process holds a socket: the links /proc/PID/fd/N -> socket:[INODE] (proc(5)), the only way from an inode to a
// process that needs no kernel module.
//
// Reading all links of a host takes tens of milliseconds, so they are read in slices, the likely processes first: those
// that are new, then those that lately held what was looked for, then all others, the youngest first. One pass over the
// others is a round; who is not found by a whole round that began after it was wanted is given up. A process may end
// at any moment: every read may fail, and what was found is looked at again before it is told again.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface Holder {
  readonly pid: number;
  /** /proc/PID/comm: what `ps -o comm` shows, at most 15 bytes. */
  readonly name: string;
}

interface Link {
  pid: number;
  /** /proc/PID/fd/N */
  path: string;
  seenMs: number;
}

/** What was seen is taken for true this long. */
const FRESH_MS = 50;
/** Names are read anew after this: a process gets another by execve or prctl. */
const NAME_MS = 400;
/** Who was given up is not looked for again this long. */
const GIVEN_UP_MS = 2000;
/** Links between two looks at the clock. */
const STRIDE = 32;
const LIKELY_MAX = 8;
/** Processes with more files than this are left to the rounds, however likely. */
const LIKELY_FILES_MAX = 512;
/** Links remembered; beyond that they are forgotten and found again. */
const LINKS_MAX = 1 << 17;

const SOCKET = 'socket:[';
const DENIED = -1;

/** A process whose links are being read. */
interface Visit {
  readonly pid: number;
  readonly files: readonly string[];
  next: number;
}

export class SocketHolders {
  readonly #root: string;
  readonly #links = new Map<number, Link>();
  readonly #names = new Map<number, { holder: Holder; readMs: number }>();
  /** Inodes that are looked for, with the number of the round that was under way when they came. */
  readonly #wanted = new Map<number, number>();
  /** Inodes that nobody was found to hold, and when. */
  readonly #givenUp = new Map<number, number>();
  /** Whether anything is wanted since the likely processes were visited. */
  #isNew = false;
  /** Processes known, with the number of their files when last visited, -1 where that was not allowed. */
  #processes = new Map<number, number>();
  #likely: number[] = [];
  /** Processes to be visited before the round goes on. */
  #first: number[] = [];
  #round = 0;
  /** The processes that this round has not visited; undefined between rounds. */
  #rest: number[] | undefined;
  #visit: Visit | undefined;
  /** Whether somebody was given up while there were processes that could not be looked into. */
  isDenied = false;

  constructor(root = '/proc') {
    this.#root = root;
  }

  get isSearching(): boolean {
    return this.#wanted.size > 0;
  }

  /** Whether `inode` is looked for and not given up. */
  isWanted(inode: number): boolean {
    return this.#wanted.has(inode);
  }

  /** Processes that this user may not look into. */
  get deniedCount(): number {
    let count = 0;
    for (const files of this.#processes.values()) if (files < 0) count++;
    return count;
  }

  /** Who holds the socket, as far as is known. `nowMs` is performance.now(). */
  find(inode: number, nowMs: number): Holder | undefined {
    const link = this.#links.get(inode);
    if (link === undefined) return undefined;
    if (nowMs - link.seenMs > FRESH_MS) {
      if (inodeOf(link.path) !== inode) {
        this.#links.delete(inode);
        return undefined;
      }
      link.seenMs = nowMs;
    }
    return this.#named(link.pid, nowMs);
  }

  /** Has `inode` looked for by `search`, unless that was in vain a short while ago. */
  want(inode: number, nowMs: number): void {
    if (this.#wanted.has(inode)) return;
    const sinceMs = this.#givenUp.get(inode);
    if (sinceMs !== undefined && nowMs - sinceMs < GIVEN_UP_MS) return;
    this.#wanted.set(inode, this.#rest === undefined ? this.#round : this.#round + 1);
    this.#isNew = true;
  }

  /** Reads all there is, until about `untilMs` of performance.now(): what is known beforehand needs no search. */
  survey(untilMs: number): void {
    for (const pid of this.#listProcesses().reverse()) {
      if (performance.now() >= untilMs) return;
      this.#processes.set(pid, 0);
      const visit = this.#begin(pid);
      if (visit !== undefined) this.#read(visit, untilMs, true);
    }
  }

  /** Looks for all that is wanted, until about `untilMs` of performance.now(). */
  search(untilMs: number): void {
    if (this.#wanted.size === 0) return;
    // The round goes on, too, however many processes begin.
    const nowMs = performance.now();
    if (this.#isNew) this.#listFirst();
    this.#visitFirst(nowMs + (untilMs - nowMs) / 2);
    while (this.#wanted.size > 0 && performance.now() < untilMs) {
      if (this.#visit === undefined && !this.#open()) break;
      if (this.#read(this.#visit!, untilMs)) this.#visit = undefined;
    }
    if (this.#wanted.size > 0) return;
    // Nobody needs the rest of the round.
    this.#endRound();
  }

  /** The processes that began since the last look, and those that held the last that were found. */
  #listFirst(): void {
    const processes = new Map<number, number>();
    const begun: number[] = [];
    for (const pid of this.#listProcesses()) {
      const files = this.#processes.get(pid);
      processes.set(pid, files ?? 0);
      if (files === undefined) begun.push(pid);
    }
    // The first time all are new: that is a round.
    const isFirst = this.#processes.size === 0;
    this.#processes = processes;
    this.#isNew = false;
    if (isFirst) return;
    this.#first = [...new Set([...begun.reverse(), ...this.#first, ...this.#likely])];
  }

  #visitFirst(untilMs: number): void {
    while (this.#first.length > 0) {
      if (this.#wanted.size === 0 || performance.now() >= untilMs) return;
      const pid = this.#first.shift()!;
      const files = this.#processes.get(pid) ?? -1;
      if (files < 0 || files > LIKELY_FILES_MAX) continue;
      const visit = this.#begin(pid);
      if (visit !== undefined) this.#read(visit, untilMs);
    }
  }

  /** Begins to visit the next process of the round. False when there are none. */
  #open(): boolean {
    if (this.#rest === undefined) {
      this.#rest = this.#listProcesses();
      this.#processes = new Map(this.#rest.map((pid) => [pid, this.#processes.get(pid) ?? 0]));
      if (this.#links.size > LINKS_MAX) this.#links.clear();
    }
    for (let pid = this.#rest.pop(); pid !== undefined; pid = this.#rest.pop()) {
      this.#visit = this.#begin(pid);
      if (this.#visit !== undefined) return true;
    }
    this.#giveUp();
    this.#endRound();
    return this.#wanted.size > 0 && this.#open();
  }

  #giveUp(): void {
    const nowMs = performance.now();
    if (this.#givenUp.size > LINKS_MAX) this.#givenUp.clear();
    for (const [inode, round] of this.#wanted) {
      if (round > this.#round) continue;
      this.#wanted.delete(inode);
      this.#givenUp.set(inode, nowMs);
      if (this.deniedCount > 0) this.isDenied = true;
    }
  }

  #endRound(): void {
    if (this.#rest === undefined) return;
    this.#rest = undefined;
    this.#visit = undefined;
    this.#round++;
  }

  /** In ascending order, which is about that of their age. */
  #listProcesses(): number[] {
    const pids: number[] = [];
    try {
      for (const name of readdirSync(this.#root)) if (/^[1-9]\d*$/.test(name)) pids.push(Number(name));
    } catch {
      // No /proc: nobody is found.
    }
    return pids.sort((a, b) => a - b);
  }

  #begin(pid: number): Visit | undefined {
    try {
      const files = readdirSync(`${this.#root}/${pid}/fd`);
      this.#processes.set(pid, files.length);
      return { pid, files, next: 0 };
    } catch (error) {
      if (isDenial(error)) this.#processes.set(pid, -1);
      return undefined;
    }
  }

  /** Reads on in the files of a process; true when through with it, or with all that is wanted. */
  #read(visit: Visit, untilMs: number, isThorough = false): boolean {
    const { pid, files } = visit;
    let nowMs = performance.now();
    for (let i = 0; visit.next < files.length; i++) {
      if (i % STRIDE === STRIDE - 1) {
        nowMs = performance.now();
        if (!isThorough && this.#wanted.size === 0) return true;
        if (nowMs >= untilMs) return false;
      }
      const path = `${this.#root}/${pid}/fd/${files[visit.next++]}`;
      const inode = inodeOf(path);
      if (inode === DENIED) {
        this.#processes.set(pid, -1);
        return true;
      }
      if (inode > 0) this.#saw(inode, pid, path, nowMs);
    }
    return true;
  }

  #saw(inode: number, pid: number, path: string, nowMs: number): void {
    const link = this.#links.get(inode);
    const isWanted = this.#wanted.delete(inode);
    // Several processes may hold it: the first one stands until it lets go.
    if (link === undefined || isWanted) this.#links.set(inode, { pid, path, seenMs: nowMs });
    if (!isWanted || this.#likely[0] === pid) return;
    this.#likely = [pid, ...this.#likely.filter((other) => other !== pid)].slice(0, LIKELY_MAX);
  }

  #named(pid: number, nowMs: number): Holder | undefined {
    const known = this.#names.get(pid);
    if (known !== undefined && nowMs - known.readMs < NAME_MS) return known.holder;
    let holder: Holder;
    try {
      holder = { pid, name: readFileSync(`${this.#root}/${pid}/comm`, 'utf8').replace(/\n$/, '') };
    } catch {
      this.#names.delete(pid);
      return undefined;
    }
    if (this.#names.size > LINKS_MAX) this.#names.clear();
    this.#names.set(pid, { holder, readMs: nowMs });
    return holder;
  }
}

/** Of the socket that the link leads to; 0 where it leads elsewhere, or is gone; DENIED. */
function inodeOf(path: string): number {
  try {
    const target = readlinkSync(path);
    return target.startsWith(SOCKET) ? Number.parseInt(target.slice(SOCKET.length), 10) || 0 : 0;
  } catch (error) {
    return isDenial(error) ? DENIED : 0;
  }
}

function isDenial(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EACCES' || code === 'EPERM';
}
