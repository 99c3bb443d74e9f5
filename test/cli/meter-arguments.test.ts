import { describe, expect, it } from 'vitest';
import { METER_FLAGS, RUN_FLAGS } from '../../src/cli/flags.ts';
import { mainHelp } from '../../src/cli/help.ts';
import { meterArguments } from '../../src/cli/meter-arguments.ts';
import { parseFlags } from '../../src/cli/parse-flags.ts';
import { DEFAULTS, resolveOptions } from '../../src/options.ts';

const parse = async (...args: string[]) => meterArguments(await parseFlags(args, [...METER_FLAGS, ...RUN_FLAGS]));

describe('arguments of the main job', () => {
  it('reach the Streamer as its options', async () => {
    const { options } = await parse(
      ...['a.pcap', '--active-timeout', '1.5', '--inactive-timeout=Infinity', '--filter', 'tcp', '--fragments=ignore'],
      ...['--no-decode-tunnels', '--snaplen=96', '--capacity', '10', '--on-capacity', 'export', '--no-ndpi', '-'],
      ...['--dissections', '0'],
    );
    expect(options).toEqual({
      source: ['a.pcap', '-'],
      handleSigint: false,
      activeTimeout: 1.5,
      inactiveTimeout: Number.POSITIVE_INFINITY,
      bpfFilter: 'tcp',
      fragments: 'ignore',
      decodeTunnels: false,
      snaplen: 96,
      capacity: 10,
      onCapacity: 'export',
      enableNdpi: false,
      dissections: 0,
    });
    expect(() => resolveOptions(options)).not.toThrow();
  });

  it('of columns reach it, too', async () => {
    const { options } = await parse(
      ...['a.pcap', '--schema', 'nfstream6', '--fields', 'src_ip,dst_ip,min', '--statistics', '--splt=10'],
      ...['--accounting-mode', 'payload', '--max-flows', '7', '--tcp-end', '--exact-times'],
    );
    expect(options).toEqual({
      source: ['a.pcap'],
      handleSigint: false,
      schema: 'nfstream6',
      fields: ['src_ip', 'dst_ip', 'min'],
      statistics: true,
      splt: 10,
      accountingMode: 'payload',
      maxFlows: 7,
      tcpEnd: true,
      exactTimes: true,
    });
  });

  it('say how outputs are written', async () => {
    expect((await parse('a.pcap', '-o', 'a.csv')).sinkOptions).toEqual({});
    const { outputs, sinkOptions } = await parse(
      ...['a.pcap', '-o', 'a.parquet', '-o', 'b', '--output=c.csv', '--format', 'csv', '--overwrite'],
      ...['--rotate-rows', '1000', '--rotate-bytes', '64M', '--rotate-seconds=0.5', '--compression', 'snappy'],
    );
    expect(outputs).toEqual([
      { target: 'a.parquet', format: 'parquet' },
      { target: 'b', format: 'csv' },
      { target: 'c.csv', format: 'csv' },
    ]);
    expect(sinkOptions).toEqual({
      format: 'csv',
      overwrite: true,
      rotate: { rows: 1000, bytes: 64 << 20, seconds: 0.5 },
      compression: 'snappy',
    });
  });

  it.each([
    ['1', 1],
    ['1500', 1500],
    ['2k', 2048],
    ['1G', 2 ** 30],
    ['1t', 2 ** 40],
  ])('take %s for bytes', async (text, bytes) => {
    expect((await parse('a.pcap', '-o', 'a.csv', '--rotate-bytes', text)).sinkOptions.rotate).toEqual({ bytes });
  });

  it('of live runs reach it, too', async () => {
    const { options, sources, files } = await parse(
      ...['eth0', '-i', 'eth1', '--interface=a b', '--no-promiscuous', '--buffer-size', '65536', '--immediate'],
      ...['--batch-timeout-ms', '5', '--reconnect', '--duration', '0.5', '--packets', '7', '--replay-speed', 'max'],
      ...['--meters', '2', '--system-visibility'],
    );
    expect(options).toEqual({
      source: ['eth0', { interface: 'eth1' }, { interface: 'a b' }],
      handleSigint: false,
      promiscuous: false,
      bufferSize: 65536,
      immediate: true,
      batchTimeoutMs: 5,
      reconnect: true,
      duration: 0.5,
      packets: 7,
      replaySpeed: 'max',
      meters: 2,
      systemVisibility: true,
    });
    expect(sources).toEqual(['eth0', 'eth1', 'a b']);
    expect(files).toEqual(['eth0']);
    expect((await parse('a.pcap', '--replay-speed', '10')).options.replaySpeed).toBe(10);
    expect((await parse('-i', '-')).options.source).toEqual([{ interface: '-' }]);
  });

  it('have plugins where several meters load them', async () => {
    expect((await parse('a.pcap', '--plugin', 'a.ts', '--meters', '2')).options.plugins).toEqual(['a.ts']);
    expect((await parse('a.pcap', '--plugin', 'a.ts', '--meters', 'auto')).options).toMatchObject({
      meters: 'auto',
      plugins: ['a.ts'],
    });
    expect((await parse('a.pcap', '--plugin', 'a.ts', '--meters', '1')).options.plugins).toBeUndefined();
    expect((await parse('a.pcap', '--meters', '2')).options.plugins).toBeUndefined();
  });

  it('say who the process becomes and where counters are served', async () => {
    expect(await parse('eth0')).toMatchObject({ user: null, metrics: null });
    expect(await parse('eth0', '--user', 'nobody', '--metrics-port', '9469')).toMatchObject({
      user: 'nobody',
      metrics: { port: 9469, address: '127.0.0.1' },
    });
    const { metrics } = await parse('eth0', '--metrics-port=0', '--metrics-address=::1');
    expect(metrics).toEqual({ port: 0, address: '::1' });
  });

  it('are left out where no flag is given, so that the defaults are the library’s', async () => {
    expect((await parse('a.pcap')).options).toEqual({ source: ['a.pcap'], handleSigint: false });
  });

  it('are checked for packets that plugins keep, where there are plugins, with --debug', async () => {
    expect((await parse('a.pcap', '--plugin', 'a.ts', '--debug', '--plugin=./b.cjs')).options.debug).toBe(true);
    expect((await parse('a.pcap', '--plugin', 'a.ts')).options.debug).toBeUndefined();
    expect((await parse('a.pcap', '--debug')).options.debug).toBeUndefined();
    expect((await parse('a.pcap', '--plugin', 'a.ts', '--plugin=./b.cjs')).plugins).toEqual(['a.ts', './b.cjs']);
  });

  it('have a flag for every option that a command line can give', () => {
    // `debug` comes with --debug where there are plugins, `plugins` with --meters; `interfaces` is what `source` names.
    const notFlags = ['source', 'userMetrics', 'userClassifiers', 'debug', 'signal', 'handleSigint', 'plugins'];
    notFlags.push('interfaces');
    const flags = METER_FLAGS.flatMap((group) => group.flags).flatMap(({ option }) => option ?? []);
    const options = Object.keys(resolveOptions({ source: 'x' }));
    expect([...flags, ...notFlags].sort()).toEqual(options.sort());
  });

  it('have the defaults in the help that they have', () => {
    for (const [option, value] of Object.entries(DEFAULTS)) {
      const flag = METER_FLAGS.flatMap((group) => group.flags).find((candidate) => candidate.option === option);
      if (flag?.value === undefined) continue;
      const stated = typeof value === 'number' ? `(${value})` : new RegExp(`${value}.* \\(default\\)`, 's');
      expect(flag.meaning.join('\n')).toMatch(stated);
      expect(mainHelp()).toContain(flag.meaning[0]);
    }
  });

  it.each([
    [[], '-', 'json'],
    [['--format', 'csv'], '-', 'csv'],
    [['-o', 'a.jsonl'], 'a.jsonl', 'json'],
    [['-o', 'a.ndjson'], 'a.ndjson', 'json'],
    [['-o', 'a.b.JSON'], 'a.b.JSON', 'json'],
    [['-o', 'x.json/a.CSV'], 'x.json/a.CSV', 'csv'],
    [['-o', 'x.csv/plain'], 'x.csv/plain', 'json'],
    [['-o', '.csv'], '.csv', 'json'],
    [['-o', '../flows'], '../flows', 'json'],
    [['-o', '/dev/null'], '/dev/null', 'json'],
    [['-o', '/dev/stdout'], '-', 'json'],
    [['-o', '-', '--format=csv'], '-', 'csv'],
    [['-o', 'a.txt', '--format=csv'], 'a.txt', 'csv'],
    [['--output=-x', '--format=csv'], '-x', 'csv'],
    [['-o', 'a.pq'], 'a.pq', 'parquet'],
    [['-o', 'a.Parquet', '--format=parquet'], 'a.Parquet', 'parquet'],
    [['-o', 'a.feather'], 'a.feather', 'arrow'],
    [['-o', 'a.ipc'], 'a.ipc', 'arrow'],
    [['-o', 'a.arrows'], 'a.arrows', 'arrows'],
    [['--format=arrows'], '-', 'arrows'],
    [['-o', 'a.ddb'], 'a.ddb', 'duckdb'],
  ])('%j write to %s as %s', async (args, target, format) => {
    expect(await parse('a.pcap', ...args)).toMatchObject({
      outputs: [{ target, format }],
      summary: null,
      stats: null,
    });
  });

  it.each([
    [['--summary'], null, 'stdout'],
    [['--summary', '-o', 'a.csv'], 'a.csv', 'stdout'],
    [['--summary', '--format', 'csv'], '-', 'stderr'],
    [['--summary', '-o', '-'], '-', 'stderr'],
  ])('%j write flows to %s and the summary to %s', async (args, target, summary) => {
    const parsed = await parse('a.pcap', ...args);
    expect([parsed.outputs[0]?.target ?? null, parsed.summary]).toEqual([target, summary]);
  });

  it('take words after -- as sources, and short flags together', async () => {
    expect(await parse('-qo', 'a.csv', '--', '-x', '--stats')).toMatchObject({
      sources: ['-x', '--stats'],
      outputs: [{ target: 'a.csv' }],
      isQuiet: true,
    });
  });
});
