// The interfaces of one pcapng section as columns: link type, snap length, and how their time stamps are to be read.
//
//   option   code 2 | length 2 | value, padded to a multiple of 4
//            9 if_tsresol, 1 byte: 10^-n s, or 2^-n s with the top bit set; 14 if_tsoffset, 8 bytes: signed seconds
//
// A 64-bit count of nanoseconds since the epoch does not fit a double. `timeMs` splits it into whole seconds and an
// exact remainder, so that the same packet has the same time from a pcap and from a pcapng file.
import { stampTime } from './stamp-time.ts';

const OPTION_END = 0;
const OPTION_RESOLUTION = 9;
const OPTION_OFFSET = 14;
const INTERFACE_HEADER_BYTES = 8;
const TWO_32 = 2 ** 32;
/** Remainders of seconds of at most this many units can be computed modulo 2^32 without doubt. */
const MOST_EXACT_UNITS = 2 ** 30;
/** More interfaces than this in one section are taken for damage. */
const MAX_INTERFACES = 1 << 16;

export class InterfaceTable {
  count = 0;
  linkTypes = new Int32Array(4);
  /** Infinity where the interface has no limit. */
  snaplens = new Float64Array(4);
  private unitsPerSecond = new Float64Array(4);
  private offsetSeconds = new Float64Array(4);

  /** A new section begins. */
  clear(): void {
    this.count = 0;
  }

  /** Adds the interface whose block body is `view`'s `[at, end)`; returns what is wrong with it, or null. */
  add(view: DataView, at: number, end: number, isLittleEndian: boolean): string | null {
    const id = this.count;
    if (id >= MAX_INTERFACES) return `a section has more than ${MAX_INTERFACES} interfaces`;
    if (id === this.linkTypes.length) this.grow();
    this.linkTypes[id] = view.getUint16(at, isLittleEndian);
    this.snaplens[id] = view.getUint32(at + 4, isLittleEndian) || Number.POSITIVE_INFINITY;
    this.unitsPerSecond[id] = 1e6;
    this.offsetSeconds[id] = 0;
    for (let option = at + INTERFACE_HEADER_BYTES; end - option >= 4; ) {
      const code = view.getUint16(option, isLittleEndian);
      if (code === OPTION_END) break;
      const length = view.getUint16(option + 2, isLittleEndian);
      const value = option + 4;
      if (length > end - value) return 'an option of an interface runs over the end of its block';
      if (code === OPTION_RESOLUTION) {
        if (length !== 1) return `an interface's time resolution has ${length} bytes instead of 1`;
        const resolution = view.getUint8(value);
        this.unitsPerSecond[id] = resolution & 0x80 ? 2 ** (resolution & 0x7f) : 10 ** resolution;
      } else if (code === OPTION_OFFSET) {
        if (length !== 8) return `an interface's time offset has ${length} bytes instead of 8`;
        const high = view.getInt32(value + (isLittleEndian ? 4 : 0), isLittleEndian);
        const low = view.getUint32(value + (isLittleEndian ? 0 : 4), isLittleEndian);
        this.offsetSeconds[id] = high * TWO_32 + low;
      }
      option = value + ((length + 3) & ~3);
    }
    this.count = id + 1;
    return null;
  }

  /** The time, in ms since the epoch, of `high * 2^32 + low` units of interface `id`'s resolution. */
  timeMs(id: number, high: number, low: number): number {
    const units = this.unitsPerSecond[id];
    const total = high * TWO_32 + low;
    if (units > MOST_EXACT_UNITS)
      return (high * TWO_32) / (units / 1000) + low / (units / 1000) + this.offsetSeconds[id] * 1000;
    // The quotient of the rounded total is off by one at most, which the remainder's low 32 bits tell.
    let seconds = Math.floor(total / units);
    let remainder = (low - Math.imul(seconds, units)) | 0;
    if (remainder < 0) {
      seconds--;
      remainder += units;
    } else if (remainder >= units) {
      seconds++;
      remainder -= units;
    }
    return stampTime(seconds + this.offsetSeconds[id], remainder, units);
  }

  private grow(): void {
    const columns = [this.snaplens, this.unitsPerSecond, this.offsetSeconds].map((column) => {
      const larger = new Float64Array(column.length * 2);
      larger.set(column);
      return larger;
    });
    [this.snaplens, this.unitsPerSecond, this.offsetSeconds] = columns;
    const larger = new Int32Array(this.linkTypes.length * 2);
    larger.set(this.linkTypes);
    this.linkTypes = larger;
  }
}
