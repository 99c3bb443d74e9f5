// The contract below a packet source: where capture bytes come from, before anyone knows what they mean.
//
//   origin (a path, standard input, a Readable, memory) --open--> feeder --readInto--> a buffer of the caller
//
// An origin can be had before anything is opened; a feeder is one pass over its stored (maybe compressed) bytes.
// Invariant: bytes arrive in order, none twice, and a feeder never touches the caller's buffer after it settled.

/** One pass over stored bytes. */
export interface ByteFeeder {
  /** Stored bytes handed out so far. */
  readonly position: number;

  /** All bytes, where they lie in memory anyway: whoever can, uses them in place instead of calling `readInto`. */
  readonly resident?: Uint8Array;

  /**
   * Puts 1 to `end - at` bytes into `target[at, end)` and resolves with how many; 0 only at the end.
   * One call at a time. Rejects with NfstreamError. Resolves with 0 after `close`.
   */
  readInto(target: Uint8Array, at: number, end: number): Promise<number>;

  /** Releases everything and settles a pending `readInto`. Safe twice. */
  close(): Promise<void>;
}

/** Something that stored bytes can be had from. */
export interface ByteOrigin {
  /** Name for messages: the path, `-`, `<stream>` or `<bytes>`. */
  readonly name: string;

  /** Stored bytes in all, where known; null before `probe`. */
  readonly size: number | null;

  /** Whether `open` may be called again, with any offset; false before `probe`. */
  readonly isSeekable: boolean;

  /** Looks whether `open` would work, without reading. Rejects with SOURCE_* where it would not. */
  probe(): Promise<void>;

  /** Opens at `offset` stored bytes (0 unless `isSeekable`). Rejects with SOURCE_* when it can't be had. */
  open(offset?: number): Promise<ByteFeeder>;
}
