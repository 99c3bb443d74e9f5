// A TLS or DTLS ClientHello, taken apart as far as fingerprints need it.
//
//   handshake header   | type 1 |      length (3)      |
//                      DTLS: | message seq (2) | fragment offset (3) | fragment length (3) |
//   | legacy version (2) |  random (32)  |
//   | n | session id (n) |
//   | n | cookie (n) |                        DTLS only
//   |  n (2)  | cipher suites, 2 each |
//   | n | compression methods (n) |
//   |  n (2)  | extensions:  | type (2) | n (2) | data (n) | ...        absent before TLS 1.2, at will
//
// Specification: RFC 8446 section 4.1.2; DTLS: RFC 6347 section 4.2. Extensions: server_name (0), signature_algorithms
// (13), RFC 8446; ALPN (16), RFC 7301; supported_versions (43). GREASE values (RFC 8701) are kept; `isGrease` tells them.
// A body that contradicts itself gives null; so does one that is cut. Every read is checked against `end`.

export interface ClientHello {
  /** The version field of the message itself: 0x0303 for TLS 1.2 and 1.3. */
  legacyVersion: number;
  cipherSuites: number[];
  /** Types, in the order of the message. */
  extensions: number[];
  /** Of the extension supported_versions; empty without it. */
  supportedVersions: number[];
  /** Of the extension signature_algorithms; empty without it. */
  signatureAlgorithms: number[];
  /** Names of application protocols, in the client's order; copies. */
  applicationProtocols: Uint8Array[];
}

export const HANDSHAKE_CLIENT_HELLO = 1;

export const EXTENSION_SERVER_NAME = 0;
export const EXTENSION_SIGNATURE_ALGORITHMS = 13;
export const EXTENSION_ALPN = 16;
export const EXTENSION_SUPPORTED_VERSIONS = 43;

const RANDOM_BYTES = 32;

/** RFC 8701: both bytes equal, and the low half of each 0xa. */
export function isGrease(value: number): boolean {
  return (value & 0x0f0f) === 0x0a0a && value >> 8 === (value & 0xff);
}

/** Decodes the ClientHello whose body (after the handshake header) is `bytes[at, end)`. */
export function decodeClientHello(bytes: Uint8Array, at: number, end: number, isDtls: boolean): ClientHello | null {
  if (end > bytes.length || end - at < 2 + RANDOM_BYTES + 1) return null;
  const legacyVersion = uint16(bytes, at);
  let next = at + 2 + RANDOM_BYTES;
  next += 1 + bytes[next];
  if (isDtls) {
    if (next >= end) return null;
    next += 1 + bytes[next];
  }
  if (end - next < 2) return null;
  const suitesEnd = next + 2 + uint16(bytes, next);
  if (suitesEnd >= end || (suitesEnd - next) % 2 !== 0) return null;
  const hello: ClientHello = {
    legacyVersion,
    cipherSuites: uint16List(bytes, next + 2, suitesEnd),
    extensions: [],
    supportedVersions: [],
    signatureAlgorithms: [],
    applicationProtocols: [],
  };
  next = suitesEnd + 1 + bytes[suitesEnd];
  if (next === end) return hello;
  if (end - next < 2) return null;
  const extensionsEnd = next + 2 + uint16(bytes, next);
  if (extensionsEnd > end) return null;
  return decodeExtensions(hello, bytes, next + 2, extensionsEnd) ? hello : null;
}

function decodeExtensions(hello: ClientHello, bytes: Uint8Array, at: number, end: number): boolean {
  let next = at;
  while (next < end) {
    if (end - next < 4) return false;
    const type = uint16(bytes, next);
    const data = next + 4;
    next = data + uint16(bytes, next + 2);
    if (next > end) return false;
    hello.extensions.push(type);
    if (type === EXTENSION_SUPPORTED_VERSIONS && next > data) {
      hello.supportedVersions = uint16List(bytes, data + 1, Math.min(data + 1 + bytes[data], next));
    } else if (type === EXTENSION_SIGNATURE_ALGORITHMS && next - data >= 2) {
      hello.signatureAlgorithms = uint16List(bytes, data + 2, Math.min(data + 2 + uint16(bytes, data), next));
    } else if (type === EXTENSION_ALPN && next - data >= 2) {
      hello.applicationProtocols = shortStrings(bytes, data + 2, Math.min(data + 2 + uint16(bytes, data), next));
    }
  }
  return true;
}

function uint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function uint16List(bytes: Uint8Array, at: number, end: number): number[] {
  const values: number[] = [];
  for (let next = at; next + 2 <= end; next += 2) values.push(uint16(bytes, next));
  return values;
}

/** Strings with a length byte each, up to the first that does not fit. */
function shortStrings(bytes: Uint8Array, at: number, end: number): Uint8Array[] {
  const strings: Uint8Array[] = [];
  let next = at;
  while (next < end) {
    const stringEnd = next + 1 + bytes[next];
    if (stringEnd > end) break;
    strings.push(bytes.slice(next + 1, stringEnd));
    next = stringEnd;
  }
  return strings;
}
