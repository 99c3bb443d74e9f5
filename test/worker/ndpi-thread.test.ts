// Two meters without user code, one of which is nDPI: they give what one gives, also where flows are dropped, cut, or shown
// little of; and they end whatever happens to one of them.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import type { StreamerOptions } from '../../src/options.ts';
import {
  ENDED,
  EXPORTED,
  IS_FIRST,
  KIND,
  keyOf,
  NdpiEvents,
  nextEvent,
  PASSED,
  packetOf,
  SHOWN,
  SLOT_SHIFT,
} from '../../src/worker/ndpi-events.ts';
import { manyFlows, pcap } from '../cli/capture.ts';
import { fixture, ledger, outcomeOf, ROOT, Streamer } from './built.ts';

const CAPTURES = join(ROOT, '..', 'shared', 'captures');
const SHARED = ['nfstream/skype.pcap', 'nfstream/tinc.pcap', 'ndpi/http2.pcapng', 'ndpi/zoom2.pcap']
  .map((name) => join(CAPTURES, name))
  .filter((file) => existsSync(file));
const SOURCES = [fixture('demo.pcapng'), fixture('fragments.pcap'), fixture('tunnels.pcapng'), ...SHARED];

const folder = mkdtempSync(join(tmpdir(), 'nfstream-ndpi-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('nDPI in a thread of its own', () => {
  const VARIANTS: Partial<StreamerOptions>[] = [
    { schema: 'nfstream6' },
    { activeTimeout: 0.2, inactiveTimeout: 0.5 },
    { activeTimeout: 0.2, inactiveTimeout: 0.5, tcpEnd: true, replaySpeed: 'max' },
    { dissections: 0 },
    { dissections: 1 },
    // Most packets are cut, so that nDPI can not be shown them.
    { snaplen: 70, dissections: 3 },
    { capacity: 5 },
    { capacity: 5, onCapacity: 'export', dissections: 2 },
    { packets: 300, maxFlows: 20 },
    { bpfFilter: 'udp' },
  ];
  for (const variant of VARIANTS) {
    it(`finds what it finds in the thread that meters, with ${JSON.stringify(variant)}`, async () => {
      for (const source of SOURCES) {
        const one = await outcomeOf({ source, ...variant });
        expect(one.error).toBeUndefined();
        expect(await outcomeOf({ source, ...variant, meters: 2 }), source).toEqual(one);
      }
    });
  }

  it('keeps up with any number of flows, and is waited for', async () => {
    const source = join(folder, 'many.pcap');
    writeFileSync(source, pcap(manyFlows(60_000)));
    const options = { source, inactiveTimeout: 0.5 };
    const one = await outcomeOf(options);
    expect(one.flows).toHaveLength(60_000);
    expect(await outcomeOf({ ...options, meters: 2 })).toEqual(one);
  });

  it('ends with its run, however that ends', async () => {
    const threads = new Set<Worker>();
    const see = (worker: Worker) => {
      threads.add(worker);
      worker.on('exit', () => threads.delete(worker));
    };
    process.on('worker', see);
    try {
      const stopped = new Streamer({ source: fixture('demo.pcapng'), meters: 2, handleSigint: false });
      for await (const _ of stopped) stopped.stop();
      const left = new Streamer({ source: fixture('demo.pcapng'), meters: 2, handleSigint: false });
      for await (const _ of left) break;
      for (const { stats } of [stopped, left]) {
        expect(stats.packets_metered).toBeGreaterThan(0);
        expect(ledger(stats).dealtWith).toBe(stats.packets_read);
      }
      const { error } = await outcomeOf({ source: 'none.pcap', meters: 2 });
      expect(error?.code).toBe('SOURCE_NOT_FOUND');
      expect(threads.size).toBe(0);
    } finally {
      process.off('worker', see);
    }
  });

  it('that is killed ends the run with an error, after the flows whose findings have come', async () => {
    const source = join(folder, 'killed.pcap');
    writeFileSync(source, pcap(manyFlows(120_000)));
    const options = { source, inactiveTimeout: 0.5 };
    const threads: Worker[] = [];
    const see = (worker: Worker) => threads.push(worker);
    process.on('worker', see);
    const streamer = new Streamer({ ...options, meters: 2, handleSigint: false });
    const flows: string[] = [];
    let error: unknown;
    try {
      for await (const flow of streamer) {
        if (flows.push(JSON.stringify(flow)) === 1000) for (const thread of threads) thread.terminate();
      }
    } catch (caught) {
      error = caught;
    } finally {
      process.off('worker', see);
    }
    expect(threads).toHaveLength(1);
    expect(error).toMatchObject({
      code: 'METER_FAILED',
      message: expect.stringMatching(/^meter 2 of 2, which is nDPI,/),
    });
    expect(flows.length).toBeGreaterThanOrEqual(1000);
    expect(flows.length).toBeLessThan(120_000);
    const one = await outcomeOf(options);
    expect(flows).toEqual(one.flows.slice(0, flows.length));
    expect(ledger(streamer.stats).dealtWith).toBe(streamer.stats.packets_read);
  });
});

describe('events for nDPI', () => {
  const event = fc.oneof(
    fc.record({
      kind: fc.constant(SHOWN),
      slot: fc.nat(2 ** 24 + 255),
      isFirst: fc.boolean(),
      bytes: fc.uint8Array({ maxLength: 200 }),
      timeMs: fc.double({ noNaN: true }),
    }),
    fc.record({
      kind: fc.constantFrom(PASSED, ENDED, EXPORTED),
      slot: fc.nat(2 ** 24 + 255),
      isFirst: fc.boolean(),
      key: fc.array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { minLength: 10, maxLength: 10 }),
    }),
  );

  it('are read as they were written', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 100 }), (list) => {
        const events = new NdpiEvents();
        for (const one of list) {
          expect(events.hasRoom('bytes' in one ? one.bytes.length : 0)).toBe(true);
          const head = (one.slot << SLOT_SHIFT) | (one.isFirst ? IS_FIRST : 0);
          if ('bytes' in one) events.show(head, Uint8Array.of(1, ...one.bytes, 2), 1, one.bytes.length + 1, one.timeMs);
          else events.tell(head, one.kind, Int32Array.of(9, ...one.key), 1);
        }
        const { words, doubles, bytes, filled } = events;
        let at = 0;
        for (const one of list) {
          expect(words[at >> 2] >>> SLOT_SHIFT).toBe(one.slot);
          expect(words[at >> 2] & KIND).toBe(one.kind);
          expect((words[at >> 2] & IS_FIRST) !== 0).toBe(one.isFirst);
          if ('bytes' in one) {
            const from = packetOf(at);
            expect(bytes.slice(from, from + words[(at >> 2) + 1])).toEqual(one.bytes);
            expect(doubles[(at >> 3) + 1]).toBe(one.timeMs);
          } else expect([...words.subarray(keyOf(at), keyOf(at) + 10)]).toEqual(one.key);
          at = nextEvent(words, at);
        }
        expect(at).toBe(filled);
      }),
    );
  });

  it('have room for a packet of any length', () => {
    for (const length of [0, 1, 65_535, 600_000, 2 ** 24]) {
      expect(NdpiEvents.forPacket(length).hasRoom(length)).toBe(true);
      expect(new NdpiEvents().hasRoom(length)).toBe(length < 250_000);
    }
  });
});
