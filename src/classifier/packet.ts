// A packet as classifiers and metrics see it: a light view on one row of a batch, moved from row to row. Nothing is
// decoded twice and nothing is copied; addresses become text only when they are read.
import { addressText } from '../flow/address-text.ts';
import { hashKey } from '../flow/key.ts';
import { KEY_DST, KEY_META, KEY_PORTS, KEY_WORDS, type PacketColumns } from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';

const TCP = 6;
const UDP = 17;
const SCTP = 132;

/**
 * Valid only during the call that hands it over: keep copies of what you need. The `...At` and `...End` offsets are
 * into `bytes`; tunnels are looked through, so the IP packet is the innermost one.
 */
export class Packet {
  readonly #batch: PacketBatch;
  readonly #columns: PacketColumns;
  readonly #lend: ((bytes: Uint8Array) => Uint8Array) | null;
  #row = 0;
  #previousMs = Number.NaN;

  /** `lend` turns bytes into what user code gets of them; null for the bytes themselves. */
  constructor(batch: PacketBatch, columns: PacketColumns, lend: ((bytes: Uint8Array) => Uint8Array) | null = null) {
    this.#batch = batch;
    this.#columns = columns;
    this.#lend = lend;
  }

  /** Moves the view to another row, for the pipeline. */
  static move(packet: Packet, row: number): void {
    packet.#row = row;
  }

  /** Says when the flow's packet before was; NaN: there was none. */
  static since(packet: Packet, previousMs: number): void {
    packet.#previousMs = previousMs;
  }

  /** Time stamp, ms since the epoch, fraction kept. */
  get timestamp(): number {
    return this.#batch.timeMs[this.#row];
  }
  /** Time since the flow's packet before this one in the capture, ms; 0 for the first, below 0 where times go back. */
  get deltaTime(): number {
    return Number.isNaN(this.#previousMs) ? 0 : this.timestamp - this.#previousMs;
  }
  /** Bytes of the frame that were captured. */
  get captureLength(): number {
    return this.#batch.capturedLength[this.#row];
  }
  /** Bytes of the frame on the wire. */
  get length(): number {
    return this.#batch.wireLength[this.#row];
  }
  /** Source address of this packet (not of the flow). */
  get ipSrc(): string {
    return addressText(this.version, this.#columns.key, this.#row * KEY_WORDS);
  }
  /** Destination address of this packet. */
  get ipDst(): string {
    return addressText(this.version, this.#columns.key, this.#row * KEY_WORDS + KEY_DST);
  }
  get srcPort(): number {
    return this.#columns.key[this.#row * KEY_WORDS + KEY_PORTS] >>> 16;
  }
  get dstPort(): number {
    return this.#columns.key[this.#row * KEY_WORDS + KEY_PORTS] & 0xffff;
  }
  /** IANA protocol number. */
  get ipProtocol(): number {
    return this.#columns.key[this.#row * KEY_WORDS + KEY_META] & 0xff;
  }
  /** Innermost VLAN id, 0 for none. */
  get vlanId(): number {
    return this.#columns.key[this.#row * KEY_WORDS + KEY_META] >>> 16;
  }
  /** IP version: 4 or 6. */
  get version(): number {
    return (this.#columns.key[this.#row * KEY_WORDS + KEY_META] >>> 8) & 0xff;
  }
  get fin(): boolean {
    return (this.tcpFlags & 0x01) !== 0;
  }
  get syn(): boolean {
    return (this.tcpFlags & 0x02) !== 0;
  }
  get rst(): boolean {
    return (this.tcpFlags & 0x04) !== 0;
  }
  get psh(): boolean {
    return (this.tcpFlags & 0x08) !== 0;
  }
  get ack(): boolean {
    return (this.tcpFlags & 0x10) !== 0;
  }
  get urg(): boolean {
    return (this.tcpFlags & 0x20) !== 0;
  }
  get ece(): boolean {
    return (this.tcpFlags & 0x40) !== 0;
  }
  get cwr(): boolean {
    return (this.tcpFlags & 0x80) !== 0;
  }
  /** The TCP header's flag byte, CWR 0x80 to FIN 0x01; 0 for other protocols. */
  get tcpFlags(): number {
    return this.#columns.tcpFlags[this.#row];
  }
  /** Whether this is a fragment other than the first: it has no transport header. */
  get isLaterFragment(): boolean {
    return this.#columns.isLaterFragment[this.#row] === 1;
  }
  /** Time to live (IPv4, RFC 791) or hop limit (IPv6, RFC 8200). */
  get ttl(): number {
    return this.#batch.bytes[this.ipAt + (this.version === 4 ? 8 : 7)];
  }
  /** A 32-bit hash of the flow's key: the same for both directions, in every run and on every machine. */
  get hash(): number {
    return hashKey(this.#columns.key, this.#row * KEY_WORDS, 0) >>> 0;
  }
  /**
   * Length of the IP packet by its header, bytes; where that says 0, as hosts that let the network card cut segments
   * capture it, what the frame has on the wire.
   */
  get ipSize(): number {
    return this.#columns.ipSize[this.#row];
  }
  /** Length of the transport header and its payload by the IP header, bytes. */
  get transportSize(): number {
    const columns = this.#columns;
    const row = this.#row;
    return columns.ipSize[row] - (columns.transportAt[row] - columns.ipAt[row]);
  }
  /**
   * Length of the transport payload by the IP header, bytes: captured or not. TCP options count where the capture cut the
   * header before the byte that says how long it is.
   */
  get payloadSize(): number {
    const columns = this.#columns;
    const row = this.#row;
    const size = columns.ipSize[row] - (columns.payloadAt[row] - columns.ipAt[row]);
    return Math.max(0, columns.payloadAt[row] === columns.ipEnd[row] ? size - this.#uncapturedHeader() : size);
  }
  /** The captured bytes of the transport payload; valid during the call. */
  get payload(): Uint8Array {
    const columns = this.#columns;
    const row = this.#row;
    const end = columns.ipEnd[row];
    return this.#lent(this.#batch.bytes.subarray(Math.min(columns.payloadAt[row], end), end));
  }
  /** The captured bytes of the frame; valid during the call. */
  get raw(): Uint8Array {
    const at = this.#batch.frameAt[this.#row];
    return this.#lent(this.#batch.bytes.subarray(at, at + this.#batch.capturedLength[this.#row]));
  }
  /** TCP sequence number; 0 where there is none. */
  get tcpSeq(): number {
    return this.#hasTcp(8) ? this.#batch.view.getUint32(this.transportAt + 4) : 0;
  }
  /** TCP acknowledgement number; 0 where there is none. */
  get tcpAck(): number {
    return this.#hasTcp(12) ? this.#batch.view.getUint32(this.transportAt + 8) : 0;
  }
  /** TCP window as in the header, unscaled; 0 where there is none. */
  get tcpWindow(): number {
    return this.#hasTcp(16) ? this.#batch.view.getUint16(this.transportAt + 14) : 0;
  }

  /** The buffer that the whole batch lies in: the same object for many packets, to be handed to native code once. */
  get bytes(): Uint8Array {
    return this.#batch.bytes;
  }
  get ipAt(): number {
    return this.#columns.ipAt[this.#row];
  }
  /** End of the captured bytes of the IP packet. */
  get ipEnd(): number {
    return this.#columns.ipEnd[this.#row];
  }
  get transportAt(): number {
    return this.#columns.transportAt[this.#row];
  }
  get payloadAt(): number {
    return this.#columns.payloadAt[this.#row];
  }

  #lent(bytes: Uint8Array): Uint8Array {
    return this.#lend === null ? bytes : this.#lend(bytes);
  }

  /** Bytes of a TCP, UDP or SCTP header that the capture cut. */
  #uncapturedHeader(): number {
    const { transportAt, ipEnd } = this;
    // At the transport header: there is none, or it doesn't fit into the IP packet.
    if (ipEnd === transportAt) return 0;
    let bytes = 0;
    if (this.ipProtocol === UDP) bytes = 8;
    if (this.ipProtocol === SCTP) bytes = 12;
    if (this.ipProtocol === TCP)
      bytes = ipEnd > transportAt + 12 ? Math.max(20, (this.bytes[transportAt + 12] >> 4) * 4) : 20;
    return Math.max(0, transportAt + bytes - ipEnd);
  }

  #hasTcp(bytes: number): boolean {
    return this.ipProtocol === TCP && !this.isLaterFragment && this.transportAt + bytes <= this.ipEnd;
  }
}
