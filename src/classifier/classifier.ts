// The interface of everything that labels flows, but for nDPI: trained models, a user's own code.
import type { Flow } from '../flow/flow.ts';
import type { Feature } from '../flow/schema.ts';
import type { Packet } from './packet.ts';

/** 0: source to destination of the flow, 1: back. */
export type Direction = 0 | 1;

/** What a classifier may ask of the run that it is part of. */
export interface RunInfo {
  /** Names of the user metrics, in their order. */
  readonly metrics: readonly string[];
  /** Names of the classifiers in the order in which they are called, nDPI's first. */
  readonly classifiers: readonly string[];
  /** What is measured beyond what always is: the features whose fields can be read from a flow. */
  readonly features: readonly Feature[];
}

/**
 * Extend it, give it a name and override what you need. `flow.classifiers[name]` is scratch space for one flow,
 * `flow.metrics` is what leaves with the record. A packet is valid during the call only.
 *
 * Only `onStart`, `onBatch`, `onFlowTerminate` and `onExit` may return a promise; from another method it is refused.
 *
 * Order for one packet: counters, `onFlowUpdate` of each classifier, the user metrics, `onFlowMeasured` of each.
 */
export abstract class NFStreamClassifier {
  /** Key of this classifier's scratch space; unique in one Streamer. The class's name when none is given. */
  readonly name: string;

  /** Promises of `onFlowTerminate` that may be unsettled at once; more flows wait for their call, reading with them. */
  readonly concurrency: number = 64;

  constructor(name?: string) {
    this.name = name ?? new.target.name;
  }

  /** Called once, before the first packet is read, which waits for a promise: the place to load and check a model. */
  onStart(_run: RunInfo): Promise<void> | void {}

  /** A flow began. Its first packet follows in `onFlowUpdate`. `flow.classifiers[name]` is an empty object now. */
  onFlowInit(_flow: Flow): void {}

  /**
   * A packet of the flow, after the flow's counters were updated. Return `true` when nothing more is wanted of this
   * flow: its further packets are not handed over, which costs nothing then. `onFlowTerminate` is called all the same.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: returning nothing is the ordinary case
  onFlowUpdate(_packet: Packet, _flow: Flow, _direction: Direction): boolean | void {}

  /** The same packet again, after the user metrics have taken it in: for whoever reads those. Returns likewise. */
  // biome-ignore lint/suspicious/noConfusingVoidType: returning nothing is the ordinary case
  onFlowMeasured(_packet: Packet, _flow: Flow, _direction: Direction): boolean | void {}

  /**
   * A batch of packets (some hundreds) was metered. No more are read before a promise settles: for whoever works on
   * several flows at once and must not fall behind.
   */
  onBatch(): Promise<void> | void {}

  /**
   * The flow ended, for whatever reason; called once for each flow. May return a promise (a question to a model
   * server, say): the record waits for it, and so do the records behind it, which keep their order.
   */
  onFlowTerminate(_flow: Flow): Promise<void> | void {}

  /** The run ended, for whatever reason; called once, after the last flow. The end of the run waits for a promise. */
  onExit(): Promise<void> | void {}
}
