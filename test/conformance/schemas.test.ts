// The comparison of two schemas can fail: otherwise it would prove nothing.
import { describe, expect, it } from 'vitest';
import { writeCapture } from '../../conformance/frames.mjs';
import { compareSchemas } from '../../conformance/schemas.mjs';
import type { StreamerOptions } from '../../src/options.ts';
import { Streamer } from '../../src/streamer.ts';
import * as encode from '../packet/encode.ts';
import { LIBRARY } from './library.ts';
import { frame, SECOND } from './made.ts';

const PACKET = encode.ethernetIp(encode.ipv4({ protocol: 6 }, encode.tcp({ srcPort: 1, dstPort: 2, flags: 2 })));
// As bytes, the comparison takes it like a path.
const SOURCE = writeCapture([frame(SECOND, PACKET), frame(400 * SECOND, PACKET)]) as unknown as string;

function spoiled(change: Record<string, unknown>) {
  return class {
    readonly options: StreamerOptions;
    constructor(options: StreamerOptions) {
      this.options = options;
    }
    async *[Symbol.asyncIterator]() {
      for await (const flow of new Streamer(this.options)) {
        const row = this.options.schema === 'nfstream6' ? { ...flow.toJSON(), ...change } : flow.toJSON();
        yield { toJSON: () => row };
      }
    }
  };
}

describe('compareSchemas', () => {
  it('finds classic and nfstream6 to agree', async () => {
    expect(await compareSchemas(LIBRARY, SOURCE)).toEqual({ flows: 2, disagreements: [] });
  });

  it.each([
    { src_ip: '10.0.0.9' },
    { dst_port: 3 },
    { protocol: 17 },
    { vlan_id: 1 },
    { bidirectional_first_seen_ms: 1 },
    { src2dst_packets: 2 },
    { dst2src_bytes: 1 },
    { src2dst_syn_packets: 0 },
    { expiration_id: 1 },
  ])('sees %o', async (change) => {
    const { disagreements } = await compareSchemas({ ...LIBRARY, Streamer: spoiled(change) }, SOURCE);
    expect(disagreements).toHaveLength(2);
  });
});
