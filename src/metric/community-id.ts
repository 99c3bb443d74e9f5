// Community ID flow hashing, version 1: the same text for the same flow in every tool that knows it (Zeek, Suricata,
// Wireshark, Arkime), so that their records can be joined. Specification: corelight/community-id-spec, by its README.
//
//   "1:" + base64(SHA-1( seed (2) | address (4 or 16) | address | protocol (1) | 0 (1) [| port (2) | port (2)] ))
//
// The endpoint that is smaller, address first, comes first: both directions give the same. ICMP has its type as the
// first port and as the second the type of the message that answers; a message that none answers has its code there,
// and then the endpoints stay in the order of the packet.
import { createHash } from 'node:crypto';
import { integer } from '../check-option.ts';
import type { Packet } from '../classifier/packet.ts';
import { FlowScratch } from './flow-scratch.ts';
import type { UserMetric } from './metric.ts';

const PROTOCOL_ICMP = 1;
const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const PROTOCOL_ICMPV6 = 58;
const PROTOCOL_SCTP = 132;

/** Types of RFC 792, 950 and 1256, and the types that answer them (or that they answer). */
const ICMP_COUNTERPARTS: ReadonlyMap<number, number> = bothWays([
  [8, 0], // echo
  [10, 9], // router solicitation, advertisement
  [13, 14], // timestamp
  [15, 16], // information
  [17, 18], // address mask
]);

/** Types of RFC 4443, 2710, 4861, 4620 and 6275, likewise. */
const ICMPV6_COUNTERPARTS: ReadonlyMap<number, number> = bothWays([
  [128, 129], // echo
  [130, 131], // listener query, report
  [133, 134], // router solicitation, advertisement
  [135, 136], // neighbour solicitation, advertisement
  [139, 140], // node information
  [144, 145], // home agent address discovery
]);

function bothWays(pairs: readonly (readonly [number, number])[]): Map<number, number> {
  return new Map(pairs.flatMap(([a, b]) => [[a, b] as const, [b, a] as const]));
}

/** What `communityId` can be told. */
export interface CommunityIdOptions {
  /** 0 to 65535, default 0: tools agree on IDs only under the same seed. */
  seed?: number;
}

/**
 * A metric: the flow's Community ID version 1, such as `'1:LQU9qZlK+B5F3KDmev6m5PMibrg='`. For TCP, UDP and SCTP it
 * comes from addresses, protocol and ports, for ICMP and ICMPv6 from the type and code of the flow's first packet, for
 * other protocols from addresses and protocol. `''` for an ICMP flow whose first packet has no type and code captured.
 * The innermost IP header counts, VLAN and tunnel do not. Computed once, at the flow's first packet.
 *
 * @throws NfstreamError INVALID_OPTION for a seed out of range.
 */
export function communityId(options: CommunityIdOptions = {}): UserMetric<string> {
  const seed = integer('seed', options.seed, 0, 0xffff, 0);
  const ids = new FlowScratch<string>('communityId');
  return (packet, flow) => {
    let id = ids.get(flow);
    if (id === undefined) {
      id = computeId(packet, seed);
      ids.set(flow, id);
    }
    return id;
  };
}

/** Has room for two IPv6 addresses. */
const input = Buffer.alloc(40);

function computeId(packet: Packet, seed: number): string {
  const { bytes, ipAt, ipProtocol } = packet;
  const addressBytes = packet.version === 6 ? 16 : 4;
  const addressAt = ipAt + (addressBytes === 16 ? 8 : 12);
  let srcPort = packet.srcPort;
  let dstPort = packet.dstPort;
  let hasPorts = ipProtocol === PROTOCOL_TCP || ipProtocol === PROTOCOL_UDP || ipProtocol === PROTOCOL_SCTP;
  let isOneWay = false;
  if (ipProtocol === PROTOCOL_ICMP || ipProtocol === PROTOCOL_ICMPV6) {
    const { transportAt } = packet;
    if (packet.isLaterFragment || packet.ipEnd - transportAt < 2) return '';
    hasPorts = true;
    srcPort = bytes[transportAt];
    const counterpart = (ipProtocol === PROTOCOL_ICMP ? ICMP_COUNTERPARTS : ICMPV6_COUNTERPARTS).get(srcPort);
    isOneWay = counterpart === undefined;
    dstPort = counterpart ?? bytes[transportAt + 1];
  }

  const isSwapped = !isOneWay && isGreater(bytes, addressAt, addressBytes, srcPort, dstPort);
  let end = input.writeUInt16BE(seed, 0);
  const first = isSwapped ? addressBytes : 0;
  for (let i = 0; i < addressBytes; i++) {
    input[end + i] = bytes[addressAt + first + i];
    input[end + addressBytes + i] = bytes[addressAt + addressBytes - first + i];
  }
  end += 2 * addressBytes;
  input[end++] = ipProtocol;
  input[end++] = 0;
  if (hasPorts) {
    end = input.writeUInt16BE(isSwapped ? dstPort : srcPort, end);
    end = input.writeUInt16BE(isSwapped ? srcPort : dstPort, end);
  }
  return `1:${createHash('sha1').update(input.subarray(0, end)).digest('base64')}`;
}

/** Whether the source, whose address is at `at` and the destination's after it, comes after the destination. */
function isGreater(bytes: Uint8Array, at: number, addressBytes: number, srcPort: number, dstPort: number): boolean {
  for (let i = 0; i < addressBytes; i++) {
    const difference = bytes[at + i] - bytes[at + addressBytes + i];
    if (difference !== 0) return difference > 0;
  }
  return srcPort > dstPort;
}
