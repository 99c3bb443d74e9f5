import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Summary } from '../../src/cli/summary.ts';
import { summaryTable } from '../../src/cli/summary-table.ts';
import { describeTerminal } from '../../src/cli/terminal.ts';
import { bytesOf, TopCounter } from '../../src/cli/top-counter.ts';
import { emptyStats } from '../../src/stats.ts';
import { batchOf, type FlowParts } from '../sink/flows.ts';

const UTF8 = { LANG: 'C.UTF-8' };
// biome-ignore lint/suspicious/noControlCharactersInRegex: what terminals are told
const plain = (text: string) => text.replace(/\x1b\[\d+m/g, '');

function summaryOf(flows: Partial<FlowParts>[], hasApplications = true, exactKeys?: number): Summary {
  const summary = new Summary(hasApplications, exactKeys);
  for (const flow of flows) summary.add(batchOf(flow));
  return summary;
}

describe('the most active', () => {
  const additions = fc.array(
    fc.record({ key: fc.nat(40).map((n) => `k${n}`), sent: fc.nat(1000), received: fc.nat(1000) }),
    { maxLength: 200 },
  );
  const truth = (list: { key: string; sent: number; received: number }[]) => {
    const sums = new Map<string, number>();
    for (const { key, sent, received } of list) sums.set(key, (sums.get(key) ?? 0) + sent + received);
    return sums;
  };

  it('are exact while there is room', () => {
    fc.assert(
      fc.property(additions, (list) => {
        const counter = new TopCounter(41);
        for (const { key, sent, received } of list) counter.add(key, 1, sent, received);
        const sums = truth(list);
        expect(counter.missed).toBe(0);
        expect(counter.size).toBe(sums.size);
        const top = counter.top(5);
        expect(top.map(bytesOf)).toEqual([...sums.values()].sort((a, b) => b - a).slice(0, 5));
        for (const { key, flows } of top) expect(flows).toBe(list.filter((item) => item.key === key).length);
      }),
    );
  });

  it('are wrong by at most what is said, and no key with more than that is missing, when there is not', () => {
    fc.assert(
      fc.property(additions, fc.integer({ min: 1, max: 20 }), (list, capacity) => {
        const counter = new TopCounter(capacity);
        for (const { key, sent, received } of list) counter.add(key, 1, sent, received);
        const counted = new Map(counter.top(capacity).map((tally) => [tally.key, bytesOf(tally)]));
        expect(counter.size).toBeLessThanOrEqual(capacity);
        for (const [key, bytes] of truth(list)) {
          const found = counted.get(key) ?? 0;
          expect(found).toBeLessThanOrEqual(bytes);
          expect(found).toBeGreaterThanOrEqual(bytes - counter.missed);
        }
      }),
    );
  });
});

describe('the summary', () => {
  it('adds flows up by application, and by address in both directions', () => {
    const web = { metrics: { application_name: 'TLS' } };
    const summary = summaryOf([
      web,
      { ...web, src: [1, 0, 0, 0], startMs: 0 },
      { metrics: {}, dst: [0x0a000001, 0, 0, 0] },
    ]);
    expect(summary).toMatchObject({ flows: 3, packets: 15, bytes: 6900, firstMs: 0, lastMs: 1472393123665.25 });
    expect(summary.applications.top(9)).toMatchObject([
      { key: 'TLS', flows: 2, packets: 10, sentBytes: 600, receivedBytes: 4000 },
      { key: 'Unknown', flows: 1, sentBytes: 300, receivedBytes: 2000 },
    ]);
    expect(summary.talkers.top(9)).toMatchObject([
      { key: '10.0.0.1', flows: 2, sentBytes: 600, receivedBytes: 4000 },
      { key: '10.0.0.2', flows: 2, sentBytes: 4000, receivedBytes: 600 },
      { key: '0.0.0.1', flows: 1, sentBytes: 300, receivedBytes: 2000 },
    ]);
  });

  it('goes by protocol and lower port where nothing labels flows', () => {
    const flows = [
      {},
      { srcPort: 53, dstPort: 40000, protocol: 17 },
      { protocol: 1, srcPort: 0, dstPort: 0 },
      { protocol: 253 },
    ];
    const keys = summaryOf(flows, false)
      .applications.top(9)
      .map(({ key }) => key);
    expect(keys).toEqual(['ICMP', 'IP protocol 253 443', 'TCP 443', 'UDP 53']);
  });

  it('prints a table of the width that there is', () => {
    const full = [0xfe80_1111, 0x2222_3333, 0x4444_5555, 0x6666_7777];
    const flows = [
      { metrics: { application_name: 'TLS.Facebook' }, bytes: [1e9, 2e9] as [number, number] },
      { metrics: { application_name: `${'Long'.repeat(20)}` }, version: 6 as const, src: full, dst: full },
    ];
    for (const columns of [20, 40, 57, 80, 100, 200]) {
      const terminal = describeTerminal(true, columns, UTF8);
      const title = 'a-name-of-35-characters-in-all.pcap';
      const text = summaryTable(title, summaryOf(flows), emptyStats(), terminal);
      expect(text).toContain('\x1b[1m');
      const widest = Math.max(
        ...plain(text)
          .split('\n')
          .map((line) => line.length),
      );
      expect(widest).toBeLessThanOrEqual(Math.max(40, columns));
      if (columns >= 80) expect(text).toContain('fe80:1111:2222:3333:4444:5555:6666:7777');
    }
  });

  it('reads like this', () => {
    const stats = emptyStats();
    stats.packets_read = 12;
    stats.packets_skipped.not_ip = 2;
    stats.flows_evicted = 1234;
    const flows = [
      { metrics: { application_name: 'TLS.Facebook' } },
      { metrics: { application_name: 'DNS' }, dst: [0x08080808, 0, 0, 0], bytes: [70, 130] as [number, number] },
    ];
    const text = summaryTable('a\x1b.pcap', summaryOf(flows), stats, describeTerminal(false, 0, UTF8));
    expect(text).toBe(`
  a\\u001b.pcap  2016-08-28 14:05:22 UTC

  2 flows    10 packets    2.50 kB    1.30 s    15.4 kbit/s

  Applications                                          flows  packets     bytes
  ──────────────────────────────────────────────────────────────────────────────
  TLS.Facebook  ███████████████████████████████   92 %      1        5   2.30 kB
  DNS           ██▊                                8 %      1        5     200 B

  Talkers                                               flows     sent  received
  ──────────────────────────────────────────────────────────────────────────────
  10.0.0.1      ███████████████████████████████  100 %      2    370 B   2.13 kB
  10.0.0.2      ████████████████████████████▌     92 %      1  2.00 kB     300 B
  8.8.8.8       ██▌                                8 %      1    130 B      70 B

  2 of 12 packets skipped: 2 not ip
  1,234 flows dropped for lack of room: see --capacity

`);
  });

  it('says so when there are no flows, and when counts are not exact', () => {
    const terminal = describeTerminal(false, 0, {});
    expect(summaryTable('a.pcap', summaryOf([]), emptyStats(), terminal)).toBe('\n  a.pcap\n\n  no flows\n\n');
    const many = Array.from({ length: 20 }, (_, i) => ({ src: [i, 0, 0, 0] }));
    const text = summaryTable('a.pcap', summaryOf(many, true, 4), emptyStats(), terminal);
    expect(text).toMatch(/more names than are counted exactly: a row may lack up to \d/);
    expect(text).toMatch(/^[\x20-\x7e\n]*$/);
  });
});
