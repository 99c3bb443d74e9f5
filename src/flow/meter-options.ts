// What a meter is told.
import type { Kernel } from '../kernel/kernel.ts';
import type { AccountingMode } from './accounting.ts';
import type { RecordShape } from './record.ts';

export interface MeterOptions {
  /** Live flows at most. */
  capacity: number;
  activeTimeoutMs: number;
  inactiveTimeoutMs: number;
  /**
   * End a flow that has been active for too long without waiting for its next packet, and measure that by the clock
   * instead of time stamps: for sources whose time goes on by itself.
   */
  expiresActive: boolean;
  /** What happens to the least recently used flow when one more than `capacity` arrives. */
  onCapacity: 'drop' | 'export';
  /** End TCP flows when their connections have ended. */
  tcpEnd: boolean;
  accountingMode: AccountingMode;
  shape: RecordShape;
  /** Which rows of a batch with `owners` are this meter's; time passes with all of them. */
  owner?: number | undefined;
  /** Made by `kernelFor` with the same capacity and shape; whose columns batches have, if they can. By default a new one. */
  kernel?: Kernel | undefined;
  /** The number of live flows of all meters together, which `capacity` then bounds; used with Atomics. */
  live?: Int32Array | undefined;
  /** Of meters that number their packets themselves, side by side, so that no two of them give the same `flow_id`. */
  numbering?: { readonly index: number; readonly meters: number } | undefined;
}
