// A live run's line and its warning, from ledgers made for it.
import { describe, expect, it, vi } from 'vitest';
import { METER_FLAGS, RUN_FLAGS } from '../../src/cli/flags.ts';
import { meterArguments } from '../../src/cli/meter-arguments.ts';
import { parseFlags } from '../../src/cli/parse-flags.ts';
import type { Sample } from '../../src/cli/progress.ts';
import { statusLine } from '../../src/cli/status-line.ts';
import { describeTerminal } from '../../src/cli/terminal.ts';
import { dropWarning, Warnings } from '../../src/cli/warnings.ts';
import { emptyStats, type StreamerStats } from '../../src/stats.ts';

const samples: Sample[] = [
  { ms: 1000, position: 0, packets: 0, bytes: 0 },
  { ms: 3000, position: 0, packets: 24_600, bytes: 25e6 },
];

function liveStats(dropped = 0): StreamerStats {
  return {
    ...emptyStats(),
    flows_live: 131_072,
    flows_capacity: 524_288,
    flows_exported: { inactive: 1_200_000, active: 34_000, termination: 0, user: 0, capacity: 0, tcp_end: 0 },
    capture: {
      packets_received: 1e6,
      packets_dropped_by_kernel: dropped,
      packets_dropped_by_interface: 0,
      queue_high_water: 5678,
      interfaces_down: 0,
    },
    seconds: 3723.9,
  };
}

const wide = describeTerminal(true, 140, { TERM: 'dumb' });

describe('the status line', () => {
  it('says how long, how fast, how full, what was exported and what was lost', () => {
    expect(statusLine(samples, liveStats(), wide)).toBe(
      '1:02:03  12.3 k packets/s  100 Mbit/s  1.00M received  131,072 flows (25 %)  1.23M exported  queue peak 5.68k  0 dropped',
    );
    const evicted = { ...liveStats(1234), flows_evicted: 7 };
    expect(statusLine(samples, evicted, wide)).toMatch(
      / {2}1\.23M exported {2}7 evicted {2}queue peak 5\.68k {2}1\.23k dropped$/,
    );
  });

  it('shows losses in red, and only then', () => {
    const colored = { ...wide, hasColor: true };
    expect(statusLine(samples, liveStats(), colored)).not.toContain('\x1b[31m');
    expect(statusLine(samples, liveStats(5), colored)).toContain('\x1b[31m5 dropped\x1b[39m');
  });

  it('keeps to the terminal, and losses to the end', () => {
    for (let columns = 16; columns < 120; columns++) {
      expect(statusLine(samples, liveStats(5), { ...wide, columns }).length).toBeLessThan(columns);
    }
    expect(statusLine(samples, liveStats(5), { ...wide, columns: 40 })).toBe('12.3 k packets/s  5 dropped');
  });

  it('tells first of interfaces that are gone', () => {
    const stats = liveStats();
    const capture = stats.capture === null ? null : { ...stats.capture, interfaces_down: 1 };
    expect(statusLine(samples, { ...stats, capture, flows_live: 1 }, wide)).toMatch(
      /^1 interface down {2}1:02:03 .* {2}1 flow \(/,
    );
  });

  it('begins with nothing', () => {
    expect(statusLine(samples.slice(0, 1), emptyStats(), wide)).toBe(
      '0:00  0 packets/s  0 bit/s  0 received  0 flows  0 exported  queue peak 0  0 dropped',
    );
  });
});

describe('the warning of drops', () => {
  const parse = async (...args: string[]) => meterArguments(await parseFlags(args, [...METER_FLAGS, ...RUN_FLAGS]));

  it('comes once, and says what helps', async () => {
    const printed = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const before = process.listeners('warning');
    vi.useFakeTimers();
    try {
      const watched = { isLive: true, stats: liveStats() };
      const clear = vi.fn();
      const warnings = new Warnings(await parse('eth0'), watched, clear);
      vi.advanceTimersByTime(5000);
      expect(printed).not.toHaveBeenCalled();
      watched.stats = liveStats(1234);
      vi.advanceTimersByTime(1500);
      expect(clear).toHaveBeenCalledTimes(1);
      expect(printed.mock.calls).toEqual([[`nfstream: warning: ${dropWarning(1234, { source: 'eth0' })}\n`]]);
      watched.stats = liveStats(5678);
      vi.advanceTimersByTime(5000);
      warnings.close();
      expect(printed).toHaveBeenCalledTimes(1);
      const late = new Warnings(await parse('eth0'), watched, clear);
      late.close();
      expect(printed).toHaveBeenCalledTimes(2);
      for (const [args, isLive] of [
        [['eth0', '-q'], true],
        [['a.pcap'], false],
      ] as const) {
        const none = new Warnings(await parse(...args), { ...watched, isLive }, clear);
        none.close();
      }
      expect(printed).toHaveBeenCalledTimes(2);
    } finally {
      vi.useRealTimers();
      printed.mockRestore();
      for (const listener of before) process.on('warning', listener);
    }
  });

  it('names flags that exist, and not the one that is given already', () => {
    const names = METER_FLAGS.flatMap((group) => group.flags).map(({ name }) => `--${name}`);
    const text = dropWarning(1, { source: 'eth0' });
    for (const [flag] of text.matchAll(/--[a-z-]+/g)) expect(names).toContain(flag);
    expect(text).toMatch(/^The kernel dropped a packet that .*, or leave labels out by --no-ndpi\.$/);
    expect(dropWarning(2, { source: 'eth0', enableNdpi: false })).toMatch(/, or meter side by side by --meters\.$/);
  });
});
