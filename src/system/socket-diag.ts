// Asks the kernel for the socket of one connection: sock_diag over netlink (sock_diag(7), linux/inet_diag.h).
//
//   question  nlmsghdr, 16 bytes | inet_diag_req_v2, 56 bytes
//   answer    nlmsghdr | inet_diag_msg, 72 bytes, attributes         type 20, SOCK_DIAG_BY_FAMILY
//             nlmsghdr | nlmsgerr: -errno, ...                       type 2, NLMSG_ERROR
//
// The kernel looks up as it would for a packet that arrives: the connection's own socket, else the one that listens at the
// local port, wildcards and dual-stack sockets included. One look costs a microsecond however many sockets there are.
import { endianness } from 'node:os';
import type { CaptureAddon } from '../native/capture.ts';

/** The addon's part. */
export type SocketDiagAddon = Pick<CaptureAddon, 'openSocketDiag' | 'askSocketDiag' | 'closeSocketDiag'>;

export const TCP = 6;
export const UDP = 17;

/** linux/tcp_states.h. UDP sockets are `established` or `close`. */
export const TCP_ESTABLISHED = 1;
export const TCP_TIME_WAIT = 6;
export const TCP_LISTEN = 10;

/** No socket was found. */
export const NO_SOCKET = 0;

export const QUESTION_BYTES = 72;
/** Where a question begins to differ from others: what lies before it is the same in all, or written by `ask`. */
export const REQUEST_AT = 16;
const NLMSG_ERROR = 2;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const AF_INET = 2;
const AF_INET6 = 10;
const HEADER_BYTES = 16;
const ANSWER_BYTES = HEADER_BYTES + 72;

// Of the question.
const SEQUENCE_AT = 8;
const FAMILY_AT = 16;
const PROTOCOL_AT = 17;
const STATES_AT = 20;
const SPORT_AT = 24;
const DPORT_AT = 26;
const SRC_AT = 28;
const DST_AT = 44;
const INTERFACE_AT = 60;
const COOKIE_AT = 64;

// Of the answer.
const STATE_AT = 17;
const ANSWER_SPORT_AT = 20;
const INODE_AT = 84;

const IS_LITTLE = endianness() === 'LE';

/** Where the two addresses of a packet lie. */
export interface AddressBytes {
  readonly bytes: Uint8Array;
  readonly localAt: number;
  readonly remoteAt: number;
  /** 4 or 16. */
  readonly length: number;
}

export interface FoundSocket {
  /** One of TCP_*; NO_SOCKET where there is none. */
  state: number;
  /** Of the file that holds it; 0 where none does: not accepted yet, or closed already. */
  inode: number;
}

/**
 * Writes the question for the socket of `local` that talks to `remote`.
 *
 * For UDP the kernel takes source and destination as those of an arriving packet, "swapped for historical reasons"
 * (net/ipv4/udp_diag.c); for TCP as those of the socket.
 */
export function encodeQuestion(
  question: Uint8Array,
  protocol: number,
  addresses: AddressBytes,
  localPort: number,
  remotePort: number,
): void {
  const view = new DataView(question.buffer, question.byteOffset, QUESTION_BYTES);
  const { bytes, localAt, remoteAt, length } = addresses;
  const isTcp = protocol === TCP;
  question.fill(0);
  view.setUint32(0, QUESTION_BYTES, IS_LITTLE);
  view.setUint16(4, SOCK_DIAG_BY_FAMILY, IS_LITTLE);
  view.setUint16(6, NLM_F_REQUEST, IS_LITTLE);
  question[FAMILY_AT] = length === 4 ? AF_INET : AF_INET6;
  question[PROTOCOL_AT] = protocol;
  view.setUint32(STATES_AT, 0xffff_ffff, IS_LITTLE);
  view.setUint16(isTcp ? SPORT_AT : DPORT_AT, localPort);
  view.setUint16(isTcp ? DPORT_AT : SPORT_AT, remotePort);
  const localTo = isTcp ? SRC_AT : DST_AT;
  const remoteTo = isTcp ? DST_AT : SRC_AT;
  for (let i = 0; i < length; i++) {
    question[localTo + i] = bytes[localAt + i]!;
    question[remoteTo + i] = bytes[remoteAt + i]!;
  }
  // INET_DIAG_NOCOOKIE
  question.fill(0xff, COOKIE_AT, COOKIE_AT + 8);
}

/** Makes the question for a TCP connection the one for whoever listens at its local port. */
export function askForListener(question: Uint8Array): void {
  question.fill(0, DPORT_AT, DPORT_AT + 2);
  question.fill(0, DST_AT, DST_AT + 16);
}

/** Sets the interface (its index, 0 for none) without which sockets bound to one, or to a link-local address, stay hidden. */
export function setInterface(question: Uint8Array, index: number): void {
  new DataView(question.buffer, question.byteOffset).setUint32(INTERFACE_AT, index, IS_LITTLE);
}

/**
 * Reads the answer in `answer[0, length)` to `question` into `found`. Returns 0, or the errno of the kernel: 2 (ENOENT)
 * where there is no such socket; -1 for bytes that are no answer to this question.
 */
export function decodeAnswer(answer: Uint8Array, length: number, question: Uint8Array, found: FoundSocket): number {
  found.state = NO_SOCKET;
  found.inode = 0;
  const end = Math.min(length, answer.length);
  if (end < HEADER_BYTES) return -1;
  const view = new DataView(answer.buffer, answer.byteOffset, end);
  const size = view.getUint32(0, IS_LITTLE);
  if (size > length) return -1;
  for (let i = SEQUENCE_AT; i < SEQUENCE_AT + 4; i++) if (answer[i] !== question[i]) return -1;
  const type = view.getUint16(4, IS_LITTLE);
  if (type === NLMSG_ERROR && size >= HEADER_BYTES + 4 && end >= HEADER_BYTES + 4) {
    const code = -view.getInt32(HEADER_BYTES, IS_LITTLE);
    return code > 0 ? code : -1;
  }
  if (type !== SOCK_DIAG_BY_FAMILY || size < ANSWER_BYTES || end < ANSWER_BYTES) return -1;
  const localPortAt = question[PROTOCOL_AT] === TCP ? SPORT_AT : DPORT_AT;
  if (answer[ANSWER_SPORT_AT] !== question[localPortAt] || answer[ANSWER_SPORT_AT + 1] !== question[localPortAt + 1])
    return -1;
  found.state = answer[STATE_AT]!;
  found.inode = view.getUint32(INODE_AT, IS_LITTLE);
  return 0;
}

/** Asks about the sockets of the network namespace that it was opened in. */
export class SocketDiag {
  readonly #addon: SocketDiagAddon;
  /** Below 0 when closed. */
  #file: number;
  readonly #answer = new Uint8Array(4096);
  #sequence = 0;

  /** Returns the errno when the kernel does not offer it. */
  static open(addon: SocketDiagAddon): SocketDiag | number {
    const file = addon.openSocketDiag();
    return file < 0 ? -file : new SocketDiag(addon, file);
  }

  private constructor(addon: SocketDiagAddon, file: number) {
    this.#addon = addon;
    this.#file = file;
  }

  /** The netlink socket. */
  get file(): number {
    return this.#file;
  }

  /** Safe to call twice. */
  close(): void {
    if (this.#file >= 0) this.#addon.closeSocketDiag(this.#file);
    this.#file = -1;
  }

  /** Asks what `encodeQuestion` wrote; returns as decodeAnswer does. */
  ask(question: Uint8Array, found: FoundSocket): number {
    this.#sequence = (this.#sequence + 1) >>> 0;
    new DataView(question.buffer, question.byteOffset).setUint32(SEQUENCE_AT, this.#sequence, IS_LITTLE);
    let length = this.#addon.askSocketDiag(this.#file, question, this.#answer);
    // What an earlier question left is read first, should there be any.
    for (let i = 0; i < 8 && length > 0; i++) {
      const status = decodeAnswer(this.#answer, length, question, found);
      if (status >= 0) return status;
      length = this.#addon.askSocketDiag(this.#file, NOTHING, this.#answer);
    }
    found.state = NO_SOCKET;
    found.inode = 0;
    return length < 0 ? -length : -1;
  }
}

const NOTHING = new Uint8Array(0);
