// A packet as classifiers and metrics see it: a light view on one row of a batch, moved from row to row.
import type { PacketColumns } from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';

/** Valid only during the call that hands it over. Offsets are into `bytes`. */
export class Packet {
  #batch: PacketBatch;
  #columns: PacketColumns;
  #row = 0;
  constructor(batch: PacketBatch, columns: PacketColumns) {
    this.#batch = batch;
    this.#columns = columns;
  }
}
