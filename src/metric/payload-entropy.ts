// Shannon entropy of a flow's payload bytes: 0 for one byte repeated, about 4 to 5 for text, near 8 for what is
// compressed or encrypted.
//
// With n bytes of which c(v) have the value v:   H = log2(n) - (sum of c(v) * log2(c(v))) / n
// With weight(c) = c * log2(c) tabulated, a byte changes the sum by weight(c + 1) - weight(c): a packet costs its own
// bytes and no walk over the histogram. The table is rounded to multiples of 2^-28, so that sums of it are exact: the
// value doesn't depend on how the bytes were cut into packets. That rounding moves H by less than 2e-9, which rounding H
// to 1e-8 takes away again where H is a whole number.
import { integer } from '../check-option.ts';
import { FlowScratch } from './flow-scratch.ts';
import type { UserMetric } from './metric.ts';

const DEFAULT_MAX_BYTES = 16384;
/** Sums stay below 2^25 then, so that they and their 28 binary digits fit a double's 53. */
const MOST_BYTES = 2 ** 20;
const FRACTION = 2 ** 28;
const PRECISION = 1e8;
const BYTE_VALUES = 256;
const MOST_IN_16_BITS = 0xffff;

export interface PayloadEntropyOptions {
  /** How many payload bytes of a flow are looked at, its first ones: 1 to 1048576, default 16384. */
  maxBytes?: number;
}

interface Histogram {
  /** How often each byte value came; let go of when `maxBytes` were counted. */
  counts: Uint16Array | Uint32Array | undefined;
  /** Bytes counted. */
  total: number;
  /** Sum of the weights of all counts. */
  weights: number;
  entropy: number;
}

/** Shared by all instances, as long as the greatest `maxBytes` asks. */
let weightTable: Float64Array = new Float64Array(0);

/**
 * A metric: Shannon entropy of the flow's payload bytes so far, both directions together, in bits per byte (0 to 8), to
 * 8 decimals; `null` until the first payload byte. Only the first `maxBytes` are counted, so a flow's cost is bounded.
 *
 * Payload is what follows the transport header, as far as it was captured; of protocols other than TCP, UDP and SCTP
 * what follows the IP header. Bytes that TCP sent again count again. Few bytes can't have much entropy: n bytes have at
 * most log2(n) bits. When the active timeout cuts a flow the count begins anew.
 *
 * Cost: about 2 ns for each byte that is counted. A live flow holds 0.9 KB from its first payload byte on (1.4 KB where
 * `maxBytes` is above 65535), and less than 0.1 KB after `maxBytes` bytes: 90 MB for 100,000 live flows at worst.
 *
 * @throws NfstreamError INVALID_OPTION for another `maxBytes`.
 */
export function payloadEntropy(options: PayloadEntropyOptions = {}): UserMetric<number | null> {
  const maxBytes = integer('payloadEntropy maxBytes', options.maxBytes, 1, MOST_BYTES, DEFAULT_MAX_BYTES);
  if (weightTable.length <= maxBytes) weightTable = tabulate(maxBytes);
  const weights = weightTable;
  const scratch = new FlowScratch<Histogram>('payload-entropy');
  return (packet, flow) => {
    let histogram = scratch.get(flow);
    const at = packet.payloadAt;
    const end = packet.ipEnd;
    if (at >= end) return histogram === undefined ? null : histogram.entropy;
    if (histogram === undefined) {
      const counts = maxBytes > MOST_IN_16_BITS ? new Uint32Array(BYTE_VALUES) : new Uint16Array(BYTE_VALUES);
      histogram = { counts, total: 0, weights: 0, entropy: 0 };
      scratch.set(flow, histogram);
    }
    if (histogram.counts !== undefined) {
      count(histogram, histogram.counts, weights, packet.bytes, at, Math.min(end, at + maxBytes - histogram.total));
      if (histogram.total === maxBytes) histogram.counts = undefined;
    }
    return histogram.entropy;
  };
}

function count(
  histogram: Histogram,
  counts: Uint16Array | Uint32Array,
  weights: Float64Array,
  bytes: Uint8Array,
  at: number,
  end: number,
): void {
  let sum = histogram.weights;
  for (let i = at; i < end; i++) {
    const value = bytes[i];
    const times = counts[value];
    counts[value] = times + 1;
    sum += weights[times + 1] - weights[times];
  }
  const total = histogram.total + end - at;
  histogram.total = total;
  histogram.weights = sum;
  histogram.entropy = Math.round(((weights[total] - sum) / total) * PRECISION) / PRECISION;
}

/** weights[n] is also what all n bytes together weigh: log2(n) * n. */
function tabulate(most: number): Float64Array {
  const weights = new Float64Array(most + 1);
  for (let times = 1; times <= most; times++) {
    weights[times] = Math.round(times * Math.log2(times) * FRACTION) / FRACTION;
  }
  return weights;
}
