// Writes a classic pcap file (microseconds, little-endian, Ethernet) in large blocks, so that a gigabyte takes seconds.
import { closeSync, openSync, writeSync } from 'node:fs';

const BLOCK_BYTES = 1 << 23;
const LARGEST_FRAME = 1 << 16;

export class CaptureWriter {
  #fd;
  #block = Buffer.allocUnsafe(BLOCK_BYTES + LARGEST_FRAME);
  #used = 0;
  packets = 0;

  /** @param {string} path */
  constructor(path) {
    this.#fd = openSync(path, 'w');
    const block = this.#block;
    block.writeUInt32LE(0xa1b2c3d4, 0);
    block.writeUInt16LE(2, 4);
    block.writeUInt16LE(4, 6);
    block.writeUInt32LE(0, 8);
    block.writeUInt32LE(0, 12);
    block.writeUInt32LE(LARGEST_FRAME, 16);
    block.writeUInt32LE(1, 20);
    this.#used = 24;
  }

  /**
   * Appends a copy of `frame` and returns where it lies in `this.block`, to be changed there before the next call.
   * @param {number} timeUs since the epoch
   * @param {Uint8Array} frame
   */
  add(timeUs, frame) {
    if (this.#used >= BLOCK_BYTES) this.#flush();
    const block = this.#block;
    let at = this.#used;
    const seconds = Math.floor(timeUs / 1e6);
    at = block.writeUInt32LE(seconds, at);
    at = block.writeUInt32LE(timeUs - seconds * 1e6, at);
    at = block.writeUInt32LE(frame.length, at);
    at = block.writeUInt32LE(frame.length, at);
    block.set(frame, at);
    this.#used = at + frame.length;
    this.packets++;
    return at;
  }

  get block() {
    return this.#block;
  }

  #flush() {
    writeSync(this.#fd, this.#block, 0, this.#used);
    this.#used = 0;
  }

  close() {
    this.#flush();
    closeSync(this.#fd);
  }
}

/**
 * Numbers that are random enough and the same every time (mulberry32).
 * @param {number} seed
 * @returns {(below: number) => number} an integer from 0 to below - 1
 */
export function randomIntegers(seed) {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}
