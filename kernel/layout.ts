// Where everything lies in the kernel's memory. The columns of a batch have fixed places; the tables, whose sizes options
// decide, follow behind them. src/kernel/kernel.ts says the same to TypeScript, and a test holds the two together.

/** Rows of a batch at most. */
export const ROWS: usize = 256;

// Columns, 8 bytes a row ...
export const TIMES: usize = 1024;
export const CLOCKS_IN: usize = TIMES + ROWS * 8;
export const CLOCKS: usize = CLOCKS_IN + ROWS * 8;
// ... 44 bytes: the key ...
export const KEY_BYTES: usize = 44;
export const KEYS: usize = CLOCKS + ROWS * 8;
// ... 4 bytes ...
export const WIRE_LENGTHS: usize = KEYS + ROWS * KEY_BYTES;
export const HASHES_IN: usize = WIRE_LENGTHS + ROWS * 4;
export const SIZES: usize = HASHES_IN + ROWS * 4;
export const OWN_ROWS: usize = SIZES + ROWS * 4;
export const HASHES: usize = OWN_ROWS + ROWS * 4;
export const FOUND: usize = HASHES + ROWS * 4;
// ... and one byte a row.
export const STATUS: usize = FOUND + ROWS * 4;
export const TCP_FLAGS: usize = STATUS + ROWS;
export const OWNERS: usize = TCP_FLAGS + ROWS;
/** Of packets that are not metered, how many, by status: a double each. */
export const SKIPPED: usize = OWNERS + ROWS;
export const STATUSES: usize = 16;
/** Where the tables begin. */
export const TABLES: usize = (SKIPPED + STATUSES * 8 + 127) & ~127;

// Bytes within a flow's record (src/flow/record.ts).
export const RECORD_BYTES: usize = 128;
export const RECORD_SHIFT: usize = 7;
export const KEY_DST: usize = 16;
export const KEY_PORTS: usize = 32;
export const KEY_META: usize = 36;
export const KEY_TUNNEL: usize = 40;
export const BYTES_HIGH: usize = 60;
export const START: usize = 64;
export const END: usize = 72;
export const CLOCK: usize = 80;
export const SEQUENCE: usize = 88;
export const BYTES: usize = 96;
export const PACKETS: usize = 104;
export const ACK: usize = 112;
export const PSH: usize = 120;
/** Bytes within the row beside it (src/flow/feature-layout.ts): two words for each of the rarer flags. */
export const RARE_FLAGS: usize = 8;

/** An entry of the index: a slot plus 1, and above it bits of the hash. */
export const SLOT_MASK: u32 = 0x01ff_ffff;
