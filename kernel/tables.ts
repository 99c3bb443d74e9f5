// The tables of one meter: where they lie and what it was told.

/** The index: 32-bit entries, `mask` + 1 of them. */
export let index: usize = 0;
export let mask: u32 = 0;
export let seed: u32 = 0;
/** Records, 128 bytes each. */
export let records: usize = 0;
/** The rows beside them, and the bytes of one. */
export let extra: usize = 0;
export let extraBytes: usize = 0;
export let inactiveMs: f64 = 0;
export let activeMs: f64 = 0;

export function setTables(indexAt: usize, recordsAt: usize, extraAt: usize, bytes: usize, hashSeed: u32): void {
  index = indexAt;
  records = recordsAt;
  extra = extraAt;
  extraBytes = bytes;
  seed = hashSeed;
}

export function setTimeouts(inactive: f64, active: f64): void {
  inactiveMs = inactive;
  activeMs = active;
}

/** The index has this many entries from now on, a power of two. */
export function setIndexSize(entries: u32): void {
  mask = entries - 1;
}
