// Plugins in the threads of several meters, and in a single one: values, failures of every kind, and what they print.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { manyFlows, pcap } from '../cli/capture.ts';
import { fixture, LIBRARY, ledger, outcomeOf } from './built.ts';

const folder = mkdtempSync(join(tmpdir(), 'nfstream-meters-'));
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function plugin(source: string): string {
  const file = join(folder, `plugin-${files++}.ts`);
  writeFileSync(file, source);
  return file;
}

const METRICS = plugin(`
  import type { UserMetric } from 'nfstream';
  export const userMetrics: Record<string, UserMetric> = {
    bytes: (packet, flow) => Number(flow.metrics.bytes) + packet.payload.length + packet.raw[0] / 256,
    seen: (packet) => ({ at: packet.timestamp, ttl: packet.ttl, list: [packet.tcpSeq, String(packet.ipSrc)] }),
  };
`);
const CLASSIFIER = plugin(`
  import { NFStreamClassifier } from 'nfstream';
  class Slow extends NFStreamClassifier {
    flows = [];
    async onStart() { await new Promise((go) => setTimeout(go, 20)); }
    onFlowUpdate(packet, flow) { (flow.classifiers.slow.sizes ??= []).push(packet.payloadSize); }
    async onFlowTerminate(flow) {
      const { sizes } = flow.classifiers.slow;
      await new Promise((go) => setTimeout(go, 1));
      flow.metrics.slow = sizes.join();
      if (sizes.length > 3) flow.metrics.more = new Map([[1, sizes.length]]).get(1);
      this.flows.push(flow);
    }
    // Whoever keeps flows can read them to the end.
    onExit() { if (this.flows.some((flow) => flow.ip_src === '')) throw new Error('gone'); }
  }
  export const userClassifiers = [new Slow('slow')];
`);
const source = fixture('demo.pcapng');

describe('plugins', () => {
  it('give the same values in one meter and in several, whatever kind of values these are', async () => {
    const one = await outcomeOf({ source, plugins: [METRICS, CLASSIFIER] });
    expect(one.error).toBeUndefined();
    expect(one.flows).toHaveLength(67);
    expect(JSON.parse(one.flows[0]).metrics).toMatchObject({
      application_name: expect.any(String),
      bytes: expect.any(Number),
      seen: { list: [expect.any(Number), expect.any(String)] },
      slow: expect.any(String),
    });
    for (const meters of [2, 3])
      expect(await outcomeOf({ source, meters, plugins: [METRICS, CLASSIFIER] })).toEqual(one);
  });

  it('add to the user code of the options in a single meter, and clash with it', async () => {
    const userMetrics = { packets: (_: unknown, flow: { src_to_dst_pkts: number }) => flow.src_to_dst_pkts };
    const { flows } = await outcomeOf({ source, plugins: METRICS, userMetrics, enableNdpi: false });
    expect(Object.keys(JSON.parse(flows[0]).metrics)).toEqual(['packets', 'bytes', 'seen']);
    const clash = await outcomeOf({ source, plugins: METRICS, userMetrics: { bytes: () => 1 } });
    expect(clash.error).toMatchObject({ code: 'PLUGIN_FAILED', file: METRICS });
    expect(clash.error?.message).toContain(`The metric "bytes" is in userMetrics and in ${JSON.stringify(METRICS)}`);
  });

  it('are the way for user code into several meters', async () => {
    const run = () => outcomeOf({ source, meters: 2, userMetrics: { one: () => 1 } });
    await expect(run()).rejects.toMatchObject({ code: 'INVALID_OPTION', message: expect.stringContaining('plugins') });
  });

  for (const meters of [1, 2]) {
    it(`that can not be loaded end ${meters} meters before the source is opened`, async () => {
      const broken = plugin('export const userMetrics = {');
      for (const [file, what] of [
        ['none.ts', 'can not be read: no such file'],
        [broken, 'does not parse'],
        [plugin('export const userMetrics = { ip_src: () => 1 };'), 'has the name of a core column'],
      ]) {
        const { error } = await outcomeOf({ source: 'none.pcap', meters, plugins: file });
        expect(error).toMatchObject({ code: 'PLUGIN_FAILED', file });
        expect(error?.message).toContain(what);
      }
      const twice = await outcomeOf({ source, meters, plugins: [METRICS, METRICS] });
      expect(twice.error).toMatchObject({ code: 'PLUGIN_FAILED' });
      const taken = plugin(`import { NFStreamClassifier } from 'nfstream';
        class Mine extends NFStreamClassifier {}
        export const userClassifiers = [new Mine('ndpi')];`);
      expect((await outcomeOf({ source, meters, plugins: taken })).error?.code).toBe('INVALID_OPTION');
    });
  }

  it('that throw end the run after the flows so far, with their words', async () => {
    const file = plugin(`export const userMetrics = {
      bad: (packet) => { if (packet.dstPort === 22) throw new RangeError('no more'); return 1; } };`);
    const one = await outcomeOf({ source, plugins: file, enableNdpi: false });
    const { error, stats, flows } = await outcomeOf({ source, plugins: file, enableNdpi: false, meters: 2 });
    expect(error).toMatchObject({ code: 'USER_METRIC_FAILED', message: one.error?.message });
    expect(error?.cause).toMatchObject({ message: expect.stringContaining('no more') });
    expect(flows.length).toBe(Object.values(stats.flows_exported).reduce((sum, count) => sum + count));
    expect(ledger(stats).dealtWith).toBe(stats.packets_read);
    expect(stats.packets_skipped.abandoned).toBeGreaterThan(0);
  });

  it('that fail in one meter leave what was finished by then to whoever takes flows, in the order of one', async () => {
    const packets = [...manyFlows(20_000), { at: 21, srcPort: 6 }];
    const many = join(folder, 'many.pcap');
    writeFileSync(many, pcap(packets));
    const options = { source: many, enableNdpi: false, inactiveTimeout: 0.1 };
    const works = plugin('export const userMetrics = { x: () => 0 };');
    const one = await outcomeOf({ ...options, plugins: works });
    expect(one.flows).toHaveLength(packets.length);
    for (const [failure, reason] of [
      ["throw new RangeError('no more')", 'threw RangeError: no more'],
      ['process.exit(3)', 'ended by itself, with exit code 3'],
    ]) {
      const fails = plugin(
        `export const userMetrics = { x: (packet) => { if (packet.srcPort === 6) ${failure}; return 0; } };`,
      );
      const { flows, error } = await outcomeOf({ ...options, meters: 2, plugins: fails });
      expect(error?.message).toContain(reason);
      // What had ended with the rows of the last parcels, of 4096 each, goes with the thread.
      expect(flows.slice(0, 10_000)).toEqual(one.flows.slice(0, 10_000));
      const delivered = new Set(flows);
      expect(flows).toEqual(one.flows.filter((flow) => delivered.has(flow)));
    }
  });

  it('that leave errors uncaught, end the thread, or hold what can not be sent, end the run with a reason', async () => {
    for (const [code, expected] of [
      [
        `import { NFStreamClassifier } from 'nfstream';
        setTimeout(() => { throw new Error('late'); }, 1);
        class Waits extends NFStreamClassifier { onStart() { return new Promise((go) => setTimeout(go, 50)); } }
        export const userClassifiers = new Waits('waits');`,
        'left an error uncaught: Error: late',
      ],
      ['export const userMetrics = { x: () => process.exit(3) };', 'ended by itself, with exit code 3'],
      [
        `import { NFStreamClassifier } from 'nfstream';
        class Odd extends NFStreamClassifier { onFlowTerminate(flow) { flow.metrics.odd = () => 1; } }
        export const userClassifiers = new Odd('odd');`,
        'flow.metrics has what can not be sent between threads in "odd"',
      ],
      [
        `import { NFStreamClassifier } from 'nfstream';
        class Never extends NFStreamClassifier { onExit() { return new Promise(() => {}); } }
        export const userClassifiers = new Never('never');`,
        'awaits a promise that nothing settles any more',
      ],
    ]) {
      const { error } = await outcomeOf({ source: [source, source, source], meters: 2, plugins: plugin(code) });
      expect(error?.message).toContain(expected);
      expect(['PLUGIN_FAILED', 'METER_FAILED', 'USER_CLASSIFIER_FAILED']).toContain(error?.code);
    }
  });

  it('that take all memory end the run, not the process', () => {
    const file = plugin(
      `const all = []; export const userMetrics = { x: () => { for (;;) all.push(new Array(1e5).fill({ x: all.length })); } };`,
    );
    const code = `
      import { Streamer } from ${JSON.stringify(LIBRARY)};
      const options = { source: ${JSON.stringify(source)}, meters: 2, enableNdpi: false, plugins: ${JSON.stringify(file)} };
      try { for await (const _ of new Streamer(options)); } catch ({ code, message }) { console.log(code, message); }`;
    const { stdout, status } = spawnSync(
      process.execPath,
      ['--max-old-space-size=96', '--input-type=module', '--eval', code],
      { encoding: 'utf8' },
    );
    expect(status).toBe(0);
    expect(stdout).toMatch(/^METER_FAILED meter \d of 2 ran out of memory/);
  }, 60_000);

  it('warn once, in the process of whoever runs them', async () => {
    const warns = plugin(`
      export const userMetrics = { x: () => 0 };
      process.emitWarning('all is well', { type: 'NfstreamWarning', code: 'PLUGIN_WELL' });
    `);
    const warnings: string[] = [];
    const listener = ({ name, message, code }: NodeJS.ErrnoException) => warnings.push(`${name} ${code} ${message}`);
    process.on('warning', listener);
    try {
      await outcomeOf({ source: fixture('demo.pcapng'), enableNdpi: false, meters: 3, plugins: [warns] });
      await new Promise(setImmediate);
    } finally {
      process.off('warning', listener);
    }
    expect(warnings).toEqual(['NfstreamWarning PLUGIN_WELL all is well']);
  });

  it('print through the console of whoever runs them', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      const file = plugin(`console.log('hello\\nthere'); export const userMetrics = { x: () => 1 };`);
      await outcomeOf({ source, meters: 2, plugins: file, enableNdpi: false });
      expect(log.mock.calls.map(([line]) => line)).toEqual(['hello', 'there', 'hello', 'there']);
    } finally {
      log.mockRestore();
    }
  });
});
