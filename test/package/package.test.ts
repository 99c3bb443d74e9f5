// The package as users get it: packed, installed in another folder, imported, run, with and without its addons.
import { execFileSync, type SpawnSyncReturns, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ADDON_NAMES, platformFolder } from '../../src/native/addon.ts';

const ROOT = join(import.meta.dirname, '..', '..');
const CAPTURE = join(ROOT, 'fixtures', 'demo.pcapng');
const BINARIES = ADDON_NAMES.map((name) => `prebuilds/${platformFolder()}/${name}.node`);
const MINUTE = 60_000;

const folder = mkdtempSync(join(tmpdir(), 'nfstream-package-'));
const consumer = join(folder, 'consumer');
const installed = join(consumer, 'node_modules', 'nfstream');
let tarball: string;
let packed: string[];
/** Why the tarball could not be installed, where that is the network's fault. */
let unreachable: string | undefined;

interface Environment {
  NFSTREAM_NATIVE?: string;
  NODE_OPTIONS?: string;
}

function run(command: string, args: readonly string[], environment: Environment = {}): SpawnSyncReturns<string> {
  const { NFSTREAM_NATIVE: _1, NODE_OPTIONS: _2, ...rest } = process.env;
  return spawnSync(command, args, {
    cwd: consumer,
    encoding: 'utf8',
    maxBuffer: 1 << 28,
    env: { ...rest, ...environment },
  });
}

const nfstream = (args: readonly string[], environment?: Environment) =>
  run(join(consumer, 'node_modules', '.bin', 'nfstream'), args, environment);

beforeAll(() => {
  // Scripts would build dist/ anew while other tests run from it; the tests' own set-up has built it.
  const options = ['--ignore-scripts', '--json', '--pack-destination', folder];
  const [report] = JSON.parse(execFileSync('npm', ['pack', ...options], { cwd: ROOT, stdio: 'pipe' }).toString()) as [
    { filename: string; files: { path: string }[] },
  ];
  tarball = join(folder, report.filename);
  packed = report.files.map(({ path }) => path).sort();

  mkdirSync(consumer);
  writeFileSync(join(consumer, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }));
  const { status, stderr } = run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', tarball]);
  if (status !== 0) {
    if (!/ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENOTCACHED/.test(stderr)) throw new Error(stderr);
    unreachable = `the dependencies can not be had from the npm registry: ${stderr.slice(0, 300)}`;
  }
}, 2 * MINUTE);

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** As GitHub makes them from the headings of a document. */
function headingsOf(document: string): string[] {
  return [...readFileSync(join(ROOT, document), 'utf8').matchAll(/^#+ +(.*)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replace(/[^\w\s-]/g, '')
      .replaceAll(' ', '-'),
  );
}

describe('the tarball', () => {
  it('has what users need and nothing else', () => {
    const patterns = [
      /^(package\.json|LICENSE|NOTICE|(README|CHANGELOG|CONTRIBUTING)\.md|bin\/nfstream\.js|fixtures\/(demo\.pcapng|model\.onnx))$/,
      /^examples\/(train-a-classifier\/)?([a-z-]+\.(ts|d\.ts|py)|README\.md|run)$/,
      /^docs\/([a-z-]+\.md|nfstream\.service)$/,
      /^licenses\/L?GPL-3\.0\.txt$/,
      /^dist\/[a-z0-9/-]+(\.d\.ts|\.js)$/,
      /^native\/[a-z-]+\.(cc|h)$/,
      /^prebuilds\/[a-z0-9-]+\/(capture|ndpi)\.(node|json)$/,
    ];
    expect(packed.filter((path) => !patterns.some((pattern) => pattern.test(path)))).toEqual([]);
    expect(packed).toEqual(
      expect.arrayContaining(['README.md', 'LICENSE', 'NOTICE', 'CHANGELOG.md', 'bin/nfstream.js', ...BINARIES]),
    );
    expect(packed).toEqual(expect.arrayContaining(ADDON_NAMES.map((name) => `native/${name}.cc`)));
  });

  it('has everything that its documents link to, also headings', () => {
    const documents = packed.filter((path) => path.endsWith('.md'));
    const links = documents.flatMap((from) =>
      [...readFileSync(join(ROOT, from), 'utf8').matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)].map(
        ([link, path, heading]) => ({ link: `${from}: ${link}`, to: path ? join(dirname(from), path) : from, heading }),
      ),
    );
    expect(links.filter(({ link }) => link.startsWith('README.md')).length).toBeGreaterThan(10);
    const dead = links.filter(({ to, heading }) => {
      if (!packed.includes(to)) return !packed.some((path) => path.startsWith(join(to, '/')));
      return heading !== undefined && !headingsOf(to).includes(heading);
    });
    expect(dead.map(({ link }) => link)).toEqual([]);
  });

  it('has the fixtures and examples that its documents name, and no other fixtures', () => {
    const documents = packed.filter((path) => /^(README|docs\/.*|examples\/README)\.md$/.test(path));
    const blocks = documents.flatMap(
      (path) => readFileSync(join(ROOT, path), 'utf8').match(/^```(ts|sh)\n.*?^```$/gms) ?? [],
    );
    const named = new Set(blocks.flatMap((block) => block.match(/\b(fixtures|examples)\/[\w./-]+/g) ?? []));
    const fixtures = packed.filter((path) => path.startsWith('fixtures/'));
    expect([...named].filter((path) => path.startsWith('fixtures/')).sort()).toEqual(fixtures);
    // The training example runs in a clone, which its guide says.
    const missing = [...named].filter((path) => !packed.includes(path) && !path.includes('/captures/'));
    expect(missing).toEqual([]);
  });

  it('has the licences of what is linked into it, word by word, and says so', () => {
    const notice = readFileSync(join(ROOT, 'NOTICE'), 'utf8');
    for (const [name, title] of [
      ['LGPL-3', 'GNU LESSER GENERAL PUBLIC LICENSE'],
      ['GPL-3', 'GNU GENERAL PUBLIC LICENSE'],
    ]) {
      const path = `licenses/${name}.0.txt`;
      const text = readFileSync(join(ROOT, path), 'utf8');
      expect(packed).toContain(path);
      expect(notice).toContain(path);
      expect(text.trimStart().split(/\s*\n\s*/, 2)).toEqual([title, 'Version 3, 29 June 2007']);
      const official = `/usr/share/common-licenses/${name}`;
      if (existsSync(official)) expect(text === readFileSync(official, 'utf8')).toBe(true);
    }
  });

  it('has every source compiled, and no leftovers of old ones', () => {
    const sources = readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
      .map((entry) => relative(join(ROOT, 'src'), join(entry.parentPath, entry.name)).replace(/\.ts$/, ''));
    const compiled = sources.flatMap((source) => [`dist/${source}.js`, `dist/${source}.d.ts`]);
    expect(packed.filter((path) => path.startsWith('dist/'))).toEqual(compiled.sort());
  });

  it('is well-formed to publint', async () => {
    const { buffer, byteOffset, byteLength } = readFileSync(tarball);
    const bytes = buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
    const { messages, pkg } = await publint({ pack: { tarball: bytes }, strict: true });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  it('has types that resolve, to arethetypeswrong', () => {
    const options = ['--profile', 'esm-only', '--no-definitely-typed', '--no-emoji', '--no-color'];
    const { status, stdout } = spawnSync('npx', ['attw', tarball, ...options], { cwd: ROOT, encoding: 'utf8' });
    expect({ status, stdout }).toMatchObject({ status: 0, stdout: expect.stringContaining('OK (ESM)') });
  });
});

describe('installed elsewhere', () => {
  beforeEach(({ skip }) => {
    if (unreachable !== undefined) skip(unreachable);
  });

  const records = (stdout: string) =>
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { metrics: { application_name?: string } });

  it('runs nothing at installation and lies there as packed', () => {
    const manifest = JSON.parse(readFileSync(join(installed, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
    };
    expect(Object.keys(manifest.scripts).filter((name) => /^(pre|post)?install$|^prepare$/.test(name))).toEqual([]);
    for (const path of packed) expect(existsSync(join(installed, path)), path).toBe(true);
  });

  it('is imported by its name, and only by its entries', () => {
    const names = "import('nfstream').then((all) => console.log(Object.keys(all).sort().join(' ')))";
    expect(run('node', ['-e', names])).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^ERROR_CODES .*NFStreamClassifier NfstreamError OnnxClassifier SCHEMAS Streamer /),
    });
    const inner = run('node', ['-e', "import('nfstream/dist/streamer.js')"]);
    expect(inner.stderr).toContain('ERR_PACKAGE_PATH_NOT_EXPORTED');
    const required = run('node', ['-p', "require('nfstream/package.json').version"]);
    expect(required.stdout).toMatch(/^\d+\.\d+\.\d+/);
  });

  it('says its version', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(run('npx', ['--no-install', 'nfstream', '--version'])).toMatchObject({
      status: 0,
      stdout: `nfstream ${version}\n`,
    });
  });

  it('meters and labels with the binaries that it carries', () => {
    const here = spawnSync(process.execPath, [join(ROOT, 'bin', 'nfstream.js'), CAPTURE], { encoding: 'utf8' });
    const there = nfstream([CAPTURE, '--quiet']);
    expect(there).toMatchObject({ status: 0, stderr: '' });
    expect(there.stdout).toBe(here.stdout);
    expect(
      records(there.stdout).filter(({ metrics }) => metrics.application_name !== 'Unknown').length,
    ).toBeGreaterThan(10);
  });

  it('filters with the binary that it carries, also where code from strings is forbidden', () => {
    const args = [CAPTURE, '--no-ndpi', '--filter', 'udp port 53 or tcp[tcpflags] & tcp-syn != 0'];
    const compiled = nfstream(args);
    const interpreted = nfstream(args, { NODE_OPTIONS: '--disallow-code-generation-from-strings' });
    expect(compiled.status).toBe(0);
    expect(records(compiled.stdout).length).toBeGreaterThan(10);
    expect(interpreted).toMatchObject({ status: 0, stdout: compiled.stdout });
    const program = "try { new Function('') } catch (error) { console.log(error.name) }";
    const forbidden = run('node', ['-e', program], { NODE_OPTIONS: '--disallow-code-generation-from-strings' });
    expect(forbidden.stdout).toBe('EvalError\n');
  });

  it('has a doctor that finds it well', () => {
    const { status, stdout } = nfstream(['doctor', '--json']);
    const report = JSON.parse(stdout) as { ok: boolean; addons: { path: string }[] };
    expect(report.ok, stdout).toBe(true);
    expect(report.addons.map(({ path }) => relative(installed, path)).sort()).toEqual([...BINARIES].sort());
    expect(status).toBe(0);
  });

  it(
    'has types that a strict consumer compiles against',
    () => {
      writeFileSync(join(consumer, 'consumer.ts'), CONSUMER);
      writeFileSync(
        join(consumer, 'tsconfig.json'),
        JSON.stringify({ compilerOptions: CONSUMER_OPTIONS, include: ['*.ts'] }),
      );
      const { stdout, status } = run(join(ROOT, 'node_modules', '.bin', 'tsc'), ['-p', '.']);
      expect(stdout).toBe('');
      expect(status).toBe(0);
    },
    MINUTE,
  );

  describe.each<[string, Environment, () => void]>([
    ['with NFSTREAM_NATIVE=off', { NFSTREAM_NATIVE: 'off' }, () => {}],
    ['without its binaries', {}, () => rmSync(join(installed, 'prebuilds'), { recursive: true, force: true })],
  ])('%s', (_, environment, prepare) => {
    beforeAll(prepare);

    it('meters all the same', () => {
      const { status, stdout, stderr } = nfstream([CAPTURE, '--no-ndpi', '--quiet'], environment);
      expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
      expect(records(stdout).length).toBeGreaterThan(10);
    });

    it('fails with a reason where an addon is needed', () => {
      const labelled = nfstream([CAPTURE], environment);
      expect(labelled).toMatchObject({ status: 1, stdout: '' });
      expect(labelled.stderr).toContain('NDPI_UNAVAILABLE');
      const filtered = nfstream([CAPTURE, '--no-ndpi', '--filter', 'tcp'], environment);
      expect(filtered).toMatchObject({ status: 1, stdout: '' });
      expect(filtered.stderr).toContain('FILTER_UNAVAILABLE');
    });

    it('has a doctor that says so', () => {
      const { status, stdout } = nfstream(['doctor'], environment);
      expect(status).toBe(1);
      expect(stdout).toMatch(/^FAIL {2}capture addon/m);
      expect(stdout).toMatch(/^FAIL {2}ndpi addon/m);
      expect(stdout).toMatch(/run: (npx nfstream build-native|unset NFSTREAM_NATIVE)/);
    });
  });

  it.skipIf(spawnSync('c++', ['--version']).status !== 0)(
    'compiles its addons itself',
    () => {
      rmSync(join(installed, 'prebuilds'), { recursive: true, force: true });
      const built = nfstream(['build-native']);
      expect(built.stderr).toBe('');
      expect(built.status).toBe(0);
      for (const path of BINARIES) expect(existsSync(join(installed, path)), path).toBe(true);
      expect(nfstream(['doctor']).stdout).toContain('All works.');
    },
    2 * MINUTE,
  );
});

const CONSUMER_OPTIONS = {
  target: 'es2023',
  module: 'nodenext',
  lib: ['es2023', 'esnext.disposable'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  noPropertyAccessFromIndexSignature: true,
  skipLibCheck: false,
  noEmit: true,
  types: ['node'],
  typeRoots: [join(ROOT, 'node_modules', '@types')],
};

const CONSUMER = `
import { type Flow, NFStreamClassifier, NfstreamError, type Packet, Streamer, type StreamerOptions } from 'nfstream';

class Big extends NFStreamClassifier {
  constructor() {
    super('big');
  }
  override onFlowUpdate(packet: Packet, flow: Flow): boolean {
    flow.metrics['big'] = packet.length > 666;
    return packet.length > 666;
  }
}

const options: StreamerOptions = { source: ['a.pcap', new Uint8Array(8)], userClassifiers: new Big(), bpfFilter: 'tcp' };
await using streamer = new Streamer({ ...options, userMetrics: { packets: (_packet, flow) => flow.src_to_dst_pkts } });
try {
  for await (const flow of streamer) {
    const address: string = flow.ip_src;
    const packets: number = flow.src_to_dst_pkts + flow.dst_to_src_pkts;
    const [forward, back]: readonly [number, number] = flow.syn_count;
    const name: unknown = flow.metrics['application_name'];
    console.log(address, packets, forward + back, name, flow.toJSON().end_time);
    // @ts-expect-error no such column
    flow.source_address;
    // @ts-expect-error a number
    flow.src_port.length;
  }
} catch (error) {
  if (error instanceof NfstreamError && error.code === 'NOT_A_CAPTURE') console.log(error.file, error.offset);
  // @ts-expect-error no such code
  if (error instanceof NfstreamError && error.code === 'NO_SUCH_CODE') throw error;
}
console.log(streamer.stats.packets_read);
// @ts-expect-error no such option
new Streamer({ source: 'a.pcap', activeTimeOut: 60 });
// @ts-expect-error a number of seconds
new Streamer({ source: 'a.pcap', activeTimeout: '60' });
// @ts-expect-error source is required
new Streamer({});
`;
