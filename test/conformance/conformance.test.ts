// Our flows against NFStream's on the captures beside the project: every difference has to be explained by what the
// capture holds, and a result that we spoil on purpose must not be.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compareApplications, ndpiReaderVersion } from '../../conformance/applications.mjs';
import { checkCapture, countBy, findCaptures } from '../../conformance/conformance.mjs';
import { readFrames, writeCapture } from '../../conformance/frames.mjs';
import { KINDS } from '../../conformance/imitations.mjs';
import { loadAddon } from '../../src/native/load.ts';
import type { StreamerOptions } from '../../src/options.ts';
import { Streamer } from '../../src/streamer.ts';
import { LIBRARY } from './library.ts';

const FOLDER = fileURLToPath(new URL('../../../shared/captures', import.meta.url));
const hasCaptures = existsSync(join(FOLDER, 'expected'));
const captures = hasCaptures ? findCaptures(FOLDER) : [];
/** Captures for each way to differ, and some that don't. */
const VARIED = [
  'ndpi/discord.pcap',
  'ndpi/fuzz-2006-06-26-2594.pcap',
  'ndpi/fuzz-2021-10-13.pcap',
  'ndpi/fuzz-2021-06-07-c6c72a0a56.pcap',
  'ndpi/gre.pcapng',
  'ndpi/vxlan.pcap',
  'ndpi/ipsec_isakmp_esp.pcap',
  'ndpi/sctp.cap',
  'nfstream/ajp.pcap',
  'nfstream/anydesk-2.pcap',
  'nfstream/gtp-u.pcap',
  'ndpi/capwap_data.pcapng',
  'nfstream/facebook.pcap',
].filter((name) => captures.includes(name));

describe.skipIf(!hasCaptures)('flows as expected (skipped without ../shared/captures)', () => {
  it('differ nowhere without an explanation', { timeout: 60_000 }, async () => {
    expect(captures.length).toBeGreaterThan(300);
    const unexplained: Record<string, unknown> = {};
    const kinds: string[] = [];
    let expected = 0;
    let equal = 0;
    for (const name of captures) {
      const report = await checkCapture(LIBRARY, FOLDER, name);
      expected += report.expected;
      equal += report.equal;
      kinds.push(...report.kinds);
      if (report.unexplained.length > 0) unexplained[name] = report.unexplained;
    }
    expect(unexplained).toEqual({});
    expect(kinds).not.toContain('');
    expect(equal / expected).toBeGreaterThan(0.98);
    const used = new Set(kinds.flatMap((joined) => joined.split('+')));
    // Of the others there is no capture here; explain.test.ts makes some.
    expect([...used].sort()).toEqual(
      ['clock', 'not_ip', 'record_fields', 'sctp_ports', 'total_length_0', 'tunnel'].sort(),
    );
  });

  it('are judged the same under other names', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
    try {
      mkdirSync(join(folder, 'other'));
      mkdirSync(join(folder, 'expected', 'other'), { recursive: true });
      for (const [i, name] of VARIED.entries()) {
        copyFileSync(join(FOLDER, name), join(folder, 'other', `${i}.cap`));
        copyFileSync(join(FOLDER, 'expected', `${name}.csv`), join(folder, 'expected', 'other', `${i}.cap.csv`));
        const { name: _, ...original } = await checkCapture(LIBRARY, FOLDER, name);
        expect(await checkCapture(LIBRARY, folder, `other/${i}.cap`)).toMatchObject(original);
      }
      expect(findCaptures(folder)).toHaveLength(VARIED.length);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

type Row = Record<string, unknown>;

/** A Streamer whose records went through `edit`, in the first run and in those that look for an explanation. */
function spoiled(edit: (rows: Row[]) => Row[]) {
  return class {
    readonly options: StreamerOptions;
    constructor(options: StreamerOptions) {
      this.options = options;
    }
    async *[Symbol.asyncIterator]() {
      const rows: Row[] = [];
      let damage: unknown;
      try {
        for await (const flow of new Streamer(this.options)) rows.push(flow.toJSON() as unknown as Row);
      } catch (error) {
        damage = error;
      }
      for (const row of edit(rows)) yield { toJSON: () => row };
      if (damage !== undefined) throw damage;
    }
  };
}

/** A Streamer that reads the frames that `edit` leaves. */
function deprived(edit: <T extends { wire: number; bytes: Uint8Array }>(frames: T[]) => T[]) {
  return class {
    readonly options: StreamerOptions;
    constructor(options: StreamerOptions) {
      this.options = options;
    }
    async *[Symbol.asyncIterator]() {
      const { frames } = await readFrames(LIBRARY, this.options.source as string | Uint8Array);
      yield* new Streamer({ ...this.options, source: writeCapture(edit(frames)) });
    }
  };
}

function misled(wrong: Partial<StreamerOptions>) {
  return class extends Streamer {
    constructor(options: StreamerOptions) {
      super({ ...options, ...wrong });
    }
  };
}

/** Only the first record, where there is one. */
function firstSpoiled(change: (row: Row) => Row) {
  return spoiled((rows) => [...rows.slice(0, 1).map((row) => ({ ...row, ...change(row) })), ...rows.slice(1)]);
}

const FAULTS: [string, new (options: StreamerOptions) => AsyncIterable<unknown>][] = [
  ['a byte too much', firstSpoiled((row) => ({ src_to_dst_bytes: Number(row.src_to_dst_bytes) + 1 }))],
  ['a flag too much', firstSpoiled(() => ({ urg_count: [9, 9] }))],
  ['a wrong end', firstSpoiled((row) => ({ end_time: Number(row.end_time) + 1 }))],
  ['a flow lost', spoiled((rows) => rows.slice(1))],
  ['a flow twice', spoiled((rows) => [...rows, ...rows.slice(0, 1)])],
  ['a packet lost', deprived((frames) => frames.slice(0, -1))],
  ['a packet twice', deprived((frames) => [...frames, ...frames.slice(-1)])],
  [
    'the captured for the wire length',
    deprived((frames) => frames.map((frame) => ({ ...frame, wire: frame.bytes.length - 1 }))),
  ],
  ['tunnels not decoded', misled({ decodeTunnels: false })],
  ['another timeout', misled({ inactiveTimeout: 5 })],
];

describe.skipIf(!hasCaptures)('a fault is not explained away (skipped without ../shared/captures)', () => {
  it.each(FAULTS)('%s', async (_, Faulty) => {
    const missed: string[] = [];
    let changed = 0;
    for (const name of VARIED) {
      const faulty = await checkCapture({ ...LIBRARY, Streamer: Faulty }, FOLDER, name);
      const right = await checkCapture(LIBRARY, FOLDER, name);
      if (JSON.stringify(faulty.differences) === JSON.stringify(right.differences)) continue;
      changed++;
      // Without decoding of tunnels we are as NFStream is with some of them.
      if (faulty.unexplained.length === 0 && faulty.differences.length > 0) missed.push(name);
    }
    expect(changed).toBeGreaterThan(0);
    expect(missed).toEqual([]);
  });
});

describe('the table of kinds', () => {
  it('has each name once and says what is checked', () => {
    expect(Math.max(...Object.values(countBy(KINDS.map(({ name }) => name))))).toBe(1);
    for (const { text } of KINDS) expect(text).toMatch(/Checked: .+\.$/);
  });

  it('is tagged DIFFERS where the code deviates, and in the documentation', () => {
    const root = fileURLToPath(new URL('../../', import.meta.url));
    const sources = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' });
    const tags = sources
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => readFileSync(join(root, 'src', file), 'utf8').match(/DIFFERS:[^.]*?\.(?=\s)/g) ?? [])
      .flatMap((tag) => [...tag.matchAll(/\(kind (\w+)\)/g)].map(([, name]) => name));
    // One deviation, two ways to imitate it.
    const names = KINDS.map(({ name }) => name).filter((name) => name !== 'clock_of_flows');
    expect([...new Set(tags)].sort()).toEqual(names.sort());
    const documented = readFileSync(join(root, 'docs/conformance.md'), 'utf8').matchAll(/^\| `(\w+)` \|/gm);
    expect([...documented].map(([, name]) => name)).toEqual(KINDS.map(({ name }) => name));
  });
});

const version = await ndpiReaderVersion();
// ndpiReader takes its time to start; `npm run conformance -- --applications` compares all of them.
const sample = captures.filter((_, i) => i % 5 === 0);
const canLabel = hasCaptures && version !== undefined && loadAddon('ndpi').ok;

describe.skipIf(!canLabel)('applications (skipped without ../shared/captures, ndpiReader or the nDPI addon)', () => {
  it('are those of ndpiReader for 99 % of the flows that both see', { timeout: 60_000 }, async () => {
    let both = 0;
    let onlyOne = 0;
    const disagreements: string[] = [];
    for (const name of sample) {
      const report = await compareApplications(Streamer, join(FOLDER, name));
      both += report.both;
      onlyOne += report.onlyOne;
      disagreements.push(
        ...report.disagreements.map(({ flow, ours, theirs }) => `${name} ${flow}: ${ours}, ${theirs}`),
      );
    }
    expect(both).toBeGreaterThan(1000);
    expect(onlyOne).toBeLessThan(both / 100);
    expect(disagreements.length, disagreements.slice(0, 20).join('\n')).toBeLessThanOrEqual(both / 100);
  });
});
