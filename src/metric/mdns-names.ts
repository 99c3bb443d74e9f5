// Names that devices announce by multicast DNS: services, host names, what they call themselves.
//
//   | id (2) | flags (2): QR .. | questions (2) | answers (2) | authority (2) | additional (2) |
//   question   | name | type (2) | class (2) |
//   record     | owner name | type (2) | class (2) | TTL (4) | n (2) | data (n) |
//
// Specification: RFC 6762 (multicast DNS), RFC 1035 section 4.1 (message), RFC 2782 (SRV), RFC 6763 (services). A
// message that is cut or malformed gives the names before that.
import { integer } from '../check-option.ts';
import type { Packet } from '../classifier/packet.ts';
import { DnsNameReader } from './dns-name.ts';
import { FlowScratch } from './flow-scratch.ts';
import type { UserMetric } from './metric.ts';

const PROTOCOL_UDP = 17;
const MDNS_PORT = 5353;

const HEADER_BYTES = 12;
const FLAG_RESPONSE = 0x80;
const RECORD_HEAD_BYTES = 10;
const QUESTION_TAIL_BYTES = 4;
const TYPE_PTR = 12;
const TYPE_SRV = 33;
/** Priority, weight and port, which come before an SRV record's target. */
const SRV_HEAD_BYTES = 6;

const DEFAULT_LIMIT = 64;
const MAX_LIMIT = 65_536;

/** What `mdnsNames` can be told. */
export interface MdnsNamesOptions {
  /** Names of a flow at most, default 64; further ones are left out. */
  limit?: number;
  /** Also names that are asked for, and those that the asker knows already; default false. */
  questions?: boolean;
}

/** A flow's names, in a list for the record and in a set to find them by. */
interface MdnsState {
  readonly names: string[] | null;
  readonly seen: Set<string>;
}

const WITHOUT: MdnsState = { names: null, seen: new Set() };

/**
 * A metric: the names in the multicast DNS messages of a flow (UDP port 5353) that a device announces, such as
 * `['_ipp._tcp.local', 'Printer\\. 2nd floor._ipp._tcp.local', 'printer.local']`: of each record of a response, and of
 * each record that a probe claims, the owner's name, and for PTR and SRV records the name that they lead to. Each once,
 * in order of appearance. `null` for other flows.
 *
 * Labels are joined by dots, without one at the end; a dot or backslash within a label has a backslash before it.
 * Names beyond `limit` are left out. Only packets from or to port 5353 cost more than a look-up.
 *
 * @throws NfstreamError INVALID_OPTION for a limit that is none.
 */
export function mdnsNames(options: MdnsNamesOptions = {}): UserMetric<string[] | null> {
  const limit = integer('limit', options.limit, 1, MAX_LIMIT, DEFAULT_LIMIT);
  const hasQuestions = options.questions === true;
  const states = new FlowScratch<MdnsState>('mdnsNames');
  return (packet, flow) => {
    let state = states.get(flow);
    if (state === undefined) {
      state = isMdns(packet) ? { names: [], seen: new Set() } : WITHOUT;
      states.set(flow, state);
    }
    if (state.names !== null && state.names.length < limit && !packet.isLaterFragment) {
      takeMessage(packet.bytes, packet.payloadAt, packet.ipEnd, state, limit, hasQuestions);
    }
    return state.names;
  };
}

function isMdns({ ipProtocol, srcPort, dstPort }: Packet): boolean {
  return ipProtocol === PROTOCOL_UDP && (srcPort === MDNS_PORT || dstPort === MDNS_PORT);
}

function takeMessage(
  bytes: Uint8Array,
  at: number,
  end: number,
  state: MdnsState,
  limit: number,
  hasQuestions: boolean,
): void {
  if (end - at < HEADER_BYTES) return;
  const count = (index: number) => (bytes[at + 4 + index * 2] << 8) | bytes[at + 5 + index * 2];
  const isResponse = (bytes[at + 2] & FLAG_RESPONSE) !== 0;
  const names = state.names as string[];
  const reader = new DnsNameReader(bytes, at, end);
  const add = (name: string | null) => {
    if (name === null || name === '' || names.length >= limit || state.seen.has(name)) return;
    state.seen.add(name);
    names.push(name);
  };

  let next = at + HEADER_BYTES;
  for (let left = count(0); left > 0; left--) {
    const name = reader.read(next);
    if (name === null) return;
    if (hasQuestions) add(name);
    next = reader.next + QUESTION_TAIL_BYTES;
  }
  // Answers of a query are what the asker knows of others (RFC 6762 section 7.1), its authority section is what it
  // wants to be (section 8.2).
  for (let section = 1; section <= 3; section++) {
    const isAnnounced = hasQuestions || isResponse || section === 2;
    for (let left = count(section); left > 0; left--) {
      const owner = reader.read(next);
      if (owner === null) return;
      const head = reader.next;
      const data = head + RECORD_HEAD_BYTES;
      if (data > end) return;
      if (isAnnounced) add(owner);
      const type = (bytes[head] << 8) | bytes[head + 1];
      if (isAnnounced && type === TYPE_PTR) add(reader.read(data));
      if (isAnnounced && type === TYPE_SRV) add(reader.read(data + SRV_HEAD_BYTES));
      next = data + ((bytes[head + 8] << 8) | bytes[head + 9]);
    }
  }
}
