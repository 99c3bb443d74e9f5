// The packet stage as the pipeline sees it: a batch of frames in, columns with a status for each row out. This one filters
// and decodes; where a batch comes from another thread, that was done there.
import type { PacketBatch } from '../source/source.ts';
import type { PacketFilter } from './filter.ts';
import { METERED, type PacketColumns } from './packet-columns.ts';
import type { PacketDecoder } from './packet-decoder.ts';

export interface PacketStage {
  /** Written by `apply`, valid until the next call. */
  readonly columns: PacketColumns;
  /** Why some packets could not be filtered, to be thrown when the run has ended; null for no reason. */
  readonly problem: Error | null;
  /** Gives every row of the batch its status, and its key where that is METERED. */
  apply(batch: PacketBatch): void;
}

export class FilterAndDecode implements PacketStage {
  readonly columns: PacketColumns;
  readonly #filter: PacketFilter | null;
  readonly #decoder: PacketDecoder;

  constructor(filter: PacketFilter | null, decoder: PacketDecoder) {
    this.columns = decoder.columns;
    this.#filter = filter;
    this.#decoder = decoder;
  }

  get problem(): Error | null {
    return this.#filter?.problem ?? null;
  }

  apply(batch: PacketBatch): void {
    this.columns.status.fill(METERED, 0, batch.count);
    this.#filter?.apply(batch, this.columns);
    this.#decoder.decode(batch);
  }
}
