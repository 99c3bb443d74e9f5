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
/** Type, code, checksum and what follows them in any ICMP message. */
const ICMP_HEADER_BYTES = 8;

/** The size of each row, by one mode; lengths are those that headers state, whatever was captured of the packet. */
export class Accounting {
  readonly #mode: AccountingMode;
  readonly #sizes: Uint32Array;

  constructor(mode: AccountingMode, rows: number) {
    this.#mode = mode;
    this.#sizes = new Uint32Array(mode === 'frame' ? 0 : rows);
  }

  /** HOT PATH. The sizes of a batch's rows, valid until the next call. */
  of(batch: PacketBatch, columns: PacketColumns): Uint32Array {
    if (this.#mode === 'frame') return batch.wireLength;
    const sizes = this.#sizes;
    const { status, ipSize } = columns;
    const mode = this.#mode;
    for (let row = 0; row < batch.count; row++) {
      if (status[row] !== METERED) continue;
      sizes[row] = mode === 'ip' ? ipSize[row] : sizeAbove(columns, row, mode === 'payload');
    }
    return sizes;
  }
}

/** DIFFERS: NFStream counts 0 bytes for protocols other than TCP, UDP and ICMP. */
function sizeAbove(
  { key, ipAt, ipSize, transportAt, payloadAt }: PacketColumns,
  row: number,
  isPayload: boolean,
): number {
  const transport = ipSize[row] - (transportAt[row] - ipAt[row]);
  if (!isPayload) return Math.max(0, transport);
  const protocol = key[row * KEY_WORDS + KEY_META] & 0xff;
  const isIcmp = protocol === PROTOCOL_ICMP || protocol === PROTOCOL_ICMPV6;
  const header = isIcmp ? ICMP_HEADER_BYTES : payloadAt[row] - transportAt[row];
  return Math.max(0, transport - header);
}
