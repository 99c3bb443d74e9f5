import { describe, expect, it } from 'vitest';
import type { Pipeline } from '../../src/pipeline.ts';
import { emptyStats } from '../../src/stats.ts';
import { COUNTER_BYTES, SharedCounters } from '../../src/worker/shared-counters.ts';

/** As much of a pipeline as its counters take: of an interface, of which each meter has a share of the packets. */
function pipelineOf(received: number, interfacesDown: number): Pipeline {
  const capture = { received, droppedByKernel: 1, droppedByInterface: 2, queueHighWater: 3, interfacesDown };
  const meter = {
    packetsSkipped: new Float64Array(16),
    packetsMetered: received,
    flowsLive: 4,
    capacity: 10,
    exported: { inactive: 5, active: 0, termination: 0, user: 0, capacity: 0 },
    flowsEvicted: 6,
  };
  return { source: { bytesRead: 7, capture }, meter, packetsRead: received } as unknown as Pipeline;
}

describe('the counters of several meters', () => {
  it('add up; interfaces that are gone are gone for all of them', () => {
    const sum = emptyStats();
    for (const received of [100, 200]) {
      const buffer = new SharedArrayBuffer(COUNTER_BYTES);
      new SharedCounters(buffer).write(pipelineOf(received, 1), true);
      new SharedCounters(buffer).addTo(sum);
    }
    expect(sum).toMatchObject({ packets_read: 300, packets_metered: 300, flows_live: 8, flows_evicted: 12 });
    expect(sum.flows_exported.inactive).toBe(10);
    expect(sum.capture).toEqual({
      packets_received: 300,
      packets_dropped_by_kernel: 2,
      packets_dropped_by_interface: 4,
      queue_high_water: 6,
      interfaces_down: 1,
    });
  });
});
