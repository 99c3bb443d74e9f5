// Measures what options add to a flow's record (feature-layout.ts), packet by packet, before the packet is counted.
//
// HOT PATH: no allocation, no division. A gap is the time since the latest packet so far, never below 0: a packet out of
// order has come no time after it.
import type { PacketColumns } from '../packet/packet-columns.ts';
import type { PacketBatch } from '../source/source.ts';
import * as layouts from './feature-layout.ts';
import type { RecordStore } from './record.ts';
import * as record from './record.ts';

// Own constants are folded into the code (see meter.ts).
const { FIRST_SEEN, FLOW_ID, LAST_SEEN, MAC_DOUBLES } = layouts;
const { GAP_MAX, GAP_MIN, GAP_SQUARES, GAP_SUM } = layouts;
const { WAY_GAPS, WAY_SIZE_MAX_WORD, WAY_SIZE_MIN_WORD, WAY_SIZE_SQUARES } = layouts;
const { DOUBLE_END, RECORD_DOUBLES, RECORD_WORDS, WORD_PACKETS, WORD_SEGMENT } = record;
/** One bit of a packet's word is its direction. No link has frames of this size. */
const MAX_SPLT_SIZE = 0x7fff_ffff;

export class FlowFeatures {
  readonly #store: RecordStore;
  readonly #stride: number;
  readonly #macs: number;
  readonly #directions: number;
  readonly #wayDoubles: number;
  readonly #statistics: number;
  readonly #splt: number;
  readonly #spltPackets: number;
  readonly #isExact: boolean;
  /** Whether `measure` has anything to do. */
  readonly measuresPackets: boolean;

  constructor(store: RecordStore) {
    const { doubles, macs, directions, wayDoubles, statistics, splt, options } = store.layout;
    this.#store = store;
    this.#stride = doubles;
    this.#macs = macs;
    this.#directions = directions;
    this.#wayDoubles = wayDoubles;
    this.#statistics = statistics;
    this.#splt = splt;
    this.#spltPackets = options.splt;
    this.#isExact = options.exactTimes;
    this.measuresPackets = directions >= 0 || splt >= 0;
  }

  /** A conversation begins in `slot` with row `row`, which is packet number `number` of the source. */
  begin(slot: number, number: number, batch: PacketBatch, columns: PacketColumns, row: number): void {
    const { extra } = this.#store;
    const at = slot * this.#stride;
    for (let i = 0; i < this.#stride; i++) extra[at + i] = 0;
    extra[at + FLOW_ID] = number;
    if (this.#macs >= 0) this.#readMacs((at + this.#macs) * 2, batch, columns, row);
  }

  /** The conversation goes on in its next segment, of which nothing is measured yet. */
  nextSegment(slot: number): void {
    const { extra, words } = this.#store;
    const at = slot * this.#stride;
    words[slot * RECORD_WORDS + WORD_SEGMENT]++;
    // The MAC addresses are those of the conversation's first packet, as its direction is. DIFFERS: NFStream begins anew
    // with the next packet, whichever way it goes (kind segment_direction).
    for (let i = FLOW_ID + 1; i < this.#stride; i++) {
      const isMac = this.#macs >= 0 && i >= this.#macs && i < this.#macs + MAC_DOUBLES;
      if (!isMac) extra[at + i] = 0;
    }
  }

  #readMacs(word: number, { view }: PacketBatch, { srcMacAt, dstMacAt }: PacketColumns, row: number): void {
    const { extraWords } = this.#store;
    const src = srcMacAt[row];
    const dst = dstMacAt[row];
    if (src < 0 || dst < 0) return;
    extraWords[word] = view.getInt32(src);
    extraWords[word + 1] = (view.getUint16(src + 4) << 16) | view.getUint16(dst);
    extraWords[word + 2] = view.getInt32(dst + 2);
  }

  /** A packet of the flow in `slot` that its record has not counted yet. */
  measure(slot: number, direction: number, time: number, size: number): void {
    const { extra, extraWords, words, doubles } = this.#store;
    const at = slot * this.#stride;
    const counts = slot * RECORD_WORDS + WORD_PACKETS;
    const before = words[counts + direction] >>> 0;
    const total = before + (words[counts + 1 - direction] >>> 0);
    const end = doubles[slot * RECORD_DOUBLES + DOUBLE_END];
    const gap = total === 0 ? 0 : this.#gap(end, time);
    if (this.#directions >= 0) {
      const way = at + this.#directions + direction * this.#wayDoubles;
      const last = extra[way + LAST_SEEN];
      if (before === 0) {
        extra[way + FIRST_SEEN] = time;
        extra[way + LAST_SEEN] = time;
      } else {
        if (time < extra[way + FIRST_SEEN]) extra[way + FIRST_SEEN] = time;
        if (time > last) extra[way + LAST_SEEN] = time;
      }
      if (this.#statistics >= 0) {
        if (total !== 0) addGap(extra, at + this.#statistics, gap, total - 1);
        if (before !== 0) addGap(extra, way + WAY_GAPS, this.#gap(last, time), before - 1);
        extra[way + WAY_SIZE_SQUARES] += size * size;
        const least = way * 2 + WAY_SIZE_MIN_WORD;
        const most = way * 2 + WAY_SIZE_MAX_WORD;
        if (before === 0 || size < extraWords[least] >>> 0) extraWords[least] = size;
        if (size > extraWords[most] >>> 0) extraWords[most] = size;
      }
    }
    if (total < this.#spltPackets) {
      const base = at + this.#splt;
      extra[base + total] = gap;
      extraWords[(base + this.#spltPackets) * 2 + total] = Math.min(size, MAX_SPLT_SIZE) | (direction << 31);
    }
  }

  #gap(from: number, to: number): number {
    return Math.max(0, this.#isExact ? to - from : Math.floor(to) - Math.floor(from));
  }
}

/**
 * `at` is where the gaps' sum lies, `n` how many were added before. What is summed is how far each gap is above the least:
 * of gaps that are nearly equal the squares alone would not tell the deviation.
 */
function addGap(extra: Float64Array, at: number, gap: number, n: number): void {
  const least = extra[at + GAP_MIN];
  if (n === 0) extra[at + GAP_MIN] = gap;
  else if (gap < least) {
    const by = least - gap;
    const sum = extra[at + GAP_SUM];
    extra[at + GAP_SQUARES] += by * (2 * sum + n * by);
    extra[at + GAP_SUM] = sum + n * by;
    extra[at + GAP_MIN] = gap;
  } else {
    const above = gap - least;
    extra[at + GAP_SUM] += above;
    extra[at + GAP_SQUARES] += above * above;
  }
  if (gap > extra[at + GAP_MAX]) extra[at + GAP_MAX] = gap;
}
