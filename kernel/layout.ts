// Where everything lies in the kernel's memory. The columns of a batch have fixed places; the tables, whose sizes options
// decide, follow behind them. src/kernel/kernel.ts says the same to TypeScript, and a test holds the two together.

/** Rows of a batch at most. */
export const ROWS: usize = 256;

// What every meter reads of a batch ...
export const TIMES: usize = 1024;
export const KEY_BYTES: usize = 44;
export const KEYS: usize = TIMES + ROWS * 8;
export const WIRE_LENGTHS: usize = KEYS + ROWS * KEY_BYTES;
export const HASHES_IN: usize = WIRE_LENGTHS + ROWS * 4;
export const STATUS: usize = HASHES_IN + ROWS * 4;
export const TCP_FLAGS: usize = STATUS + ROWS;
export const OWNERS: usize = TCP_FLAGS + ROWS;
// ... what whoever looks at packets reads ...
export const LATER_FRAGMENT: usize = OWNERS + ROWS;
export const FRAMES: usize = LATER_FRAGMENT + ROWS;
export const CAPTURED: usize = FRAMES + ROWS * 4;
export const IP_SIZES: usize = CAPTURED + ROWS * 4;
export const SRC_MACS: usize = IP_SIZES + ROWS * 4;
export const DST_MACS: usize = SRC_MACS + ROWS * 4;
export const IPS: usize = DST_MACS + ROWS * 4;
export const TRANSPORTS: usize = IPS + ROWS * 4;
export const PAYLOADS: usize = TRANSPORTS + ROWS * 4;
export const IP_ENDS: usize = PAYLOADS + ROWS * 4;
// ... where time goes on by itself ...
export const CLOCKS_IN: usize = IP_ENDS + ROWS * 4;
/** Up to here a batch goes from one thread to another. */
export const BATCH_END: usize = CLOCKS_IN + ROWS * 8;
// ... and what is computed of it.
export const LINK_TYPES: usize = BATCH_END;
export const CLOCKS: usize = LINK_TYPES + ROWS * 4;
export const SIZES: usize = CLOCKS + ROWS * 8;
export const OWN_ROWS: usize = SIZES + ROWS * 4;
export const HASHES: usize = OWN_ROWS + ROWS * 4;
export const FOUND: usize = HASHES + ROWS * 4;
/** Of packets that are not metered, how many, by status: a double each. */
export const SKIPPED: usize = FOUND + ROWS * 4;
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

/** An entry of the index: a slot plus 1 (0 where there is none any more), and above it bits of the hash. */
export const SLOT_MASK: u32 = 0x01ff_ffff;
