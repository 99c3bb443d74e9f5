import { existsSync, readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { NFStreamClassifier } from '../src/classifier/classifier.ts';
import type { Flow } from '../src/flow/flow.ts';
import type { FlowRecord } from '../src/flow/schema.ts';
import { Streamer } from '../src/streamer.ts';

import { FACEBOOK, FACEBOOK_CORE, FACEBOOK_LABELS } from './facebook.ts';
import { bytes, Counter, collect, DEMO, expectClosed, failure, path, plain, RAW, ROOT } from './streams.ts';

describe('a Streamer', () => {
  it.skipIf(!existsSync(FACEBOOK))('gives the flow of the design, every value (needs ../shared/captures)', async () => {
    const records = await collect(new Streamer({ source: FACEBOOK, handleSigint: false }));
    const record = records.find(({ src_port }) => src_port === 52066);
    expect(record).toMatchObject({ ...FACEBOOK_CORE, metrics: FACEBOOK_LABELS });
  });

  it('gives the same flows for a path, bytes, a stream of odd chunks, and a list cut between packets', async () => {
    const expected = await collect(plain({}));
    expect(expected.length).toBeGreaterThan(50);
    expect(await collect(plain({ source: bytes }))).toEqual(expected);
    const chunks = Array.from({ length: Math.ceil(bytes.length / 777) }, (_, i) =>
      bytes.subarray(i * 777, i * 777 + 777),
    );
    expect(await collect(plain({ source: Readable.from(chunks) }))).toEqual(expected);
    // A pcap without link-layer tricks: header, then records; the second half gets the header again.
    const raw = readFileSync(RAW);
    let at = 24;
    while (at < raw.length / 2) at += 16 + raw.readUInt32LE(at + 8);
    const halves = [raw.subarray(0, at), Buffer.concat([raw.subarray(0, 24), raw.subarray(at)])];
    expect(await collect(plain({ source: halves }))).toEqual(await collect(plain({ source: RAW })));
  });

  it('prints a flow as its record, by JSON and by util.inspect', async () => {
    for await (const flow of plain({})) {
      const record = flow.toJSON();
      expect(JSON.parse(JSON.stringify(flow))).toEqual(record);
      expect(inspect(flow)).toBe(inspect(record));
      expect(Object.keys(record).slice(0, 3)).toEqual(['ip_src', 'ip_dst', 'src_port']);
      expect(Object.keys(record).slice(-3)).toEqual(['end_time', 'export_reason', 'metrics']);
      break;
    }
  });

  it('can be iterated once', async () => {
    const streamer = plain({});
    await collect(streamer);
    expect((await failure(streamer)).error.code).toBe('ALREADY_ITERATED');
  });

  it('rejects for a missing file, a folder and a text file, naming it', async () => {
    expect((await failure(plain({ source: 'no-such.pcap' }))).error).toMatchObject({
      code: 'SOURCE_NOT_FOUND',
      file: 'no-such.pcap',
    });
    expect((await failure(plain({ source: ROOT }))).error.code).toBe('SOURCE_IS_DIRECTORY');
    expect((await failure(plain({ source: path('./streamer.test.ts') }))).error).toMatchObject({
      code: 'NOT_A_CAPTURE',
      offset: 0,
    });
  });

  it('throws at construction for a filter that libpcap refuses, with its words', () => {
    expect(() => plain({ bpfFilter: 'tcp port' })).toThrow(expect.objectContaining({ code: 'INVALID_FILTER' }));
    expect(() => plain({ bpfFilter: 'tcp port' })).toThrow(/syntax error/);
  });

  it('keeps the name of the built-in classifier to itself', () => {
    class Mine extends NFStreamClassifier {}
    const make = () => new Streamer({ source: DEMO, userClassifiers: new Mine('ndpi') });
    expect(make).toThrow(expect.objectContaining({ code: 'INVALID_OPTION' }));
  });
});

describe('the ledger', () => {
  it('has read every packet that tshark counts', async () => {
    const counters = JSON.parse(readFileSync(path('../fixtures/expected/counters.json'), 'utf8'));
    const { packets_metered, packets_skipped } = counters['demo.pcapng'];
    const streamer = plain({});
    await collect(streamer);
    expect(streamer.stats.packets_read).toBe(packets_metered + packets_skipped.not_ip);
    expect(streamer.stats).toMatchObject({ packets_metered, packets_skipped });
  });

  it('names the packets that were read and left behind when user code failed', async () => {
    let calls = 0;
    const streamer = plain({ userMetrics: { fails: () => (calls++ === 10 ? Number.NaN : 1) } });
    await failure(streamer);
    expectClosed(streamer);
    expect(streamer.stats.packets_metered).toBe(11);
    expect(streamer.stats.packets_skipped.abandoned).toBeGreaterThan(100);
    expect(streamer.stats.flows_live).toBeGreaterThan(0);
  });

  it('counts the reason that a flow left with, whoever set it', async () => {
    class Late extends NFStreamClassifier {
      override onFlowTerminate(flow: Flow) {
        flow.export_reason = 11;
      }
    }
    const streamer = plain({ userClassifiers: new Late('late') });
    const records = await collect(streamer);
    expect(records.every((record) => record.export_reason === 11)).toBe(true);
    expect(streamer.stats.flows_exported).toMatchObject({ user: records.length, termination: 0 });
  });

  it('closes, before, during and after a run', async () => {
    const streamer = plain({ bpfFilter: 'udp' });
    expect(streamer.stats.packets_read).toBe(0);
    let flows = 0;
    for await (const flow of streamer) {
      expect(flow.ip_protocol).toBe(17);
      expectClosed(streamer);
      flows++;
    }
    expectClosed(streamer);
    const { stats } = streamer;
    expect(stats.packets_skipped.filtered).toBeGreaterThan(0);
    expect(Object.values(stats.flows_exported).reduce((sum, count) => sum + count, 0)).toBe(flows);
    expect(stats).toMatchObject({ flows_live: 0, flows_evicted: 0, bytes_read: bytes.length });
    expect(stats.seconds).toBeGreaterThan(0);
  });

  it('counts evicted flows and warns of them once', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const streamer = plain({ capacity: 3 });
    const flows = (await collect(streamer)).length;
    expect(streamer.stats.flows_evicted).toBeGreaterThan(10);
    expect(flows).toBeLessThan(30);
    expect(warn).toHaveBeenCalledOnce();
    warn.mockRestore();
  });

  it('warns once, too, of flows exported for lack of room', async () => {
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => {});
    const streamer = plain({ capacity: 3, onCapacity: 'export' });
    const flows = (await collect(streamer)).length;
    expect(streamer.stats.flows_exported.capacity).toBe(flows - 3);
    expect(warn).toHaveBeenCalledOnce();
    warn.mockRestore();
  });
});

describe('damage', () => {
  it('gives every flow up to it, then an error with file and offset', async () => {
    const whole = await collect(plain({ source: RAW, inactiveTimeout: 1e6, activeTimeout: 1e6 }));
    const raw = readFileSync(RAW);
    const { error, records } = await failure(
      plain({ source: raw.subarray(0, raw.length - 1), inactiveTimeout: 1e6, activeTimeout: 1e6 }),
    );
    expect(error.code).toBe('TRUNCATED_CAPTURE');
    expect(error.offset).toBeGreaterThan(24);
    const packets = (list: FlowRecord[]) => list.reduce((sum, r) => sum + r.src_to_dst_pkts + r.dst_to_src_pkts, 0);
    expect(records).toHaveLength(whole.length);
    expect(packets(records)).toBe(packets(whole) - 1);
  });
});

describe('user code', () => {
  it('that throws stops the run; flows that ended before are delivered, onExit is called', async () => {
    class Fragile extends Counter {
      override onFlowTerminate(flow: Flow) {
        super.onFlowTerminate(flow);
        if (this.ended === 30) throw new Error(`no more after port ${flow.dst_port}`);
      }
    }
    const fragile = new Fragile('fragile');
    const { error, records } = await failure(plain({ userClassifiers: [fragile] }));
    expect(error.code).toBe('USER_CLASSIFIER_FAILED');
    expect(error.message).toContain('"fragile"');
    expect(error.cause).toBeInstanceOf(Error);
    expect(records).toHaveLength(29);
    expect(fragile.exits).toBe(1);
  });

  it('in a metric sees the packet decoded', async () => {
    const records = await collect(
      plain({
        userMetrics: {
          bytes: (packet, flow) => Number(flow.metrics.bytes) + packet.length,
          payload: (packet, flow) => Number(flow.metrics.payload) + packet.payload.length,
          acks: (packet, flow) => Number(flow.metrics.acks) + (packet.ack ? 1 : 0),
        },
      }),
    );
    for (const record of records) {
      expect(record.metrics.bytes).toBe(record.src_to_dst_bytes + record.dst_to_src_bytes);
      expect(record.metrics.acks).toBe(record.ack_count[0] + record.ack_count[1]);
    }
    expect(records.some((record) => Number(record.metrics.payload) > 1000)).toBe(true);
  });
});
