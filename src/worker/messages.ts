// What the main thread and a meter's thread say to each other. Messages arrive in the order in which they were sent, so a
// `clock` or an `end` stands for all rows handed over before it.
//
//   main ──► open, run, go, rows, clock, end, taken, stop ──► meter
//   main ◄── opened, flows, warning, done ◄── meter
import type { ResolvedOptions } from '../options.ts';
import type { Fanout } from '../source/interface-capture.ts';
import type { HandedFlows } from './handed-flows.ts';
import type { ParcelShape, ParcelText } from './parcel.ts';
import type { ErrorText } from './remote-error.ts';

/** Flow batches that a meter may be ahead of whoever takes them. */
export const FLOWS_AHEAD = 32;
/** Batches after which they are acknowledged. */
export const FLOWS_TAKEN = 8;

/** Values of `MeterSetup.control[0]`, which a meter looks at between batches. Each includes the ones below it. */
export const GO_ON = 0;
/** No more packets; live flows are handed over. */
export const STOP = 1;
/** Nobody takes flows any more. */
export const DISCARD = 2;

/** What a thread is started with. */
export interface MeterSetup {
  readonly options: ResolvedOptions;
  /** Which of how many, from 0. */
  readonly index: number;
  readonly meters: number;
  /** The thread captures its share of the packets itself; null where it is handed rows. */
  readonly fanout: Fanout | null;
  /** Of handed rows: what comes with them, and what their hashes begin with. */
  readonly parcels: ParcelShape;
  readonly seed: number;
  /** The number of live flows of all meters. */
  readonly live: Int32Array<SharedArrayBuffer>;
  readonly control: Int32Array<SharedArrayBuffer>;
  readonly counters: SharedArrayBuffer;
}

/** A warning of `process.emitWarning`. */
export interface WarningText {
  readonly name: string;
  readonly message: string;
  readonly code: string | undefined;
}

export type ToMeter =
  | { readonly type: 'open' }
  | { readonly type: 'run' }
  /** All meters have opened their interfaces: capture. */
  | { readonly type: 'go' }
  | { readonly type: 'rows'; readonly parcel: ParcelText }
  /** Rows up to here have been handed over, ms. */
  | { readonly type: 'clock'; readonly clockMs: number }
  /** No more rows. */
  | { readonly type: 'end' }
  | { readonly type: 'taken'; readonly batches: number }
  /** `control` has changed. */
  | { readonly type: 'stop' };

export type FromMeter =
  /** The interfaces are open, or user code has started and rows are waited for. */
  | { readonly type: 'opened' }
  | {
      readonly type: 'flows';
      readonly flows: readonly HandedFlows[];
      /** All flows whose DOUBLE_ORDER is up to this one have been sent. */
      readonly order: number;
      /** Of which all rows were read, if any. */
      readonly parcel: number | undefined;
    }
  | { readonly type: 'warning'; readonly warning: WarningText }
  | { readonly type: 'done'; readonly error: ErrorText | undefined };
