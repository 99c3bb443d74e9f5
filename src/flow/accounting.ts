// What a packet counts for: bytes of the frame, of the IP packet, of what IP carries, or of the transport's payload.
import type { PacketColumns } from '../packet/packet-columns.ts';
import * as packet from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';

// Own constants are folded into the code (see meter.ts).
const { KEY_META, KEY_WORDS, METERED } = packet;

/** In the order of NFStream's numbers for them, 0 to 3. */
export const ACCOUNTING_MODES = ['frame', 'ip', 'transport', 'payload'] as const;
export type AccountingMode = (typeof ACCOUNTING_MODES)[number];

const PROTOCOL_ICMP = 1;
const PROTOCOL_ICMPV6 = 58;
const PROTOCOL_UDP = 17;
const PROTOCOL_SCTP = 132;
const UDP_HEADER_BYTES = 8;
const SCTP_HEADER_BYTES = 12;
/** Without options. */
const TCP_HEADER_BYTES = 20;
/** Where its length stands, in words of 4 bytes. */
const TCP_DATA_OFFSET = 12;
/** Type, code, checksum and what follows them in any ICMP message. */
const ICMP_HEADER_BYTES = 8;

/** The size of each row, by one mode; lengths are those that headers state, whatever was captured of the packet. */
export class Accounting {
  readonly #mode: AccountingMode;
  readonly #sizes: Uint32Array;

  /** `sizes` is where they are put, but for mode `frame`. */
  constructor(mode: AccountingMode, sizes: Uint32Array) {
    this.#mode = mode;
    this.#sizes = sizes;
  }

  /** Whether packets count for what the source says they do. */
  get isFrame(): boolean {
    return this.#mode === 'frame';
  }

  /** The sizes of a batch's rows, which `measure` got. */
  sizes(batch: PacketBatch): Uint32Array {
    return this.isFrame ? batch.wireLength : this.#sizes;
  }

  /** HOT PATH. */
  measure(batch: PacketBatch, columns: PacketColumns): void {
    if (this.isFrame) return;
    const sizes = this.#sizes;
    const { status } = columns;
    const mode = this.#mode;
    for (let row = 0; row < batch.count; row++) {
      if (status[row] === METERED) sizes[row] = sizeOf(mode, columns, row, batch.view);
    }
  }
}

function sizeOf(mode: AccountingMode, columns: PacketColumns, row: number, view: DataView): number {
  if (mode === 'ip') return columns.ipSize[row];
  return mode === 'transport' ? transportSize(columns, row) : payloadSize(columns, row, view);
}

/** DIFFERS: NFStream counts 0 bytes for protocols other than TCP, UDP and ICMP. */
function transportSize({ ipAt, ipSize, transportAt }: PacketColumns, row: number): number {
  return Math.max(0, ipSize[row] - (transportAt[row] - ipAt[row]));
}

function payloadSize(columns: PacketColumns, row: number, view: DataView): number {
  const { key, ipAt, ipSize, transportAt, payloadAt, ipEnd, isLaterFragment } = columns;
  const protocol = key[row * KEY_WORDS + KEY_META] & 0xff;
  let header = payloadAt[row] - transportAt[row];
  if (protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6) header = ICMP_HEADER_BYTES;
  else if (header > 0 && payloadAt[row] === ipEnd[row] && ipEnd[row] < ipAt[row] + ipSize[row]) {
    header = cutHeaderSize(protocol, view, transportAt[row], ipEnd[row]);
  }
  return Math.max(0, transportSize(columns, row) - (isLaterFragment[row] === 1 ? 0 : header));
}

/** The length of a transport header that the capture may have cut: where the payload begins, nothing was captured. */
function cutHeaderSize(protocol: number, view: DataView, at: number, end: number): number {
  if (protocol === PROTOCOL_UDP) return UDP_HEADER_BYTES;
  if (protocol === PROTOCOL_SCTP) return SCTP_HEADER_BYTES;
  if (end <= at + TCP_DATA_OFFSET) return TCP_HEADER_BYTES;
  return Math.max(TCP_HEADER_BYTES, (view.getUint8(at + TCP_DATA_OFFSET) >> 4) * 4);
}
