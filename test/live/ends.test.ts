// How a live run ends as asked: what was live comes out, the ledger closes, the exit code is 0; and not as asked.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CABLE_PROGRAMS, type Cable, openCable, send } from './cable.ts';
import { packetsOf } from './flows.ts';
import { type MeterProcess, nfstream, script } from './meter.ts';
import { until, whySkipped } from './network.ts';

const why = whySkipped(...CABLE_PROGRAMS);
const FILTER = ['--filter', 'udp', '--no-ndpi'];

describe.skipIf(why !== '')(`the end of a live run${why}`, () => {
  let cable: Cable;

  beforeAll(async () => {
    cable = await openCable();
  });
  afterAll(() => cable?.network.close());

  /** 100 flows of two packets each. */
  async function meet(meter: MeterProcess): Promise<void> {
    await meter.listens();
    await send(cable, 100, { rounds: 2 });
    await cable.watcher.silence('eth0');
  }

  const WHOLE = {
    packets_read: 200,
    packets_metered: 200,
    flows_live: 0,
    flows_exported: { termination: 100, inactive: 0, active: 0 },
    capture: { packets_received: 200, packets_dropped_by_kernel: 0, packets_dropped_by_interface: 0 },
  };

  it.each(['SIGINT', 'SIGTERM'] as const)('%s exports what is live and exits with 0', async (signal) => {
    const meter = nfstream(cable.watcher, 'eth0', ...FILTER);
    await meet(meter);
    await meter.rests();
    const { rows, ...end } = await meter.stop(signal);
    expect(end).toMatchObject({ code: 0, signal: null, stderr: '' });
    expect(rows).toHaveLength(100);
    expect(rows.every((row) => row['export_reason'] === 2 && row['src_to_dst_pkts'] === 2)).toBe(true);
    expect(meter.stats()).toMatchObject(WHOLE);
  });

  it('SIGINT right after the packets still meters what had arrived', async () => {
    // They are in the kernel's buffer until then.
    const meter = nfstream(cable.watcher, 'eth0', ...FILTER, '--batch-timeout-ms', '800');
    await meter.listens();
    await send(cable, 100, { rounds: 2 });
    const { code, rows } = await meter.stop();
    expect(code).toBe(0);
    expect(packetsOf(rows)).toBe(200);
    expect(meter.stats()).toMatchObject(WHOLE);
  });

  it('--duration ends it after so many seconds', async () => {
    const since = performance.now();
    const meter = nfstream(cable.watcher, 'eth0', '--duration', '3', ...FILTER);
    await meet(meter);
    const { rows, code, stderr } = await meter.ended();
    expect(performance.now() - since).toBeGreaterThan(3000);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(rows).toHaveLength(100);
    expect(meter.stats()).toMatchObject(WHOLE);
  });

  it('--packets ends it after exactly so many', async () => {
    const meter = nfstream(cable.watcher, 'eth0', '--packets', '130', ...FILTER);
    await meter.listens();
    await send(cable, 100, { rounds: 2 });
    const { rows, code, stderr } = await meter.ended();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(rows).toHaveLength(100);
    expect(packetsOf(rows)).toBe(130);
    expect(meter.stats()).toMatchObject({ packets_read: 130, packets_metered: 130, flows_live: 0 });
  });

  it('a second SIGINT ends it at once, though nobody takes its rows', async () => {
    const meter = nfstream(cable.watcher, 'eth0', ...FILTER, '--capacity', '100', '--on-capacity', 'export', '-q');
    await meter.listens();
    meter.pauseReading();
    // Some MB of rows: more than pipes and buffers on the way take.
    await send(cable, 20_000);
    await meter.rests();
    meter.signal('SIGINT');
    await sleep(700);
    expect(meter.hasEnded).toBe(false);
    const ending = meter.ended();
    meter.signal('SIGINT');
    meter.resumeReading();
    expect(await ending).toMatchObject({ signal: 'SIGINT' });
  });

  /** A script that prints its flows, then its counters as the last line. */
  const library = (options: string, loop: string) =>
    script(
      cable.watcher,
      `const aborting = new AbortController();
      process.on('SIGUSR2', () => aborting.abort());
      const streamer = new Streamer({
        source: 'eth0', bpfFilter: 'udp', enableNdpi: false, signal: aborting.signal, ${options}
      });
      ${loop}
      console.error(JSON.stringify(streamer.stats));`,
    );

  it('an AbortSignal exports what is live', async () => {
    const meter = library('', 'for await (const flow of streamer) console.log(JSON.stringify(flow));');
    await meet(meter);
    await meter.rests();
    const { code, rows, stderr } = await meter.stop('SIGUSR2');
    expect(code).toBe(0);
    expect(rows).toHaveLength(100);
    expect(JSON.parse(stderr)).toMatchObject(WHOLE);
  });

  it('a break closes the capture, and the process has nothing left to wait for', async () => {
    const loop = 'for await (const flow of streamer) { console.log(JSON.stringify(flow)); break; }';
    const meter = library('inactiveTimeout: 1,', loop);
    await meet(meter);
    const { code, rows, stderr } = await meter.ended();
    expect(code).toBe(0);
    expect(rows).toHaveLength(1);
    expect(JSON.parse(stderr)).toMatchObject({ packets_read: 200, flows_live: 0, capture: { packets_received: 200 } });
  });

  it('counts what arrives from open() on', async () => {
    const loop = `await streamer.open();
      console.log('open');
      // An open capture alone keeps no process alive.
      const alive = setInterval(() => {}, 1000);
      await new Promise((resolve) => process.once('SIGUSR1', resolve));
      clearInterval(alive);
      for await (const flow of streamer) console.log(JSON.stringify(flow));`;
    const meter = library('', loop);
    await until('it is open', () => meter.stdout.includes('open\n'));
    await send(cable, 100, { rounds: 2 });
    await cable.watcher.silence('eth0');
    meter.signal('SIGUSR1');
    await meter.rests();
    const { code, rows, stderr } = await meter.stop('SIGUSR2');
    expect(code).toBe(0);
    expect(packetsOf(rows)).toBe(200);
    expect(JSON.parse(stderr)).toMatchObject(WHOLE);
  });
});
