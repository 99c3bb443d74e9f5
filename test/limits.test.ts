// Runs that end by themselves before their source does, and sources that are opened ahead.
import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { collect, DEMO, failure, plain } from './streams.ts';

describe('packets', () => {
  it.each([0, 1, 7, 256, 300])('ends the run after exactly %i, and the ledger closes', async (packets) => {
    const streamer = plain({ source: DEMO, packets });
    const flows = await collect(streamer);
    const { stats } = streamer;
    const skipped = Object.values(stats.packets_skipped).reduce((sum, count) => sum + count, 0);
    expect(stats.packets_read).toBe(packets);
    expect(stats.packets_metered + skipped).toBe(packets);
    const counted = flows.reduce((sum, flow) => sum + flow.src_to_dst_pkts + flow.dst_to_src_pkts, 0);
    expect(counted).toBe(stats.packets_metered);
  });

  it('beyond the end of the capture changes nothing', async () => {
    const all = await collect(plain({ source: DEMO }));
    const limited = await collect(plain({ source: DEMO, packets: 1e9 }));
    expect(limited.map((flow) => JSON.stringify(flow))).toEqual(all.map((flow) => JSON.stringify(flow)));
  });
});

describe('duration', () => {
  it('ends a run whose source does not end', async () => {
    const streamer = plain({ source: new PassThrough(), duration: 0.05 });
    expect(await collect(streamer)).toEqual([]);
    expect(streamer.stats.seconds).toBeGreaterThanOrEqual(0.05);
  });

  it('may be longer than a timer takes', async () => {
    const streamer = plain({ source: DEMO, duration: 1e9 });
    expect((await collect(streamer)).length).toBeGreaterThan(10);
  });
});

describe('open', () => {
  it('rejects as iterating would', async () => {
    const streamer = plain({ source: 'no-such.pcap' });
    await expect(streamer.open()).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' });
    expect((await failure(streamer)).error).toMatchObject({ code: 'SOURCE_NOT_FOUND' });
  });

  it('then iterating gives the same flows', async () => {
    const streamer = plain({ source: DEMO });
    await streamer.open();
    await streamer.open();
    expect((await collect(streamer)).length).toBe((await collect(plain({ source: DEMO }))).length);
  });

  it('without iterating is closed by asyncDispose', async () => {
    const source = new PassThrough();
    source.write('something');
    {
      await using streamer = plain({ source });
      await streamer.open().catch(() => {});
    }
    expect(source.destroyed).toBe(true);
  });
});

describe('a replay', () => {
  it("at 'max' gives the flows of the offline run: the same packets cut at the same places", async () => {
    const identity = (flow: { ip_src: string; src_port: number; start_time: number; end_time: number }) =>
      `${flow.ip_src} ${flow.src_port} ${flow.start_time} ${flow.end_time}`;
    const options = { source: DEMO, activeTimeout: 0.2, inactiveTimeout: 0.5 };
    const offline = await collect(plain(options));
    const replayed = await collect(plain({ ...options, replaySpeed: 'max' }));
    expect(replayed.map(identity).sort()).toEqual(offline.map(identity).sort());
  });

  it('takes its time, and hands flows over as they end', async () => {
    const streamer = plain({ source: DEMO, replaySpeed: 100, inactiveTimeout: 0.5 });
    const { first, last } = await (async () => {
      let first = 0;
      let last = 0;
      for await (const _ of streamer) {
        last = streamer.stats.seconds;
        if (first === 0) first = last;
      }
      return { first, last };
    })();
    expect(last).toBeGreaterThan(first);
  });
});
