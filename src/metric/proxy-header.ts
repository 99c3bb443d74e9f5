// Measures the header of the PROXY protocol, by which a load balancer tells a server the client's address. It comes once,
// before the connection's first bytes and often in one segment with them.
//
//   version 1   | "PROXY " text, 107 bytes at most, ending in CR LF |
//   version 2   | signature (12) | version 2, command (1) | family (1) | length (2) | length bytes |
//
// Specification: HAProxy, doc/proxy-protocol.txt, sections 2.1 and 2.2. Any bytes give an answer.

const TEXT = Buffer.from('PROXY ');
const MAX_TEXT_BYTES = 107;
const CR = 0x0d;
const LF = 0x0a;

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
const BINARY_HEAD_BYTES = 16;

/** How many bytes at `bytes[at, end)` are such a header: 0 if there is none, or if its end is not there. */
export function proxyHeaderBytes(bytes: Uint8Array, at: number, end: number): number {
  if (startsWith(bytes, at, end, TEXT)) {
    const limit = Math.min(end, at + MAX_TEXT_BYTES);
    for (let i = at + TEXT.length; i + 1 < limit; i++) if (bytes[i] === CR && bytes[i + 1] === LF) return i + 2 - at;
    return 0;
  }
  if (end - at < BINARY_HEAD_BYTES || !startsWith(bytes, at, end, SIGNATURE) || bytes[at + 12] >> 4 !== 2) return 0;
  const size = BINARY_HEAD_BYTES + ((bytes[at + 14] << 8) | bytes[at + 15]);
  return size > end - at ? 0 : size;
}

function startsWith(bytes: Uint8Array, at: number, end: number, start: Uint8Array): boolean {
  if (end - at < start.length) return false;
  for (let i = 0; i < start.length; i++) if (bytes[at + i] !== start[i]) return false;
  return true;
}
