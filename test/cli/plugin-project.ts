// Test support: plugins in folders that know nothing of this project.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll } from 'vitest';

/** Returns what makes a folder of its own with these files, which returns paths in it; all are gone afterwards. */
export function projects(): (files: Readonly<Record<string, string>>) => (name: string) => string {
  const folders: string[] = [];
  afterAll(() => {
    for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  });
  return (files) => {
    const folder = mkdtempSync(join(tmpdir(), 'nfstream-plugin-'));
    folders.push(folder);
    // A package of its own, whatever lies above it.
    for (const [name, text] of Object.entries({ 'package.json': '{}', ...files })) {
      mkdirSync(dirname(join(folder, name)), { recursive: true });
      writeFileSync(join(folder, name), text);
    }
    return (name) => join(folder, name);
  };
}

/** A metric `packets` and a classifier `last`, the length of the last packet. */
export const ESM = `import { NFStreamClassifier } from 'nfstream';
class Last extends NFStreamClassifier { onFlowUpdate(packet, flow) { flow.metrics[this.name] = packet.length; } }
export const userMetrics = { packets: (packet, flow) => flow.metrics.packets + 1 };
export const userClassifiers = new Last('last');
`;
