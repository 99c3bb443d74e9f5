// Test support: Streamers over the shipped captures, run to their end.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { NFStreamClassifier } from '../src/classifier/classifier.ts';
import { NfstreamError } from '../src/errors.ts';
import type { Flow } from '../src/flow/flow.ts';
import type { FlowRecord } from '../src/flow/schema.ts';
import type { StreamerOptions } from '../src/options.ts';
import { Streamer } from '../src/streamer.ts';

export const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
export const ROOT = path('../');
export const DEMO = path('../fixtures/demo.pcapng');
export const RAW = path('../fixtures/raw.pcap');
export const bytes = readFileSync(DEMO);

export const plain = (options: Partial<StreamerOptions>) =>
  new Streamer({ source: DEMO, enableNdpi: false, handleSigint: false, ...options });

/** The schema of all of these is `classic`. */
export async function collect(streamer: Streamer): Promise<FlowRecord[]> {
  const records: FlowRecord[] = [];
  for await (const flow of streamer) records.push(flow.toJSON() as FlowRecord);
  return records;
}

export async function failure(streamer: Streamer): Promise<{ error: NfstreamError; records: FlowRecord[] }> {
  const records: FlowRecord[] = [];
  try {
    for await (const flow of streamer) records.push(flow.toJSON() as FlowRecord);
  } catch (error) {
    expect(error).toBeInstanceOf(NfstreamError);
    return { error: error as NfstreamError, records };
  }
  throw new Error('expected an error');
}

export function expectClosed({ stats }: Streamer): void {
  const skipped = Object.values(stats.packets_skipped).reduce((sum, count) => sum + count, 0);
  expect(stats.packets_metered + skipped).toBe(stats.packets_read);
}

/** Counts what a classifier is told. */
export class Counter extends NFStreamClassifier {
  started = 0;
  ended = 0;
  exits = 0;
  override onFlowInit() {
    this.started++;
  }
  override onFlowTerminate(_flow: Flow) {
    this.ended++;
  }
  override onExit() {
    this.exits++;
  }
}
