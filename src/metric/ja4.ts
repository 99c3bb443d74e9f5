// JA4, the fingerprint of a TLS client: its ClientHello in 36 characters that stay the same when a browser shuffles its
// extensions. The client part alone of what its authors, FoxIO, call JA4+. Specification: FoxIO-LLC/ja4,
// technical_details/JA4.md; GREASE values (RFC 8701) count nowhere.
//
//   t 13 d 15 16 h2 _ 8daaf6152771 _ e5627efa2ab1
//   |  | |  |  |  |   |              SHA-256 of extension types, sorted, and signature algorithms, as they came
//   |  | |  |  |  |   SHA-256 of cipher suites, sorted
//   |  | |  |  |  first and last character of the first application protocol
//   |  | |  |  number of extensions
//   |  | |  number of cipher suites
//   |  | server name sent: d, or not: i
//   |  version
//   t TCP, d DTLS, q QUIC
import { createHash } from 'node:crypto';
import type { Direction } from '../classifier/classifier.ts';
import type { Packet } from '../classifier/packet.ts';
import { type ClientHelloSearch, type SearchResult, TlsSearch } from './client-hello-search.ts';
import { FlowScratch } from './flow-scratch.ts';
import type { UserMetric } from './metric.ts';
import { type ClientHello, EXTENSION_ALPN, EXTENSION_SERVER_NAME, isGrease } from './tls-client-hello.ts';
import { UdpSearch } from './udp-client-hello-search.ts';

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;

/** How the ClientHello travels: the fingerprint's first character. */
export type Ja4Transport = 't' | 'd' | 'q';

/** A list that is empty has no hash but this. */
const NOTHING = '000000000000';
const HASH_CHARACTERS = 12;
const MAX_COUNT = 99;

const VERSIONS: ReadonlyMap<number, string> = new Map([
  [0x0002, 's2'],
  [0x0300, 's3'],
  [0x0301, '10'],
  [0x0302, '11'],
  [0x0303, '12'],
  [0x0304, '13'],
  [0xfeff, 'd1'],
  [0xfefd, 'd2'],
  [0xfefc, 'd3'],
]);

/** A flow's fingerprint once `search` is null. */
interface Ja4State {
  readonly fingerprint: string | null;
  readonly search: ClientHelloSearch | null;
}

const WITHOUT: Ja4State = { fingerprint: null, search: null };

/**
 * A metric: the JA4 fingerprint of the flow's first ClientHello, such as `'t13d1516h2_8daaf6152771_e5627efa2ab1'`:
 * TLS over TCP (`t`), DTLS (`d`) and QUIC (`q`) over UDP. `null` until the ClientHello is complete, and for flows that
 * have none. Segments out of order and repeated are put in place, records and fragments joined.
 *
 * It is looked for in the first 64 packets with a payload, either way, up to 16 KB. After that a packet costs one
 * look-up in the flow's scratch space. Hashed once a flow.
 *
 * Over TCP it has to begin a segment, so it is found after STARTTLS or a proxy's CONNECT; right behind a header of the
 * PROXY protocol (versions 1 and 2), too. QUIC is read in versions 1 and 2, drafts 23 to 34 and Meta's versions of it.
 *
 * DIFFERS: tshark also looks into protocols that carry TLS in frames of their own (OpenVPN, RDP over UDP) and into
 * Google's QUIC T051; here those are `null`. tshark finds TLS on ports that it doesn't expect it on only sometimes.
 */
export function ja4(): UserMetric<string | null> {
  const states = new FlowScratch<Ja4State>('ja4');
  return (packet, flow, direction) => {
    let state = states.get(flow);
    if (state === undefined) {
      state = { fingerprint: null, search: openSearch(packet) };
      states.set(flow, state.search === null ? WITHOUT : state);
    }
    return state.search === null ? state.fingerprint : advance(state.search, packet, direction, states, flow);
  };
}

function openSearch(packet: Packet): ClientHelloSearch | null {
  const { ipProtocol } = packet;
  if (ipProtocol === PROTOCOL_TCP) return new TlsSearch();
  return ipProtocol === PROTOCOL_UDP ? new UdpSearch() : null;
}

function advance(
  search: ClientHelloSearch,
  packet: Packet,
  direction: Direction,
  states: FlowScratch<Ja4State>,
  flow: Parameters<FlowScratch<Ja4State>['set']>[0],
): string | null {
  const found: SearchResult = search.take(packet, direction);
  if (found === undefined) return null;
  const fingerprint = found === null ? null : fingerprintOf(found, search.transport);
  states.set(flow, fingerprint === null ? WITHOUT : { fingerprint, search: null });
  return fingerprint;
}

/** The JA4 fingerprint of a ClientHello. */
export function fingerprintOf(hello: ClientHello, transport: Ja4Transport): string {
  const suites = hello.cipherSuites.filter((suite) => !isGrease(suite));
  const extensions = hello.extensions.filter((type) => !isGrease(type));
  const algorithms = hello.signatureAlgorithms.filter((algorithm) => !isGrease(algorithm));
  const hashed = extensions.filter((type) => type !== EXTENSION_SERVER_NAME && type !== EXTENSION_ALPN);
  const tail = algorithms.length === 0 ? '' : `_${hexList(algorithms)}`;
  return [
    transport +
      version(hello) +
      (extensions.includes(EXTENSION_SERVER_NAME) ? 'd' : 'i') +
      count(suites) +
      count(extensions) +
      protocolEnds(hello.applicationProtocols),
    suites.length === 0 ? NOTHING : hash(hexList(suites.sort(ascending))),
    hashed.length === 0 ? NOTHING : hash(hexList(hashed.sort(ascending)) + tail),
  ].join('_');
}

/** The greatest value of supported_versions, as the specification says (of DTLS 1.3 and 1.2 that is 1.2). */
function version(hello: ClientHello): string {
  const offered = hello.supportedVersions.filter((value) => !isGrease(value));
  const value = offered.length === 0 ? hello.legacyVersion : Math.max(...offered);
  return VERSIONS.get(value) ?? '00';
}

function count(list: readonly number[]): string {
  return String(Math.min(list.length, MAX_COUNT)).padStart(2, '0');
}

/** First and last character of the first protocol; of its hexadecimal text if one of the two is no letter or digit. */
function protocolEnds(protocols: readonly Uint8Array[]): string {
  const name = protocols.find((bytes) => !(bytes.length === 2 && isGrease((bytes[0] << 8) | bytes[1])));
  if (name === undefined || name.length === 0) return '00';
  const first = name[0];
  const last = name[name.length - 1];
  if (isAlphanumeric(first) && isAlphanumeric(last)) return String.fromCharCode(first, last);
  return (first >> 4).toString(16) + (last & 0x0f).toString(16);
}

function isAlphanumeric(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function hexList(values: readonly number[]): string {
  return values.map((value) => value.toString(16).padStart(4, '0')).join(',');
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, HASH_CHARACTERS);
}

function ascending(a: number, b: number): number {
  return a - b;
}
