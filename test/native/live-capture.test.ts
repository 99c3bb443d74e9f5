// What live capture hands over: the packets that tcpdump sees on the same interface, batch by batch, and counters.
import { describe, expect, it } from 'vitest';
import { stampTime } from '../../src/source/stamp-time.ts';
import { hasNamespaces, hasTcpdump, inNamespace, type Packet } from './in-namespace.ts';

/** A capture file's link type and packets. Nanosecond pcap in this machine's byte order, as tcpdump writes it. */
function parsePcap(base64: string): { linkType: number; packets: Packet[] } {
  const bytes = Buffer.from(base64, 'base64');
  expect(bytes.readUInt32LE(0)).toBe(0xa1b23c4d);
  const packets: Packet[] = [];
  for (let at = 24; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    packets.push({
      timeMs: stampTime(bytes.readUInt32LE(at), bytes.readUInt32LE(at + 4), 1e9),
      wireLength: bytes.readUInt32LE(at + 12),
      hex: bytes.toString('hex', at + 16, at + 16 + length),
    });
    at += 16 + length;
  }
  return { linkType: bytes.readUInt32LE(20), packets };
}

/** The numbers of the datagrams that `send` sent, of Ethernet frames. */
const numbers = (packets: Packet[]) => packets.map(({ hex }) => Number.parseInt(hex.slice(84, 92), 16));
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);

describe.skipIf(!hasNamespaces)('live capture', { concurrent: true }, () => {
  it.skipIf(!hasTcpdump)('sees what tcpdump sees', async () => {
    const { linkType, packets, file } = await inNamespace(async ({ open, take, send, tcpdump }) => {
      const capture = open('wire1');
      let packets: Packet[] = [];
      const file = await tcpdump(['-i', 'wire1'], async () => {
        for (const bytes of [4, 20, 21, 600, 1472]) await send(5, bytes);
        packets = await take(capture, 25);
      });
      capture.handle.close();
      return { linkType: capture.handle.linkType, packets, file };
    });
    expect(packets).toHaveLength(25);
    expect(numbers(packets)).toEqual(upTo(25));
    expect({ linkType, packets }).toEqual(parsePcap(file));
  });

  it.skipIf(!hasTcpdump)('cuts frames to snaplen, filters in the kernel and cuts the same with a filter', async () => {
    const { packets, file, counters } = await inNamespace(async ({ open, take, send, tcpdump, counters }) => {
      const filter = 'udp and greater 100';
      const capture = open('wire1', { snaplen: 60, filter });
      let packets: Packet[] = [];
      const file = await tcpdump(['-i', 'wire1', '-s', '60', filter], async () => {
        for (const bytes of [20, 200, 30, 300]) await send(3, bytes);
        packets = await take(capture, 6);
      });
      return { packets, file, counters: counters(capture.handle) };
    });
    expect(packets).toEqual(parsePcap(file).packets);
    expect(packets.map(({ hex, wireLength }) => [hex.length / 2, wireLength])).toEqual([
      ...Array(3).fill([60, 242]),
      ...Array(3).fill([60, 342]),
    ]);
    expect(counters).toEqual([6, 0, 0]);
  });

  it.skipIf(!hasTcpdump)('sees packets of loopback once, and of any interface with their link type', async () => {
    const seen = await inNamespace(async ({ open, take, sh, tcpdump, counters }) => {
      const ping = 'ping -c 3 -i 0.01 -s 100 127.0.0.1';
      const results: { linkType: number; packets: Packet[]; file: string; counters: number[] }[] = [];
      for (const [device, ...options] of [['lo'], ['any', '-y', 'LINUX_SLL']] as const) {
        const capture = open(device);
        let packets: Packet[] = [];
        const file = await tcpdump(['-i', device, ...options], async () => {
          sh(ping);
          packets = await take(capture, 6);
        });
        results.push({ linkType: capture.handle.linkType, packets, file, counters: counters(capture.handle) });
        capture.handle.close();
      }
      return results;
    });
    expect(seen.map(({ linkType }) => linkType)).toEqual([1, 113]);
    for (const { linkType, packets, file } of seen) {
      expect(packets).toHaveLength(6);
      expect({ linkType, packets }).toEqual(parsePcap(file));
    }
    expect(seen.map(({ counters }) => counters)).toEqual([
      [6, 0, 0],
      [12, 0, 0],
    ]);
  });

  it.skipIf(!hasTcpdump)("gives the link type that a capture file has, not libpcap's own number", async () => {
    const seen = await inNamespace(async ({ open, sh, tcpdump }) => {
      sh('ip tuntap add mode tun name tunnel0 && ip link set tunnel0 up');
      const capture = open('tunnel0');
      return { linkType: capture.handle.linkType, file: await tcpdump(['-i', 'tunnel0'], async () => {}) };
    });
    expect(seen.linkType).toBe(101); // LINKTYPE_RAW; DLT_RAW is 12
    expect(parsePcap(seen.file).linkType).toBe(101);
  });

  it('cuts to snaplen in immediate mode, too, where libpcap has its own idea of it', async () => {
    const packets = await inNamespace(async ({ open, take, send }) => {
      const captures = [60, 61, 62, 63, 64, 262144].map((snaplen) =>
        open('wire1', { snaplen, immediate: true }, 9, 1 << 19),
      );
      await send(1, 100);
      return Promise.all(captures.map(async (capture) => take(capture, 1)));
    });
    expect(packets.map(([packet]) => packet!.hex.length / 2)).toEqual([60, 61, 62, 63, 64, 142]);
  });

  it('loses nothing when columns or bytes are full in the middle of a block', async () => {
    const results = await inNamespace(async ({ open, readAll, send, sleep }) => {
      // Rows that end in the middle of a block; bytes for one frame and no second, for 1 to 3, for very many.
      const captures = [
        open('wire1', {}, 1),
        open('wire1', {}, 7),
        open('wire1', { snaplen: 1514 }, 256, 1514),
        open('wire1', { snaplen: 1514 }, 5, 3000),
        open('wire1', {}, 4096, 1 << 20),
        open('wire1', { immediate: true, snaplen: 1514 }, 7),
      ];
      for (let i = 0; i < 500; i++) await send(1, 20 + ((i * 37) % 1400));
      await sleep(100);
      return captures.map((capture) => readAll(capture));
    });
    for (const packets of results) expect(numbers(packets)).toEqual(upTo(500));
  });

  it('writes where it is told to and nowhere else', async () => {
    const result = await inNamespace(async ({ open, send, sleep }) => {
      const { handle, target } = open('wire1', {}, 16);
      await send(4, 50);
      await sleep(100);
      target.bytes.fill(0xee);
      const rows = [handle.read(16, 0), handle.read(0, target.bytes.length - 65534), handle.read(13, 1000)];
      const at = [...target.frameAt];
      rows.push(handle.read(0, 5));
      return {
        rows,
        at,
        later: target.frameAt[0],
        bytes: [0, 4, 5, 96, 97, 999, 1275, 1276].map((i) => target.bytes[i]),
      };
    });
    expect(result.rows).toEqual([0, 0, 3, 1]);
    expect(result.at).toEqual([...Array(13).fill(0), 1000, 1092, 1184]);
    expect(result.later).toBe(5);
    const untouched = 0xee;
    expect(result.bytes.map((byte) => byte === untouched)).toEqual([true, true, false, false, true, true, false, true]);
  });

  it('counts what the kernel dropped for want of room, and keeps the rest', async () => {
    const { counters, packets, later } = await inNamespace(async ({ open, readAll, send, sleep, counters, take }) => {
      const capture = open('wire1', { bufferSize: 1 << 18 });
      await send(4000, 1000);
      await sleep(100);
      const packets = readAll(capture).length;
      const first = counters(capture.handle);
      await send(10, 1000);
      const later = await take(capture, 10);
      return { counters: first, packets, later: later.length };
    });
    const [received, dropped] = counters as [number, number];
    expect(received).toBe(4000);
    expect(dropped).toBeGreaterThan(1000);
    expect(packets).toBe(received - dropped);
    expect(later).toBe(10);
  });

  it('begins at the release, without what came before', async () => {
    const result = await inNamespace(async ({ open, readAll, send, sleep, counters, take }) => {
      const capture = open('wire1', { isHeld: true, filter: 'udp' });
      await send(5);
      await sleep(60);
      const held = [readAll(capture).length, ...counters(capture.handle)];
      capture.handle.release();
      capture.handle.release();
      await send(3);
      const packets = await take(capture, 3);
      return { held, packets, counters: counters(capture.handle) };
    });
    expect(result.held).toEqual([0, 0, 0, 0]);
    expect(numbers(result.packets)).toEqual([5, 6, 7]);
    expect(result.counters).toEqual([3, 0, 0]);
  });

  it('takes nothing more after it is finished, and keeps what it has', async () => {
    const result = await inNamespace(async ({ open, send, counters, take, sleep }) => {
      const capture = open('wire1', { filter: 'udp', batchTimeoutMs: 200 });
      await send(5);
      capture.handle.finish();
      capture.handle.finish();
      await send(3);
      const packets = await take(capture, 5);
      await sleep(300);
      packets.push(...(await take(capture, 1, 300)));
      return { packets, counters: counters(capture.handle) };
    });
    expect(numbers(result.packets)).toEqual(upTo(5));
    expect(result.counters).toEqual([5, 0, 0]);
  });

  it('begins cleanly in the middle of a flood', async () => {
    const result = await inNamespace(async ({ open, readAll, sleep, counters, require, sh }) => {
      const { spawn } = require('node:child_process') as typeof import('node:child_process');
      const code = `
        const socket = require('node:dgram').createSocket('udp4');
        const flood = () => {
          for (let i = 0; i < 50; i++) socket.send('flood', 9, '192.0.2.2', () => {});
          setImmediate(flood);
        };
        flood();`;
      const flood = spawn(process.execPath, ['-e', code], { stdio: 'ignore' });
      const rounds: { before: number; packets: number; received: number; dropped: number }[] = [];
      await sleep(500);
      for (let round = 0; round < 20; round++) {
        const capture = open('wire1', { isHeld: true, filter: 'udp and greater 40' });
        await sleep(10);
        const releasedMs = Date.now();
        capture.handle.release();
        await sleep(30);
        // Stops the flood of this capture alone, so that all that was counted can be read.
        sh('ip link set wire0 down');
        await sleep(60);
        const packets = readAll(capture);
        const [received, dropped] = counters(capture.handle);
        rounds.push({
          before: packets.filter(({ timeMs }) => timeMs < releasedMs - 1).length,
          packets: packets.length,
          received,
          dropped,
        });
        capture.handle.close();
        sh('ip link set wire0 up');
        await sleep(10);
      }
      flood.kill();
      return rounds;
    });
    for (const { before, packets, received, dropped } of result) {
      expect(before).toBe(0);
      expect(packets).toBe(received - dropped);
    }
    expect(result.filter(({ packets }) => packets > 0).length).toBeGreaterThan(10);
  });
});
