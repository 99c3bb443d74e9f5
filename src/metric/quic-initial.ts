// Takes the protection off a QUIC client's Initial packet, whose keys anybody can derive from the packet itself.
//
//   | 1 1 type(2) .. pn length(2) | version (4) | n | destination ID (n) | n | source ID (n) |
//   | token length (varint) | token | length (varint) | packet number (1-4) | payload, ending in a tag (16) |
//                                                       └─ protected: mask by AES-ECB of 16 payload bytes
//
// Specification: RFC 9000 section 17.2; RFC 9001 sections 5.2 to 5.4; RFC 9369 (version 2). The drafts 23 to 34 and
// Meta's own versions (mvfst, draft 27 by another number) differ in the salt alone; Google's own do more. Handshake and
// 0-RTT packets are measured, to get past them, not opened. Any bytes give an answer.
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';

/** Where an Initial packet's parts lie in the datagram's bytes; one of another type has `isInitial` false. */
export interface LongHeader {
  isInitial: boolean;
  version: number;
  destinationId: Uint8Array;
  packetNumberAt: number;
  /** Where the packet ends, and the next of the datagram begins. */
  end: number;
}

export interface InitialKeys {
  key: Uint8Array;
  iv: Uint8Array;
  headerKey: Uint8Array;
}

interface VersionKeys {
  salt: Buffer;
  /** Before ` key`, ` iv` and ` hp` in the labels. */
  label: string;
  /** The long header's type bits. */
  initialType: number;
}

const LONG_FIXED = 0xc0;
const TYPE_0RTT = 1;
const TYPE_HANDSHAKE = 2;
const TYPE_RETRY = 3;
const MAX_ID_BYTES = 20;
const TAG_BYTES = 16;
const SAMPLE_BYTES = 16;
/** The sample begins where a packet number of the greatest length would end. */
const SAMPLE_AFTER_NUMBER = 4;

const VERSION_1 = 0x0000_0001;
const VERSION_2 = 0x6b33_43cf;
const DRAFT_23 = 0xff00_0017;
const DRAFT_29 = 0xff00_001d;
const DRAFT_32 = 0xff00_0020;
const DRAFT_34 = 0xff00_0022;
/** What Facebook's and Instagram's apps spoke before version 1. */
const MVFST_27 = 0xface_b002;
const MVFST_EXPERIMENTAL = 0xface_b00e;

const KEYS_1 = versionKeys('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'quic', 0);
const KEYS_2 = versionKeys('0dede3def700a6db819381be6e269dcbf9bd2ed9', 'quicv2', 1);
const KEYS_DRAFT_29 = versionKeys('afbfec289993d24c9e9786f19c6111e04390a899', 'quic', 0);
const KEYS_DRAFT_23 = versionKeys('c3eef712c72ebb5a11a7d2432bb46365bef9f502', 'quic', 0);

function versionKeys(salt: string, label: string, initialType: number): VersionKeys {
  return { salt: Buffer.from(salt, 'hex'), label, initialType };
}

function keysOf(version: number): VersionKeys | null {
  if (version === VERSION_1) return KEYS_1;
  if (version === VERSION_2) return KEYS_2;
  if (version >= DRAFT_23 && version <= DRAFT_34) {
    if (version > DRAFT_32) return KEYS_1;
    return version >= DRAFT_29 ? KEYS_DRAFT_29 : KEYS_DRAFT_23;
  }
  return version === MVFST_27 || version === MVFST_EXPERIMENTAL ? KEYS_DRAFT_23 : null;
}

/** The long header of the packet at `at`, or null if it is none of a version that is known here, or cut. */
export function decodeLongHeader(bytes: Uint8Array, at: number, end: number): LongHeader | null {
  if (end - at < 7 || (bytes[at] & LONG_FIXED) !== LONG_FIXED) return null;
  const version = ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0;
  const keys = keysOf(version);
  if (keys === null) return null;
  const type = ((bytes[at] >> 4) - keys.initialType) & 3;
  if (type === TYPE_RETRY) return null;
  const idAt = at + 6;
  const idEnd = idAt + bytes[at + 5];
  if (bytes[at + 5] > MAX_ID_BYTES || idEnd >= end) return null;
  const reader = new VarintReader(bytes, idEnd + 1 + bytes[idEnd], end);
  if (type !== TYPE_0RTT && type !== TYPE_HANDSHAKE) reader.skip(reader.read());
  const size = reader.read();
  if (reader.isPast || size > end - reader.at) return null;
  return {
    isInitial: type === 0,
    version,
    destinationId: bytes.slice(idAt, idEnd),
    packetNumberAt: reader.at,
    end: reader.at + size,
  };
}

/** RFC 9001 section 5.2: what a client protects its Initial packets with, by the destination ID of its first. */
export function deriveClientKeys(version: number, destinationId: Uint8Array): InitialKeys {
  const { salt, label } = keysOf(version) ?? KEYS_1;
  const initialSecret = createHmac('sha256', salt).update(destinationId).digest();
  const secret = expandLabel(initialSecret, 'client in', 32);
  return {
    key: expandLabel(secret, `${label} key`, 16),
    iv: expandLabel(secret, `${label} iv`, 12),
    headerKey: expandLabel(secret, `${label} hp`, 16),
  };
}

/** HKDF-Expand-Label (RFC 8446 section 7.1) of one block, without a context. */
function expandLabel(secret: Uint8Array, label: string, size: number): Uint8Array {
  const text = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, size, text.length]), text, Buffer.from([0, 1])]);
  return createHmac('sha256', secret).update(info).digest().subarray(0, size);
}

/** The frames of the packet at `at`, or null if the keys are not its keys. */
export function decryptInitial(
  bytes: Uint8Array,
  at: number,
  header: LongHeader,
  keys: InitialKeys,
): Uint8Array | null {
  const { packetNumberAt, end } = header;
  const sampleAt = packetNumberAt + SAMPLE_AFTER_NUMBER;
  if (sampleAt + SAMPLE_BYTES > end) return null;
  const cipher = createCipheriv('aes-128-ecb', keys.headerKey, null);
  const mask = cipher.update(bytes.subarray(sampleAt, sampleAt + SAMPLE_BYTES));
  const first = bytes[at] ^ (mask[0] & 0x0f);
  const payloadAt = packetNumberAt + (first & 3) + 1;
  if (payloadAt + TAG_BYTES > end) return null;
  const associated = bytes.slice(at, payloadAt);
  associated[0] = first;
  const nonce = Uint8Array.from(keys.iv);
  for (let i = packetNumberAt; i < payloadAt; i++) {
    const plain = bytes[i] ^ mask[1 + i - packetNumberAt];
    associated[i - at] = plain;
    // A client's first packet numbers are small: what is sent of them is all of them.
    nonce[nonce.length - (payloadAt - i)] ^= plain;
  }
  const decipher = createDecipheriv('aes-128-gcm', keys.key, nonce);
  decipher.setAAD(associated);
  decipher.setAuthTag(bytes.subarray(end - TAG_BYTES, end));
  const frames = decipher.update(bytes.subarray(payloadAt, end - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return frames;
}

/** Variable-length integers (RFC 9000 section 16), one after the other. */
export class VarintReader {
  readonly #bytes: Uint8Array;
  readonly #end: number;
  at: number;
  /** A number was cut, or is beyond 2^30: what was read is not to be trusted. */
  isPast = false;

  constructor(bytes: Uint8Array, at: number, end: number) {
    this.#bytes = bytes;
    this.#end = end;
    this.at = at;
  }

  read(): number {
    const bytes = this.#bytes;
    if (this.isPast || this.at >= this.#end) return this.#past();
    const size = 1 << (bytes[this.at] >> 6);
    if (size > this.#end - this.at) return this.#past();
    let value = bytes[this.at] & 0x3f;
    for (let i = 1; i < size; i++) value = value * 256 + bytes[this.at + i];
    if (value > 0x3fff_ffff) return this.#past();
    this.at += size;
    return value;
  }

  skip(count: number): void {
    if (count > this.#end - this.at) this.#past();
    else this.at += count;
  }

  #past(): number {
    this.isPast = true;
    return 0;
  }
}
