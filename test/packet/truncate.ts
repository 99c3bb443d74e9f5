// Test support: a frame cut at every byte, decoded twice for each cut: as the snap length cuts (the wire length stays)
// and as a truncated frame (the wire length is cut too). Both must give the same row, as the IP header's length counts.
import { expect } from 'vitest';
import type { Row } from './batch.ts';
import { decodeFrames } from './batch.ts';
import type { Bytes } from './encode.ts';

/** Rows of the frame cut to 0 .. length - 1 bytes. Checks that every offset lies inside what was captured. */
export function decodeTruncations(bytes: Bytes, linkType = 1): Row[] {
  const cuts = Array.from({ length: bytes.length }, (_, length) => bytes.subarray(0, length));
  const snapped = decodeFrames(cuts.map((cut) => ({ bytes: cut, wireLength: bytes.length, linkType })));
  const truncated = decodeFrames(cuts.map((cut) => ({ bytes: cut, linkType })));
  for (const [length, row] of snapped.entries()) {
    expectOffsetsInside(row, length);
    expect(truncated[length].status).toBe(row.status);
    if (row.status === 'metered') expect(truncated[length]).toEqual(row);
  }
  return snapped;
}

/** For each status in turn: the first cut that has it. Shows where one answer gives way to the next. */
export function statusChanges(rows: readonly Row[]): [number, string][] {
  const changes: [number, string][] = [];
  for (const [length, row] of rows.entries()) {
    const answer = row.status === 'metered' ? `${row.protocol}/${row.srcPort}/${row.tunnel}` : row.status;
    if (changes.at(-1)?.[1] !== answer) changes.push([length, answer]);
  }
  return changes;
}

export function expectOffsetsInside(row: Row, captured: number): void {
  if (row.status !== 'metered') return;
  const offsets = [0, row.ipAt, row.transportAt, row.payloadAt, row.ipEnd, captured];
  expect(offsets, JSON.stringify(row)).toEqual(offsets.toSorted((a, b) => a - b));
  expect(row.ipAt + row.ipSize, JSON.stringify(row)).toBeGreaterThanOrEqual(row.ipEnd);
}
