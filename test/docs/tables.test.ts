// The tables of docs/ are those of the code.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { SKIP_REASONS } from '../../src/packet/packet-columns.ts';
import { emptyStats } from '../../src/stats.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
const markdown = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'src/README.md', 'fixtures/README.md'].concat(
  readdirSync(join(ROOT, 'docs')).flatMap((file) => (file.endsWith('.md') ? [`docs/${file}`] : [])),
);

describe('documentation', () => {
  it('has the columns and the error codes of the code', () => {
    execFileSync('node', ['script/print-docs.mjs', '--check'], { cwd: ROOT, stdio: ['ignore', 'pipe', 'inherit'] });
  });

  it('explains every counter, and none that is gone', () => {
    const text = readFileSync(join(ROOT, 'docs/counters.md'), 'utf8');
    const [counters, reasons] = text
      .split('| `packets_skipped` | the packet |')
      .map((part) => [...part.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]));
    expect(counters).toEqual(Object.keys(emptyStats()));
    expect(reasons).toEqual(SKIP_REASONS.slice(1));
  });

  it.each(markdown)('%s links only to what is there', (file) => {
    const text = readFileSync(join(ROOT, file), 'utf8');
    const links = [...text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map((match) => match[1]);
    const local = links.filter((link) => !/^https?:/.test(link));
    expect(local.filter((link) => !existsSync(join(ROOT, dirname(file), link)))).toEqual([]);
  });
});
