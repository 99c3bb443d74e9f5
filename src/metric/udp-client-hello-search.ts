// Looks for the ClientHello in the datagrams of one flow: DTLS or QUIC, as the datagrams' first bytes tell. Other
// datagrams (STUN before DTLS) are passed over.
import type { Direction } from '../classifier/classifier.ts';
import type { Packet } from '../classifier/packet.ts';
import { type ClientHelloSearch, MAX_SEARCHED_PACKETS, type SearchResult } from './client-hello-search.ts';
import { beginsDtlsHandshake, DtlsSearch } from './dtls-search.ts';
import { beginsLongHeader, QuicSearch } from './quic-search.ts';

export class UdpSearch implements ClientHelloSearch {
  #transport: 'd' | 'q' = 'd';
  #dtls: DtlsSearch | null = null;
  #quic: QuicSearch | null = null;
  #packetsLeft = MAX_SEARCHED_PACKETS;

  get transport(): 'd' | 'q' {
    return this.#transport;
  }

  take(packet: Packet, direction: Direction): SearchResult {
    if (packet.isLaterFragment || packet.payloadSize === 0) return undefined;
    const { bytes, payloadAt, ipEnd } = packet;
    let found: SearchResult;
    if (beginsDtlsHandshake(bytes, payloadAt, ipEnd)) {
      this.#transport = 'd';
      this.#dtls ??= new DtlsSearch();
      found = this.#dtls.take(packet);
    } else if (beginsLongHeader(bytes, payloadAt, ipEnd)) {
      this.#transport = 'q';
      this.#quic ??= new QuicSearch();
      found = this.#quic.take(packet, direction);
    }
    if (found !== undefined) return found;
    return --this.#packetsLeft > 0 ? undefined : null;
  }
}
