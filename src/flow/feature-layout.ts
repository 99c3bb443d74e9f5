// What a flow's record holds beyond the 128 bytes of record.ts: one row of doubles for each slot. What few packets touch comes
// first; then groups that options turn on. A group that is off takes no memory and no time.
//
//   double 0     number of the packet that began the conversation (flow_id)
//          1..6  words 2..13: counts of SYN, CWR, ECE, URG, RST and FIN, two words each
//          7, 8  words 14..16: source and destination MAC, zeros where there are none              macs
//         12     gaps between packets in both directions: sum, sum of squares, min, max             statistics
//         16     for src to dst, then for dst to src: first seen, last seen                         directions
//         +2     the same of this direction's gaps; sum of squares of sizes; words: min, max size   statistics
//          n     gaps before the first n packets, ms                                                splt
//          n     words: their sizes, the sign bit for dst to src
//
// With statistics each direction has a line of the cache, and a packet touches one of them and the gaps' line.
// Sums are kept instead of running means: they take no division, and whole milliseconds and sizes are summed exactly.
// Gaps are summed from the least one up: so sums of squares stay small where gaps are nearly equal, and their deviation exact.

/** What is measured. */
export interface FeatureOptions {
  readonly macs: boolean;
  readonly directions: boolean;
  /** Needs `directions`. */
  readonly statistics: boolean;
  /** Packets whose direction, size and gap are kept; 0 for none. */
  readonly splt: number;
  /** Gaps between time stamps as they are; otherwise of time stamps cut to whole milliseconds, as NFStream has them. */
  readonly exactTimes: boolean;
}

export const NO_FEATURES: FeatureOptions = {
  macs: false,
  directions: false,
  statistics: false,
  splt: 0,
  exactTimes: true,
};

export const FLOW_ID = 0;
/** Words, from the row's first. */
export const RARE_FLAGS_WORD = 2;
const CONVERSATION_DOUBLES = 7;
export const MAC_DOUBLES = 2;

/** Within the gaps of both directions, and of each: sum and sum of squares of how far they are above min, min, max. */
export const GAP_SUM = 0;
export const GAP_SQUARES = 1;
export const GAP_MIN = 2;
export const GAP_MAX = 3;
const GAP_DOUBLES = 4;

/** Of a direction: time of its first and of its last packet. */
export const FIRST_SEEN = 0;
export const LAST_SEEN = 1;
const SEEN_DOUBLES = 2;
/** Behind them. */
export const WAY_GAPS = 2;
export const WAY_SIZE_SQUARES = 6;
/** Words, counted from the direction's first double. */
export const WAY_SIZE_MIN_WORD = 14;
export const WAY_SIZE_MAX_WORD = 15;

/** Doubles of a cache line. */
const LINE_DOUBLES = 8;

/** Where each group begins in a row of doubles; -1 where it is off. */
export class FeatureLayout {
  readonly options: FeatureOptions;
  readonly macs: number;
  /** The gaps of both directions. */
  readonly statistics: number;
  /** Source to destination; the other one follows after `wayDoubles`. */
  readonly directions: number;
  readonly wayDoubles: number;
  readonly splt: number;
  /** Doubles of a row. */
  readonly doubles: number;

  constructor(options: FeatureOptions) {
    const { macs, directions, statistics, splt } = options;
    this.options = options;
    let at = CONVERSATION_DOUBLES;
    const take = (isOn: boolean, doubles: number) => {
      if (!isOn) return -1;
      at += doubles;
      return at - doubles;
    };
    this.macs = take(macs, MAC_DOUBLES);
    if (statistics) at = 2 * LINE_DOUBLES - GAP_DOUBLES;
    this.statistics = take(statistics, GAP_DOUBLES);
    this.wayDoubles = statistics ? LINE_DOUBLES : SEEN_DOUBLES;
    this.directions = take(directions || statistics, 2 * this.wayDoubles);
    this.splt = take(splt > 0, splt + Math.ceil(splt / 2));
    this.doubles = statistics ? Math.ceil(at / LINE_DOUBLES) * LINE_DOUBLES : at;
  }
}
