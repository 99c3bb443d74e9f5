// The interface of everything that labels flows: nDPI, trained models, a user's own code. It is the only door: nDPI
// comes through it like anybody else.
import type { Flow } from '../flow/flow.ts';
import type { Packet } from './packet.ts';

/** 0: source to destination of the flow, 1: back. */
export type Direction = 0 | 1;

/**
 * Extend it, give it a name and override what you need. `flow.classifiers[name]` is scratch space for one flow,
 * `flow.metrics` is what leaves with the record. A packet is valid during the call only.
 */
export abstract class NFStreamClassifier {
  /** Key of this classifier's scratch space; unique in one Streamer. */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** A flow began. Its first packet follows in `onFlowUpdate`. */
  onFlowInit(_flow: Flow): void {}

  /**
   * A packet of the flow, after the flow's counters were updated. Return `true` when nothing more is wanted of this
   * flow: its further packets are not handed over, which costs nothing then. `onFlowTerminate` is called all the same.
   */
  // biome-ignore lint/suspicious/noConfusingVoidType: returning nothing is the ordinary case
  onFlowUpdate(_packet: Packet, _flow: Flow, _direction: Direction): boolean | void {}

  /** The flow ended, for whatever reason; called once for each flow. */
  onFlowTerminate(_flow: Flow): void {}

  /** The run ended, for whatever reason; called once, after the last flow. */
  onExit(): void {}
}
