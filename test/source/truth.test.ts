// What other tools say about the same captures: capinfos about whole files, tshark about every packet.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { NfstreamError } from '../../src/errors.ts';
import { makePcap, somePackets } from './captures.ts';
import { drain } from './drain.ts';

const CAPTURES = '../shared/captures';
const FORMATS = ['pcap', 'nsecpcap', 'modpcap', 'pcapng'];

function hasTool(name: string): boolean {
  try {
    execFileSync(name, ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

const isMissing = ['capinfos', 'editcap', 'mergecap', 'tshark'].some((name) => !hasTool(name));
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'nfstream-truth-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Time (text, in seconds), wire length and captured length of every packet, by tshark. */
function packetsByTshark(path: string): [time: string, wire: string, captured: string][] {
  const fields = ['frame.time_epoch', 'frame.len', 'frame.cap_len'].flatMap((field) => ['-e', field]);
  const options = ['-r', path, '-T', 'fields', ...fields, '-n'];
  const text = execFileSync('tshark', options, {
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t') as [string, string, string]);
}

async function expectAsTshark(path: string): Promise<void> {
  const { rows, error } = await drain(path);
  expect(error).toBeUndefined();
  const expected = packetsByTshark(path);
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.map((row) => [String(row.wireLength), String(row.data.length)])).toEqual(
    expected.map(([, wire, captured]) => [wire, captured]),
  );
  rows.forEach((row, i) => {
    const [seconds, fraction] = expected[i][0].split('.');
    // In nanoseconds, as integers: a double has too few digits for the text.
    const difference =
      BigInt(Math.round((row.timeMs - Number(seconds) * 1000) * 1e6)) - BigInt(fraction.padEnd(9, '0'));
    expect(Math.abs(Number(difference))).toBeLessThan(500);
  });
}

describe.skipIf(isMissing)('as tshark (needs tshark, editcap, mergecap, capinfos)', () => {
  it.each(FORMATS)('reads %s', async (format) => {
    const made = join(folder, 'made-by-us.pcap');
    const converted = join(folder, `made.${format}`);
    writeFileSync(made, makePcap(somePackets(300, 1e9), { magic: 0xa1b23c4d }));
    execFileSync('editcap', ['-F', format, made, converted]);
    await expectAsTshark(converted);
  });

  it('reads packets cut to a snap length', async () => {
    const made = join(folder, 'long-by-us.pcap');
    writeFileSync(made, makePcap(somePackets(100)));
    for (const format of FORMATS) {
      const cut = join(folder, `cut.${format}`);
      execFileSync('editcap', ['-F', format, '-s', '61', made, cut]);
      await expectAsTshark(cut);
    }
  });

  it('reads a merged pcapng with several interfaces', async () => {
    const parts = [0, 1, 2].map((i) => {
      const path = join(folder, `part${i}.pcap`);
      writeFileSync(path, makePcap(somePackets(20 + i, i === 1 ? 1e9 : 1e6), i === 1 ? { magic: 0xa1b23c4d } : {}));
      return path;
    });
    const merged = join(folder, 'merged.pcapng');
    execFileSync('mergecap', ['-F', 'pcapng', '-w', merged, ...parts]);
    await expectAsTshark(merged);
  });
});

const captures = existsSync(CAPTURES)
  ? ['nfstream', 'ndpi'].flatMap((set) =>
      readdirSync(join(CAPTURES, set))
        .filter((name) => /\.(pcap|pcapng|cap)$/.test(name))
        .map((name) => join(CAPTURES, set, name)),
    )
  : [];

describe.skipIf(isMissing || captures.length === 0)(`as capinfos (needs it, and captures in ${CAPTURES})`, () => {
  it('counts packets and bytes of every capture, first and last time', async () => {
    const options = ['-T', '-m', '-r', '-Q', '-M', '-c', '-d', '-a', '-e', '-S'];
    // It exits with 1 where a capture is cut.
    const table = spawnSync('capinfos', [...options, ...captures], { encoding: 'utf8' }).stdout;
    const lines = table.split('\n').filter((line) => line !== '');
    expect(lines.length).toBe(captures.length);
    const damaged: string[] = [];
    for (const line of lines) {
      const [path, count, bytes, first, last] = line.split(',').map((field) => field.replaceAll('"', ''));
      const { rows, error } = await drain(path);
      if (error !== undefined) damaged.push(`${path}: ${(error as NfstreamError).code}`);
      const times = rows.map((row) => row.timeMs / 1000);
      const seen = [path, rows.length, rows.reduce((sum, row) => sum + row.wireLength, 0)];
      expect(seen).toEqual([path, Number(count), Number(bytes)]);
      // The times of fuzzed captures have fractions of more than a second, which every tool reads in its own way.
      if (rows.length === 0 || path.includes('/fuzz-2021')) continue;
      // Two captures have times in the year 150000, where a double in ms is no finer than a millisecond.
      const tolerance = Math.max(1e-6, Number(last) * 2 ** -51);
      expect(Math.abs(Math.min(...times) - Number(first)), path).toBeLessThan(tolerance);
      expect(Math.abs(Math.max(...times) - Number(last)), path).toBeLessThan(tolerance);
    }
    // One file of the set is cut on purpose, by capinfos too.
    expect(damaged).toEqual([join(CAPTURES, 'ndpi', 'fuzz-2021-10-13.pcap: TRUNCATED_CAPTURE')]);
  });

  it('reads packets of some captures as tshark', async () => {
    const names = ['facebook.pcap', 'http_ipv6.pcap', 'dhcp.pcapng', 'alexa-app.pcapng', 'dlt_ppp.pcap'];
    for (const name of names) await expectAsTshark(join(CAPTURES, 'nfstream', name));
  });
});
