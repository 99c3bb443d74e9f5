// Looks for the ClientHello in the datagrams of one flow: DTLS.
//
//   record      | type 22 | version 254.x (2) | epoch (2) | sequence (6) | length (2) | handshake messages
//   handshake   | type 1 | length (3) | message seq (2) | fragment offset (3) | fragment length (3) | fragment
//
// Specification: RFC 6347 section 4.2; RFC 9147 section 4 leaves the first flight as it was. A datagram may hold several
// records, a record several messages, and a message may come in fragments. The first ClientHello that is whole counts:
// the one that a server answers with HelloVerifyRequest is fingerprinted like the one after it. Clear text (epoch 0)
// alone is read.
import type { Packet } from '../classifier/packet.ts';
import { ByteAssembly } from './byte-assembly.ts';
import { CONTENT_HANDSHAKE, MAX_CLIENT_HELLO_BYTES, type SearchResult } from './client-hello-search.ts';
import { decodeClientHello, HANDSHAKE_CLIENT_HELLO } from './tls-client-hello.ts';

const RECORD_HEADER_BYTES = 13;
const HANDSHAKE_HEADER_BYTES = 12;
const VERSION_MAJOR = 0xfe;
/** 0x0100, DTLS before it was standardised, which some VPNs still speak. */
const OLD_VERSION_MAJOR = 1;

/** Whether a datagram that begins with these bytes may be DTLS's first flight. */
export function beginsDtlsHandshake(bytes: Uint8Array, at: number, end: number): boolean {
  return (
    end - at >= RECORD_HEADER_BYTES + HANDSHAKE_HEADER_BYTES &&
    bytes[at] === CONTENT_HANDSHAKE &&
    (bytes[at + 1] === VERSION_MAJOR || (bytes[at + 1] === OLD_VERSION_MAJOR && bytes[at + 2] === 0)) &&
    bytes[at + 3] === 0 &&
    bytes[at + 4] === 0
  );
}

export class DtlsSearch {
  #assembly = new ByteAssembly(MAX_CLIENT_HELLO_BYTES);
  #messageSeq = -1;
  #messageBytes = 0;

  take(packet: Packet): SearchResult {
    const { bytes, ipEnd } = packet;
    let at = packet.payloadAt;
    while (beginsDtlsHandshake(bytes, at, ipEnd)) {
      const recordEnd = at + RECORD_HEADER_BYTES + ((bytes[at + 11] << 8) | bytes[at + 12]);
      const found = this.#takeRecord(bytes, at + RECORD_HEADER_BYTES, Math.min(recordEnd, ipEnd));
      if (found !== undefined) return found;
      at = recordEnd;
    }
    return undefined;
  }

  #takeRecord(bytes: Uint8Array, recordAt: number, end: number): SearchResult {
    let at = recordAt;
    while (end - at >= HANDSHAKE_HEADER_BYTES) {
      const fragmentAt = at + HANDSHAKE_HEADER_BYTES;
      const fragmentBytes = uint24(bytes, at + 9);
      const isClientHello = bytes[at] === HANDSHAKE_CLIENT_HELLO;
      if (isClientHello) this.#takeFragment(bytes, at, fragmentAt, Math.min(fragmentAt + fragmentBytes, end));
      if (this.#messageBytes > 0 && this.#assembly.end >= this.#messageBytes) {
        return decodeClientHello(this.#assembly.bytes, 0, this.#messageBytes, true);
      }
      at = fragmentAt + fragmentBytes;
    }
    return undefined;
  }

  #takeFragment(bytes: Uint8Array, headerAt: number, at: number, end: number): void {
    const messageBytes = uint24(bytes, headerAt + 1);
    const messageSeq = (bytes[headerAt + 4] << 8) | bytes[headerAt + 5];
    if (messageBytes > MAX_CLIENT_HELLO_BYTES) return;
    if (messageSeq !== this.#messageSeq || messageBytes !== this.#messageBytes) {
      this.#assembly = new ByteAssembly(MAX_CLIENT_HELLO_BYTES);
      this.#messageSeq = messageSeq;
      this.#messageBytes = messageBytes;
    }
    this.#assembly.put(uint24(bytes, headerAt + 6), bytes, at, end);
  }
}

function uint24(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 16) | (bytes[at + 1] << 8) | bytes[at + 2];
}
