// The ledger: every packet read is metered or skipped for one named reason, and the sum closes.
import { SKIP_REASONS, type SkipReason } from './packet/packet-columns.ts';
import type { Pipeline } from './pipeline.ts';
import type { PacketSource } from './source/source.ts';

/** `packets_read` equals `packets_metered` plus the sum of `packets_skipped`, at any time. docs/counters.md explains each. */
export interface StreamerStats {
  packets_read: number;
  packets_metered: number;
  packets_skipped: Record<SkipReason, number>;
  /** Flows in the table now; 0 after the run, unless user code failed. */
  flows_live: number;
  /** Flows that the table takes at most: `capacity`. */
  flows_capacity: number;
  /** Flows that ended, settled and were not dropped, by what ended them; after a `break` those that nobody took, too. */
  flows_exported: {
    inactive: number;
    active: number;
    termination: number;
    user: number;
    capacity: number;
    tcp_end: number;
  };
  /** Flows dropped because the table was full. */
  flows_evicted: number;
  /** Bytes of the capture, after decompression. */
  bytes_read: number;
  /** What the kernel counts where interfaces are the source; null otherwise. */
  capture: CaptureStats | null;
  /** Seconds since the run began, or that it took. */
  seconds: number;
}

/** Of a live source, summed over its interfaces. A packet is received, then dropped by the kernel, read, or waiting. */
export interface CaptureStats {
  /** Packets that passed the filter in the kernel; those that it then dropped are in it. */
  packets_received: number;
  /** Packets lost because the kernel's buffer was full: the consumer was too slow. */
  packets_dropped_by_kernel: number;
  /** Packets lost by the interface or its driver. */
  packets_dropped_by_interface: number;
  /** Most packets seen waiting in the kernel's buffer. */
  queue_high_water: number;
  /** Interfaces that are gone now, and waited for (`reconnect`). */
  interfaces_down: number;
}

const [, ...REASONS] = SKIP_REASONS;

/** The ledger before a run. */
export function emptyStats(): StreamerStats {
  return {
    packets_read: 0,
    packets_metered: 0,
    packets_skipped: Object.fromEntries(REASONS.map((reason) => [reason, 0])) as Record<SkipReason, number>,
    flows_live: 0,
    flows_capacity: 0,
    flows_exported: { inactive: 0, active: 0, termination: 0, user: 0, capacity: 0, tcp_end: 0 },
    flows_evicted: 0,
    bytes_read: 0,
    capture: null,
    seconds: 0,
  };
}

/** The ledger of a run, as it stands: rows counted where they are read, and again where they are dealt with. */
export function statsOf({ source, meter, packetsRead }: Pipeline, seconds: number): StreamerStats {
  const stats = emptyStats();
  REASONS.forEach((reason, i) => {
    stats.packets_skipped[reason] = meter.packetsSkipped[i + 1];
  });
  stats.packets_read = packetsRead;
  stats.packets_metered = meter.packetsMetered;
  stats.flows_live = meter.flowsLive;
  stats.flows_capacity = meter.capacity;
  stats.flows_exported = { ...meter.exported };
  stats.flows_evicted = meter.flowsEvicted;
  stats.bytes_read = source.bytesRead;
  stats.capture = captureStatsOf(source);
  stats.seconds = Math.round(seconds * 1e6) / 1e6;
  return stats;
}

/** Asks the kernel; null for what is no interface. */
export function captureStatsOf({ capture }: PacketSource): CaptureStats | null {
  if (capture === null) return null;
  return {
    packets_received: capture.received,
    packets_dropped_by_kernel: capture.droppedByKernel,
    packets_dropped_by_interface: capture.droppedByInterface,
    queue_high_water: capture.queueHighWater,
    interfaces_down: capture.interfacesDown,
  };
}
