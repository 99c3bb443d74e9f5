import { spawnSync } from 'node:child_process';
import dgram from 'node:dgram';
import { readlinkSync } from 'node:fs';
import net from 'node:net';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { loadCapture } from '../../src/native/capture.ts';
import {
  askForListener,
  decodeAnswer,
  encodeQuestion,
  NO_SOCKET,
  QUESTION_BYTES,
  SocketDiag,
  setInterface,
  TCP,
  TCP_ESTABLISHED,
  TCP_LISTEN,
  TCP_TIME_WAIT,
  UDP,
} from '../../src/system/socket-diag.ts';
import { ipv4Address, ipv6Address } from '../packet/encode.ts';

const ENOENT = 2;

function question(protocol: number, local: string, localPort: number, remote: string, remotePort: number): Uint8Array {
  const address = (text: string) => (text.includes(':') ? ipv6Address(text) : ipv4Address(text));
  const length = address(local).length;
  const bytes = Uint8Array.of(...address(local), ...address(remote));
  const made = new Uint8Array(QUESTION_BYTES);
  encodeQuestion(made, protocol, { bytes, localAt: 0, remoteAt: length, length }, localPort, remotePort);
  return made;
}

/** An answer as the kernel lays it out (linux/inet_diag.h), little-endian. */
function answer(fields: { sequence?: number; port?: number; state?: number; inode?: number } = {}): Uint8Array {
  const bytes = new Uint8Array(88 + 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, 20, true);
  view.setUint32(8, fields.sequence ?? 0, true);
  bytes[16] = 2;
  bytes[17] = fields.state ?? TCP_ESTABLISHED;
  view.setUint16(20, fields.port ?? 80);
  view.setUint32(84, fields.inode ?? 4711, true);
  return bytes;
}

function failure(errno: number): Uint8Array {
  const bytes = new Uint8Array(36);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, 2, true);
  view.setInt32(16, -errno, true);
  return bytes;
}

const asked = question(TCP, '10.0.0.1', 80, '10.0.0.2', 40000);
const nothing = () => ({ state: 99, inode: 99 });

describe('decodeAnswer', () => {
  it('reads state and inode', () => {
    const found = nothing();
    expect(decodeAnswer(answer({ state: TCP_TIME_WAIT, inode: 0xfedcba98 }), 96, asked, found)).toBe(0);
    expect(found).toEqual({ state: TCP_TIME_WAIT, inode: 0xfedcba98 });
  });

  it("reads the kernel's errno", () => {
    const found = nothing();
    expect(decodeAnswer(failure(ENOENT), 36, asked, found)).toBe(ENOENT);
    expect(found).toEqual({ state: NO_SOCKET, inode: 0 });
  });

  it('takes no answer to another question', () => {
    expect(decodeAnswer(answer({ sequence: 1 }), 96, asked, nothing())).toBe(-1);
    expect(decodeAnswer(answer({ port: 81 }), 96, asked, nothing())).toBe(-1);
    expect(decodeAnswer(answer(), 96, question(UDP, '10.0.0.1', 80, '10.0.0.2', 81), nothing())).toBe(0);
    expect(decodeAnswer(answer(), 96, question(UDP, '10.0.0.1', 81, '10.0.0.2', 80), nothing())).toBe(-1);
  });

  it('refuses every truncation', () => {
    const whole = answer();
    for (let length = 0; length < whole.length; length++) {
      const found = nothing();
      expect(decodeAnswer(whole.subarray(0, length), length, asked, found)).toBe(-1);
      expect(found).toEqual({ state: NO_SOCKET, inode: 0 });
    }
    const error = failure(ENOENT);
    for (let length = 0; length < error.length; length++)
      expect(decodeAnswer(error.subarray(0, length), length, asked, nothing())).toBe(-1);
  });

  it('reads what it needs of an answer that had no room for all of it', () => {
    expect(decodeAnswer(answer().subarray(0, 88), 96, asked, nothing())).toBe(0);
    expect(decodeAnswer(answer().subarray(0, 87), 96, asked, nothing())).toBe(-1);
  });

  it('takes any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 128 }), fc.integer({ min: -40, max: 200 }), (bytes, length) => {
        const found = nothing();
        const status = decodeAnswer(bytes, length, asked, found);
        expect(Number.isInteger(status) && status >= -1).toBe(true);
        if (status !== 0) expect(found).toEqual({ state: NO_SOCKET, inode: 0 });
      }),
    );
    fc.assert(
      fc.property(fc.nat(95), fc.nat(255), (at, byte) => {
        const bytes = answer();
        bytes[at] = byte;
        expect(decodeAnswer(bytes, bytes.length, asked, nothing())).toBeGreaterThanOrEqual(-1);
      }),
    );
  });
});

describe('encodeQuestion', () => {
  it('puts addresses and ports where the kernel looks them up', () => {
    const tcp = question(TCP, '10.0.0.1', 0x1234, '10.0.0.2', 0x5678);
    expect([...tcp.subarray(24, 28)]).toEqual([0x12, 0x34, 0x56, 0x78]);
    expect([...tcp.subarray(28, 32)]).toEqual([10, 0, 0, 1]);
    const udp = question(UDP, '10.0.0.1', 0x1234, '10.0.0.2', 0x5678);
    expect([...udp.subarray(24, 28)]).toEqual([0x56, 0x78, 0x12, 0x34]);
    expect([...udp.subarray(28, 32)]).toEqual([10, 0, 0, 2]);
  });

  it('leaves nothing of the question before', () => {
    const used = new Uint8Array(QUESTION_BYTES).fill(0xaa);
    const address = { bytes: new Uint8Array([10, 0, 0, 1, 10, 0, 0, 2]), localAt: 0, remoteAt: 4, length: 4 };
    encodeQuestion(used, TCP, address, 80, 40000);
    expect(used).toEqual(asked);
  });
});

const loaded = loadCapture();
const diag = loaded.ok && process.platform === 'linux' ? SocketDiag.open(loaded.addon) : -1;
const reason = loaded.ok ? 'not Linux' : loaded.message;

describe.skipIf(typeof diag === 'number')(
  `SocketDiag${typeof diag === 'number' ? ` (skipped: ${reason})` : ''}`,
  () => {
    const kernel = diag as SocketDiag;
    const closers: (() => void)[] = [];
    afterAll(() => {
      for (const close of closers) close();
      if (typeof diag !== 'number') diag.close();
    });

    const ask = (made: Uint8Array) => {
      const found = nothing();
      const status = kernel.ask(made, found);
      return { status, ...found };
    };
    /** What the process itself says of its socket. */
    const inodeOf = (socket: unknown) => {
      const { fd } = (socket as { _handle: { fd: number } })._handle;
      return Number(/socket:\[(\d+)\]/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1]);
    };
    const listen = (host: string, ipv6Only = false) =>
      new Promise<net.Server>((resolve) => {
        const server = net.createServer().listen({ host, port: 0, ipv6Only }, () => resolve(server));
        closers.push(() => server.close());
      });
    const connect = (host: string, port: number) =>
      new Promise<net.Socket>((resolve, reject) => {
        const socket = net.connect(port, host, () => resolve(socket));
        socket.on('error', reject);
        closers.push(() => socket.destroy());
      });
    const accepted = (server: net.Server) => new Promise<net.Socket>((resolve) => server.once('connection', resolve));
    const bind = (type: 'udp4' | 'udp6', address: string) =>
      new Promise<dgram.Socket>((resolve) => {
        const socket = dgram.createSocket(type);
        socket.bind(0, address, () => resolve(socket));
        closers.push(() => socket.close());
      });
    const portOf = (server: net.Server) => (server.address() as net.AddressInfo).port;

    for (const [listening, from] of [
      ['127.0.0.1', '127.0.0.1'],
      ['0.0.0.0', '127.0.0.1'],
      ['::1', '::1'],
      ['::', '::1'],
      ['::', '127.0.0.1'],
    ] as const) {
      it(`finds both ends and the listener of a connection of ${from} to one on ${listening}`, async () => {
        const server = await listen(listening);
        const port = portOf(server);
        const server2 = accepted(server);
        const client = await connect(from, port);
        const other = await server2;
        const local = client.localPort!;
        expect(ask(question(TCP, from, local, from, port))).toMatchObject({ status: 0, inode: inodeOf(client) });
        expect(ask(question(TCP, from, port, from, local))).toMatchObject({ status: 0, inode: inodeOf(other) });
        const listener = { status: 0, state: TCP_LISTEN, inode: inodeOf(server) };
        expect(ask(question(TCP, from, port, from, local === 1 ? 2 : 1))).toEqual(listener);
        const made = question(TCP, from, port, from, local);
        askForListener(made);
        expect(ask(made)).toEqual(listener);
      });
    }

    it('tells a connection that is closed', async () => {
      const server = await listen('127.0.0.1');
      const server2 = accepted(server);
      const client = await connect('127.0.0.1', portOf(server));
      const port = client.localPort!;
      const closed = new Promise((resolve) => client.once('close', resolve));
      client.end();
      (await server2).resume().end();
      await closed;
      expect(ask(question(TCP, '127.0.0.1', port, '127.0.0.1', portOf(server)))).toEqual({
        status: 0,
        state: TCP_TIME_WAIT,
        inode: 0,
      });
    });

    for (const [type, bound, from] of [
      ['udp4', '127.0.0.1', '127.0.0.1'],
      ['udp4', '0.0.0.0', '127.0.0.1'],
      ['udp6', '::1', '::1'],
      ['udp6', '::', '127.0.0.1'],
    ] as const) {
      it(`finds a UDP socket bound to ${bound} by what ${from} sends, and one that is connected before it`, async () => {
        const server = await bind(type, bound);
        const { port } = server.address();
        expect(ask(question(UDP, from, port, from, 9))).toMatchObject({ status: 0, inode: serverInode(server) });
        const client = dgram.createSocket(from === '::1' ? 'udp6' : 'udp4');
        closers.push(() => client.close());
        await new Promise<void>((resolve) => client.connect(port, from, resolve));
        const local = client.address().port;
        expect(ask(question(UDP, from, local, from, port))).toMatchObject({ status: 0, inode: serverInode(client) });
        expect(ask(question(UDP, from, local, from, port === 9 ? 10 : 9)).status).toBe(ENOENT);
      });
    }

    it('tells that there is none', () => {
      expect(ask(question(TCP, '127.0.0.1', 1, '127.0.0.1', 1))).toEqual({
        status: ENOENT,
        state: NO_SOCKET,
        inode: 0,
      });
      expect(ask(question(UDP, '127.0.0.1', 1, '127.0.0.1', 1)).status).toBe(ENOENT);
    });

    it('finds a socket bound to an interface only with its index', async () => {
      // lo is interface 1 of every network namespace.
      const script =
        'import socket,sys;s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM);' +
        's.setsockopt(socket.SOL_SOCKET,25,b"lo");s.bind(("127.0.0.1",0));' +
        'print(s.getsockname()[1],flush=True);sys.stdin.read()';
      const { spawn } = await import('node:child_process');
      if (spawnSync('python3', ['-c', '']).status !== 0) return;
      const child = spawn('python3', ['-c', script]);
      closers.push(() => child.kill());
      const port = await new Promise<number>((resolve) => child.stdout.once('data', (text) => resolve(Number(text))));
      const made = question(UDP, '127.0.0.1', port, '127.0.0.1', 9);
      expect(ask(made).status).toBe(ENOENT);
      setInterface(made, 1);
      expect(ask(made)).toMatchObject({ status: 0 });
      child.stdin.end();
    });

    it('skips what an earlier question left behind', () => {
      // Sent past SocketDiag, and not read.
      const leftover = question(TCP, '127.0.0.1', 1, '127.0.0.1', 1);
      new DataView(leftover.buffer).setUint32(8, 0xabcdef, true);
      if (loaded.ok) loaded.addon.askSocketDiag(kernel.file, leftover, new Uint8Array(0));
      if (loaded.ok) loaded.addon.askSocketDiag(kernel.file, leftover, new Uint8Array(0));
      expect(ask(question(TCP, '127.0.0.1', 1, '127.0.0.1', 1)).status).toBe(ENOENT);
    });

    function serverInode(socket: dgram.Socket): number {
      const symbol = Object.getOwnPropertySymbols(socket).find((name) => String(name).includes('state symbol'))!;
      const { handle } = (socket as unknown as Record<symbol, { handle: { fd: number } }>)[symbol]!;
      return Number(/socket:\[(\d+)\]/.exec(readlinkSync(`/proc/self/fd/${handle.fd}`))?.[1]);
    }
  },
);
