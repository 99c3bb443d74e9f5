// What decoding a batch of frames yields: one row a packet, parallel to the rows of the PacketBatch.
//
// The key of a packet is KEY_WORDS 32-bit words, laid out like the first words of a flow record, so that looking
// a flow up compares words and builds nothing:
//
//   0..3  source address       IPv4 in word 0 (big-endian value), 1..3 zero
//   4..7  destination address  likewise
//   8     source port << 16 | destination port
//   9     protocol | IP version << 8 | VLAN id << 16
//   10    tunnel: type << 24 | identifier (VXLAN and Geneve: the VNI, otherwise 0); 0 for none
import { BATCH_CAPACITY } from '../source/source.ts';

export const KEY_WORDS = 11;
export const KEY_DST = 4;
export const KEY_PORTS = 8;
export const KEY_META = 9;
export const KEY_TUNNEL = 10;

/** Status of a row: 0 is metered, anything else indexes SKIP_REASONS. */
export const METERED = 0;

/**
 * Why a packet is not metered. The order is the status value; docs/counters.md is checked against this list.
 * `metered` at 0 is no reason, it keeps the index and the status equal.
 */
export const SKIP_REASONS = [
  'metered',
  'filtered',
  'unknown_link_type',
  'short_header',
  'not_ip',
  'malformed_ip',
  'fragment_ignored',
  'fragment_orphan',
  'unfilterable_link_type',
  'abandoned',
] as const;
export type SkipReason = Exclude<(typeof SKIP_REASONS)[number], 'metered'>;

/** The bpfFilter rejects the frame. */
export const SKIP_FILTERED = 1;
/** The frame's link type is none that is decoded here. */
export const SKIP_UNKNOWN_LINK_TYPE = 2;
/** The captured bytes end inside a link or network header, or before both transport ports. */
export const SKIP_SHORT_HEADER = 3;
/** The frame carries no IP packet (ARP, spanning tree, 802.11 management, ...). */
export const SKIP_NOT_IP = 4;
/** The IP header contradicts itself: version, header length, total length. */
export const SKIP_MALFORMED_IP = 5;
/** A non-first fragment, with `fragments: 'ignore'`. */
export const SKIP_FRAGMENT_IGNORED = 6;
/** A non-first fragment whose first fragment was not seen (or left the bounded table), with `fragments: 'assign'`. */
export const SKIP_FRAGMENT_ORPHAN = 7;

/** The bpfFilter does not compile for the frame's link type: an Ethernet filter on raw IP, say. */
export const SKIP_UNFILTERABLE_LINK_TYPE = 8;
/** Read, but not looked at any more: user code failed at an earlier packet of the batch. */
export const SKIP_ABANDONED = 9;

/** Tunnel types in the key (bits 24 and up of word KEY_TUNNEL). 1 to 3 are NFStream's numbers. */
export const TUNNEL_NONE = 0;
export const TUNNEL_GTP_U = 1;
export const TUNNEL_CAPWAP = 2;
export const TUNNEL_TZSP = 3;
export const TUNNEL_VXLAN = 4;
export const TUNNEL_GENEVE = 5;
export const TUNNEL_GRE = 6;
export const TUNNEL_IP_IN_IP = 7;

/**
 * Decoded columns. Offsets are into the batch's `bytes`. A row is valid when its status is METERED. Other arrays may take the
 * place of these from one batch to the next.
 */
export class PacketColumns {
  status: Uint8Array;
  /** KEY_WORDS words a row. */
  key: Int32Array;
  /** Flag byte of the TCP header (CWR 0x80 ... FIN 0x01), 0 for other protocols and non-first fragments. */
  tcpFlags: Uint8Array;
  /** 1 for a non-first fragment (no transport header in this packet). */
  isLaterFragment: Uint8Array;
  /** MAC address of the sender by the innermost link layer that has one; -1 for none, as of the receiver. */
  srcMacAt: Int32Array;
  dstMacAt: Int32Array;
  /** Innermost IP header. */
  ipAt: Int32Array;
  /** Length of the innermost IP packet by its own header (payload and header, extension headers included). */
  ipSize: Int32Array;
  /** Transport header (first byte after the IP header and its extensions). */
  transportAt: Int32Array;
  /** Transport payload: after the TCP, UDP or SCTP common header; equals transportAt for other protocols. */
  payloadAt: Int32Array;
  /** End of the bytes that are captured of the innermost IP packet; link-layer padding excluded. */
  ipEnd: Int32Array;

  /** With arrays of its own, or those of `columns`. */
  constructor(capacity: number = BATCH_CAPACITY, columns: PacketColumns = newColumns(capacity)) {
    this.status = columns.status;
    this.key = columns.key;
    this.tcpFlags = columns.tcpFlags;
    this.isLaterFragment = columns.isLaterFragment;
    this.srcMacAt = columns.srcMacAt;
    this.dstMacAt = columns.dstMacAt;
    this.ipAt = columns.ipAt;
    this.ipSize = columns.ipSize;
    this.transportAt = columns.transportAt;
    this.payloadAt = columns.payloadAt;
    this.ipEnd = columns.ipEnd;
  }
}

function newColumns(capacity: number): PacketColumns {
  return {
    status: new Uint8Array(capacity),
    key: new Int32Array(capacity * KEY_WORDS),
    tcpFlags: new Uint8Array(capacity),
    isLaterFragment: new Uint8Array(capacity),
    srcMacAt: new Int32Array(capacity),
    dstMacAt: new Int32Array(capacity),
    ipAt: new Int32Array(capacity),
    ipSize: new Int32Array(capacity),
    transportAt: new Int32Array(capacity),
    payloadAt: new Int32Array(capacity),
    ipEnd: new Int32Array(capacity),
  };
}
