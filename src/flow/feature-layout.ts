// What a flow's record holds beyond the 192 bytes of record.ts: one row of doubles for each slot, in groups that options
// turn on. A group that is off takes no memory and no time.
//
//   double 0        number of the packet that began the conversation (flow_id)
//          1        segment of it
//          2, 3     words 4..6: source and destination MAC, word 7: 1 when there are any     macs
//          4..7     first seen (src to dst, dst to src), last seen (both)                    directions
//          4        gaps between packets in both directions: sum, sum of squares, min, max   statistics
//          6 + 6    each direction: the same of its gaps; sum of squares of its packets' sizes; their min and max (words)
//          n        gaps before the first n packets, ms                                      splt
//          n words  their sizes, the sign bit for dst to src
//
// Sums are kept instead of running means: they take no division, and whole milliseconds and sizes are summed exactly.

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
export const SEGMENT = 1;
const IDENTITY_DOUBLES = 2;
const MAC_DOUBLES = 2;
const DIRECTION_DOUBLES = 4;

/** Within the gaps of both directions, and of each: sum, sum of squares, min, max. */
export const GAP_SUM = 0;
export const GAP_SQUARES = 1;
export const GAP_MIN = 2;
export const GAP_MAX = 3;
const GAP_DOUBLES = 4;
/** After the gaps of a direction. */
export const SIZE_SQUARES = 4;
/** Words, counted from the direction's first double: min and max. */
export const SIZE_MIN_WORD = 10;
export const SIZE_MAX_WORD = 11;
/** Doubles of one direction. */
export const WAY_DOUBLES = 6;

/** Where each group begins in a row of doubles; -1 where it is off. */
export class FeatureLayout {
  readonly options: FeatureOptions;
  readonly macs: number;
  readonly directions: number;
  /** The gaps of both directions; those of one follow. */
  readonly statistics: number;
  readonly splt: number;
  /** Doubles of a row. */
  readonly doubles: number;

  constructor(options: FeatureOptions) {
    this.options = options;
    let at = IDENTITY_DOUBLES;
    const take = (isOn: boolean, doubles: number) => {
      if (!isOn) return -1;
      at += doubles;
      return at - doubles;
    };
    this.macs = take(options.macs, MAC_DOUBLES);
    this.directions = take(options.directions, DIRECTION_DOUBLES);
    this.statistics = take(options.statistics, GAP_DOUBLES + 2 * WAY_DOUBLES);
    this.splt = take(options.splt > 0, options.splt + Math.ceil(options.splt / 2));
    this.doubles = at;
  }
}
