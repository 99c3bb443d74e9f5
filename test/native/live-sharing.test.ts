// Opening interfaces: why it fails, what is refused, several captures that share one interface's packets, and the list of
// interfaces.
import { describe, expect, it } from 'vitest';
import { hasNamespaces, inNamespace, type Packet, spawnInNamespace } from './in-namespace.ts';

describe.skipIf(!hasNamespaces)('opening an interface', { concurrent: true }, () => {
  it('says what kind of failure it is', async () => {
    const failures = await inNamespace(({ addon, settings, sh }) => {
      sh('ip link add sleeper0 type veth peer name sleeper1');
      return [
        addon.openCapture('no-such', settings),
        addon.openCapture('wire1-and-more-than-fits', settings),
        addon.openCapture('', settings),
        addon.openCapture('sleeper0', settings),
        addon.openCapture('wire1', { ...settings, filter: 'tcp portt 80' }),
        addon.openCapture('wire1', { ...settings, filter: 'wlan type mgt' }),
        addon.openCapture('wire1', { ...settings, filter: 'host no-such-host.invalid' }),
      ];
    });
    const kinds = failures.map((failure) => ('kind' in failure ? failure.kind : 'opened'));
    expect(kinds).toEqual(['not_found', 'not_found', 'not_found', 'down', 'filter', 'filter', 'filter']);
    for (const failure of failures) expect('message' in failure && failure.message).toMatch(/\w{4}/);
  });

  it('is denied without the right', async () => {
    const script = `
      const settings = { snaplen: 100, promiscuous: true, bufferSize: 1 << 20, batchTimeoutMs: 10, immediate: false,
        filter: '', isHeld: false };
      console.log(JSON.stringify(require(process.argv[1]).openCapture('wire1', settings)));`;
    const [without, withNetRaw] = await Promise.all([
      spawnInNamespace(script, ['setpriv', '--bounding-set', '-net_raw', '--inh-caps', '-net_raw']),
      // All that is needed: no CAP_NET_ADMIN, not even for promiscuous mode.
      spawnInNamespace(script, ['setpriv', '--bounding-set', '-all,+net_raw,+dac_override', '--inh-caps', '-all']),
    ]);
    expect(JSON.parse(without.stdout)).toEqual({
      kind: 'denied',
      message: expect.stringMatching(/permi|CAP_NET_RAW/i),
    });
    expect(JSON.parse(withNetRaw.stdout)).toMatchObject({ linkType: 1, snaplen: 100 });
  });

  it('leaves no socket, memory or file behind, whether it fails or not', async () => {
    const { sockets, rssMb } = await inNamespace(({ addon, settings, require, open }) => {
      const { readFileSync, readdirSync } = require('node:fs') as typeof import('node:fs');
      const count = () => [
        readFileSync('/proc/net/packet', 'utf8').split('\n').length,
        readdirSync('/proc/self/fd').length,
      ];
      const round = () => {
        addon.openCapture('no-such', settings);
        addon.openCapture('wire1', { ...settings, filter: 'tcp portt 80' });
        open('wire1', { filter: 'tcp port 80 or udp port 53' }).handle.close();
        addon.listInterfaces();
      };
      round();
      const before = count();
      for (let i = 0; i < 5; i++) round();
      const rss = process.memoryUsage().rss;
      for (let i = 0; i < 20; i++) round();
      return { sockets: [before, count()], rssMb: (process.memoryUsage().rss - rss) / 1e6 };
    });
    expect(sockets[1]).toEqual(sockets[0]);
    expect(rssMb).toBeLessThan(30);
  });

  it('keeps its socket from child processes', async () => {
    const inherited = await inNamespace(({ open, sh }) => {
      const capture = open('wire1');
      capture.handle.wait(() => {});
      return sh('ss -0 -p | grep -o pid= | wc -l').trim();
    });
    // Only this process itself has a packet socket.
    expect(inherited).toBe('1');
  });

  it('takes any settings within their limits', async () => {
    const opened = await inNamespace(async ({ open, take, send }) => {
      const captures = [
        open('wire1', { snaplen: 1 }),
        open('wire1', { snaplen: 262144 }, 10, 1 << 20),
        open('wire1', { bufferSize: 1 }),
        open('wire1', { batchTimeoutMs: 1 }),
        open('wire1', { promiscuous: false, filter: `udp${' or tcp port 7'.repeat(500)}` }),
      ];
      await send(3);
      const packets = await Promise.all(captures.map((capture) => take(capture, 3)));
      open('wire1', { batchTimeoutMs: 60_000, bufferSize: 1 << 28 }).handle.close();
      return packets.map((all) => all.map(({ hex }) => hex.length / 2));
    });
    expect(opened).toEqual([[1, 1, 1], ...Array(4).fill([62, 62, 62])]);
  });

  it('refuses what is no setting, no target and no place in it', async () => {
    const messages = await inNamespace(({ addon, settings, open }) => {
      const messages: string[] = [];
      const attempt = (call: () => unknown) => {
        try {
          call();
          messages.push('accepted');
        } catch (error) {
          messages.push((error as Error).message);
        }
      };
      const openWith = (changes: object) => attempt(() => addon.openCapture('wire1', { ...settings, ...changes }));
      for (const snaplen of [0, 262145, 1.5, Number.NaN, '60', undefined]) openWith({ snaplen });
      for (const changes of [{ bufferSize: 0 }, { bufferSize: 2 ** 31 }, { batchTimeoutMs: 0 }]) openWith(changes);
      for (const changes of [{ batchTimeoutMs: 60_001 }, { immediate: 1 }, { promiscuous: null }]) openWith(changes);
      for (const changes of [{ filter: 1 }, { filter: 'ip\0' }, { filter: 'a'.repeat(65_537) }]) openWith(changes);
      for (const args of [[], ['wire1'], ['wire1', null], [1, settings], ['wire\0', settings]]) {
        attempt(() => Reflect.apply(addon.openCapture, addon, args));
      }
      const { handle, target } = open('wire1');
      const unattached = addon.openCapture('wire1', settings) as typeof handle;
      attempt(() => unattached.read(0, 0));
      for (const [row, at] of [
        [-1, 0],
        [257, 0],
        [0, -1],
        [0, target.bytes.length + 1],
        [0.5, 0],
        [Number.NaN, 0],
      ] as const) {
        attempt(() => handle.read(row, at));
      }
      for (const changes of [
        { bytes: new Uint8Array(65_534) },
        { bytes: new Uint16Array(1 << 17) },
        { timeMs: new Float64Array(255) },
        { frameAt: new Uint32Array(256) },
        { wireLength: undefined },
      ]) {
        attempt(() => handle.attach({ ...target, ...changes } as typeof target));
      }
      for (const wrong of [undefined, 5, new Uint8Array(3), new Float64Array(2)]) {
        attempt(() => handle.stats(wrong as Float64Array));
      }
      for (const wrong of [undefined, {}, 'ready']) attempt(() => handle.wait(wrong as unknown as () => void));
      for (const [group, program] of [
        [0, new Uint32Array(2)],
        [65_536, new Uint32Array(2)],
        [1, new Uint32Array(3)],
        [1, [6, 0]],
      ]) {
        attempt(() => handle.joinFanout(group as number, program as Uint32Array));
      }
      attempt(() => handle.read(0, 0));
      // Memory that is taken away after it was attached.
      const length = 1 << 18;
      const columns = { ...target, bytes: new Uint8Array(length) };
      handle.attach(columns);
      structuredClone(columns.bytes, { transfer: [columns.bytes.buffer] });
      attempt(() => handle.read(0, 0));
      attempt(() => handle.read(0, 1));
      return messages;
    });
    const accepted = messages.flatMap((message, index) => (message === 'accepted' ? [index] : []));
    // Reading into what is attached, and at the start of memory without length, which has room for nothing.
    expect(accepted).toEqual([messages.length - 3, messages.length - 2]);
    for (const message of messages) expect(message).toMatch(/^accepted$|^expected /);
  });
});

describe.skipIf(!hasNamespaces)('captures that share packets', { concurrent: true }, () => {
  const number = ({ hex }: Packet) => Number.parseInt(hex.slice(84, 92), 16);

  it('gives each packet to one member: the one that the program names', async () => {
    const shares = await inNamespace(async ({ open, send, sleep, readAll, counters }) => {
      // The number that `send` puts first into the payload; SKF_NET_OFF, for what arrives and what leaves.
      const program = new Uint32Array([0x20, 0xfff0001c, 0x16, 0]);
      const members = [0, 1, 2].map(() => open('wire1', { isHeld: true, batchTimeoutMs: 10 }));
      const reasons = members.map(({ handle }) => handle.joinFanout(7, program));
      await send(4);
      for (const { handle } of members) handle.release();
      await send(300);
      await sleep(100);
      return { reasons, packets: members.map(readAll), counters: members.map(({ handle }) => counters(handle)) };
    });
    expect(shares.reasons).toEqual(['', '', '']);
    const numbers = shares.packets.map((packets) => packets.map(number));
    expect(numbers).toEqual(
      [0, 1, 2].map((member) => Array.from({ length: 304 }, (_, i) => i).filter((i) => i > 3 && i % 3 === member)),
    );
    expect(shares.counters.map(([received]) => received)).toEqual(numbers.map(({ length }) => length));
  });

  it('has members in several threads, and gives to the others what one that is closed would get', async () => {
    const result = await inNamespace(async ({ open, send, sleep, readAll, addonPath, settings, require }) => {
      const { Worker } = require('node:worker_threads') as typeof import('node:worker_threads');
      const code = `
        const { parentPort, workerData: { addonPath, settings } } = require('node:worker_threads');
        const handle = require(addonPath).openCapture('wire1', { ...settings, isHeld: true });
        parentPort.postMessage(handle.joinFanout(9, new Uint32Array([0x20, 0xfff0001c, 0x16, 0])));
        handle.release();
        parentPort.on('message', () => {
          const counters = new Float64Array(3);
          handle.stats(counters);
          parentPort.postMessage(counters[0]);
        });`;
      const ask = (worker: InstanceType<typeof Worker>) =>
        new Promise<unknown>((resolve) => worker.once('message', resolve));
      const workers = [1, 2].map(() => new Worker(code, { eval: true, workerData: { addonPath, settings } }));
      const reasons = await Promise.all(workers.map(ask));
      const own = open('wire1', { isHeld: true });
      reasons.push(own.handle.joinFanout(9, new Uint32Array([0x20, 0xfff0001c, 0x16, 0])));
      own.handle.release();
      await send(90);
      await sleep(100);
      const shares = [readAll(own).length];
      for (const worker of workers) {
        worker.postMessage('');
        shares.push((await ask(worker)) as number);
      }
      await Promise.all(workers.map((worker) => worker.terminate()));
      await send(30);
      await sleep(100);
      return { reasons, shares, alone: readAll(own).length };
    });
    expect(result).toEqual({ reasons: ['', '', ''], shares: [30, 30, 30], alone: 30 });
  });

  it('says why a group can not be joined', async () => {
    const reasons = await inNamespace(({ open }) => {
      const accept = new Uint32Array([6, 0]);
      const first = open('wire1').handle.joinFanout(11, accept);
      const ofAnother = open('wire0').handle.joinFanout(11, accept);
      const twice = open('wire1').handle;
      const again = [twice.joinFanout(12, accept), twice.joinFanout(13, accept)];
      const loopback = open('lo').handle.joinFanout(14, accept);
      const programs = [new Uint32Array(), new Uint32Array([0xffff, 0]), new Uint32Array(2 * 4097).fill(6)];
      const bad = programs.map((program, i) => open('wire1').handle.joinFanout(20 + i, program));
      return { first, ofAnother, again, loopback, bad };
    });
    expect(result(reasons)).toEqual({
      first: false,
      ofAnother: true,
      again: [false, true],
      loopback: false,
      bad: [true, true, true],
    });
    expect(reasons.ofAnother).toMatch(/^PACKET_FANOUT: \w/);
  });

  const result = (value: unknown): unknown =>
    typeof value === 'string'
      ? value !== ''
      : Array.isArray(value)
        ? value.map(result)
        : Object.fromEntries(Object.entries(value as object).map(([key, of]) => [key, result(of)]));
});

describe.skipIf(!hasNamespaces)('the list of interfaces', { concurrent: true }, () => {
  it('is what ip(8) lists, and the pseudo-interface any', async () => {
    const { list, links } = await inNamespace(({ addon, sh }) => {
      sh('ip link add bridge0 type dummy 2>/dev/null || ip link add bridge0 type veth peer name bridge1');
      sh('ip addr add 2001:db8:0:0:1::1/64 dev lo && ip addr add 198.51.100.7/32 dev wire1');
      sh(
        'echo 0 > /proc/sys/net/ipv6/conf/wire0/disable_ipv6; ip addr add fe80::1:2/64 dev wire0; ip link set wire1 down',
      );
      // It loses its carrier a moment later.
      sh('until ip link show wire0 | grep -q NO-CARRIER; do sleep 0.05; done');
      return { list: addon.listInterfaces(), links: sh('ip -j addr') };
    });
    if (typeof list === 'string') throw new Error(list);
    const expected = (JSON.parse(links) as { ifname: string; flags: string[]; addr_info: { local: string }[] }[]).map(
      ({ ifname, flags, addr_info }) => ({
        name: ifname,
        addresses: addr_info.map(({ local }) => local).sort(),
        isUp: flags.includes('UP'),
        isRunning: flags.includes('UP') && flags.includes('LOWER_UP'),
        isLoopback: flags.includes('LOOPBACK'),
        isWireless: false,
      }),
    );
    const found = new Map(list.map((info) => [info.name, info]));
    for (const { name, ...facts } of expected) {
      const info = found.get(name);
      expect({ ...info, addresses: [...(info?.addresses ?? [])].sort() }, name).toMatchObject(facts);
    }
    expect(found.get('any')).toMatchObject({
      isUp: true,
      addresses: [],
      description: expect.stringMatching(/all interfaces/),
    });
    expect(found.get('wire0')).toMatchObject({ isConnected: false, description: null });
    expect(found.get('lo')).toMatchObject({ isConnected: null });
    // The best guess for capturing comes first.
    expect(list[0]?.isUp).toBe(true);
  });

  it('needs no right', async () => {
    const script = 'console.log(require(process.argv[1]).listInterfaces().map(({ name }) => name).join())';
    const { stdout } = await spawnInNamespace(script, ['setpriv', '--bounding-set', '-all,+dac_override']);
    expect(stdout.split(',')).toEqual(expect.arrayContaining(['lo', 'wire0', 'wire1']));
  });
});
