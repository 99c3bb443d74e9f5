// The contract of the capture addon (native/capture.cc): libpcap's filter compiler, live capture in batches, the list of
// interfaces, and what `nfstream doctor` asks.
import type { AddonBase } from './addon.ts';
import { type LoadedAddon, type LoadFailure, loadAddon } from './load.ts';

/** One interface that libpcap can capture from. */
export interface InterfaceInfo {
  readonly name: string;
  /** libpcap's or the system's words; null where there are none. */
  readonly description: string | null;
  /** Canonical text (RFC 5952 for IPv6), without prefix length and zone. */
  readonly addresses: readonly string[];
  readonly isUp: boolean;
  /** Up, and the driver says that it can carry packets. */
  readonly isRunning: boolean;
  readonly isLoopback: boolean;
  readonly isWireless: boolean;
  /** Whether a cable is plugged in, an access point associated; null where that means nothing or is not known. */
  readonly isConnected: boolean | null;
}

export interface CaptureSettings {
  /** Bytes of a frame that are captured, 1 to 262144 (libpcap's own maximum). */
  readonly snaplen: number;
  readonly promiscuous: boolean;
  /** Bytes of the kernel's buffer, 1 to 2^31 - 1. On Linux it comes in blocks of 256 KiB. */
  readonly bufferSize: number;
  /** Packets are handed over after this many ms at the latest, 1 to 60,000; ignored where `immediate` is true. */
  readonly batchTimeoutMs: number;
  /**
   * Packets are handed over as they arrive. On Linux libpcap then takes TPACKET_V2, whose ring gives every packet as much
   * room as the largest one: far fewer fit.
   */
  readonly immediate: boolean;
  /**
   * Filter expression, run in the kernel; '' for none. One of more than 4,096 instructions libpcap runs itself, after a
   * warning on standard error: Linux takes no more.
   */
  readonly filter: string;
  /** Capture nothing before `release` is called; what arrives until then is neither kept nor counted. */
  readonly isHeld: boolean;
}

export interface CaptureFailure {
  /** What kind it is; the error's code follows from it. */
  readonly kind: 'not_found' | 'denied' | 'down' | 'filter' | 'failed';
  /** libpcap's words. */
  readonly message: string;
}

/** Where `read` puts packets: columns of one batch and the bytes that its frames lie in. All are kept referenced. */
export interface CaptureTarget {
  /** Takes at least one frame of the handle's `snaplen` bytes; 65,536 more make a good batch. */
  readonly bytes: Uint8Array;
  readonly timeMs: Float64Array;
  readonly frameAt: Int32Array;
  readonly capturedLength: Int32Array;
  readonly wireLength: Uint32Array;
}

/**
 * An interface that is captured from. Its kernel buffer fills from the moment it is opened. It belongs to the thread that
 * opened it, and is closed when that thread ends; a handle that is neither closed nor used is closed when it is collected.
 */
export interface CaptureHandle {
  /** LINKTYPE_ value, as a capture file would have it. */
  readonly linkType: number;
  /** Bytes of a frame at most. */
  readonly snaplen: number;
  /** Whether time stamps are taken in nanoseconds. */
  readonly isNanosecond: boolean;

  /**
   * Says where `read` writes from now on.
   *
   * @throws RangeError when the columns are not equally long, or `bytes` is shorter than `snaplen` or over 2 GiB
   */
  attach(target: CaptureTarget): void;

  /**
   * Copies packets that wait in the kernel's buffer: into rows `row` and up, frames into `bytes` from `at` on. Stops
   * when the columns are full, when less than `snaplen` bytes are free, or when no packet waits. Never blocks.
   *
   * @returns the rows that were filled: 0 when nothing waits (or nothing has room)
   * @throws Error with `kind` 'down' (the interface vanished, and its last packets were read) or 'failed', and libpcap's
   *   words. One that is merely down throws nothing: see `isUp`
   */
  read(row: number, at: number): number;

  /**
   * Calls `ready` once, when packets wait, when the interface goes down or vanishes, or libpcap met an error (`read` and
   * `isUp` then tell); soon, if that is so already. While the interface stays down, every 100 ms, because nothing else
   * would tell that it vanished. Costs nothing until then: a thread of the addon sleeps.
   *
   * A second call before that replaces `ready`. A pending call keeps the event loop alive, an open handle does not; `close`
   * takes it back. What `ready` throws becomes an uncaught exception.
   */
  wait(ready: () => void): void;

  /**
   * Counters since the start into `into[0..2]`: received (those that passed the filter, the ones dropped by the kernel
   * included), dropped by the kernel for want of room, dropped by the interface or its driver (in promiscuous mode only, see
   * pcap_stats(3)). Returns false when they can not be had. libpcap's counters have 32 bits; to be told further, they must
   * be asked for at least every 2^31 packets. On `any`, packets of the loopback interface count twice.
   */
  stats(into: Float64Array): boolean;

  /**
   * Whether the interface exists and is up; a system call. One that was made anew under its name is another one. Turns
   * false only when what arrived before can have been read: the batch timeout and 50 ms after it was first found to be
   * down, by this or by `read`. Devices that are no network interfaces, such as `any`, always are up.
   */
  isUp(): boolean;

  /**
   * Joins the fanout group `group` (1 to 65535) of this network namespace: of its members one gets each packet, the one
   * that `program` (a classic BPF program, two words an instruction as in src/packet/bpf.ts) returns modulo their number.
   * Members may belong to any thread or process; all must capture from the same interface. They should be held until the
   * last has joined. Returns '' or why not (the platform has none, the kernel is older than 4.3, the number is taken by
   * others). See packet(7).
   */
  joinFanout(group: number, program: Uint32Array): string;

  /** Begins to capture where `isHeld` was set, and to count; else does nothing. Throws as `read` does. */
  release(): void;

  /**
   * Captures nothing any more; what was captured stays to be read, handed over within the batch timeout. On Linux only:
   * elsewhere packets go on to arrive.
   */
  finish(): void;

  /** Stops capturing, at once. Safe to call twice, also inside `ready`; all else throws afterwards. */
  close(): void;
}

export interface CaptureAddon extends AddonBase {
  /** libpcap's own words, for example `libpcap version 1.10.3 (with TPACKET_V3)`. */
  libVersion(): string;

  /**
   * Compiles a filter for frames of a capture file: a BPF program as in src/packet/bpf.ts (two words an instruction),
   * or libpcap's message when it does not compile. Host and service names are looked up, which may block.
   *
   * @param linkType LINKTYPE_ value of the file, 0 to 65535
   * @param snaplen what the program returns for a match, 1 to 2^31 - 1
   * @param bigEndian the byte order that the file was written in; it matters for LINKTYPE_NULL headers
   * @param optimizeUpTo programs of more instructions are not optimized
   * @throws TypeError, RangeError for other arguments, and for an expression with NUL or over 64 KiB
   */
  compileFilter(
    expression: string,
    linkType: number,
    snaplen: number,
    bigEndian: boolean,
    optimizeUpTo: number,
  ): Uint32Array | string;

  /** '' when this process may capture from `device`, else libpcap's message. Opens it for a moment, captures nothing. */
  probeCapture(device: string): string;

  /** The interfaces, in libpcap's order (the best guess first), or libpcap's message. */
  listInterfaces(): readonly InterfaceInfo[] | string;

  /** Opens an interface for live capture, or says why not. The handle must be closed. */
  openCapture(device: string, settings: CaptureSettings): CaptureHandle | CaptureFailure;

  /**
   * Opens a socket to the kernel's sock_diag(7), in the network namespace of this thread: a file number, for
   * closeSocketDiag, or -errno (-ENOSYS on systems that have none).
   */
  openSocketDiag(): number;

  /**
   * Sends a netlink message, unless it is empty, and receives one datagram into `answer`. Returns its length, more than
   * `answer.length` where it was cut, or -errno. Never waits. See src/system/socket-diag.ts.
   */
  askSocketDiag(file: number, question: Uint8Array, answer: Uint8Array): number;

  closeSocketDiag(file: number): void;
}

/** Loads the addon or says why not; never throws. */
export const loadCapture = (): LoadedAddon<CaptureAddon> | LoadFailure => loadAddon<CaptureAddon>('capture');
