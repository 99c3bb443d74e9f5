import { execFileSync, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Output, openOutput } from '../../src/sink/output.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-output-'));
});
afterEach(() => rmSync(folder, { recursive: true }));
const at = (name: string) => join(folder, name);
const isRoot = process.getuid?.() === 0;
/** Tried in a mount namespace of its own, so that nothing stays. */
const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', tmpdir()]).status === 0;

const failing = (target: string) => openOutput(target).catch((error: unknown) => error);

describe('a file', () => {
  it('appears whole under its name when it is closed, and not before', async () => {
    const output = await openOutput(at('flows.csv'));
    await output.append('x'.repeat(200_000));
    await output.append('end\n');
    expect(existsSync(at('flows.csv'))).toBe(false);
    expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.flows\.csv\.\d+-[0-9a-z]+\.part$/)]);
    await output.close();
    expect(readdirSync(folder)).toEqual(['flows.csv']);
    expect(readFileSync(at('flows.csv'), 'utf8')).toBe(`${'x'.repeat(200_000)}end\n`);
  });

  it('keeps the order of many pieces of all sizes', async () => {
    const output = await openOutput(at('flows'));
    let expected = '';
    for (let i = 0; i < 300; i++) {
      const piece = `${i} é ${'.'.repeat((i * 7919) % 5000)}\n`;
      expected += piece;
      await output.append(piece);
    }
    await output.close();
    expect(readFileSync(at('flows'), 'utf8')).toBe(expected);
  });

  it('replaces the one that is there at the end, with its mode, and through a symbolic link', async () => {
    writeFileSync(at('old'), 'old');
    chmodSync(at('old'), 0o640);
    symlinkSync('old', at('link'));
    const output = await openOutput(at('link'), { overwrite: true });
    await output.append('new');
    expect(readFileSync(at('old'), 'utf8')).toBe('old');
    await output.close();
    expect(readFileSync(at('old'), 'utf8')).toBe('new');
    expect(statSync(at('old')).mode & 0o777).toBe(0o640);
    expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
  });

  it.each([{}, { overwrite: true }, { direct: true }])(
    'is made where a symbolic link leads to that has no file yet: %j',
    async (options) => {
      mkdirSync(at('folder'));
      symlinkSync('folder/flows', at('link'));
      const output = await openOutput(at('link'), options);
      await output.append('new');
      await output.close();
      expect(readFileSync(at('folder/flows'), 'utf8')).toBe('new');
      expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
      expect(readdirSync(folder).sort()).toEqual(['folder', 'link']);
    },
  );

  it('leaves nothing behind and the old one alone when it is abandoned', async () => {
    writeFileSync(at('flows'), 'old');
    const output = await openOutput(at('flows'), { overwrite: true });
    await output.append('x'.repeat(100_000));
    await output.abandon();
    expect(readdirSync(folder)).toEqual(['flows']);
    expect(readFileSync(at('flows'), 'utf8')).toBe('old');
    const killed = await openOutput(at('flows'), { overwrite: true });
    await killed.append('x'.repeat(100_000));
    killed.unlink();
    expect(readdirSync(folder)).toEqual(['flows']);
    await killed.abandon();
  });

  it('is refused where one is there that is not empty, and stays as it is', async () => {
    writeFileSync(at('flows'), 'old');
    symlinkSync('flows', at('link'));
    for (const direct of [false, true]) {
      for (const name of ['flows', 'link']) {
        expect(await openOutput(at(name), { direct }).catch((error: unknown) => error)).toMatchObject({
          code: 'OUTPUT_EXISTS',
          file: at(name),
          message: `${JSON.stringify(at(name))} is there already; to replace it: overwrite: true`,
        });
      }
    }
    expect(readFileSync(at('flows'), 'utf8')).toBe('old');
    expect(readdirSync(folder).sort()).toEqual(['flows', 'link']);
  });

  it('replaces an empty one, which mktemp made, say', async () => {
    writeFileSync(at('flows'), '', { mode: 0o600 });
    const output = await openOutput(at('flows'));
    await output.append('new');
    await output.close();
    expect(readFileSync(at('flows'), 'utf8')).toBe('new');
    expect(statSync(at('flows')).mode & 0o777).toBe(0o600);
  });

  it('does not replace one that somebody made meanwhile, and says where its own data are', async () => {
    const output = await openOutput(at('flows'));
    await output.append('ours');
    writeFileSync(at('flows'), 'theirs');
    const error: unknown = await output.close().catch((caught: unknown) => caught);
    expect(error).toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringMatching(/; what was written is in "/),
    });
    expect(readFileSync(at('flows'), 'utf8')).toBe('theirs');
    const [, path] = /is in (".*")$/.exec((error as Error).message) ?? [];
    expect(readFileSync(JSON.parse(path), 'utf8')).toBe('ours');
  });

  it('is that of one of two that are closed at once', async () => {
    const two = [await openOutput(at('flows')), await openOutput(at('flows'))];
    for (const output of two) await output.append('x');
    const ends = await Promise.allSettled(two.map((output) => output.close()));
    expect(ends.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(readFileSync(at('flows'), 'utf8')).toBe('x');
    expect(readdirSync(folder)).toHaveLength(2);
  });

  it('takes bytes beside text, and counts both', async () => {
    const output = await openOutput(at('flows'));
    await output.append('é');
    await output.append(Uint8Array.of(0, 255));
    await output.append('');
    expect(output.bytes).toBe(4);
    await output.append(new Uint8Array(1 << 17).fill(7));
    await output.append('end');
    await output.close();
    expect(output.bytes).toBe(4 + (1 << 17) + 3);
    const written = readFileSync(at('flows'));
    expect([...written.subarray(0, 5), written.length]).toEqual([0xc3, 0xa9, 0, 255, 7, output.bytes]);
    expect(written.subarray(-3).toString()).toBe('end');
  });

  it('can have the longest name that the file system takes', async () => {
    const name = `${'é'.repeat(125)}.csv`;
    const output = await openOutput(at(name));
    await output.append('x');
    await output.close();
    expect(readdirSync(folder)).toEqual([name]);
  });

  it('turns what UTF-8 cannot hold into U+FFFD', async () => {
    const output = await openOutput(at('flows'));
    await output.append('a\ud800b');
    await output.close();
    expect(readFileSync(at('flows'), 'utf8')).toBe('a\ufffdb');
  });
});

describe('a direct file', () => {
  it('is under its name from the start, empties an old one, and shows rows before the end', async () => {
    writeFileSync(at('flows'), 'old\n', { mode: 0o640 });
    symlinkSync('flows', at('link'));
    const output = await openOutput(at('link'), { direct: true, overwrite: true });
    expect(readFileSync(at('flows'), 'utf8')).toBe('');
    await output.append('first\n');
    await vi.waitUntil(() => readFileSync(at('flows'), 'utf8') === 'first\n');
    await output.append('second\n');
    await output.close();
    expect(readFileSync(at('flows'), 'utf8')).toBe('first\nsecond\n');
    expect(readdirSync(folder).sort()).toEqual(['flows', 'link']);
    expect(statSync(at('flows')).mode & 0o777).toBe(0o640);
  });

  it('keeps what it has when it is abandoned, and what was written when the process dies', async () => {
    const abandoned = await openOutput(at('abandoned'), { direct: true });
    await abandoned.append('row\n');
    await abandoned.abandon();
    expect(readFileSync(at('abandoned'), 'utf8')).toBe('row\n');
    const killed = await openOutput(at('killed'), { direct: true });
    await killed.append('row\n');
    await vi.waitUntil(() => statSync(at('killed')).size > 0);
    killed.unlink();
    expect(readFileSync(at('killed'), 'utf8')).toBe('row\n');
    await killed.abandon();
  });

  it('goes on at its begin when somebody empties it: logrotate, copytruncate', async () => {
    const output = await openOutput(at('flows'), { direct: true });
    await output.append('first\n');
    await vi.waitUntil(() => statSync(at('flows')).size > 0);
    truncateSync(at('flows'));
    await output.append('second\n');
    await output.close();
    expect(readFileSync(at('flows'), 'utf8')).toBe('second\n');
  });

  it('is refused like others', async () => {
    mkdirSync(at('folder'));
    const refused = (name: string) => openOutput(at(name), { direct: true }).catch((error: unknown) => error);
    expect(await refused('folder')).toMatchObject({ code: 'OUTPUT_FAILED' });
    expect(await refused('none/flows')).toMatchObject({ message: expect.stringMatching(/there is no folder/) });
  });

  it.skipIf(!canMount)('ends with its last whole line where the disk is full (skipped without mounts)', async () => {
    mkdirSync(at('disk'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', at('disk')]);
    try {
      const output = await openOutput(at('disk/flows'), { direct: true });
      const row = `${'x'.repeat(998)}\n`;
      const fill = async () => {
        for (let i = 0; i < 1000; i++) await output.append(row);
      };
      const full = { code: 'OUTPUT_FAILED', message: expect.stringMatching(/no space left on device \(ENOSPC\)$/) };
      await expect(fill()).rejects.toMatchObject(full);
      await expect(async () => output.append(row)).rejects.toMatchObject(full);
      await output.abandon();
      const rows = readFileSync(at('disk/flows'), 'utf8').split(/(?<=\n)/);
      expect(rows.length).toBe(Math.floor((256 << 10) / row.length));
      expect(rows.every((text) => text === row)).toBe(true);
    } finally {
      execFileSync('umount', [at('disk')]);
    }
  });
});

describe('a target that cannot be written', () => {
  it('is refused by name: no folder, a folder, a file for a folder', async () => {
    expect(await failing(at('none/flows.csv'))).toMatchObject({
      code: 'OUTPUT_FAILED',
      file: at('none/flows.csv'),
      message: `Opening "${at('none/flows.csv')}" for writing failed: there is no folder "${at('none')}"`,
    });
    mkdirSync(at('folder'));
    expect(await failing(at('folder'))).toMatchObject({ message: expect.stringMatching(/folder" .* it is a folder$/) });
    writeFileSync(at('file'), '');
    expect(await failing(at('file/flows'))).toMatchObject({
      message: expect.stringMatching(/not a directory \(ENOTDIR\)$/),
    });
  });

  it.skipIf(isRoot)('is refused by name: no permission (skipped for root, who may write anything)', async () => {
    mkdirSync(at('closed'), { mode: 0o500 });
    expect(await failing(at('closed/flows'))).toMatchObject({
      message: expect.stringMatching(/permission denied \(EACCES\)$/),
    });
    writeFileSync(at('read-only'), 'old', { mode: 0o400 });
    expect(await failing(at('read-only'))).toMatchObject({ code: 'OUTPUT_FAILED' });
  });

  it.skipIf(!existsSync('/dev/full'))('reports a full device from append or close, and stays usable', async () => {
    const output = await openOutput('/dev/full');
    await output.append('x'.repeat(100_000));
    const again = async () => output.append('x'.repeat(100_000));
    const expected = { code: 'OUTPUT_FAILED', message: 'Writing "/dev/full" failed: no space left on device (ENOSPC)' };
    await expect(again()).rejects.toMatchObject(expected);
    await expect(output.close()).rejects.toMatchObject(expected);
    await output.abandon();
    const small = await openOutput('/dev/full');
    await small.append('x');
    await expect(small.close()).rejects.toMatchObject(expected);
  });

  it.skipIf(!existsSync('/dev/full'))('reports with the next row what the timer could not write', async () => {
    const output = await openOutput('/dev/full');
    await output.append('x');
    const next = async () => {
      for (;;) {
        await output.append('x');
        await sleep(10);
      }
    };
    await expect(next()).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
    await output.abandon();
  });

  it.skipIf(!existsSync('/dev/full'))('says so at once where it is asked to', async () => {
    let output: Output | undefined;
    await new Promise<void>((resolve) => {
      void openOutput('/dev/full', { onFailure: () => resolve() }).then((opened) => {
        output = opened;
        void opened.append('x');
      });
    });
    await expect(output?.close()).rejects.toMatchObject({ code: 'OUTPUT_FAILED' });
  });
});

describe('what is no regular file', () => {
  it('is written directly: a device', async () => {
    const output = await openOutput('/dev/null');
    await output.append('x');
    await output.close();
    expect(statSync('/dev/null').isCharacterDevice()).toBe(true);
  });

  it('is written directly: a FIFO, whose reader gets rows before the end', async () => {
    const fifo = at('fifo');
    const reader = spawn('sh', ['-c', 'mkfifo "$0" && echo ready && exec cat "$0"', fifo]);
    await new Promise((ready) => reader.stdout.once('data', ready));
    const output = await openOutput(fifo);
    const first = new Promise((arrived) => reader.stdout.once('data', (chunk) => arrived(String(chunk))));
    await output.append('early\n');
    expect(await first).toBe('early\n');
    const rest = text(reader.stdout);
    await output.append('late\n');
    await output.close();
    expect(await rest).toBe('late\n');
    expect(lstatSync(fifo).isFIFO()).toBe(true);
  });

  it('gets one piece after the other, though its reader is slow', async () => {
    const fifo = at('fifo');
    const reader = spawn('sh', ['-c', 'mkfifo "$0" && echo ready && exec 3<"$0" && sleep 0.3 && exec cat <&3', fifo]);
    await new Promise((ready) => reader.stdout.once('data', ready));
    const output = await openOutput(fifo);
    const read = text(reader.stdout);
    const pieces = ['a', 'b', 'c'].map((letter) => letter.repeat(150_000));
    for (const piece of pieces) await output.append(piece);
    await output.close();
    expect((await read) === pieces.join('')).toBe(true);
  });

  it('fails with EPIPE as the cause when its reader has left', async () => {
    const fifo = at('fifo');
    const reader = spawn('sh', ['-c', 'mkfifo "$0" && echo ready && exec head -c 1 "$0"', fifo]);
    await new Promise((ready) => reader.stdout.once('data', ready));
    const output = await openOutput(fifo);
    const left = new Promise((exited) => reader.once('exit', exited));
    await output.append('x'.repeat(70_000));
    await left;
    await expect(
      (async () => {
        for (let i = 0; i < 10; i++) await output.append('x'.repeat(70_000));
      })(),
    ).rejects.toMatchObject({ code: 'OUTPUT_FAILED', cause: { code: 'EPIPE' } });
    await output.abandon();
  });
});
