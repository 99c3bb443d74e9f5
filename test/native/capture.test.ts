import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { loadCapture } from '../../src/native/capture.ts';
import { validateBpf } from '../../src/packet/bpf.ts';

const loaded = loadCapture();
if (!loaded.ok) throw new Error(loaded.message);
const { addon, path } = loaded;
const compile = (expression: string, linkType = 1, optimizeUpTo = 4096) =>
  addon.compileFilter(expression, linkType, 65535, false, optimizeUpTo);

/** `tcpdump -dd` prints instructions as C source. */
function programByTcpdump(expression: string, ...options: string[]): number[] {
  const { stdout } = spawnSync('tcpdump', ['-ddd', '-s', '65535', '-y', 'EN10MB', ...options, expression]);
  const [, ...lines] = stdout.toString().trim().split('\n');
  return lines.flatMap((line) => {
    const [code, jt, jf, k] = line.split(' ').map(Number);
    return [((jf << 24) | (jt << 16) | code) >>> 0, k];
  });
}
const hasTcpdump = programByTcpdump('ip').length > 0;

describe('the capture addon', () => {
  it("tells libpcap's version", () => {
    expect(addon.libVersion()).toMatch(/^libpcap version \d+\.\d+/);
  });

  it.skipIf(!hasTcpdump).each(['', 'ip', 'tcp port 443', 'host 10.0.0.1 and not portrange 1-1023', 'vlan and mpls'])(
    'compiles %j to what tcpdump compiles it to',
    (expression) => {
      expect([...compile(expression)]).toEqual(programByTcpdump(expression));
      expect([...compile(expression, 1, 0)]).toEqual(programByTcpdump(expression, '-O'));
    },
  );

  it('puts the snaplen into the return', () => {
    expect(addon.compileFilter('', 1, 96, false, 0)).toEqual(new Uint32Array([6, 96]));
    expect(addon.compileFilter('', 1, 1, false, 0)).toEqual(new Uint32Array([6, 1]));
  });

  it('compiles for the byte order of the file', () => {
    const [little, big] = [false, true].map((order) => addon.compileFilter('ip', 0, 65535, order, 0) as Uint32Array);
    expect([...little]).toContain(0x02000000);
    expect([...big]).toContain(2);
    expect([...big]).not.toContain(0x02000000);
  });

  it.each([
    ['tcp portt 443', "can't parse filter expression: syntax error"],
    ['inbound', 'inbound/outbound not supported on Ethernet when reading savefiles'],
    [`${'('.repeat(20_000)}ip${')'.repeat(20_000)}`, "can't parse filter expression: memory exhausted"],
    ['not '.repeat(15_000), "can't parse filter expression: memory exhausted"],
    ['é', "can't parse filter expression"],
  ])("returns libpcap's message for a filter that does not compile", (expression, message) => {
    expect(compile(expression)).toEqual(expect.stringContaining(message));
  });

  it('gives programs for odd link types or a message, never less', () => {
    for (let linkType = 0; linkType < 400; linkType++) {
      const result = compile('tcp port 443', linkType);
      if (typeof result === 'string') expect(result).not.toBe('');
      else validateBpf(result);
    }
    expect(compile('ip', 65535)).toEqual(expect.any(String));
  });

  it.each<[string, unknown[], RegExp]>([
    ['no arguments', [], /expected a string for expression/],
    ['a number as expression', [1, 1, 1, false, 0], /expected a string for expression/],
    ['an expression with NUL', ['ip\0', 1, 1, false, 0], /expected a string without NUL for expression/],
    [
      'an expression over 64 KiB',
      ['a'.repeat(65_537), 1, 1, false, 0],
      /shorter string for expression and received 65537/,
    ],
    ['a negative link type', ['ip', -1, 1, false, 0], /an integer from 0 to 65535 for linkType and received -1/],
    ['a link type over 16 bits', ['ip', 65536, 1, false, 0], /linkType and received 65536/],
    ['half a link type', ['ip', 1.5, 1, false, 0], /linkType and received 1.5/],
    ['no number as link type', ['ip', '1', 1, false, 0], /expected a number for linkType/],
    ['snaplen 0', ['ip', 1, 0, false, 0], /an integer from 1 to 2147483647 for snaplen and received 0/],
    ['NaN as snaplen', ['ip', 1, Number.NaN, false, 0], /for snaplen and received -?nan/],
    ['a huge snaplen', ['ip', 1, 2 ** 31, false, 0], /snaplen and received 2147483648/],
    ['no boolean', ['ip', 1, 1, 0, 0], /expected a boolean for bigEndian/],
    ['no optimizeUpTo', ['ip', 1, 1, false], /expected a number for optimizeUpTo/],
  ])('throws for %s', (_, args, message) => {
    expect(() => Reflect.apply(addon.compileFilter, addon, args)).toThrow(message);
  });

  it('says why it can not capture, and checks the device', () => {
    expect(addon.probeCapture('no-such-device')).toMatch(/No such device|SIOCGIFHWADDR|doesn't exist|permi/i);
    expect(addon.probeCapture('')).toEqual(expect.any(String));
    expect(() => addon.probeCapture('l\0o')).toThrow(/without NUL for device/);
    expect(() => addon.probeCapture('x'.repeat(257))).toThrow(/shorter string for device/);
    expect(() => Reflect.apply(addon.probeCapture, addon, [])).toThrow(/expected a string for device/);
  });

  it('compiles in several threads at once, and outlives them', async () => {
    const code = `
      const addon = require(process.argv[2]);
      const lengths = [];
      for (let i = 0; i < 200; i++) lengths.push(addon.compileFilter('tcp port ' + (i + 1), 1, 65535, false, 4096).length);
      require('node:worker_threads').parentPort.postMessage(new Set(lengths).size);
    `;
    const workers = Array.from({ length: 4 }, () => new Worker(code, { eval: true, argv: [path] }));
    const sizes = await Promise.all(workers.map(async (worker) => (await once(worker, 'message'))[0]));
    await Promise.all(workers.map((worker) => worker.terminate()));
    expect(sizes).toEqual([1, 1, 1, 1]);
    expect(compile('tcp port 1')).toBeInstanceOf(Uint32Array);
  });

  it('keeps nothing of a call', () => {
    const before = process.memoryUsage().rss;
    for (let i = 0; i < 3000; i++) {
      compile('tcp port 443 or host 10.0.0.1 and not portrange 1-1023');
      compile('tcp portt');
    }
    // A leak of the parser's state would be some 30 MB, one of the file handles fails the call.
    expect(process.memoryUsage().rss - before).toBeLessThan(20e6);
    expect(compile('ip')).toBeInstanceOf(Uint32Array);
  });
});
