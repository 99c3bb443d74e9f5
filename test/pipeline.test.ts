// The pipeline over a source whose time goes on by itself.
import { describe, expect, it } from 'vitest';
import { buildPipeline } from '../src/build-pipeline.ts';
import { kernelFor } from '../src/flow/flow-table.ts';
import { CLASSIC_SHAPE } from '../src/flow/schema.ts';
import { resolveOptions } from '../src/options.ts';
import { PacketDecoder } from '../src/packet/packet-decoder.ts';
import { FilterAndDecode } from '../src/packet/packet-stage.ts';
import { meterFlows } from '../src/pipeline.ts';
import { type PacketBatch, type PacketSource, SOURCE_END } from '../src/source/source.ts';

/** A UDP datagram in Ethernet, and a frame that is no IP packet. */
const UDP = Buffer.from(
  '020000000002020000000001080045000020000040004011000001010101020202020bb8003500' + '0c000001020304',
  'hex',
);
const ARP = Buffer.from(`0200000000020200000000010806${'00'.repeat(28)}`, 'hex');

/** Gives one frame a batch, never waits, and ends after the last. */
class FloodSource implements PacketSource {
  readonly name = 'flood';
  readonly bytesRead = 0;
  readonly position = 0;
  readonly size = null;
  readonly capture = null;
  readonly isDraining = false;
  readonly clock = { now: () => Number.NEGATIVE_INFINITY };
  given = 0;
  readonly #frames: readonly { bytes: Buffer; timeMs: number }[];

  constructor(frames: readonly { bytes: Buffer; timeMs: number }[]) {
    this.#frames = frames;
  }

  read(batch: PacketBatch): number {
    const frame = this.#frames[this.given];
    if (frame === undefined) return SOURCE_END;
    this.given++;
    const bytes = new Uint8Array(frame.bytes);
    batch.bytes = bytes;
    batch.view = new DataView(bytes.buffer);
    batch.count = 1;
    batch.timeMs[0] = frame.timeMs;
    batch.frameAt[0] = 0;
    batch.capturedLength[0] = bytes.length;
    batch.wireLength[0] = bytes.length;
    batch.linkType[0] = 1;
    return 1;
  }

  async open(): Promise<void> {}
  async fill(): Promise<void> {}
  stop(): void {}
  async close(): Promise<void> {}
}

describe('a link that is never silent', () => {
  it('ends flows in time though nothing that it carries is metered', async () => {
    const others = Array.from({ length: 400 }, (_, i) => ({ bytes: ARP, timeMs: 1_000_000 + i * 100 }));
    const source = new FloodSource([{ bytes: UDP, timeMs: 1_000_000 }, ...others]);
    const options = resolveOptions({ source: '-', enableNdpi: false });
    const kernel = kernelFor(options.capacity, CLASSIC_SHAPE);
    const decoder = new PacketDecoder({ decodeTunnels: true, fragments: 'assign', snaplen: 65535 });
    const packets = new FilterAndDecode(null, decoder);
    const pipeline = buildPipeline(options, {
      source,
      packets,
      kernel,
      builtIn: { ndpi: null, classifiers: [] },
      userClassifiers: [],
      userMetrics: {},
    });
    const reasons: number[] = [];
    for await (const batch of meterFlows(
      pipeline,
      () => source.open(),
      () => false,
    )) {
      for (let row = 0; row < batch.count; row++) reasons.push(batch.flow(row).export_reason);
    }
    expect(pipeline.packetsRead).toBe(401);
    // Without the time of the others it would be 2: still live when the source ended.
    expect(reasons).toEqual([0]);
  });
});
