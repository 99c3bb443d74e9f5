// Applies a filter expression ("tcp port 443") to batches: rows that it rejects get the status SKIP_FILTERED, rows of
// a link type for which it does not compile get SKIP_UNFILTERABLE_LINK_TYPE.
//
// libpcap compiles the expression to a BPF program once for each link type that occurs, as it would for a file of
// that link type; compileBpf turns the program into a function, and no native call happens after that. What a row's
// filter says is what `tcpdump -r FILE EXPRESSION` says of the packet. Expressions: pcap-filter(7).
import { shownFilter } from '../check-option.ts';
import { NfstreamError } from '../errors.ts';
import { type CaptureAddon, loadCapture } from '../native/capture.ts';
import type { PacketBatch } from '../source/source.ts';
import { type BpfFunction, validateBpf } from './bpf.ts';
import { compileBpf } from './bpf-compiler.ts';
import {
  LINKTYPE_C_HDLC,
  LINKTYPE_ETHERNET,
  LINKTYPE_IEEE802_11,
  LINKTYPE_IEEE802_11_RADIOTAP,
  LINKTYPE_IPV4,
  LINKTYPE_IPV6,
  LINKTYPE_LINUX_SLL,
  LINKTYPE_LINUX_SLL2,
  LINKTYPE_LOOP,
  LINKTYPE_NULL,
  LINKTYPE_PPP,
  LINKTYPE_PPP_ETHER,
  LINKTYPE_PPP_HDLC,
  LINKTYPE_RAW,
  LINKTYPE_RAW_12,
  LINKTYPE_RAW_14,
} from './link-layer.ts';
import { METERED, type PacketColumns, SKIP_FILTERED, SKIP_UNFILTERABLE_LINK_TYPE } from './packet-columns.ts';

/** The link types that are filtered: those that are decoded. Names as in https://www.tcpdump.org/linktypes.html. */
const LINK_TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [LINKTYPE_ETHERNET, 'ETHERNET'],
  [LINKTYPE_LINUX_SLL, 'LINUX_SLL'],
  [LINKTYPE_LINUX_SLL2, 'LINUX_SLL2'],
  [LINKTYPE_NULL, 'NULL'],
  [LINKTYPE_LOOP, 'LOOP'],
  [LINKTYPE_RAW, 'RAW'],
  [LINKTYPE_RAW_12, 'RAW'],
  [LINKTYPE_RAW_14, 'RAW'],
  [LINKTYPE_IPV4, 'IPV4'],
  [LINKTYPE_IPV6, 'IPV6'],
  [LINKTYPE_PPP, 'PPP'],
  [LINKTYPE_PPP_HDLC, 'PPP_HDLC'],
  [LINKTYPE_PPP_ETHER, 'PPP_ETHER'],
  [LINKTYPE_C_HDLC, 'C_HDLC'],
  [LINKTYPE_IEEE802_11, 'IEEE802_11'],
  [LINKTYPE_IEEE802_11_RADIOTAP, 'IEEE802_11_RADIOTAP'],
]);

/** libpcap's optimizer takes up to 0.1 s for a program of this length, and minutes for one ten times as long. */
const OPTIMIZE_UP_TO = 4096;

const acceptAll: BpfFunction = () => 1;

/** Filters the batches of one capture. */
export class PacketFilter {
  readonly #expression: string;
  readonly #snaplen: number;
  /** Null for the expression that accepts everything. */
  readonly #addon: CaptureAddon | null;
  /** By link type: the compiled expression, or why there is none. */
  readonly #outcomes = new Map<number, BpfFunction | NfstreamError>();
  #problem: NfstreamError | null = null;

  /**
   * Names of hosts and services in the expression are looked up here, which may block.
   *
   * @param expression empty or blank accepts every packet, and needs no addon
   * @param snaplen 1 to 2^31 - 1
   * @throws NfstreamError INVALID_FILTER with libpcap's message when the expression compiles for no link type that is
   * decoded, FILTER_UNAVAILABLE when the addon does not load
   */
  constructor(expression: string, snaplen: number) {
    this.#expression = expression;
    this.#snaplen = snaplen;
    if (expression.trim() === '') {
      this.#addon = null;
      return;
    }
    const capture = loadCapture();
    if (!capture.ok) {
      throw new NfstreamError('FILTER_UNAVAILABLE', `bpfFilter needs libpcap, but ${capture.message}`);
    }
    this.#addon = capture.addon;
    this.#compileForSome();
  }

  /**
   * Null, or INVALID_FILTER with the filter, the link type and libpcap's words: the first link type among the rows so
   * far for which the expression does not compile, as `ether host` does not for raw IP.
   */
  get problem(): NfstreamError | null {
    return this.#problem;
  }

  /**
   * Sets `columns.status` of every row to METERED, SKIP_FILTERED or SKIP_UNFILTERABLE_LINK_TYPE (then `problem` says
   * why). Rows of a link type that is not decoded are left METERED, for the decoder to count.
   */
  apply(batch: PacketBatch, columns: PacketColumns): void {
    const { count, view, frameAt, capturedLength, wireLength, linkType } = batch;
    const { status } = columns;
    let current = -1;
    let accepts: BpfFunction | null = null;
    for (let row = 0; row < count; row++) {
      if (linkType[row] !== current) {
        current = linkType[row];
        accepts = this.#functionFor(current);
      }
      if (accepts === null) status[row] = SKIP_UNFILTERABLE_LINK_TYPE;
      else if (accepts(view, frameAt[row], capturedLength[row], wireLength[row]) === 0) status[row] = SKIP_FILTERED;
      else status[row] = METERED;
    }
  }

  /** Ethernet first: nearly every capture is, and its message is the one to show when all refuse. */
  #compileForSome(): void {
    let first: NfstreamError | undefined;
    for (const linkType of LINK_TYPE_NAMES.keys()) {
      const outcome = this.#outcomeFor(linkType);
      if (!(outcome instanceof NfstreamError)) return;
      first ??= outcome;
    }
    throw first;
  }

  /** The function for rows of `linkType`, or null, with `problem` set. */
  #functionFor(linkType: number): BpfFunction | null {
    const outcome = this.#outcomeFor(linkType);
    if (!(outcome instanceof NfstreamError)) return outcome;
    this.#problem ??= outcome;
    return null;
  }

  #outcomeFor(linkType: number): BpfFunction | NfstreamError {
    let outcome = this.#outcomes.get(linkType);
    if (outcome === undefined) {
      outcome = this.#compile(linkType);
      this.#outcomes.set(linkType, outcome);
    }
    return outcome;
  }

  #compile(linkType: number): BpfFunction | NfstreamError {
    if (this.#addon === null || !LINK_TYPE_NAMES.has(linkType)) return acceptAll;
    if (linkType === LINKTYPE_RAW_12 || linkType === LINKTYPE_RAW_14) return this.#outcomeFor(LINKTYPE_RAW);
    const littleEndian = this.#program(this.#addon, linkType, false);
    if (linkType !== LINKTYPE_NULL || littleEndian instanceof NfstreamError) return littleEndian;

    // The header is an address family in the byte order of the machine that wrote it; families are below 65536.
    // DIFFERS: tcpdump goes by the file's byte order, and so rejects packets that were converted from another file.
    const bigEndian = this.#program(this.#addon, linkType, true);
    if (bigEndian instanceof NfstreamError) return bigEndian;
    return (view, at, capturedLength, wireLength) =>
      capturedLength >= 4 && view.getUint16(at) === 0
        ? bigEndian(view, at, capturedLength, wireLength)
        : littleEndian(view, at, capturedLength, wireLength);
  }

  #program(addon: CaptureAddon, linkType: number, bigEndian: boolean): BpfFunction | NfstreamError {
    let program: Uint32Array | string;
    try {
      program = addon.compileFilter(this.#expression, linkType, this.#snaplen, bigEndian, OPTIMIZE_UP_TO);
      if (typeof program !== 'string') validateBpf(program);
    } catch (error) {
      // A NUL, too long, or a program that is too long.
      program = error instanceof Error ? error.message : String(error);
    }
    if (typeof program !== 'string') return compileBpf(program);
    const link = `${LINK_TYPE_NAMES.get(linkType)} (${linkType})`;
    return new NfstreamError(
      'INVALID_FILTER',
      `Expected a filter that libpcap compiles for link type ${link} for bpfFilter and received ` +
        `${shownFilter(this.#expression)}: ${program}`,
    );
  }
}
