// The served counters against the exposition format's own grammar, and against the ledger that they come from.
import { describe, expect, it } from 'vitest';
import { exposition, FAMILIES } from '../../src/cli/prometheus.ts';
import { emptyStats, type StreamerStats } from '../../src/stats.ts';
import { readExposition } from './exposition-reader.ts';

/** A ledger whose every counter has a number of its own. */
function distinctStats(): StreamerStats {
  const stats = emptyStats();
  stats.capture = {
    packets_received: 0,
    packets_dropped_by_kernel: 0,
    packets_dropped_by_interface: 0,
    queue_high_water: 0,
    interfaces_down: 0,
  };
  let next = 1000;
  const fill = (table: Record<string, unknown>) => {
    for (const [name, value] of Object.entries(table)) {
      if (typeof value === 'number') table[name] = next++;
      else fill(value as Record<string, unknown>);
    }
  };
  fill(stats as unknown as Record<string, unknown>);
  return stats;
}

function numbersIn(value: unknown): number[] {
  return typeof value === 'number' ? [value] : Object.values(value as object).flatMap(numbersIn);
}

describe('exposition', () => {
  it('has every counter of the ledger once, counters by the name of counters, reasons as labels', async () => {
    const stats = distinctStats();
    const families = readExposition(
      await exposition(() => stats, { version: '1.2.3', isLive: true, hasProcess: false }).text(),
    );
    const { nfstream_info: info, ...others } = families;
    expect(info).toEqual({
      type: 'gauge',
      help: 'Always 1; the label has the version.',
      samples: [{ labels: { version: '1.2.3' }, value: 1 }],
    });
    const samples = Object.values(others).flatMap((family) => family.samples);
    expect(samples.map(({ value }) => value).sort()).toEqual(numbersIn(stats).sort());
    expect(Object.keys(others)).toEqual(FAMILIES.map(({ name }) => name));
    for (const [name, { type }] of Object.entries(others)) expect(name.endsWith('_total')).toBe(type === 'counter');
    expect(others['nfstream_packets_skipped_total'].samples).toEqual(
      Object.entries(stats.packets_skipped).map(([reason, value]) => ({ labels: { reason }, value })),
    );
    expect(others['nfstream_flows_exported_total'].samples).toContainEqual({
      labels: { reason: 'inactive' },
      value: stats.flows_exported.inactive,
    });
    expect(others['nfstream_capture_packets_dropped_by_kernel_total'].samples).toEqual([
      { labels: {}, value: stats.capture?.packets_dropped_by_kernel },
    ]);
  });

  it('reads the ledger anew for every text, once', async () => {
    const stats = emptyStats();
    let asked = 0;
    const { text } = exposition(
      () => {
        asked++;
        return stats;
      },
      { version: '1.2.3', isLive: true, hasProcess: false },
    );
    const read = async () => readExposition(await text())['nfstream_packets_read_total'].samples[0].value;
    expect(await read()).toBe(0);
    stats.packets_read = 7;
    expect(await read()).toBe(7);
    expect(await read()).toBe(7);
    expect(asked).toBe(3);
  });

  it('has nothing of a kernel where a file is metered, and says how the process does', async () => {
    const families = readExposition(await exposition(emptyStats, { version: '1.2.3', isLive: false }).text());
    expect(Object.keys(families).filter((name) => name.startsWith('nfstream_capture'))).toEqual([]);
    expect(families['process_cpu_seconds_total'].type).toBe('counter');
    expect(families['nodejs_eventloop_lag_seconds'].type).toBe('gauge');
  });
});
