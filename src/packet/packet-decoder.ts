// The packet stage: a batch of frames in, one row of columns each out. Reads headers only, knows nothing of flows.
//
//   PacketBatch ──► link layer ──► IPv4 | IPv6 ──► transport ──► PacketColumns
//                       ▲               │
//                       └── tunnels ◄───┘
//
// Two passes over a batch: the kernel (kernel/decode.ts) takes the frames that need none of this generality, where their bytes
// lie in its memory, and the layers the others.
// Every row gets a status: METERED, or why not. Nothing throws, and no byte outside a frame's captured part is read.
import type { Kernel } from '../kernel/kernel.ts';
import type { PacketBatch } from '../source/source.ts';
import { BATCH_CAPACITY } from '../source/source.ts';
import { DecodeState } from './decode-state.ts';
import { FragmentTable } from './fragment-table.ts';
import { decodeLinkLayer } from './link-layer.ts';
import { METERED, PacketColumns, TUNNEL_NONE } from './packet-columns.ts';

export interface DecoderOptions {
  /** Follow tunnels to the innermost packet. */
  decodeTunnels: boolean;
  /** Later fragments: give them the key of their first fragment, or skip them. */
  fragments: 'assign' | 'ignore';
  /** Bytes of a frame that are looked at, from its start. */
  snaplen: number;
  /** First fragments remembered at a time. */
  fragmentTableSize?: number;
}

const MAX_INT32 = 0x7fffffff;

/** Status, between the two passes of a decode only, of rows that are not plain. Far above any index of SKIP_REASONS. */
export const NOT_PLAIN = 255;

export class PacketDecoder {
  /** Written by `decode`, valid until the next call. */
  readonly columns: PacketColumns;
  readonly #kernel: Kernel | null;
  readonly #snaplen: number;
  readonly #state: DecodeState;

  /**
   * @param capacity rows; no batch may hold more
   * @param kernel whose columns are to be written; without one all frames go through the layers
   */
  constructor(options: DecoderOptions, capacity: number = BATCH_CAPACITY, kernel: Kernel | null = null) {
    this.columns = kernel === null ? new PacketColumns(capacity) : new PacketColumns(capacity, kernel);
    this.#kernel = kernel;
    this.#snaplen = options.snaplen;
    const fragments = options.fragments === 'assign' ? new FragmentTable(options.fragmentTableSize) : null;
    this.#state = new DecodeState(this.columns, options.decodeTunnels, fragments);
  }

  /**
   * Fills rows 0 to `batch.count - 1`. The caller has set `columns.status` to METERED, or to the reason why the row is
   * not to be metered: such rows are left alone.
   */
  decode(batch: PacketBatch): void {
    const others = this.#decodePlain(batch);
    if (others > 0) decodeOtherFrames(this.#state, batch, this.#snaplen);
  }

  /** The first pass: returns how many rows it left to the second. */
  #decodePlain(batch: PacketBatch): number {
    const { count, bytes, frameAt } = batch;
    const { status } = this.columns;
    const kernel = this.#kernel;
    if (kernel !== null && bytes.buffer === kernel.buffer && frameAt === kernel.frameAt && status === kernel.status) {
      const followsTunnels = this.#state.decodeTunnels ? 1 : 0;
      return kernel.passes.decode(count, bytes.byteOffset, Math.min(this.#snaplen, MAX_INT32), followsTunnels);
    }
    for (let row = 0; row < count; row++) if (status[row] === METERED) status[row] = NOT_PLAIN;
    return count;
  }
}

/** The second pass: decodes the rows that the first gave the status NOT_PLAIN, layer by layer. */
export function decodeOtherFrames(state: DecodeState, batch: PacketBatch, snaplen: number): void {
  const { status } = state.columns;
  const { count, frameAt, capturedLength, wireLength, linkType } = batch;
  state.batch = batch;
  state.view = batch.view;
  for (let row = 0; row < count; row++) {
    if (status[row] !== NOT_PLAIN) continue;
    const at = frameAt[row];
    const captured = capturedLength[row];
    const wire = wireLength[row];
    state.row = row;
    state.vlan = 0;
    state.tunnel = TUNNEL_NONE;
    state.srcMacAt = -1;
    state.dstMacAt = -1;
    // Where headers leave a length open, the frame ends here. Writers that state a wire length below the captured one
    // (0, for one) are not believed in this; the bytes that a flow counts are the stated ones all the same.
    const lengthEnd = at + Math.max(wire, captured);
    state.lengthEnd = Math.min(lengthEnd, MAX_INT32);
    status[row] = decodeLinkLayer(state, linkType[row], at, at + Math.min(captured, snaplen));
  }
}
