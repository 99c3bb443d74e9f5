// Looks for the ClientHello in the packets of one flow: what a search is, and the one over TCP.
//
//   TLS record   | type 22 | version 3.x (2) | length (2) | part of a handshake message | ...
//
// Specification: RFC 8446 section 5.1 (records), RFC 9293 section 3.4 (sequence numbers). The message may lie in several
// records and segments, out of order and repeated. It may begin after an exchange in clear text (STARTTLS, a proxy's
// CONNECT), but at the beginning of a segment, or behind the header that load balancers put before a connection's first
// bytes (HAProxy's PROXY protocol, proxy-header.ts). Either side may be the client. Bounded in bytes and in packets.
import type { Direction } from '../classifier/classifier.ts';
import type { Packet } from '../classifier/packet.ts';
import { ByteAssembly } from './byte-assembly.ts';
import { proxyHeaderBytes } from './proxy-header.ts';
import { type ClientHello, decodeClientHello, HANDSHAKE_CLIENT_HELLO } from './tls-client-hello.ts';

/** What a search has found so far: `undefined` while it goes on, `null` when it is given up. */
export type SearchResult = ClientHello | null | undefined;

export interface ClientHelloSearch {
  /** What carried the ClientHello that was found: TLS over TCP, DTLS, QUIC. */
  readonly transport: 't' | 'd' | 'q';
  /** Takes the next packet of the flow in. */
  take(packet: Packet, direction: Direction): SearchResult;
}

/** Packets with a payload that are looked at, both directions together. */
export const MAX_SEARCHED_PACKETS = 64;
/** A longer ClientHello is not fingerprinted; post-quantum key shares make them about 2 KB. */
export const MAX_CLIENT_HELLO_BYTES = 16_384;

export const CONTENT_HANDSHAKE = 22;
const RECORD_HEADER_BYTES = 5;
/** 2^14 plus what RFC 5246 section 6.2.3 lets a record grow. */
const MAX_RECORD_BYTES = 16_384 + 2048;
const HANDSHAKE_HEADER_BYTES = 4;
const LEGACY_VERSION_AT = RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES;
const MAX_STREAM_BYTES = MAX_CLIENT_HELLO_BYTES + 1024;

const FLAG_SYN = 0x02;

/** One direction of a connection. */
class Stream {
  isKnown = false;
  /** Sequence number, as a 32-bit integer, of the first byte that was not passed over yet. */
  next = 0;
  /** Bytes from `next` on, once they may be a ClientHello or come after a hole. */
  assembly: ByteAssembly | null = null;
}

export class TlsSearch implements ClientHelloSearch {
  readonly transport = 't';
  readonly #streams: readonly [Stream, Stream] = [new Stream(), new Stream()];
  #packetsLeft = MAX_SEARCHED_PACKETS;

  take(packet: Packet, direction: Direction): SearchResult {
    if (packet.isLaterFragment) return undefined;
    const stream = this.#streams[direction];
    let seq = packet.tcpSeq | 0;
    if ((packet.tcpFlags & FLAG_SYN) !== 0) {
      seq = (seq + 1) | 0;
      stream.isKnown = true;
      stream.next = seq;
      stream.assembly = null;
    }
    let size = packet.payloadSize;
    if (size === 0) return undefined;
    let at = packet.payloadAt;
    const skipped = proxyHeaderBytes(packet.bytes, at, packet.ipEnd);
    if (skipped > 0 && skipped < size && at + skipped < packet.ipEnd) {
      if (stream.next === seq && stream.assembly === null) stream.next = (seq + skipped) | 0;
      at += skipped;
      size -= skipped;
      seq = (seq + skipped) | 0;
    }
    const found = searchSegment(stream, seq, size, packet.bytes, at, packet.ipEnd);
    if (found !== undefined) return found;
    return --this.#packetsLeft > 0 ? undefined : null;
  }
}

/** `size` is the segment's length, of which `bytes[at, end)` were captured. */
function searchSegment(
  stream: Stream,
  seq: number,
  size: number,
  bytes: Uint8Array,
  at: number,
  end: number,
): SearchResult {
  let offset = stream.isKnown ? (seq - stream.next) | 0 : 0;
  if (offset + size <= 0 && offset > -MAX_STREAM_BYTES) return undefined;
  const isBeginning = beginsClientHello(bytes, at, end);
  const isInOrder = offset === 0 && stream.assembly === null;
  const isWaiting = stream.assembly === null || stream.assembly.end === 0;
  // What was lost before a beginning, or far away, is not waited for. A few bytes out of order may look like a beginning.
  const isCertain = isBeginning && end - at > LEGACY_VERSION_AT;
  if (!stream.isKnown || Math.abs(offset) > MAX_STREAM_BYTES || (isCertain && isWaiting && offset !== 0)) {
    stream.isKnown = true;
    stream.next = seq;
    stream.assembly = null;
    offset = 0;
    if (!isBeginning) {
      stream.next = (seq + size) | 0;
      return undefined;
    }
  } else if (isInOrder && !isBeginning) {
    stream.next = (seq + size) | 0;
    return undefined;
  }
  stream.assembly ??= new ByteAssembly(MAX_STREAM_BYTES);
  stream.assembly.put(offset, bytes, at, end);
  const complete = stream.assembly.end;
  if (complete === 0) return undefined;
  const message = joinRecords(stream.assembly.bytes, complete);
  if (message === undefined) return undefined;
  if (message !== null) return decodeClientHello(message, HANDSHAKE_HEADER_BYTES, message.length, false);
  stream.next = (stream.next + complete) | 0;
  stream.assembly = null;
  return undefined;
}

/** Whether `bytes[at, end)` can be the beginning of a record that begins a ClientHello; a few bytes can. */
function beginsClientHello(bytes: Uint8Array, at: number, end: number): boolean {
  const size = end - at;
  if (size <= 0 || bytes[at] !== CONTENT_HANDSHAKE) return false;
  if (size > 1 && bytes[at + 1] !== 3) return false;
  if (size > 2 && bytes[at + 2] > 4) return false;
  if (size < RECORD_HEADER_BYTES) return true;
  const recordBytes = (bytes[at + 3] << 8) | bytes[at + 4];
  if (recordBytes === 0 || recordBytes > MAX_RECORD_BYTES) return false;
  if (size > 5 && bytes[at + 5] !== HANDSHAKE_CLIENT_HELLO) return false;
  // The length's high byte: a longer message is none that is taken.
  if (size > 6 && recordBytes > 1 && bytes[at + 6] !== 0) return false;
  return size <= LEGACY_VERSION_AT || recordBytes <= LEGACY_VERSION_AT - RECORD_HEADER_BYTES || isVersion(bytes, at);
}

/** The ClientHello's own version: 3.x, or SSL 2.0 in SSL 3.0's format. */
function isVersion(bytes: Uint8Array, at: number): boolean {
  return bytes[at + LEGACY_VERSION_AT] === 3 || bytes[at + LEGACY_VERSION_AT] === 0;
}

/** The first handshake message of the records in `bytes[0, end)`; `undefined` if it is not there wholly, `null` if none. */
function joinRecords(bytes: Uint8Array, end: number): Uint8Array | null | undefined {
  if (!beginsClientHello(bytes, 0, end)) return null;
  const joined = new Uint8Array(end);
  let size = 0;
  let at = 0;
  while (end - at > RECORD_HEADER_BYTES) {
    if (bytes[at] !== CONTENT_HANDSHAKE || bytes[at + 1] !== 3) return null;
    const recordEnd = at + RECORD_HEADER_BYTES + ((bytes[at + 3] << 8) | bytes[at + 4]);
    const part = bytes.subarray(at + RECORD_HEADER_BYTES, Math.min(recordEnd, end));
    joined.set(part, size);
    size += part.length;
    if (size >= HANDSHAKE_HEADER_BYTES) {
      const messageBytes = HANDSHAKE_HEADER_BYTES + ((joined[1] << 16) | (joined[2] << 8) | joined[3]);
      if (messageBytes > HANDSHAKE_HEADER_BYTES + MAX_CLIENT_HELLO_BYTES) return null;
      if (size >= messageBytes) return joined.subarray(0, messageBytes);
    }
    at = recordEnd;
  }
  return undefined;
}
