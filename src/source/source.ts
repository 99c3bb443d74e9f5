// The contract of a packet source: bytes in, batches of frames out.
//
// A batch is a set of columns over one byte buffer that the source owns. Sources never decode headers; they say
// where a frame lies, how long it was on the wire, when it was seen and which link type it has.

/** Rows of a batch. 64 to 256 measured best: big enough to overlap memory loads, small enough for the L1/L2 cache. */
export const BATCH_CAPACITY = 256;

/** `read` has no complete frame buffered: await `fill`, then read again. */
export const SOURCE_WAIT = 0;
/** `read` will never return another frame. */
export const SOURCE_END = -1;

/**
 * Up to `capacity` frames as columns. Row `i` is valid for `0 <= i < count`, until the next `read`, which may also put other
 * arrays in the place of these: whoever gets a batch takes its arrays anew.
 */
export class PacketBatch {
  readonly capacity: number;
  /** Rows filled. */
  count = 0;
  /** The buffer that all rows of this batch lie in. The source replaces it; never written by later stages. */
  bytes: Uint8Array = new Uint8Array(0);
  /** A view over exactly the same bytes as `bytes` (same origin, same length). */
  view: DataView = new DataView(new ArrayBuffer(0));
  /** Time stamps, ms since the epoch, fraction kept (a double resolves 0.25 µs today). */
  timeMs: Float64Array;
  /**
   * What timeouts go by, ms: the time stamps themselves (the same array), unless the source has a clock that goes on
   * evenly while the system's is set.
   */
  clockMs: Float64Array;
  /** What number row 0 has in the source, from 1; the others follow it. Set by whoever reads the source. */
  first = 1;
  /** Which of several meters each row is for; rows that are not metered are meter 0's. Null where there is one meter. */
  owners: Uint8Array | null = null;
  /** Of each row that is metered, the hash of its key, with the seed that the meter has, too. Null where the meter computes it. */
  hashes: Int32Array | null = null;
  /** Where the frame begins in `bytes`. */
  frameAt: Int32Array;
  /** Bytes of the frame that are present at `frameAt`. */
  capturedLength: Int32Array;
  /** Bytes of the frame on the wire. */
  wireLength: Uint32Array;
  /** LINKTYPE_ value as in the capture file (https://www.tcpdump.org/linktypes.html). */
  linkType: Int32Array;

  /** With arrays of its own, or those of `columns`. */
  constructor(capacity: number = BATCH_CAPACITY, columns: BatchColumns = newColumns(capacity)) {
    this.capacity = capacity;
    this.timeMs = columns.timeMs;
    this.clockMs = this.timeMs;
    this.frameAt = columns.frameAt;
    this.capturedLength = columns.capturedLength;
    this.wireLength = columns.wireLength;
    this.linkType = columns.linkType;
  }
}

type BatchColumns = Pick<PacketBatch, 'timeMs' | 'frameAt' | 'capturedLength' | 'wireLength' | 'linkType'>;

function newColumns(capacity: number): BatchColumns {
  return {
    timeMs: new Float64Array(capacity),
    frameAt: new Int32Array(capacity),
    capturedLength: new Int32Array(capacity),
    wireLength: new Uint32Array(capacity),
    linkType: new Int32Array(capacity),
  };
}

/** Memory for the bytes of captures. */
export interface SlabPool {
  /** `size` bytes, with whatever is in them. */
  takeSlab(size: number): Uint8Array;
  /** What `takeSlab` gave is not read any more. */
  giveBack(slab: Uint8Array): void;
}

/** What time it is where nothing arrives. Sources without one leave time to their packets. */
export interface Clock {
  /**
   * The time up to which every packet has been read, ms, on the scale of `PacketBatch.clockMs`; -Infinity while that can
   * not be told (packets wait to be read). Flows whose timeout lies before it have ended.
   */
  now(): number;
}

/** What the captures of a live source count, summed over its interfaces. */
export interface CaptureCounters {
  /** Packets that passed the filter in the kernel, those that were dropped included. */
  received: number;
  /** Packets that the kernel dropped because its buffer was full: the consumer is too slow. */
  droppedByKernel: number;
  /** Packets that the interface or its driver dropped. */
  droppedByInterface: number;
  /** Most packets seen waiting in the kernel's buffer. */
  queueHighWater: number;
  /** Interfaces that are gone and waited for, now. */
  interfacesDown: number;
}

export interface PacketSource {
  /** Name for messages: the path, `-`, `<stream>` and `<bytes>`, or the interface. */
  readonly name: string;
  /** Capture bytes consumed so far, after decompression. */
  readonly bytesRead: number;
  /** Stored (compressed) bytes consumed so far, for progress. */
  readonly position: number;
  /** Stored bytes in all, where known. */
  readonly size: number | null;
  /** Null where packets alone move time. */
  readonly clock: Clock | null;
  /** Null for what is no interface. Reading it may ask the kernel. */
  readonly capture: CaptureCounters | null;

  /** Opens the source. Rejects with SOURCE_* when it can't be had. */
  open(): Promise<void>;

  /**
   * Moves the next frames into `batch` and returns how many (also in `batch.count`), or SOURCE_WAIT or SOURCE_END.
   * Synchronous: it only looks at what `fill` buffered. Throws NfstreamError (TRUNCATED_CAPTURE, DAMAGED_CAPTURE,
   * ... with file and offset) once, after every frame before the damage was returned.
   */
  read(batch: PacketBatch): number;

  /**
   * Waits until `read` can make progress. Rejects with NfstreamError; frames buffered before that stay readable. A source
   * with a clock resolves after `timeoutMs` at the latest, where given: time for flows to end.
   */
  fill(timeoutMs?: number): Promise<void>;

  /**
   * No more input is wanted. A file is closed. An interface still gives what had arrived by now: `isDraining` is true until
   * `read` returns SOURCE_END. A pending `fill` resolves soon.
   */
  stop(): void;

  readonly isDraining: boolean;

  /** Releases every resource. Safe to call at any time, and twice. */
  close(): Promise<void>;
}
