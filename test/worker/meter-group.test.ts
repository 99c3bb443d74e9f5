// Several meters give what one gives: flows, labels, counters, damage; and they end however they are ended.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, it, vi } from 'vitest';
import type { StreamerOptions } from '../../src/options.ts';
import { ethernetIp, ipv4, udp } from '../packet/encode.ts';
import { pcapFile } from '../packet/pcap-bytes.ts';
import { fixture, ledger, outcomeOf, ROOT, Streamer } from './built.ts';

const FIXTURES = [
  'demo.pcapng',
  'fragments.pcap',
  'cooked2.pcap',
  'vlan.pcap',
  'qinq.pcap',
  'raw.pcap',
  'tunnels.pcapng',
];
const CAPTURES = join(ROOT, '..', 'shared', 'captures');
/** Flows that nDPI knows by others (STUN, Zoom, TINC), flows that end for inactivity, fragments, cut packets. */
const SHARED = [
  'nfstream/tinc.pcap',
  'nfstream/simple-dnscrypt.pcap',
  'ndpi/zoom2.pcap',
  'ndpi/telegram_videocall.pcapng',
].map((name) => join(CAPTURES, name));

const folder = mkdtempSync(join(tmpdir(), 'nfstream-meters-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('several meters', () => {
  const present = SHARED.filter((file) => existsSync(file));
  it(`give the flows of one, with labels and counters${present.length === 0 ? ' (without ../shared/captures)' : ''}`, async () => {
    let flows = 0;
    for (const source of [...FIXTURES.map(fixture), ...present]) {
      const one = await outcomeOf({ source });
      flows += one.flows.length;
      const meters = flows % 2 === 0 ? 2 : 3;
      expect(await outcomeOf({ source, meters }), source).toEqual(one);
    }
    expect(flows).toBeGreaterThan(100);
  });

  const VARIANTS: Partial<StreamerOptions>[] = [
    { enableNdpi: false },
    { enableNdpi: false, inactiveTimeout: 0.3, activeTimeout: 1 },
    { enableNdpi: false, inactiveTimeout: 0.3, activeTimeout: 1, replaySpeed: 'max' },
    { enableNdpi: false, inactiveTimeout: 0.3, activeTimeout: 1, replaySpeed: 20 },
    { bpfFilter: 'udp', dissections: 0 },
    { packets: 100 },
    { fragments: 'ignore', decodeTunnels: false, snaplen: 60 },
  ];
  for (const variant of VARIANTS) {
    it(`do so with ${JSON.stringify(variant)}`, async () => {
      const source = [fixture('demo.pcapng'), fixture('fragments.pcap')];
      const one = await outcomeOf({ source, ...variant });
      const three = await outcomeOf({ source, meters: 3, ...variant });
      expect(one.flows.length).toBeGreaterThan(10);
      // Where time goes on by itself nobody waits for another meter's flows.
      if ('replaySpeed' in variant) for (const { flows } of [one, three]) flows.sort();
      expect(three).toEqual(one);
    });
  }

  it('give the flows before damage, then its error', async () => {
    const whole = readFileSync(fixture('demo.pcapng'));
    const source = whole.subarray(0, Math.floor(whole.length * 0.6));
    const one = await outcomeOf({ source });
    const two = await outcomeOf({ source, meters: 2 });
    expect(one.error?.code).toBe('TRUNCATED_CAPTURE');
    expect(two.error).toMatchObject({ code: one.error?.code, message: one.error?.message, offset: one.error?.offset });
    expect(two.flows).toEqual(one.flows);
    expect(two.stats).toEqual(one.stats);
  });

  it('say what is wrong with a source, as one does', async () => {
    for (const [source, code] of [
      ['none.pcap', 'SOURCE_NOT_FOUND'],
      [import.meta.filename, 'NOT_A_CAPTURE'],
    ]) {
      const { error, flows } = await outcomeOf({ source, meters: 2 });
      expect(error?.code).toBe(code);
      expect(flows).toEqual([]);
    }
    const streamer = new Streamer({ source: 'none.pcap', meters: 2 });
    await expect(streamer.open()).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
  });

  it('count towards one capacity', async () => {
    const options = { source: fixture('demo.pcapng'), enableNdpi: false };
    const one = await outcomeOf(options);
    const live = 67;
    expect(one.flows).toHaveLength(live);
    // Room for all, whichever meters they are in.
    expect(await outcomeOf({ ...options, meters: 3, capacity: live })).toEqual({
      ...one,
      stats: { ...one.stats, flows_capacity: live },
    });
    // Where there is not, each meter drops flows of its own; one that has ended leaves the room to the others.
    const { stats, flows } = await outcomeOf({ ...options, meters: 2, capacity: 11 });
    expect(stats.flows_capacity).toBe(11);
    expect(stats.flows_evicted).toBeGreaterThanOrEqual(live - 2 * 11);
    expect(flows.length).toBeLessThanOrEqual(2 * 11);
    expect(flows).toHaveLength(stats.flows_exported.termination);
    expect(ledger(stats).dealtWith).toBe(stats.packets_read);
  });

  it('hand over what is live when they are stopped, though no packet comes', async () => {
    const pipe = new PassThrough();
    pipe.write(readFileSync(fixture('raw.pcap')));
    const one = await outcomeOf({ source: fixture('raw.pcap'), enableNdpi: false });
    const streamer = new Streamer({ source: pipe, meters: 2, enableNdpi: false, handleSigint: false });
    const flows: string[] = [];
    const reading = (async () => {
      for await (const flow of streamer) flows.push(JSON.stringify(flow));
    })();
    await vi.waitFor(() => expect(streamer.stats.packets_metered).toBe(one.stats.packets_metered), 5000);
    streamer.stop();
    await reading;
    expect(flows).toEqual(one.flows);
    expect(streamer.stats.flows_exported.termination).toBe(one.flows.length);
  });

  it('hand over what there is by then when they are stopped half-way', async () => {
    const source = join(folder, 'half.pcap');
    writeFileSync(source, manyFlows(300_000));
    const streamer = new Streamer({
      source,
      meters: 2,
      inactiveTimeout: 0.001,
      enableNdpi: false,
      handleSigint: false,
    });
    let packets = 0;
    for await (const flow of streamer) {
      packets += flow.src_to_dst_pkts;
      if (packets === 1000) streamer.stop();
    }
    const { stats } = streamer;
    expect(packets).toBe(stats.packets_metered);
    expect(packets).toBeLessThan(300_000);
    expect(ledger(stats).dealtWith).toBe(stats.packets_read);
    expect(stats.flows_live).toBe(0);
  });

  it('see the bytes of frames of any size', async () => {
    const plugin = join(folder, 'bytes.mjs');
    writeFileSync(
      plugin,
      `export const userMetrics = {
        last: (packet) => packet.raw[packet.raw.length - 1],
        sum: (packet, flow) => flow.metrics.sum + packet.payload[packet.payload.length >> 1],
      };`,
    );
    // More than a parcel has room for, and more than that with the frames before.
    const sizes = [10, 3 << 20, 60_000, 3 << 20, 6 << 20, 1400, 300_000];
    const frames = Array.from({ length: 21 }, (_, i) => {
      const payload = new Uint8Array(sizes[i % sizes.length]).fill(i);
      return {
        bytes: ethernetIp(ipv4({ protocol: 17, totalLength: 1500 }, udp({ srcPort: i % 5, length: 0 }, payload))),
      };
    });
    const capture = pcapFile(frames);
    // The length that frames are cut at.
    new DataView(capture.buffer).setUint32(16, 1 << 23, true);
    const source = join(folder, 'huge.pcap');
    writeFileSync(source, capture);
    const options = { source, plugins: plugin, enableNdpi: false };
    const one = await outcomeOf(options);
    expect(one.flows).toHaveLength(5);
    expect(one.error).toBeUndefined();
    expect(await outcomeOf({ ...options, meters: 2 })).toEqual(one);
  });

  it('end when nobody takes flows any more', async () => {
    const before = process
      .getActiveResourcesInfo()
      .filter((name) => name === 'MessagePort' || name === 'Worker').length;
    const streamer = new Streamer({ source: fixture('demo.pcapng'), meters: 3, handleSigint: false });
    for await (const _ of streamer) break;
    expect(ledger(streamer.stats).dealtWith).toBe(streamer.stats.packets_read);
    const after = process.getActiveResourcesInfo().filter((name) => name === 'MessagePort' || name === 'Worker').length;
    expect(after).toBeLessThanOrEqual(before);
  });

  it('count up only, also while they end when nobody takes flows any more', async () => {
    const source = join(folder, 'ending.pcap');
    writeFileSync(source, manyFlows(200_000));
    const streamer = new Streamer({ source, meters: 4, capacity: 1000, onCapacity: 'export', enableNdpi: false });
    const seen: number[][] = [];
    const look = () => {
      const { packets_read, packets_metered, packets_skipped } = streamer.stats;
      seen.push([packets_read, packets_metered, packets_skipped.abandoned]);
    };
    const looking = setInterval(look);
    try {
      for await (const _ of streamer) break;
    } finally {
      clearInterval(looking);
      look();
    }
    for (const column of [0, 1, 2]) {
      const counts = seen.map((counters) => counters[column] as number);
      expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    }
    expect(ledger(streamer.stats).dealtWith).toBe(streamer.stats.packets_read);
  });

  it('wait for whoever takes flows, and hold little meanwhile', async () => {
    const source = join(folder, 'many.pcap');
    writeFileSync(source, manyFlows(200_000));
    const streamer = new Streamer({ source, meters: 2, capacity: 1000, onCapacity: 'export', enableNdpi: false });
    const batches = streamer.batches();
    await batches.next();
    let last = -1;
    // Until nothing moves any more.
    while (streamer.stats.packets_metered !== last) {
      last = streamer.stats.packets_metered;
      await sleep(300);
    }
    // Live, 32 batches of 64 each ahead, some in the making; not what is in the file.
    expect(last).toBeLessThan(30_000);
    let flows = 64;
    for await (const batch of batches) flows += batch.count;
    expect(flows).toBeGreaterThanOrEqual(200_000);
    expect(streamer.stats).toMatchObject({ packets_read: 200_000, packets_metered: 200_000, flows_live: 0 });
  });
});

/** One UDP datagram for each flow. */
function manyFlows(count: number): Uint8Array {
  const record = 16 + 42;
  const bytes = new Uint8Array(24 + count * record);
  const view = new DataView(bytes.buffer);
  [0xa1b2c3d4, 0x00020004, 0, 0, 0xffff, 1].forEach((word, i) => {
    view.setUint32(i * 4, word);
  });
  for (let i = 0; i < count; i++) {
    const at = 24 + i * record;
    view.setUint32(at, 1_700_000_000 + Math.floor(i / 1e6));
    view.setUint32(at + 4, i % 1e6);
    view.setUint32(at + 8, 42);
    view.setUint32(at + 12, 42);
    view.setUint16(at + 28, 0x0800);
    bytes.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 10], at + 30);
    view.setUint32(at + 46, 0x0a000000 + i);
    view.setUint16(at + 50, 1000);
    view.setUint16(at + 52, 2000);
    view.setUint16(at + 54, 8);
  }
  return bytes;
}
