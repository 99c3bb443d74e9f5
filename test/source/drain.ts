// Test support: reads a source to its end into plain rows.
import type { CaptureSourceOptions } from '../../src/source/capture-source.ts';
import { openSource, type SourceInput } from '../../src/source/open-source.ts';
import { PacketBatch, type PacketSource, SOURCE_END, SOURCE_WAIT } from '../../src/source/source.ts';

export interface ReadRow {
  timeMs: number;
  wireLength: number;
  linkType: number;
  /** The captured bytes, copied. */
  data: string;
}

export interface Drained {
  rows: ReadRow[];
  error: unknown;
  bytesRead: number;
}

export function rowsOf(batch: PacketBatch): ReadRow[] {
  return Array.from({ length: batch.count }, (_, i) => {
    const at = batch.frameAt[i];
    const end = at + batch.capturedLength[i];
    if (at < 0 || end > batch.bytes.length) throw new Error(`row ${i} lies outside of the batch's bytes`);
    if (batch.view.byteLength !== batch.bytes.length || batch.view.byteOffset !== batch.bytes.byteOffset) {
      throw new Error('view and bytes differ');
    }
    return {
      timeMs: batch.timeMs[i],
      wireLength: batch.wireLength[i],
      linkType: batch.linkType[i],
      data: Buffer.from(batch.bytes.subarray(at, end)).toString('latin1'),
    };
  });
}

/** Reads `source` to its end or its error, and closes it. Fails where it spins. */
export async function drainSource(source: PacketSource, capacity?: number): Promise<Drained> {
  const batch = new PacketBatch(capacity);
  const rows: ReadRow[] = [];
  let error: unknown;
  let waits = 0;
  try {
    await source.open();
    for (;;) {
      const count = source.read(batch);
      if (count === SOURCE_END) break;
      if (count === SOURCE_WAIT) {
        if (++waits > 1e6) throw new Error('the source waits for ever');
        await source.fill();
        continue;
      }
      if (count !== batch.count || count < 1 || count > batch.capacity) throw new Error(`read returned ${count}`);
      rows.push(...rowsOf(batch));
    }
  } catch (caught) {
    error = caught;
  }
  if (error !== undefined && source.read(batch) !== SOURCE_END) throw new Error('a source goes on after its error');
  await source.close();
  await source.close();
  return { rows, error, bytesRead: source.bytesRead };
}

interface DrainOptions extends CaptureSourceOptions {
  capacity?: number;
}

export function drain(input: SourceInput, options: DrainOptions = {}): Promise<Drained> {
  const { capacity, ...sourceOptions } = options;
  return drainSource(openSource(input, sourceOptions), capacity);
}
