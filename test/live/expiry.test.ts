// The promise on a silent link: a flow is out at most one second after its timeout, with no packet arriving; and silence
// costs nothing.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CABLE_PROGRAMS, type Cable, openCable } from './cable.ts';
import { type MeterProcess, nfstream, type Row } from './meter.ts';
import { until, whySkipped } from './network.ts';

const why = whySkipped(...CABLE_PROGRAMS);
const PROMISE_MS = 1000;

describe.skipIf(why !== '')(`a silent link${why}`, () => {
  let cable: Cable;

  beforeAll(async () => {
    cable = await openCable();
  });
  afterAll(() => cable?.network.close());

  /** One ping, then silence. How the flow came, and how many ms after `due` of it. */
  async function lateness(args: readonly string[], due: (row: Row) => number): Promise<{ row: Row; lateMs: number }> {
    const meter = nfstream(cable.watcher, 'eth0', '--no-ndpi', '--filter', 'icmp', ...args);
    await meter.listens();
    await cable.sender.must('ping', '-c', '1', '192.0.2.2');
    await until('the flow is printed', () => meter.arrived.length > 0);
    const [{ row, atMs }] = meter.arrived;
    const { code, rows, stderr } = await meter.stop();
    expect({ code, rows: rows.length, stderr }).toEqual({ code: 0, rows: 1, stderr: '' });
    return { row, lateMs: atMs - due(row) };
  }

  it.each([
    ['inactive', 0, ['--inactive-timeout', '2'], 'end_time', 2000],
    ['active', 1, ['--active-timeout', '3', '--inactive-timeout', '60'], 'start_time', 3000],
  ] as const)(
    'gives a flow at most 1 s after its %s timeout',
    { retry: 1 },
    async (_, reason, args, time, timeoutMs) => {
      const { row, lateMs } = await lateness(args, (flow) => Number(flow[time]) + timeoutMs);
      expect(row).toMatchObject({ export_reason: reason, src_to_dst_pkts: 1, dst_to_src_pkts: 1 });
      expect(lateMs).toBeGreaterThanOrEqual(-1);
      expect(lateMs).toBeLessThanOrEqual(PROMISE_MS);
    },
  );

  const SILENT_S = 4;

  async function share(meter: MeterProcess): Promise<number> {
    await meter.rests();
    const before = meter.cpuSeconds();
    const since = performance.now();
    await sleep(SILENT_S * 1000);
    return (meter.cpuSeconds() - before) / ((performance.now() - since) / 1000);
  }

  it('costs next to no CPU, with and without live flows', async () => {
    // No packet ever passes the second one.
    await cable.watcher.ip('link add quiet type veth peer name quieter\nlink set quiet up\nlink set quieter up\n');
    const waiting = nfstream(cable.watcher, 'eth0', '--filter', 'icmp', '--inactive-timeout', '60');
    const quiet = nfstream(cable.watcher, 'quiet', '--filter', 'not ip6');
    await Promise.all([waiting.listens(), quiet.listens()]);
    await cable.sender.must('ping', '-c', '1', '192.0.2.2');
    const shares = await Promise.all([share(waiting), share(quiet)]);
    const [withFlow, withNone] = await Promise.all([waiting.stop(), quiet.stop()]);
    expect(withFlow.rows).toHaveLength(1);
    expect(withNone.rows).toHaveLength(0);
    for (const cores of shares) expect(cores).toBeLessThan(0.03);
  });
});
