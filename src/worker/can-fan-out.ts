// Whether the kernel can share the packets of the options' interfaces out among meters: packet(7), PACKET_FANOUT.
import { loadCapture } from '../native/capture.ts';
import type { ResolvedOptions } from '../options.ts';
import type { Fanout } from '../source/interface-capture.ts';

/** Enough for a capture that nothing is read from. */
const PROBE_BYTES = 1 << 20;

/**
 * False for captures, and where an exact number of packets is to be read, which takes one reader. Asks the kernel;
 * an interface that can not be opened now is no reason against: whoever opens it then says what is wrong.
 */
export function canFanOut({ interfaces, packets }: ResolvedOptions, fanout: Fanout): boolean {
  if (interfaces === null || packets !== Number.POSITIVE_INFINITY || process.platform !== 'linux') return false;
  const loaded = loadCapture();
  if (!loaded.ok) return false;
  const opened = loaded.addon.openCapture(interfaces[0], {
    snaplen: 64,
    promiscuous: false,
    bufferSize: PROBE_BYTES,
    batchTimeoutMs: 50,
    immediate: false,
    filter: '',
    isHeld: true,
  });
  if ('kind' in opened) return true;
  try {
    return opened.joinFanout(fanout.group, fanout.program) === '';
  } finally {
    opened.close();
  }
}
