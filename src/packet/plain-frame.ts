// The fast path of the packet stage: plain frames of a batch to columns, in one loop and one function body.
//
//   Ethernet [802.1Q tag] ──► IPv4 without options, no fragment ──► TCP | UDP, header captured whole
//                         └─► IPv6 without extension headers    ──► (and no port of a tunnel)
//
// That is nearly all of most traffic. Rows of any other frame get the status NOT_PLAIN and are left to the functions of
// the layers (packet-decoder.ts), which alone say what a frame means: whatever is decoded here, they decode to the very
// same columns, and test/packet/plain-frame.test.ts holds the two together.
//
// HOT PATH: 18 to 30 ns a frame, where the layers take 36 to 52. They pay for calls, for the state between calls and for
// constants of other modules, which V8 loads from memory where it folds those of this one. Hence the copies below, which
// the same test compares with their originals.
import type { PacketBatch } from '../source/source.ts';
import type { PacketColumns } from './packet-columns.ts';

/** Status, between the two passes of a decode only, of rows that are not plain. Far above any index of SKIP_REASONS. */
export const NOT_PLAIN = 255;

// Copies, in this order, of METERED, KEY_WORDS, KEY_DST, KEY_PORTS, KEY_META and KEY_TUNNEL ...
const METERED = 0;
const KEY_WORDS = 11;
const KEY_DST = 4;
const KEY_PORTS = 8;
const KEY_META = 9;
const KEY_TUNNEL = 10;
// ... of packet-columns.ts, of link-layer.ts, ether-type.ts and ip-protocol.ts ...
const LINKTYPE_ETHERNET = 1;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
// ... and of the ports of ip-tunnel.ts.
const PORT_GTP_U = 2152;
const PORT_VXLAN = 4789;
const PORT_VXLAN_LINUX = 8472;
const PORT_GENEVE = 6081;
const PORT_CAPWAP_DATA = 5247;
const PORT_TZSP = 37008;

const ETHERNET_HEADER_BYTES = 14;
const ETHERNET_SRC = 6;
const VLAN_TAG_BYTES = 4;
const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
/** Least bytes of a plain frame. */
const MIN_FRAME_BYTES = ETHERNET_HEADER_BYTES + IPV4_HEADER_BYTES + UDP_HEADER_BYTES;
/** Version 4, header of five words. */
const IPV4_PLAIN_HEADER = 0x45;
/** More fragments, and the offset. */
const IPV4_FRAGMENT = 0x3fff;
const IPV4_VERSION_BITS = 4 << 8;
const IPV6_VERSION_BITS = 6 << 8;

/**
 * Decodes the rows with the status METERED whose frames are plain, and gives the others of them NOT_PLAIN. Returns how
 * many those are.
 */
export function decodePlainFrames(
  batch: PacketBatch,
  columns: PacketColumns,
  snaplen: number,
  decodeTunnels: boolean,
): number {
  const { count, view, frameAt, capturedLength, linkType } = batch;
  const { status, key, tcpFlags, isLaterFragment } = columns;
  const { srcMacAt, dstMacAt, ipAt, ipSize, transportAt, payloadAt, ipEnd } = columns;
  let others = 0;
  for (let row = 0; row < count; row++) {
    if (status[row] !== METERED) continue;
    // Until the end of this turn, so that whatever is not plain needs only `continue`.
    status[row] = NOT_PLAIN;
    others++;
    const frame = frameAt[row];
    const frameEnd = frame + Math.min(capturedLength[row], snaplen);
    if (linkType[row] !== LINKTYPE_ETHERNET || frameEnd - frame < MIN_FRAME_BYTES) continue;

    let ip = frame + ETHERNET_HEADER_BYTES;
    let etherType = view.getUint16(frame + 12);
    let vlan = 0;
    if (etherType === ETHERTYPE_VLAN) {
      vlan = view.getUint16(ip) & 0xfff;
      etherType = view.getUint16(ip + 2);
      ip += VLAN_TAG_BYTES;
    }

    const keyAt = row * KEY_WORDS;
    let transport: number;
    let size: number;
    let protocol: number;
    let version: number;
    if (etherType === ETHERTYPE_IPV4) {
      transport = ip + IPV4_HEADER_BYTES;
      if (transport + UDP_HEADER_BYTES > frameEnd) continue;
      const first = view.getInt32(ip);
      if (first >>> 24 !== IPV4_PLAIN_HEADER || (view.getUint16(ip + 6) & IPV4_FRAGMENT) !== 0) continue;
      size = first & 0xffff;
      protocol = view.getUint8(ip + 9);
      version = IPV4_VERSION_BITS;
      key[keyAt] = view.getInt32(ip + 12);
      key[keyAt + 1] = 0;
      key[keyAt + 2] = 0;
      key[keyAt + 3] = 0;
      key[keyAt + KEY_DST] = view.getInt32(ip + 16);
      key[keyAt + KEY_DST + 1] = 0;
      key[keyAt + KEY_DST + 2] = 0;
      key[keyAt + KEY_DST + 3] = 0;
    } else if (etherType === ETHERTYPE_IPV6) {
      transport = ip + IPV6_HEADER_BYTES;
      if (transport + UDP_HEADER_BYTES > frameEnd || view.getUint8(ip) >> 4 !== 6) continue;
      const second = view.getInt32(ip + 4);
      // Payload length 0 gives a size without room for a transport header: not plain, as it must be.
      size = IPV6_HEADER_BYTES + (second >>> 16);
      protocol = (second >>> 8) & 0xff;
      version = IPV6_VERSION_BITS;
      key[keyAt] = view.getInt32(ip + 8);
      key[keyAt + 1] = view.getInt32(ip + 12);
      key[keyAt + 2] = view.getInt32(ip + 16);
      key[keyAt + 3] = view.getInt32(ip + 20);
      key[keyAt + KEY_DST] = view.getInt32(ip + 24);
      key[keyAt + KEY_DST + 1] = view.getInt32(ip + 28);
      key[keyAt + KEY_DST + 2] = view.getInt32(ip + 32);
      key[keyAt + KEY_DST + 3] = view.getInt32(ip + 36);
    } else {
      continue;
    }

    const end = Math.min(ip + size, frameEnd);
    const ports = view.getInt32(transport);
    if (protocol === PROTOCOL_TCP) {
      if (end - transport < TCP_HEADER_BYTES) continue;
      const offsetAndFlags = view.getUint16(transport + 12);
      const headerBytes = Math.max((offsetAndFlags >> 12) * 4, TCP_HEADER_BYTES);
      tcpFlags[row] = offsetAndFlags & 0xff;
      payloadAt[row] = Math.min(transport + headerBytes, end);
    } else if (protocol === PROTOCOL_UDP) {
      if (end - transport < UDP_HEADER_BYTES) continue;
      if (decodeTunnels) {
        const dstPort = ports & 0xffff;
        if (
          dstPort === PORT_GTP_U ||
          dstPort === PORT_VXLAN ||
          dstPort === PORT_VXLAN_LINUX ||
          dstPort === PORT_GENEVE ||
          dstPort === PORT_CAPWAP_DATA ||
          dstPort === PORT_TZSP ||
          ports >>> 16 === PORT_CAPWAP_DATA
        ) {
          continue;
        }
      }
      tcpFlags[row] = 0;
      payloadAt[row] = transport + UDP_HEADER_BYTES;
    } else {
      continue;
    }

    key[keyAt + KEY_PORTS] = ports;
    key[keyAt + KEY_META] = protocol | version | (vlan << 16);
    key[keyAt + KEY_TUNNEL] = 0;
    isLaterFragment[row] = 0;
    srcMacAt[row] = frame + ETHERNET_SRC;
    dstMacAt[row] = frame;
    ipAt[row] = ip;
    ipSize[row] = size;
    transportAt[row] = transport;
    ipEnd[row] = end;
    status[row] = METERED;
    others--;
  }
  return others;
}
