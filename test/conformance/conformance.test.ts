// Our flows against NFStream's on the captures beside the project: every difference has to be in the register, and
// everything in the register has to be there still.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { compareApplications, ndpiReaderVersion } from '../../conformance/applications.mjs';
import { checkCapture, findCaptures, REGISTER } from '../../conformance/conformance.mjs';
import { loadAddon } from '../../src/native/load.ts';
import { Streamer } from '../../src/streamer.ts';

const FOLDER = fileURLToPath(new URL('../../../shared/captures', import.meta.url));
const hasCaptures = existsSync(join(FOLDER, 'expected'));
const captures = hasCaptures ? findCaptures(FOLDER) : [];

describe.skipIf(!hasCaptures)('flows as expected (skipped without ../shared/captures)', () => {
  it('has captures', () => {
    expect(captures.length).toBeGreaterThan(300);
  });

  it('has no entry in the register for a capture that is not there, and a text for each kind', () => {
    expect(Object.keys(REGISTER.captures).filter((name) => !captures.includes(name))).toEqual([]);
    const kinds = Object.values(REGISTER.captures).map(({ kind }) => kind);
    expect([...new Set(kinds)].sort()).toEqual(Object.keys(REGISTER.kinds).sort());
  });

  it('differs nowhere but where the register says and explains it', async () => {
    const unexplained: Record<string, unknown> = {};
    let expected = 0;
    let equal = 0;
    for (const name of captures) {
      const report = await checkCapture(Streamer, FOLDER, name);
      expected += report.expected;
      equal += report.equal;
      if (report.isUnexplained) unexplained[name] = { reasons: report.reasons, first: report.differences[0] };
    }
    expect(unexplained).toEqual({});
    expect(equal / expected).toBeGreaterThan(0.98);
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
