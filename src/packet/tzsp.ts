// TZSP (TaZmen Sniffer Protocol): frames as a remote sniffer saw them (UDP port 37008).
//
//   | version 1 | packet type | encapsulated protocol (2) | tags ... | frame ...
//   tag: | 0 padding | or | 1 end | or | type | length | data ... |
//
// Specification: none but Wireshark's description and MikroTik's manuals. Packet types 0 (received) and 1 (to be
// transmitted) carry a frame; encapsulated protocol 1 is Ethernet, 18 is 802.11.
import type { DecodeState } from './decode-state.ts';
import { ETHERTYPE_TRANSPARENT_ETHERNET, PAYLOAD_IEEE80211 } from './ether-type.ts';
import { decodeInside } from './ip-tunnel.ts';
import { SKIP_NOT_IP, SKIP_SHORT_HEADER, TUNNEL_TZSP } from './packet-columns.ts';

const HEADER_BYTES = 4;
const VERSION_1 = 1;
const TYPE_TRANSMIT = 1;
const ENCAPSULATED_ETHERNET = 1;
const ENCAPSULATED_IEEE80211 = 18;
const TAG_PADDING = 0;
const TAG_END = 1;

export function decodeTzsp(state: DecodeState, at: number, end: number): number {
  const view = state.view;
  if (end - at < HEADER_BYTES) return SKIP_SHORT_HEADER;
  if (view.getUint8(at) !== VERSION_1 || view.getUint8(at + 1) > TYPE_TRANSMIT) return SKIP_NOT_IP;
  const encapsulated = view.getUint16(at + 2);
  if (encapsulated !== ENCAPSULATED_ETHERNET && encapsulated !== ENCAPSULATED_IEEE80211) return SKIP_NOT_IP;
  let tagAt = at + HEADER_BYTES;
  for (;;) {
    if (end <= tagAt) return SKIP_SHORT_HEADER;
    const tag = view.getUint8(tagAt);
    if (tag === TAG_END) break;
    if (tag === TAG_PADDING) tagAt++;
    else if (end - tagAt < 2) return SKIP_SHORT_HEADER;
    else tagAt += 2 + view.getUint8(tagAt + 1);
  }
  const payload = encapsulated === ENCAPSULATED_ETHERNET ? ETHERTYPE_TRANSPARENT_ETHERNET : PAYLOAD_IEEE80211;
  return decodeInside(state, TUNNEL_TZSP << 24, payload, tagAt + 1, end);
}
