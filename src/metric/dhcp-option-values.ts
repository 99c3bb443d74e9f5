// The bytes of a DHCPv4 option as a value, by the option's code: text, numbers and lists where the option tells a
// device, hexadecimal text for all others. Specification: RFC 2132 sections 3 and 9; RFC 3004 (77); RFC 4702 (81).
// Any bytes give a value: those that break the option's own rules give hexadecimal text.
import { ipv4Text } from '../flow/address-text.ts';
import { DnsNameReader } from './dns-name.ts';

const HOST_NAME = 12;
const DOMAIN_NAME = 15;
const REQUESTED_ADDRESS = 50;
export const MESSAGE_TYPE = 53;
const SERVER_IDENTIFIER = 54;
const PARAMETER_REQUEST_LIST = 55;
const MAX_MESSAGE_SIZE = 57;
const VENDOR_CLASS = 60;
const USER_CLASS = 77;
const CLIENT_FQDN = 81;

/** By the number that option 53 holds: RFC 2132 section 9.6, RFC 3203, 4388, 6926 and 7724. */
const MESSAGE_TYPES = [
  '',
  'DISCOVER',
  'OFFER',
  'REQUEST',
  'DECLINE',
  'ACK',
  'NAK',
  'RELEASE',
  'INFORM',
  'FORCERENEW',
  'LEASEQUERY',
  'LEASEUNASSIGNED',
  'LEASEUNKNOWN',
  'LEASEACTIVE',
  'BULKLEASEQUERY',
  'LEASEQUERYDONE',
  'ACTIVELEASEQUERY',
  'LEASEQUERYSTATUS',
  'TLS',
];

/** The client's name is in the DNS's own format (RFC 4702 section 2.1). */
const FQDN_FLAG_ENCODED = 0x04;
const FQDN_NAME_AT = 3;

/** Keeps U+FEFF at the beginning, too: what was sent is shown. */
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** The value of option `code`. See `dhcpOptions` for what it is by code. */
export function decodeOption(code: number, data: Uint8Array): string | number | number[] | string[] {
  switch (code) {
    case HOST_NAME:
    case DOMAIN_NAME:
    case VENDOR_CLASS:
      return text(data);
    case REQUESTED_ADDRESS:
    case SERVER_IDENTIFIER:
      return data.length === 4 ? ipv4Text((data[0] << 24) | (data[1] << 16) | (data[2] << 8) | data[3]) : hex(data);
    case MESSAGE_TYPE:
      return data.length === 1 ? [MESSAGE_TYPES[data[0]] || String(data[0])] : hex(data);
    case PARAMETER_REQUEST_LIST:
      return Array.from(data);
    case MAX_MESSAGE_SIZE:
      return data.length === 2 ? (data[0] << 8) | data[1] : hex(data);
    case USER_CLASS:
      return userClasses(data);
    case CLIENT_FQDN:
      return fqdn(data);
    default:
      return hex(data);
  }
}

/** UTF-8, which includes the ASCII that the RFCs ask for; zeros at the end, which some clients send, are cut. */
function text(data: Uint8Array): string {
  let end = data.length;
  while (end > 0 && data[end - 1] === 0) end--;
  return decoder.decode(data.subarray(0, end));
}

function hex(data: Uint8Array): string {
  return Buffer.from(data.buffer, data.byteOffset, data.length).toString('hex');
}

/** Texts with a length byte each; where the lengths don't fill the option, the client has sent one text without. */
function userClasses(data: Uint8Array): string[] {
  const classes: string[] = [];
  let at = 0;
  while (at < data.length) {
    const end = at + 1 + data[at];
    if (end > data.length || end === at + 1) return [text(data)];
    classes.push(text(data.subarray(at + 1, end)));
    at = end;
  }
  return classes;
}

function fqdn(data: Uint8Array): string {
  if (data.length < FQDN_NAME_AT) return hex(data);
  if ((data[0] & FQDN_FLAG_ENCODED) === 0) return text(data.subarray(FQDN_NAME_AT));
  // A name that is not absolute lacks the root label at its end: the option's end is its end.
  const name = new Uint8Array(data.length - FQDN_NAME_AT + 1);
  name.set(data.subarray(FQDN_NAME_AT));
  const reader = new DnsNameReader(name, 0, name.length);
  return reader.read(0) ?? hex(data);
}
