// Our flows against NFStream's on the captures beside the project: every difference has to be explained by what the
// capture holds, and a result that we spoil on purpose must not be.
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { compareApplications, ndpiReaderVersion } from '../../conformance/applications.mjs';
import { type CaptureReport, checkCapture, countBy, findCaptures } from '../../conformance/conformance.mjs';
import { readFrames, writeCapture } from '../../conformance/frames.mjs';
import { KINDS } from '../../conformance/imitations.mjs';
import { captureList, listIn, summarizeColumns } from '../../conformance/report.mjs';
import { compareSchemas } from '../../conformance/schemas.mjs';
import { loadAddon } from '../../src/native/load.ts';
import type { StreamerOptions } from '../../src/options.ts';
import { Streamer } from '../../src/streamer.ts';
import { LIBRARY } from './library.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, '../shared/captures');
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
  'nfstream/4in4tunnel.pcap',
  'ndpi/capwap_data.pcapng',
  'nfstream/facebook.pcap',
].filter((name) => captures.includes(name));

const checks = new Map<string, Promise<CaptureReport>>();

/** The report of a capture, made once. */
function check(name: string): Promise<CaptureReport> {
  const made = checks.get(name) ?? checkCapture(LIBRARY, FOLDER, name);
  checks.set(name, made);
  return made;
}

describe.skipIf(!hasCaptures)('flows as expected (skipped without ../shared/captures)', () => {
  const reports: CaptureReport[] = [];
  beforeAll(async () => {
    for (const name of captures) reports.push(await check(name));
  }, 60_000);

  it('differ nowhere without an explanation', () => {
    expect(captures.length).toBeGreaterThan(300);
    const unexplained = reports.filter((report) => report.unexplained.length > 0);
    expect(unexplained.map((report) => [report.name, report.unexplained])).toEqual([]);
    const kinds = reports.flatMap((report) => report.kinds);
    expect(kinds).not.toContain('');
    const sum = (countOf: (report: CaptureReport) => number) => reports.reduce((n, report) => n + countOf(report), 0);
    expect(sum(({ equal }) => equal) / sum(({ expected }) => expected)).toBeGreaterThan(0.98);
    const used = new Set(kinds.flatMap((joined) => joined.split('+')));
    // Of the others there is no capture here; explain.test.ts and kinds.test.ts make some.
    expect([...used].sort()).toEqual(
      ['clock', 'ip_in_ip', 'not_ip', 'record_fields', 'sctp_ports', 'total_length_0', 'tunnel'].sort(),
    );
  });

  it('are compared in every column, each of which is equal in 99 % of them and otherwise explained', () => {
    const columns = summarizeColumns(reports);
    // compare.test.ts shows that these are all that a record has.
    expect(columns).toHaveLength(79);
    for (const { column, compared, equal, different, explained } of columns) {
      expect(compared, column).toBeGreaterThan(7000);
      expect([equal + different, explained], column).toEqual([compared, different]);
      expect(equal / compared, column).toBeGreaterThan(0.99);
    }
  });

  it('differ where the documentation says', () => {
    const documented = readFileSync(join(ROOT, 'docs/conformance.md'), 'utf8');
    expect(listIn(documented), 'run npm run conformance -- --write-list').toBe(captureList(reports));
  });

  it('are the same in the schema classic', async () => {
    let flows = 0;
    const disagreements: unknown[] = [];
    for (const name of captures) {
      const both = await compareSchemas(LIBRARY, join(FOLDER, name));
      flows += both.flows;
      disagreements.push(...both.disagreements);
    }
    expect(flows).toBeGreaterThan(7000);
    expect(disagreements).toEqual([]);
  }, 60_000);

  it('are judged the same under other names', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'conformance-'));
    try {
      mkdirSync(join(folder, 'other'));
      mkdirSync(join(folder, 'expected', 'other'), { recursive: true });
      for (const [i, name] of VARIED.entries()) {
        copyFileSync(join(FOLDER, name), join(folder, 'other', `${i}.cap`));
        copyFileSync(join(FOLDER, 'expected', `${name}.csv`), join(folder, 'expected', 'other', `${i}.cap.csv`));
        const { name: _, ...original } = await check(name);
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
  ['a byte too much', firstSpoiled((row) => ({ src2dst_bytes: Number(row.src2dst_bytes) + 1 }))],
  ['a flag too much', firstSpoiled(() => ({ dst2src_urg_packets: 9 }))],
  ['a wrong end', firstSpoiled((row) => ({ bidirectional_last_seen_ms: Number(row.bidirectional_last_seen_ms) + 1 }))],
  ['a wrong mean', firstSpoiled((row) => ({ src2dst_mean_ps: Number(row.src2dst_mean_ps) * (1 + 1e-8) }))],
  ['a wrong address', firstSpoiled(() => ({ dst_mac: '00:00:5e:00:53:01' }))],
  ['a wrong tunnel', firstSpoiled((row) => ({ tunnel_id: Number(row.tunnel_id) + 1 }))],
  ['a wrong packet of the first ones', firstSpoiled((row) => ({ splt_ps: (row.splt_ps as number[]).with(0, 1) }))],
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

/** Without the flows' places in the order. */
function differencesOf({ differences }: CaptureReport): string {
  return JSON.stringify(differences, (key, value) => (key === 'id' ? undefined : value));
}

describe.skipIf(!hasCaptures)('a fault is not explained away (skipped without ../shared/captures)', () => {
  it.each(FAULTS)('%s', async (_, Faulty) => {
    const missed: string[] = [];
    let changed = 0;
    for (const name of VARIED) {
      const faulty = await checkCapture({ ...LIBRARY, Streamer: Faulty }, FOLDER, name);
      if (differencesOf(faulty) === differencesOf(await check(name))) continue;
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
    const sources = ['src', 'kernel'].flatMap((folder) =>
      readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }).map((file) => join(ROOT, folder, file)),
    );
    const tags = sources
      .filter((file) => file.endsWith('.ts'))
      .flatMap((file) => readFileSync(file, 'utf8').match(/DIFFERS:[^.]*?\.(?=\s)/g) ?? [])
      .flatMap((tag) => [...tag.matchAll(/\(kind (\w+)\)/g)].map(([, name]) => name));
    const names = KINDS.map(({ name }) => name);
    expect([...new Set(tags)].sort()).toEqual(names.sort());
    const documented = readFileSync(join(ROOT, 'docs/conformance.md'), 'utf8').matchAll(/^\| `(\w+)` \|/gm);
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
