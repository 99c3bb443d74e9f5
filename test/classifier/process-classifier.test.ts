import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import net from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { NFStreamClassifier } from '../../src/classifier/classifier.ts';
import { ProcessClassifier } from '../../src/classifier/process-classifier.ts';
import type { NfstreamError } from '../../src/errors.ts';
import { PROCESS_FIELDS } from '../../src/flow/fields/process.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { type CaptureAddon, loadCapture } from '../../src/native/capture.ts';
import type { StreamerOptions } from '../../src/options.ts';
import { Streamer } from '../../src/streamer.ts';
import { ethernetIp, icmpEcho, ipv4, ipv6, tcp, udp } from '../packet/encode.ts';
import { makePcap } from '../source/captures.ts';

/** What the addon is replaced by. */
const fake = vi.hoisted(() => ({ addon: undefined as Partial<CaptureAddon> | undefined }));
vi.mock('../../src/native/capture.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/native/capture.ts')>();
  return {
    ...original,
    loadCapture: () => (fake.addon === undefined ? original.loadCapture() : { ok: true, addon: fake.addon, path: '' }),
  };
});

const closers: (() => void)[] = [];
afterEach(() => {
  fake.addon = undefined;
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  for (const close of closers.splice(0)) close();
});

function codeOf(make: () => unknown): string {
  try {
    make();
  } catch (error) {
    return `${(error as NfstreamError).code}: ${(error as Error).message}`;
  }
  return '';
}

describe('a ProcessClassifier that can not work', () => {
  it('refuses to be made on other systems', () => {
    vi.spyOn(process, 'platform', 'get').mockReturnValue('darwin');
    expect(codeOf(() => new ProcessClassifier())).toBe(
      'SYSTEM_UNAVAILABLE: systemVisibility works on Linux only, and this is darwin',
    );
  });

  it.skipIf(process.platform !== 'linux')('refuses to be made without the addon', () => {
    vi.stubEnv('NFSTREAM_NATIVE', 'off');
    expect(codeOf(() => new ProcessClassifier())).toMatch(
      /^SYSTEM_UNAVAILABLE: systemVisibility .* NFSTREAM_NATIVE=off/,
    );
  });

  it.skipIf(process.platform !== 'linux')(
    'refuses to be made where the kernel does not answer, with its reason',
    () => {
      const EPROTONOSUPPORT = 93;
      const closeSocketDiag = vi.fn();
      fake.addon = { openSocketDiag: () => -EPROTONOSUPPORT };
      expect(codeOf(() => new ProcessClassifier())).toMatch(/^SYSTEM_UNAVAILABLE: .* and received EPROTONOSUPPORT$/);
      fake.addon = { openSocketDiag: () => 1 << 30, askSocketDiag: () => -EPROTONOSUPPORT, closeSocketDiag };
      expect(codeOf(() => new ProcessClassifier())).toMatch(/EPROTONOSUPPORT$/);
      fake.addon = { openSocketDiag: () => 1 << 30, askSocketDiag: () => 0, closeSocketDiag };
      expect(codeOf(() => new ProcessClassifier())).toMatch(/and received no answer$/);
      expect(closeSocketDiag.mock.calls).toEqual([[1 << 30], [1 << 30]]);
    },
  );
});

const loaded = loadCapture();
const reason = process.platform !== 'linux' ? 'Linux only' : loaded.ok ? '' : loaded.message;

describe.skipIf(reason !== '')(`ProcessClassifier${reason === '' ? '' : ` (skipped: ${reason})`}`, () => {
  const self = { process_id: process.pid, process_name: readFileSync('/proc/self/comm', 'utf8').trimEnd() };
  const nobody = { process_id: null, process_name: null };

  const capture = (...packets: Uint8Array[]) =>
    makePcap(packets.map((packet, i) => ({ seconds: 1_600_000_000, fraction: i * 1000, data: ethernetIp(packet) })));
  class Watcher extends NFStreamClassifier {
    readonly flows: Flow[] = [];
    override onFlowInit(flow: Flow): void {
      this.flows.push(flow);
    }
    /** Settles when the process of so many flows is known; on a busy machine only later looks have time. */
    async known(count: number): Promise<void> {
      for (let i = 0; i < 500; i++) {
        if (this.flows.filter(({ metrics }) => metrics['process_id'] !== null).length >= count) return;
        await sleep(10);
      }
    }
  }
  /** The flows of a capture that ends when `until` settles: by default when the process of `count` flows is known. */
  const flowsOf = async (
    bytes: Uint8Array,
    count: number,
    until: (watcher: Watcher) => Promise<unknown> = (watcher) => watcher.known(count),
    options: Partial<StreamerOptions> = {},
  ) => {
    const flows: Flow[] = [];
    const watcher = new Watcher();
    const source = Readable.from(
      (async function* () {
        yield bytes;
        await until(watcher);
      })(),
    );
    const userClassifiers = [new ProcessClassifier(), watcher];
    const streamer = new Streamer({ source, enableNdpi: false, handleSigint: false, ...options, userClassifiers });
    for await (const flow of streamer) flows.push(flow);
    return flows;
  };
  const metricsOf = async (...args: Parameters<typeof flowsOf>) =>
    (await flowsOf(...args)).map(({ metrics }) => metrics);
  const listen = async (host: string, port = 0) => {
    const server = net.createServer((socket) => closers.push(() => socket.destroy()));
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    closers.push(() => server.close());
    return { server, port: (server.address() as net.AddressInfo).port };
  };
  const bind = async (type: 'udp4' | 'udp6', host: string) => {
    const socket = dgram.createSocket(type);
    await new Promise<void>((resolve) => socket.bind(0, host, resolve));
    closers.push(() => socket.close());
    return socket.address().port;
  };
  const tcpOf = (src: string, srcPort: number, dst: string, dstPort: number) =>
    ipv4({ src, dst, protocol: 6 }, tcp({ srcPort, dstPort, flags: 0x02 }));
  const udpOf = (src: string, srcPort: number, dst: string, dstPort: number) =>
    src.includes(':')
      ? ipv6({ src, dst, nextHeader: 17 }, udp({ srcPort, dstPort }))
      : ipv4({ src, dst, protocol: 17 }, udp({ srcPort, dstPort }));

  it('tells this process where it listens, for flows that begin elsewhere and here', async () => {
    const { port } = await listen('0.0.0.0');
    const datagrams = await bind('udp6', '::');
    expect(
      await metricsOf(
        capture(
          tcpOf('203.0.113.1', 40000, '127.0.0.1', port),
          udpOf('203.0.113.1', 40000, '127.0.0.1', datagrams),
          udpOf('127.0.0.1', datagrams, '203.0.113.7', 40000),
          udpOf('::1', datagrams, '2001:db8::7', 40000),
        ),
        4,
      ),
    ).toEqual([self, self, self, self]);
  });

  it('tells nobody for what passes, for ports without a socket, and for protocols without ports', async () => {
    const { port } = await listen('0.0.0.0');
    const flows = await flowsOf(
      capture(
        tcpOf('203.0.113.1', 40000, '203.0.113.2', port),
        tcpOf('203.0.113.1', 40000, '127.0.0.1', 1),
        udpOf('127.0.0.1', 1, '203.0.113.2', port),
        ipv4({ src: '203.0.113.1', dst: '127.0.0.1', protocol: 1 }, icmpEcho()),
        ipv4({ src: '203.0.113.1', dst: '127.0.0.1', protocol: 6 }, new Uint8Array([1, 2])),
      ),
      0,
      () => sleep(200),
    );
    for (const { metrics, src_port, dst_port, ip_protocol, ip_dst } of flows) {
      expect(metrics, JSON.stringify({ src_port, dst_port, ip_protocol, ip_dst })).toEqual(nobody);
      expect(Object.keys(metrics)).toEqual(PROCESS_FIELDS.map(({ name }) => name));
    }
    expect(flows).toHaveLength(5);
  });

  it('tells the process of the source, not of the other end, where both are here', async () => {
    const { port } = await listen('127.0.0.1');
    const client = net.connect(port, '127.0.0.1');
    closers.push(() => client.destroy());
    await new Promise((resolve) => client.once('connect', resolve));
    const packets = [
      tcpOf('127.0.0.1', client.localPort!, '127.0.0.1', port),
      tcpOf('127.0.0.1', 1, '127.0.0.1', port),
    ];
    expect(await metricsOf(capture(...packets), 1)).toEqual([self, nobody]);
  });

  it('looks again: the socket came later than the packet', async () => {
    const { server, port } = await listen('127.0.0.1');
    await new Promise((resolve) => server.close(resolve));
    const opening = async (watcher: Watcher) => {
      await sleep(20);
      await listen('127.0.0.1', port);
      await watcher.known(1);
    };
    expect(await metricsOf(capture(tcpOf('203.0.113.1', 40000, '127.0.0.1', port)), 1, opening)).toEqual([self]);
  });

  it('stays with what it found after the socket is closed', async () => {
    const socket = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const packet = udpOf('203.0.113.1', 40000, '127.0.0.1', socket.address().port);
    const closing = async (watcher: Watcher) => {
      await watcher.known(1);
      socket.close();
      // Beyond the look that confirms.
      await sleep(800);
    };
    expect(await metricsOf(capture(packet), 1, closing)).toEqual([self]);
  });

  it('stays with what it found when another process takes the port', async () => {
    const socket = dgram.createSocket('udp4');
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    const { port } = socket.address();
    const taking = async (watcher: Watcher) => {
      await watcher.known(1);
      socket.close();
      const code = `require('dgram').createSocket('udp4').bind(${port}, '127.0.0.1', () => console.log('bound'))`;
      const other = spawn(process.execPath, ['-e', code], { stdio: ['ignore', 'pipe', 'inherit'] });
      closers.push(() => other.kill());
      await once(other.stdout, 'data');
      // Beyond the look that confirms, which here is some 0.4 s later.
      await sleep(1000);
    };
    expect(await metricsOf(capture(udpOf('127.0.0.1', port, '203.0.113.1', 40000)), 1, taking)).toEqual([self]);
  });

  it('looks at each flow once while the process is found, whatever comes after its first packet', async () => {
    const datagrams = await bind('udp4', '127.0.0.1');
    const real = loadCapture();
    if (!real.ok) throw new Error(real.message);
    let questions = 0;
    fake.addon = {
      ...real.addon,
      askSocketDiag: (file, question, answer) => {
        questions++;
        return real.addon.askSocketDiag(file, question, answer);
      },
    };
    const many = Array.from({ length: 500 }, (_, i) => udpOf('203.0.113.1', 40000 + (i % 10), '127.0.0.1', datagrams));
    expect(await metricsOf(capture(...many), 10)).toEqual(Array(10).fill(self));
    // One for TCP and one for UDP when it is made, and again when it begins; 2 for a flow where the first look had no time.
    expect(questions - 4).toBeGreaterThanOrEqual(10);
    expect(questions - 4).toBeLessThanOrEqual(20);
  });

  it('keeps nothing of a packet, and no file open', async () => {
    const files = () =>
      readdirSync('/proc/self/fd').filter((file) => {
        try {
          return readlinkSync(`/proc/self/fd/${file}`).startsWith('socket:');
        } catch {
          return false;
        }
      }).length;
    const datagrams = await bind('udp4', '127.0.0.1');
    const before = files();
    const packets = Array.from({ length: 20 }, (_, i) => udpOf('203.0.113.1', 40000 + i, '127.0.0.1', datagrams));
    const flows = await flowsOf(capture(...packets), 20, undefined, { debug: true });
    expect(flows.map(({ metrics }) => metrics)).toEqual(Array(20).fill(self));
    // Sockets of tests before this one may close meanwhile.
    expect(files()).toBeLessThanOrEqual(before);
  });

  it('survives a kernel that answers nonsense', async () => {
    const real = loadCapture();
    if (!real.ok) throw new Error(real.message);
    let isSane = true;
    fake.addon = {
      ...real.addon,
      askSocketDiag: (file, question, answer) => {
        if (isSane) return real.addon.askSocketDiag(file, question, answer);
        answer.fill(0xff);
        return [-105, 0, 3, 88, 5000][question[8]! % 5]!;
      },
    };
    const { port } = await listen('127.0.0.1');
    const packets = Array.from({ length: 20 }, (_, i) => tcpOf('203.0.113.1', 40000 + i, '127.0.0.1', port));
    class Breaker extends ProcessClassifier {
      override onStart(): void {
        super.onStart();
        isSane = false;
      }
    }
    const metrics: unknown[] = [];
    const userClassifiers = new Breaker();
    const streamer = new Streamer({ source: capture(...packets), enableNdpi: false, userClassifiers });
    for await (const flow of streamer) metrics.push(flow.metrics);
    expect(metrics).toEqual(Array(20).fill(nobody));
  });
});
