// Options that DHCPv4 clients send: what a device says about itself when it joins a network.
//
//   | op 1 | htype | hlen | hops |    xid (4)    |   secs (2)   |   flags (2)   |
//   | ciaddr (4) | yiaddr (4) | siaddr (4) | giaddr (4) |
//   |                  chaddr (16)                 | sname (64) | file (128) |
//   | magic cookie 99 130 83 99 | options:  | code | n | n bytes | ...  0 pads, 255 ends
//
// Specification: RFC 2131 section 2, RFC 2132; option 52 (overload) puts more options into file and sname; an option
// that comes twice in a message is one that was too long, and is joined (RFC 3396). A message that is cut gives the
// options that are whole.
import type { Packet } from '../classifier/packet.ts';
import { ipv4Text } from '../flow/address-text.ts';
import { decodeOption, MESSAGE_TYPE } from './dhcp-option-values.ts';
import { FlowScratch } from './flow-scratch.ts';
import type { UserMetric } from './metric.ts';

const PROTOCOL_UDP = 17;
const SERVER_PORT = 67;
const CLIENT_PORT = 68;

const OP_BOOTREQUEST = 1;
const HARDWARE_LENGTH_AT = 2;
const CLIENT_ADDRESS_AT = 12;
const HARDWARE_AT = 28;
const MAX_HARDWARE_BYTES = 16;
const SERVER_NAME_AT = 44;
const FILE_AT = 108;
const MAGIC_COOKIE_AT = 236;
const OPTIONS_AT = 240;

const CODE_PAD = 0;
const CODE_OVERLOAD = 52;
const CODE_END = 255;
const OVERLOAD_FILE = 1;
const OVERLOAD_SERVER_NAME = 2;

/** Clients told apart in one flow. */
const MAX_CLIENTS = 64;

/** Of one client: its hardware address as `mac`, and by its code each option that it sent. */
export type DhcpClient = { [code: string]: string | number | number[] | string[] };

/** The options of the first client of a flow; those of `others`, by their hardware addresses, where there are any. */
export type DhcpOptions = { [code: string]: string | number | number[] | string[] | { [mac: string]: DhcpClient } };

/** A flow's clients by hardware address; `value` is the first one's. */
interface DhcpState {
  value: DhcpOptions | null;
  readonly clients: Map<string, DhcpClient>;
}

const WITHOUT: DhcpState = { value: null, clients: new Map() };

/**
 * A metric: the options that a DHCPv4 client sent, by their codes, such as `{ mac: '02:00:5e:10:00:01', '12': 'laptop',
 * '53': ['DISCOVER', 'REQUEST'], '55': [1, 3, 6, 15], '60': 'MSFT 5.0' }`. `null` while there is no message of a client.
 *
 * | code | value |
 * |---|---|
 * | `mac` | the client's hardware address, hexadecimal with colons |
 * | 12 host name, 15 domain name, 60 vendor class | text |
 * | 50 requested address, 54 server | text |
 * | 53 message types | names (`DISCOVER`, `REQUEST`, ...; a number as text where there is none), each once, in order of appearance |
 * | 55 parameter request list | numbers, in the client's order |
 * | 57 longest message | number, bytes |
 * | 77 user class | texts (RFC 3004; the one text where the client sends it without lengths) |
 * | 81 client's domain name | text (RFC 4702) |
 * | 61 client identifier, and all others, and what has a wrong length | hexadecimal text |
 *
 * An option of a later message replaces that of an earlier one, but for 53. Clients that have no address yet share one
 * flow (0.0.0.0 to 255.255.255.255): the flow's first client stands at the top, the others (63 at most) in `others`, by
 * hardware address. What servers and relays answer is not read. Only datagrams from or to port 67 and 68 cost more than
 * a look-up.
 */
export function dhcpOptions(): UserMetric<DhcpOptions | null> {
  const states = new FlowScratch<DhcpState>('dhcpOptions');
  return (packet, flow) => {
    let state = states.get(flow);
    if (state === undefined) {
      state = isDhcpPort(packet) ? { value: null, clients: new Map() } : WITHOUT;
      states.set(flow, state);
    }
    if (state !== WITHOUT) takeMessage(packet, state);
    return state.value;
  };
}

function isDhcpPort({ ipProtocol, srcPort, dstPort }: Packet): boolean {
  if (ipProtocol !== PROTOCOL_UDP) return false;
  return srcPort === SERVER_PORT || srcPort === CLIENT_PORT || dstPort === SERVER_PORT || dstPort === CLIENT_PORT;
}

function takeMessage(packet: Packet, state: DhcpState): void {
  if (packet.isLaterFragment) return;
  const { bytes, payloadAt, ipEnd } = packet;
  const message = bytes.subarray(Math.min(payloadAt, ipEnd), ipEnd);
  if (message.length < OPTIONS_AT || message[0] !== OP_BOOTREQUEST || !hasMagicCookie(message)) return;
  const mac = hardwareAddress(message);
  let client = state.clients.get(mac);
  if (client === undefined) {
    if (state.clients.size === MAX_CLIENTS) return;
    client = { mac };
    state.clients.set(mac, client);
    if (state.value === null) state.value = client;
    else {
      state.value.others ??= {};
      (state.value.others as Record<string, DhcpClient>)[mac] = client;
    }
  }
  for (const [code, data] of readOptions(message)) {
    const value = decodeOption(code, data);
    const before = client[code];
    if (code === MESSAGE_TYPE && Array.isArray(value) && Array.isArray(before)) {
      const types = before as string[];
      for (const type of value as string[]) if (!types.includes(type)) types.push(type);
    } else client[code] = value;
  }
}

function hasMagicCookie(message: Uint8Array): boolean {
  return (
    message[MAGIC_COOKIE_AT] === 99 &&
    message[MAGIC_COOKIE_AT + 1] === 130 &&
    message[MAGIC_COOKIE_AT + 2] === 83 &&
    message[MAGIC_COOKIE_AT + 3] === 99
  );
}

/** A client without a hardware address (RFC 4390, say) is known by the address that it has. */
function hardwareAddress(message: Uint8Array): string {
  const size = Math.min(message[HARDWARE_LENGTH_AT], MAX_HARDWARE_BYTES);
  if (size === 0) {
    const view = new DataView(message.buffer, message.byteOffset);
    return ipv4Text(view.getUint32(CLIENT_ADDRESS_AT));
  }
  return Array.from(message.subarray(HARDWARE_AT, HARDWARE_AT + size), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join(':');
}

/** Each option's bytes by its code: of the field for options first, then of file, then of sname (RFC 3396 section 5). */
function readOptions(message: Uint8Array): Map<number, Uint8Array> {
  const parts = new Map<number, Uint8Array[]>();
  readField(message, OPTIONS_AT, message.length, parts);
  const overload = parts.get(CODE_OVERLOAD)?.[0][0] ?? 0;
  if ((overload & OVERLOAD_FILE) !== 0) readField(message, FILE_AT, MAGIC_COOKIE_AT, parts);
  if ((overload & OVERLOAD_SERVER_NAME) !== 0) readField(message, SERVER_NAME_AT, FILE_AT, parts);
  const options = new Map<number, Uint8Array>();
  for (const [code, list] of parts) options.set(code, list.length === 1 ? list[0] : Buffer.concat(list));
  return options;
}

function readField(message: Uint8Array, from: number, end: number, parts: Map<number, Uint8Array[]>): void {
  let at = from;
  while (at < end) {
    const code = message[at++];
    if (code === CODE_END) return;
    if (code === CODE_PAD) continue;
    if (at >= end) return;
    const dataEnd = at + 1 + message[at];
    if (dataEnd > end) return;
    const data = message.subarray(at + 1, dataEnd);
    const before = parts.get(code);
    if (before === undefined) parts.set(code, [data]);
    else before.push(data);
    at = dataEnd;
  }
}
