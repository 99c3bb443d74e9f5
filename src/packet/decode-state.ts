// What the protocol functions of this folder share while they decode one frame: where the bytes are, which row they
// fill, and what the enclosing headers said. One instance lives as long as its decoder; nothing is allocated per frame.
//
// Protocol functions have the shape `decodeX(state, at, end): status`. `at` is the first byte of the header, `end` the
// exclusive end of the captured bytes that belong to it; nothing outside [at, end) is read. Whoever returns METERED has
// written every column of the row, so a tunnel that turns out to be none, or was cut, leaves no trace.
import { PacketBatch } from '../source/source.ts';
import type { FragmentTable } from './fragment-table.ts';
import { METERED, type PacketColumns, SKIP_FRAGMENT_IGNORED, SKIP_FRAGMENT_ORPHAN } from './packet-columns.ts';

/** Tunnels, pseudowires and the like that are followed into each other. Also bounds the recursion. */
export const MAX_NESTING = 8;

/** `lengthEnd` where no header bounds the inner packet (inside a first fragment). */
export const NO_LENGTH_END = 0x7fffffff;

export class DecodeState {
  readonly columns: PacketColumns;
  readonly decodeTunnels: boolean;
  /** The fragment table, or null with `fragments: 'ignore'`. */
  readonly fragments: FragmentTable | null;
  batch: PacketBatch;
  view: DataView;
  row = 0;
  /**
   * Where the packet at hand ends by the enclosing header's length (or the frame's length on the wire), which is at
   * or beyond the end of the captured bytes when the frame was cut.
   */
  lengthEnd = 0;
  /** VLAN id of the innermost tag so far. */
  vlan = 0;
  /** Word KEY_TUNNEL of the innermost tunnel so far. */
  tunnel = 0;
  /** MAC addresses of the innermost link layer so far; -1 for none. */
  srcMacAt = -1;
  dstMacAt = -1;
  /** Tunnels and pseudowires entered so far. */
  depth = 0;

  constructor(columns: PacketColumns, decodeTunnels: boolean, fragments: FragmentTable | null) {
    this.columns = columns;
    this.decodeTunnels = decodeTunnels;
    this.fragments = fragments;
    this.batch = new PacketBatch(0);
    this.view = this.batch.view;
  }
}

/** True when an inner decode settled the packet's fate; false when the outer packet is to be metered instead. */
export function isSettled(status: number): boolean {
  return status === METERED || status === SKIP_FRAGMENT_IGNORED || status === SKIP_FRAGMENT_ORPHAN;
}
