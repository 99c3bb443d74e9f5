// Captures made in tests, with the flows that are to be expected of them.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Row } from '../../conformance/compare.mjs';
import { type CaptureReport, checkCapture } from '../../conformance/conformance.mjs';
import type { Frame } from '../../conformance/frames.mjs';
import { Streamer } from '../../src/streamer.ts';
import { LIBRARY } from './library.ts';

export const SECOND = 1000;

export function frame(timeMs: number, bytes: ArrayLike<number>, linkType = 1): Frame {
  return { timeMs, wire: bytes.length, bytes: Uint8Array.from(bytes), linkType };
}

/** The rows of a capture, all columns of them. */
export async function rowsOf(capture: Uint8Array): Promise<Row[]> {
  const rows: Row[] = [];
  const options = { schema: 'nfstream6', statistics: true, splt: 10, fragments: 'ignore', enableNdpi: false } as const;
  for await (const flow of new Streamer({ source: capture, ...options })) rows.push(flow.toJSON() as unknown as Row);
  return rows;
}

/** Compares a capture with the expected rows, which have the same columns. */
export async function report(capture: Uint8Array, expected: readonly Row[]): Promise<CaptureReport> {
  const folder = mkdtempSync(join(tmpdir(), 'made-'));
  try {
    mkdirSync(join(folder, 'expected'));
    writeFileSync(join(folder, 'one'), capture);
    const lines = expected.length === 0 ? [] : [Object.keys(expected[0] ?? {}), ...expected.map(cellsOf)];
    writeFileSync(join(folder, 'expected', 'one.csv'), lines.map((line) => line.join(',')).join('\n'));
    return await checkCapture(LIBRARY, folder, 'one');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The verdict of `report` alone: the kinds, each once, and how much they leave unexplained. */
export async function verdict(capture: Uint8Array, expected: readonly Row[]) {
  const { kinds, unexplained } = await report(capture, expected);
  return { kinds: [...new Set(kinds)], unexplained: unexplained.length };
}

/** As NFStream writes them. */
function cellsOf(row: Row): string[] {
  return Object.values(row).map((value) => {
    if (Array.isArray(value)) return `"[${value.join(', ')}]"`;
    return typeof value === 'string' ? `"${value}"` : String(value);
  });
}
