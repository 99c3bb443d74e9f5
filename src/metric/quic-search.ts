// Looks for the ClientHello in the datagrams of one flow: QUIC, whose Initial packets carry it in CRYPTO frames.
//
//   datagram ─► packets ─► Initial, opened ─► frames: CRYPTO (type 6) | offset | length | data ─► handshake message
//
// Specification: RFC 9000 sections 12.2 (coalesced packets), 19.3 (ACK), 19.6 (CRYPTO). Frames come in any order and in
// several packets. The keys come from the first packet of the client, or after a Retry from the one that follows it.
import type { Direction } from '../classifier/classifier.ts';
import type { Packet } from '../classifier/packet.ts';
import { ByteAssembly } from './byte-assembly.ts';
import { MAX_CLIENT_HELLO_BYTES, type SearchResult } from './client-hello-search.ts';
import { decodeLongHeader, decryptInitial, deriveClientKeys, type InitialKeys, VarintReader } from './quic-initial.ts';
import { decodeClientHello, HANDSHAKE_CLIENT_HELLO } from './tls-client-hello.ts';

const HANDSHAKE_HEADER_BYTES = 4;
const MAX_STREAM_BYTES = HANDSHAKE_HEADER_BYTES + MAX_CLIENT_HELLO_BYTES;
/** Of one datagram. */
const MAX_PACKETS = 8;

const FRAME_PADDING = 0x00;
const FRAME_PING = 0x01;
const FRAME_ACK = 0x02;
const FRAME_ACK_ECN = 0x03;
const FRAME_CRYPTO = 0x06;

/** Whether a datagram that begins with these bytes may begin with a QUIC packet that has a long header. */
export function beginsLongHeader(bytes: Uint8Array, at: number, end: number): boolean {
  return decodeLongHeader(bytes, at, end) !== null;
}

export class QuicSearch {
  #keys: InitialKeys | null = null;
  #client: Direction | null = null;
  #assembly = new ByteAssembly(MAX_STREAM_BYTES);

  take(packet: Packet, direction: Direction): SearchResult {
    if (this.#client !== null && direction !== this.#client) return undefined;
    const { bytes, ipEnd } = packet;
    let at = packet.payloadAt;
    for (let packets = 0; packets < MAX_PACKETS; packets++) {
      const header = decodeLongHeader(bytes, at, ipEnd);
      if (header === null) return undefined;
      if (header.isInitial) {
        let frames = this.#keys === null ? null : decryptInitial(bytes, at, header, this.#keys);
        if (frames === null) {
          const keys = deriveClientKeys(header.version, header.destinationId);
          frames = decryptInitial(bytes, at, header, keys);
          if (frames !== null) {
            this.#keys = keys;
            this.#client = direction;
            this.#assembly = new ByteAssembly(MAX_STREAM_BYTES);
          }
        }
        if (frames !== null) takeFrames(frames, this.#assembly);
        const found = readHello(this.#assembly);
        if (found !== undefined) return found;
      }
      at = header.end;
    }
    return undefined;
  }
}

function takeFrames(frames: Uint8Array, assembly: ByteAssembly): void {
  const reader = new VarintReader(frames, 0, frames.length);
  while (!reader.isPast && reader.at < frames.length) {
    const type = reader.read();
    if (type === FRAME_PADDING || type === FRAME_PING) continue;
    if (type === FRAME_CRYPTO) {
      const offset = reader.read();
      const size = reader.read();
      const at = reader.at;
      reader.skip(size);
      if (!reader.isPast) assembly.put(offset, frames, at, at + size);
    } else if (type === FRAME_ACK || type === FRAME_ACK_ECN) {
      reader.read();
      reader.read();
      // A gap and a length for each further range, after the first range's length; three counts of ECN.
      const ranges = reader.read();
      reader.read();
      for (let left = ranges * 2 + (type === FRAME_ACK_ECN ? 3 : 0); left > 0 && !reader.isPast; left--) reader.read();
    } else return;
  }
}

function readHello({ bytes, end }: ByteAssembly): SearchResult {
  if (end < HANDSHAKE_HEADER_BYTES) return undefined;
  const messageEnd = HANDSHAKE_HEADER_BYTES + ((bytes[1] << 16) | (bytes[2] << 8) | bytes[3]);
  if (bytes[0] !== HANDSHAKE_CLIENT_HELLO || messageEnd > MAX_STREAM_BYTES) return null;
  return end < messageEnd ? undefined : decodeClientHello(bytes, HANDSHAKE_HEADER_BYTES, messageEnd, false);
}
