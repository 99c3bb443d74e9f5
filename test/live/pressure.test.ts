// Too much of everything: packets that a slow consumer does not take, flows beyond `capacity`, rows beyond the disk. What is
// lost is counted, the process does not grow, what can not be written is an error.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StreamerStats } from '../../src/stats.ts';
import { CABLE_PROGRAMS, type Cable, openCable, send } from './cable.ts';
import { type MeterProcess, nfstream, script } from './meter.ts';
import { until, whySkipped } from './network.ts';

const why = whySkipped(...CABLE_PROGRAMS);
const FILTER = ['--filter', 'udp', '--no-ndpi'];
const ROUND = 100_000;

describe.skipIf(why !== '')(`a flood${why}`, () => {
  let cable: Cable;

  beforeAll(async () => {
    cable = await openCable();
  });
  afterAll(() => cable?.network.close());

  /** Floods it until it has its size, then twice as long: the most MiB that it grew meanwhile. */
  async function growth(meter: MeterProcess): Promise<number> {
    await send(cable, ROUND, { rounds: 2, areUnique: true });
    const before = meter.megabytes();
    let most = before;
    const sampling = setInterval(() => {
      most = Math.max(most, meter.megabytes());
    }, 20);
    try {
      await send(cable, ROUND, { rounds: 4, areUnique: true });
      await cable.watcher.silence('eth0');
    } finally {
      clearInterval(sampling);
    }
    return most - before;
  }
  const SENT = 6 * ROUND;
  /** If it kept what it can not hand over, four rounds were over 100 MiB of rows. */
  const MOST_GROWTH = 40;

  /** Whatever passed the filter is dropped, or read, or (where the run was cut) waiting. */
  function expectLedger({ packets_read, packets_metered, capture, ...flows }: StreamerStats, waiting = 0): void {
    expect(capture?.packets_received).toBe(SENT);
    expect(packets_read + (capture?.packets_dropped_by_kernel ?? 0)).toBeLessThanOrEqual(SENT);
    expect(packets_read + (capture?.packets_dropped_by_kernel ?? 0)).toBeGreaterThanOrEqual(SENT - waiting);
    expect(packets_metered).toBe(packets_read);
    expect(flows.flows_live).toBe(0);
  }

  describe('at a slow consumer', () => {
    const SMALL_BUFFER = 1 << 20;
    /** 60 bytes, headers and alignment of the kernel's ring: 128 bytes at least. */
    const WAITING = SMALL_BUFFER / 128;

    it('makes the kernel drop, not the command line grow, while nobody reads the pipe', async () => {
      const options = ['--capacity', '1000', '--on-capacity', 'export', '--buffer-size', String(SMALL_BUFFER), '-q'];
      const meter = nfstream(cable.watcher, 'eth0', ...FILTER, ...options);
      await meter.listens();
      meter.pauseReading();
      expect(await growth(meter)).toBeLessThan(MOST_GROWTH);
      meter.signal('SIGINT');
      meter.resumeReading();
      const { code, rows } = await meter.ended();
      expect(code).toBe(0);
      const stats = meter.stats();
      expect(stats.capture?.packets_dropped_by_kernel).toBeGreaterThan(SENT / 2);
      expectLedger(stats, WAITING);
      expect(rows.reduce((sum, row) => sum + Number(row['src_to_dst_pkts']), 0)).toBe(stats.packets_read);
      expect(stats.capture?.queue_high_water).toBeGreaterThan(WAITING / 8);
    });

    it('makes the kernel drop, not the library grow, while flows are read one at a time', async () => {
      const code = `
        import { setTimeout as sleep } from 'node:timers/promises';
        const aborting = new AbortController();
        process.on('SIGUSR2', () => aborting.abort());
        const streamer = new Streamer({
          source: 'eth0', bpfFilter: 'udp', enableNdpi: false, signal: aborting.signal,
          capacity: 1000, onCapacity: 'export', bufferSize: ${SMALL_BUFFER},
        });
        let flows = 0;
        for await (const flow of streamer) {
          flows += flow.src_to_dst_pkts;
          if (!aborting.signal.aborted) await sleep(2);
        }
        console.log(JSON.stringify({ flows, stats: streamer.stats }));
      `;
      const meter = script(cable.watcher, code);
      await meter.listens();
      expect(await growth(meter)).toBeLessThan(MOST_GROWTH);
      const { code: exit, rows } = await meter.stop('SIGUSR2');
      expect(exit).toBe(0);
      const { flows, stats } = rows[0] as { flows: number; stats: StreamerStats };
      expect(stats.capture?.packets_dropped_by_kernel).toBeGreaterThan(SENT / 2);
      expectLedger(stats, WAITING);
      expect(flows).toBe(stats.packets_read);
    });
  });

  describe('of one-packet flows beyond capacity', () => {
    const CAPACITY = 5000;

    it.each(['drop', 'export'] as const)('is bounded and counted, with --on-capacity %s', async (how) => {
      const options = ['--capacity', String(CAPACITY), '--on-capacity', how, '-o', `flood-${how}.jsonl`];
      const meter = nfstream(cable.watcher, 'eth0', ...FILTER, ...options);
      await meter.listens();
      expect(await growth(meter)).toBeLessThan(MOST_GROWTH);
      await meter.rests();
      const { code, stderr } = await meter.stop();
      expect(code).toBe(0);
      expect(stderr.match(/^nfstream: warning: More than 5000 flows are live/gm)).toHaveLength(1);
      const stats = meter.stats();
      expectLedger(stats);
      const { flows_evicted, flows_exported } = stats;
      // Sender and receiver share this machine's cores: what the kernel dropped never began a flow. Nothing of what it did
      // not drop has a key that is live.
      const begun = stats.packets_read;
      expect(begun).toBeGreaterThan(CAPACITY * 2);
      expect({ flows_evicted, flows_exported }).toMatchObject({
        flows_evicted: how === 'drop' ? begun - CAPACITY : 0,
        flows_exported: { termination: CAPACITY, capacity: how === 'drop' ? 0 : begun - CAPACITY },
      });
      const rows = readFileSync(join(cable.watcher.folder, `flood-${how}.jsonl`), 'utf8').split('\n').length - 1;
      expect(rows).toBe(begun - flows_evicted);
    });
  });
});

describe.skipIf(why !== '')(`a sink that takes no more${why}`, () => {
  let cable: Cable;

  beforeAll(async () => {
    cable = await openCable();
  });
  afterAll(() => cable?.network.close());

  const FULL = /^nfstream: [^\n]*(ENOSPC|no space left)[^\n]*\n$/i;

  it('on a full disk ends the run with an error; rows so far are there', async () => {
    const disk = cable.network.mountDisk(64);
    const file = join(disk, 'flows.jsonl');
    const options = ['--capacity', '100', '--on-capacity', 'export', '-q', '-o', file];
    const meter = nfstream(cable.watcher, 'eth0', ...FILTER, ...options);
    await meter.listens();
    await send(cable, 2000, { pps: 2000 });
    const { code, stderr } = await meter.ended();
    expect(code).toBe(1);
    expect(stderr).toMatch(FULL);
    const lines = readFileSync(file, 'utf8').split('\n');
    expect(lines.length).toBeGreaterThan(50);
    // Whole rows only.
    expect(lines.pop()).toBe('');
    for (const line of lines) expect(JSON.parse(line)).toHaveProperty('ip_src');
  });

  it('at once, as /dev/full, ends the run with an error', async () => {
    const meter = nfstream(cable.watcher, 'eth0', ...FILTER, '--inactive-timeout', '0.2', '-o', '/dev/full');
    await meter.listens();
    await send(cable, 20);
    // No packet comes, nor another row.
    await until('the run has ended', () => meter.hasEnded, 5);
    const { code, stderr } = await meter.ended();
    expect(code).toBe(1);
    expect(stderr).toMatch(FULL);
  });
});
