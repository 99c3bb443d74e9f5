import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SocketHolders } from '../../src/system/socket-holders.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'nfstream-proc-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

/** A process in `root`, as proc(5) shows it. */
function begin(pid: number, name: string, files: Record<number, string>): void {
  mkdirSync(join(root, `${pid}`, 'fd'), { recursive: true });
  writeFileSync(join(root, `${pid}`, 'comm'), `${name}\n`);
  for (const [file, target] of Object.entries(files)) symlinkSync(target, join(root, `${pid}`, 'fd', file));
}
const end = (pid: number) => rmSync(join(root, `${pid}`), { recursive: true });
const close = (pid: number, file: number) => rmSync(join(root, `${pid}`, 'fd', `${file}`));
const FAR = Number.POSITIVE_INFINITY;
let time = performance.now();
/** Each time beyond the time for which what was seen is taken for true. */
const later = () => {
  time = Math.max(time, performance.now()) + 1000;
  return time;
};

function look(holders: SocketHolders, inode: number) {
  const found = holders.find(inode, later());
  if (found !== undefined) return found;
  holders.want(inode, later());
  holders.search(FAR);
  return holders.find(inode, later());
}

describe('SocketHolders', () => {
  it('finds who holds a socket, among files of other kinds', () => {
    begin(1, 'systemd', { 0: '/dev/null', 3: 'socket:[10]' });
    begin(77, 'nginx', { 0: '/dev/null', 1: 'pipe:[12]', 2: 'anon_inode:[eventpoll]', 5: 'socket:[12]' });
    writeFileSync(join(root, 'uptime'), '');
    mkdirSync(join(root, 'sys'));
    const holders = new SocketHolders(root);
    expect(look(holders, 12)).toEqual({ pid: 77, name: 'nginx' });
    expect(look(holders, 10)).toEqual({ pid: 1, name: 'systemd' });
    expect(look(holders, 11)).toBeUndefined();
    expect(holders.isSearching).toBe(false);
    expect(holders.isDenied).toBe(false);
  });

  it('keeps a name as it is, but for the line feed that /proc adds', () => {
    begin(7, ' (sd-pam)\n é', { 3: 'socket:[10]' });
    expect(look(new SocketHolders(root), 10)).toEqual({ pid: 7, name: ' (sd-pam)\n é' });
  });

  it('finds the youngest of several, and stays with it until it lets go', () => {
    begin(10, 'parent', { 3: 'socket:[5]' });
    begin(9, 'other', {});
    const holders = new SocketHolders(root);
    expect(look(holders, 5)?.pid).toBe(10);
    begin(11, 'child', { 3: 'socket:[5]' });
    expect(look(holders, 5)?.pid).toBe(10);
    close(10, 3);
    expect(look(holders, 5)).toEqual({ pid: 11, name: 'child' });
    begin(12, 'x', { 3: 'socket:[6]' });
    begin(13, 'y', { 3: 'socket:[6]' });
    expect(look(holders, 6)?.pid).toBe(13);
  });

  it('never tells a process that has ended, or whose file number is another socket now', () => {
    begin(10, 'first', { 3: 'socket:[5]', 4: 'socket:[6]' });
    const holders = new SocketHolders(root);
    expect(look(holders, 5)?.pid).toBe(10);
    expect(look(holders, 6)?.pid).toBe(10);
    close(10, 3);
    begin(10, 'first', { 3: 'socket:[7]' });
    expect(look(holders, 5)).toBeUndefined();
    end(10);
    expect(look(holders, 6)).toBeUndefined();
    begin(10, 'reused', { 4: 'socket:[8]' });
    expect(look(holders, 8)).toEqual({ pid: 10, name: 'reused' });
  });

  it('survives processes that end while they are read', () => {
    begin(10, 'whole', { 3: 'socket:[5]' });
    // As a process is that ended between the listings, or while its name is read.
    mkdirSync(join(root, '11'));
    mkdirSync(join(root, '12', 'fd'), { recursive: true });
    symlinkSync('socket:[6]', join(root, '12', 'fd', '3'));
    const holders = new SocketHolders(root);
    expect(look(holders, 5)?.pid).toBe(10);
    expect(look(holders, 6)).toBeUndefined();
    expect(look(new SocketHolders(join(root, 'nowhere')), 5)).toBeUndefined();
  });

  it('does not look again at once for whom it gave up', () => {
    begin(10, 'one', {});
    const holders = new SocketHolders(root);
    const nowMs = performance.now();
    holders.want(5, nowMs);
    holders.search(FAR);
    begin(10, 'one', { 3: 'socket:[5]' });
    holders.want(5, nowMs + 1000);
    expect(holders.isSearching).toBe(false);
    holders.want(5, nowMs + 5000);
    holders.search(FAR);
    expect(holders.find(5, performance.now())?.pid).toBe(10);
  });

  it('looks at processes that have just begun first', () => {
    for (let pid = 100; pid < 140; pid++) begin(pid, `p${pid}`, { 3: `socket:[${pid}]` });
    const holders = new SocketHolders(root);
    expect(look(holders, 100)?.pid).toBe(100);
    begin(50, 'begun', { 0: '/dev/null', 3: 'socket:[50]' });
    begin(139, 'p139', { 4: 'socket:[1390]' });
    holders.want(50, later());
    holders.search(FAR);
    expect(holders.find(50, performance.now())).toEqual({ pid: 50, name: 'begun' });
    // Older than all others by its number, and yet none of them was visited before it.
    expect(holders.find(1390, performance.now())).toBeUndefined();
    // Then those that were found last.
    begin(50, 'begun', { 4: 'socket:[51]' });
    begin(138, 'p138', { 4: 'socket:[1380]' });
    holders.want(51, later());
    holders.search(FAR);
    expect(holders.find(51, performance.now())?.pid).toBe(50);
    expect(holders.find(1380, performance.now())).toBeUndefined();
  });

  it('goes on where it had to stop, and gives nothing up before a whole round', () => {
    for (let pid = 1; pid <= 60; pid++) {
      begin(pid, `p${pid}`, Object.fromEntries(Array.from({ length: 40 }, (_, i) => [i, `socket:[${pid * 100 + i}]`])));
    }
    const holders = new SocketHolders(root);
    holders.want(139, later());
    holders.want(4_000_000, later());
    let slices = 0;
    for (; holders.isSearching && slices < 10_000; slices++) {
      if (holders.find(139, performance.now()) === undefined) expect(holders.isWanted(4_000_000)).toBe(true);
      holders.search(performance.now() + 0.3);
    }
    expect(slices).toBeGreaterThan(3);
    expect(holders.find(139, performance.now())?.pid).toBe(1);
    expect(holders.isWanted(4_000_000)).toBe(false);
  });

  it('looks a whole round for what was wanted in the middle of one', () => {
    for (let pid = 1; pid <= 60; pid++) begin(pid, `p${pid}`, { 3: `socket:[${pid}]` });
    const holders = new SocketHolders(root);
    holders.want(999, later());
    holders.search(performance.now() + 0.2);
    // Its process was visited already, and has it only now.
    begin(60, 'p60', { 4: 'socket:[777]' });
    holders.want(777, later());
    holders.search(FAR);
    expect(holders.find(777, performance.now())?.pid).toBe(60);
    expect(holders.isWanted(999)).toBe(false);
  });

  it('finds its own process in the real /proc, after it closed and opened others', async () => {
    const holders = new SocketHolders();
    for (let i = 0; i < 3; i++) {
      const server = net.createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const { readlinkSync, readFileSync } = await import('node:fs');
      const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
      const inode = Number(readlinkSync(`/proc/self/fd/${fd}`).replace(/\D/g, ''));
      expect(look(holders, inode)).toEqual({
        pid: process.pid,
        name: readFileSync('/proc/self/comm', 'utf8').trimEnd(),
      });
      await new Promise((resolve) => server.close(resolve));
      expect(look(holders, inode)).toBeUndefined();
    }
  });
});
