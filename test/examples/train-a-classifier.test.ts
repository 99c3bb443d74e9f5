// The example runs as its guide says, and what it claims is looked at again here: sizes against tshark, predictions
// against the trainers', one by one. Then things are broken, to see the last step fail.
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HAS_TSHARK, tsharkRows } from '../tshark.ts';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLE = join(ROOT, 'examples/train-a-classifier');
const CAPTURE = join(EXAMPLE, 'captures/deploy.pcap.zst');
const JITI = join(ROOT, 'node_modules/jiti/lib/jiti-cli.mjs');
const HAS_BOTH = 'from importlib.util import find_spec as f; exit(not (f("sklearn") and f("onnx")))';
const PYTHON = ['/usr/bin/python3', 'python3'].find((python) => spawnSync(python, ['-c', HAS_BOTH]).status === 0);

interface Answer {
  label: string | null;
  sizes: number[];
  probabilities: Record<string, number>;
}
interface Trained {
  flow: string;
  label: string;
  probabilities: Record<string, number>;
}

const folder = mkdtempSync(join(tmpdir(), 'nfstream-train-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]): string {
  return execFileSync(join(EXAMPLE, 'run'), ['--no-setup', ...args], { encoding: 'utf8', stdio: 'pipe' });
}
function lines<Row>(path: string): Row[] {
  const text = readFileSync(path, 'utf8').trimEnd();
  return text.split('\n').map((line) => JSON.parse(line) as Row);
}
function compare(out: string, ...names: string[]) {
  return spawnSync(process.execPath, [JITI, join(EXAMPLE, 'compare.ts'), out, ...names], { encoding: 'utf8' });
}
/** The share of flows that a step says it got right on the other capture. */
function accuracy(text: string): number {
  return Number(/^on the other capture: .* ([\d.]+) %$/m.exec(text)?.[1]) / 100;
}
/** As `{ id: answer }` of one model, from deployed.jsonl. */
function deployed(out: string, name: string): Map<string, Answer> {
  const rows = lines<{ flow: string } & Record<string, unknown>>(join(out, 'deployed.jsonl'));
  return new Map(rows.map((row) => [row.flow, row[name] as Answer]));
}

describe('the decision tree of Node', () => {
  const out = join(folder, 'node');
  let text = '';
  beforeAll(() => {
    text = run('--node-only', '--out', out);
  });

  it('learns something that holds on the other capture, and not everything', () => {
    expect(accuracy(text)).toBeGreaterThan(0.5);
    expect(accuracy(text)).toBeLessThan(0.9);
  });

  it('labels each flow in the stream as in training', () => {
    const answers = deployed(out, 'three_sizes');
    const trained = lines<Trained>(join(out, 'three_sizes.predictions.jsonl'));
    expect(answers.size).toBe(trained.length);
    expect(trained.map(({ flow }) => answers.get(flow)?.label)).toEqual(trained.map(({ label }) => label));
    expect(text).toContain(`three_sizes: ${trained.length} flows, 0 differences`);
  });

  it('fails in its last step when one label differs, or one flow is missing', () => {
    const broken = mkdtempSync(join(folder, 'broken-'));
    copyFileSync(join(out, 'deployed.jsonl'), join(broken, 'deployed.jsonl'));
    const rows = lines<Trained>(join(out, 'three_sizes.predictions.jsonl'));
    const write = (changed: Trained[]) =>
      writeFileSync(
        join(broken, 'three_sizes.predictions.jsonl'),
        changed.map((row) => `${JSON.stringify(row)}\n`).join(''),
      );
    write(rows);
    expect(compare(broken, 'three_sizes').status).toBe(0);
    write(rows.map((row, i) => (i === 7 ? { ...row, label: 'other' } : row)));
    const { status, stdout } = compare(broken, 'three_sizes');
    expect(stdout).toContain(`1 differences\n  ${rows[7].flow}: other by the trainer`);
    expect(status).toBe(1);
    write(rows.slice(1));
    expect(compare(broken, 'three_sizes').status).toBe(1);
  });

  it.skipIf(!HAS_TSHARK)('sees the sizes that tshark sees (skipped where tshark is not installed)', () => {
    const tcp = ['tcp.srcport', 'tcp.dstport', 'tcp.len'];
    const udp = ['udp.srcport', 'udp.dstport', 'udp.length'];
    const rows = tsharkRows(CAPTURE, ['ip.src', 'ip.dst', 'ip.proto', ...tcp, ...udp]);
    const sizes = new Map<string, number[]>();
    for (const [src, dst, protocol, tcpSrc, tcpDst, tcpLength, udpSrc, udpDst, udpLength] of rows) {
      const [from, to, size] =
        protocol === '6' ? [tcpSrc, tcpDst, Number(tcpLength)] : [udpSrc, udpDst, Number(udpLength) - 8];
      // Clients speak first.
      if (!src.startsWith('198.51.100.')) continue;
      const flow = `${src}:${from}-${dst}:${to}/${protocol}`;
      const known = sizes.get(flow) ?? [];
      if (size > 0 && known.length < 3) known.push(size);
      sizes.set(flow, known);
    }
    const ours = [...deployed(out, 'three_sizes')].map(([flow, answer]) => [flow.split('@')[0], answer.sizes]);
    const theirs = [...sizes].map(([flow, known]) => [flow, [...known, 0, 0, 0].slice(0, 3)]);
    expect(ours.sort()).toEqual(theirs.sort());
  });
});

describe.skipIf(PYTHON === undefined)('the forests of Python (skipped where it has no scikit-learn and onnx)', () => {
  const out = join(folder, 'python');
  let text = '';
  beforeAll(() => {
    text = run('--out', out);
  });

  it('hold on the other capture, the early one less', () => {
    const [, forest = '', early = ''] = text.split(/^forest(?:_early)?: 64 trees/m);
    expect(accuracy(forest)).toBeGreaterThan(0.9);
    expect(accuracy(early)).toBeGreaterThan(0.6);
    expect(accuracy(early)).toBeLessThan(accuracy(forest));
  });

  it.each(['forest', 'forest_early'])('%s: the stream says what scikit-learn says', (name) => {
    const answers = deployed(out, name);
    const trained = lines<Trained>(join(out, `${name}.predictions.jsonl`));
    expect(trained.length).toBe(answers.size);
    let abstained = 0;
    for (const { flow, label, probabilities } of trained) {
      const answer = answers.get(flow)!;
      if (answer.label === null) abstained++;
      expect(answer.label).toBe(Math.max(...Object.values(probabilities)) < 0.5 ? null : label);
      for (const [of, probability] of Object.entries(probabilities)) {
        expect(Math.abs(answer.probabilities[of] - probability)).toBeLessThan(1e-6);
      }
    }
    expect(abstained).toBeGreaterThan(0);
    expect(text).toContain(`${name}: ${trained.length} flows, 0 differences`);
  });

  it('compare probabilities, too', () => {
    const path = join(out, 'forest.predictions.jsonl');
    const rows = lines<Trained>(path);
    rows[3].probabilities.web += 2e-6;
    writeFileSync(path, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
    const { status, stdout } = compare(out, 'forest', 'forest_early');
    expect(stdout).toMatch(/^forest: 201 flows, 1 differences/);
    expect(status).toBe(1);
  });

  it('read features early where told so, and at the end otherwise', () => {
    const table = (name: string) => {
      const [head, ...rows] = readFileSync(join(out, name), 'utf8').trimEnd().split('\n');
      expect(head).not.toMatch(/ip_src|ip_dst|port/);
      return rows.map((row) => ({ row, packets: Number(row.split(',')[3]) + Number(row.split(',')[4]) }));
    };
    const whole = table('deploy.csv');
    const early = table('deploy.early.csv');
    expect(early.map(({ packets }) => packets)).toEqual(whole.map(({ packets }) => Math.min(packets, 20)));
    const isShort = ({ packets }: { packets: number }) => packets <= 20;
    expect(whole.filter(isShort).length).toBeGreaterThan(20);
    expect(early.filter((_, i) => isShort(whole[i]))).toEqual(whole.filter(isShort));
  });

  it('take captures and labels of your own: two classes, and flows of no class', () => {
    const labels = join(folder, 'labels.json');
    writeFileSync(labels, '{"192.0.2.80": "web", "192.0.2.83": "chat", "203.0.113.80": "web", "203.0.113.83": "chat"}');
    const own = run('--out', join(folder, 'own'), join(EXAMPLE, 'captures/train.pcap.zst'), CAPTURE, labels);
    expect(own).toMatch(/on the other capture: \d+ of 69 flows right/);
    expect(own).toContain('forest_early: 201 flows, 0 differences');
  });

  it('keep every decision when thresholds become float32', () => {
    const check = `
import numpy as np
from train import round_down
rng = np.random.default_rng(1)
xs = np.concatenate([rng.uniform(-1e4, 1e4, 20000), rng.uniform(-1, 1, 20000), [0.0, -0.0, 1e-45, -1e-45]]).astype(np.float32)
ups, downs = np.nextafter(xs, np.float32(np.inf)), np.nextafter(xs, np.float32(-np.inf))
for x, up, down in zip(xs, ups, downs):
    for t in (float(x), (float(x) + float(up)) / 2, float(np.nextafter(np.float64(x), -np.inf))):
        f = np.float32(round_down(t))
        assert float(f) == round_down(t)
        for y in (x, up, down):
            assert (float(y) <= t) == (y <= f), (y, t, f)
print('same')`;
    const output = execFileSync(PYTHON!, ['-c', check], {
      cwd: EXAMPLE,
      encoding: 'utf8',
      env: { PYTHONDONTWRITEBYTECODE: '1' },
    });
    expect(output).toBe('same\n');
  });
});
