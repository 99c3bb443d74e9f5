// Names that user code gives its values: none gets lost beside columns, fields and findings of the same name.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { NFStreamClassifier } from '../src/classifier/classifier.ts';
import type { Flow } from '../src/flow/flow.ts';
import type { StreamerOptions } from '../src/options.ts';
import { Streamer } from '../src/streamer.ts';
import { DEMO } from './streams.ts';

const folder = mkdtempSync(join(tmpdir(), 'nfstream-names-'));
afterAll(() => rmSync(folder, { recursive: true }));

function plugin(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

async function first(options: Partial<StreamerOptions>): Promise<Flow> {
  for await (const flow of new Streamer({ source: DEMO, enableNdpi: false, handleSigint: false, ...options }))
    return flow;
  throw new Error('expected a flow');
}

describe('udps', () => {
  it('has what bears the name of a finding that nobody finds', async () => {
    class Version extends NFStreamClassifier {
      override onFlowTerminate(flow: Flow) {
        flow.metrics['tls_cipher'] = 'none';
      }
    }
    const flow = await first({
      schema: 'nfstream6',
      userMetrics: { tls_version: () => 13, process_id: () => 7 },
      userClassifiers: new Version('version'),
    });
    const own = { tls_version: 13, process_id: 7, tls_cipher: 'none' };
    expect(flow.toJSON().udps).toEqual(own);
    expect(flow.udps).toEqual(own);
  });

  it('has no findings', async () => {
    const flow = await first({ schema: 'nfstream6', enableNdpi: true, userMetrics: { big: () => 1 } });
    expect(flow.toJSON().udps).toEqual({ big: 1 });
    expect(flow.metrics).toHaveProperty('tls_version');
  });
});

describe('a metric with the name of a field', () => {
  it('is refused where that is a column: a table has one place for both', () => {
    const options = { source: DEMO, userMetrics: { src_ip: () => 7 } };
    expect(() => new Streamer({ ...options, fields: ['src_ip', 'metrics'] })).toThrow(
      'userMetrics.src_ip has the name of a core column',
    );
    expect(new Streamer({ ...options, fields: ['ip_src', 'metrics'] })).toBeDefined();
  });

  it('is refused by the columns of the run where it comes from a plugin', async () => {
    const plugins = plugin('taken.mjs', 'export const userMetrics = { src_ip: () => 7 };');
    expect((await first({ plugins })).metrics).toEqual({ src_ip: 7 });
    await expect(first({ plugins, schema: 'nfstream6' })).rejects.toMatchObject({
      code: 'PLUGIN_FAILED',
      message: expect.stringContaining('userMetrics.src_ip has the name of a core column'),
    });
    await expect(first({ plugins, fields: ['src_ip', 'metrics'] })).rejects.toMatchObject({ code: 'INVALID_OPTION' });
  });

  it('may come from a plugin where the schema has no such column', async () => {
    const plugins = plugin('free.mjs', 'export const userMetrics = { ip_src: () => 7 };');
    expect((await first({ plugins, schema: 'nfstream6' })).toJSON().udps).toEqual({ ip_src: 7 });
  });
});
