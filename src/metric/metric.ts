// A metric: one function for each packet, one value for each flow.

import type { Direction } from '../classifier/classifier.ts';
import type { Packet } from '../classifier/packet.ts';
import type { Flow } from '../flow/flow.ts';
import type { MetricValue } from '../flow/schema.ts';

/**
 * Called for each packet of a flow, after the flow's counters were updated; returns the metric's new value. It starts
 * at 0. In here `flow.metrics` reads as numbers, so that counting needs no cast; `metric` is for other types. `packet`
 * and `flow` are valid during the call only: `flow.classifiers` is the place for what a metric wants to keep of a flow.
 */
export type UserMetric<Value extends MetricValue = MetricValue> = (
  packet: Packet,
  flow: Flow<Record<string, number>>,
  direction: Direction,
) => Value;

/**
 * Types a metric that is not a number: `sizes: metric<number[]>((packet, flow) => [...(flow.metrics.sizes || []),
 * packet.length].slice(0, 8))`. Inside, its value so far is a `Value`, or the 0 that it starts at.
 */
export function metric<Value extends MetricValue>(
  next: (packet: Packet, flow: Flow<Record<string, Value | 0>>, direction: Direction) => Value,
): UserMetric<Value> {
  return next as unknown as UserMetric<Value>;
}
