// An interface that goes down or is deleted during a run: flows so far come out and one line says what happened; with
// --reconnect the run goes on when the interface is back.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { CABLE_PROGRAMS, type Cable, openCable, send } from './cable.ts';
import { packetsOf } from './flows.ts';
import { nfstream } from './meter.ts';
import { until, whySkipped } from './network.ts';

const why = whySkipped(...CABLE_PROGRAMS);
const FILTER = ['--filter', 'udp', '--no-ndpi'];

describe.skipIf(why !== '')(`the loss of the interface${why}`, () => {
  let cable: Cable;

  beforeEach(async () => {
    cable = await openCable();
  });
  afterEach(() => cable?.network.close());

  const LOSSES = [
    ['is set down', 'link set eth0 down\n'],
    ['is deleted', 'link delete eth0\n'],
  ] as const;

  it.each(LOSSES)('exports flows and ends the run with an error when it %s', async (_, loss) => {
    const meter = nfstream(cable.watcher, 'eth0', ...FILTER);
    await meter.listens();
    await send(cable, 20);
    await cable.watcher.silence('eth0');
    await meter.rests();
    await cable.watcher.ip(loss);
    const { code, signal, stderr, rows } = await meter.ended();
    expect({ code, signal }).toEqual({ code: 1, signal: null });
    expect(stderr).toMatch(/^nfstream: [^\n]*eth0[^\n]*\n$/);
    expect(stderr).toMatch(/down|vanished|disappeared|gone/);
    expect(rows).toHaveLength(20);
    expect(new Set(rows.map((row) => row['export_reason']))).toEqual(new Set([2]));
    expect(meter.stats()).toMatchObject({ packets_read: 20, flows_live: 0, flows_exported: { termination: 20 } });
  });

  it.each(LOSSES)('is waited for with --reconnect when it %s', async (_, loss) => {
    const meter = nfstream(cable.watcher, 'eth0', '--reconnect', ...FILTER);
    await meter.listens();
    await send(cable, 20);
    await cable.watcher.silence('eth0');
    await meter.rests();
    await cable.watcher.ip(loss);
    await until('nfstream has let go', () => meter.runningSockets() === 0);
    if (loss.includes('delete')) await cable.wire();
    else await cable.watcher.ip('link set eth0 up\n');
    await meter.listens();
    await send(cable, 30);
    await cable.watcher.silence('eth0');
    await meter.rests();
    const { code, signal, rows } = await meter.stop();
    expect({ code, signal }).toEqual({ code: 0, signal: null });
    // The 20 flows of before go on if they were kept alive, else they come twice.
    expect(packetsOf(rows)).toBe(50);
    const { packets_read, capture } = meter.stats();
    expect({ packets_read, capture }).toMatchObject({
      packets_read: 50,
      capture: { packets_received: 50, packets_dropped_by_kernel: 0 },
    });
  });
});
