// Payload entropy: known values, bytes in any cut, and the same sum by python3 over the payloads that tshark exports.
import { execFileSync, spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NfstreamError } from '../../src/errors.ts';
import { payloadEntropy } from '../../src/metric/payload-entropy.ts';
import { concat, ethernetIp, ipv4, udp } from '../packet/encode.ts';
import { makePcap } from '../source/captures.ts';
import { HAS_TSHARK, tsharkRows } from '../tshark.ts';
import { keyOfFlow, lasting, tsharkFlows } from './tshark-flows.ts';

/** A capture of one UDP flow, with these payloads to and fro. */
function payloads(parts: readonly Uint8Array[]): Uint8Array {
  return makePcap(
    parts.map((part, i) => {
      const isForth = i % 2 === 0;
      const ports = isForth ? { srcPort: 1000, dstPort: 2000 } : { srcPort: 2000, dstPort: 1000 };
      const [src, dst] = isForth ? ['10.0.0.1', '10.0.0.2'] : ['10.0.0.2', '10.0.0.1'];
      return { seconds: 1, fraction: i, data: ethernetIp(ipv4({ protocol: 17, src, dst }, udp(ports, part))) };
    }),
  );
}

async function entropy(parts: readonly Uint8Array[], maxBytes?: number): Promise<unknown> {
  const metric = payloadEntropy(maxBytes === undefined ? {} : { maxBytes });
  for await (const flow of lasting(payloads(parts), { entropy: metric })) return flow.metrics.entropy;
  return undefined;
}

/** By the definition: the sum of -p * log2(p). */
function shannon(bytes: Uint8Array): number {
  let bits = 0;
  for (let value = 0; value < 256; value++) {
    const p = bytes.filter((byte) => byte === value).length / bytes.length;
    if (p > 0) bits -= p * Math.log2(p);
  }
  return bits;
}

const every = Uint8Array.from({ length: 256 }, (_, i) => i);

describe('payloadEntropy', () => {
  it('is exactly 0 for one byte repeated, 1 for a coin, 8 for every byte equally', async () => {
    expect(await entropy([new Uint8Array(1000).fill(0x41)])).toBe(0);
    expect(await entropy([new Uint8Array(1)])).toBe(0);
    expect(await entropy([new Uint8Array(500).fill(0), new Uint8Array(500).fill(255)])).toBe(1);
    expect(await entropy([every])).toBe(8);
    expect(await entropy([every, every, every])).toBe(8);
    expect(await entropy([Uint8Array.from('aabc', (c) => c.charCodeAt(0))])).toBe(1.5);
  });

  it('is null until the first payload byte', async () => {
    expect(await entropy([new Uint8Array(0), new Uint8Array(0)])).toBeNull();
    expect(await entropy([new Uint8Array(0), every])).toBe(8);
  });

  it('counts the first maxBytes only, to the byte', async () => {
    const zeros = new Uint8Array(256);
    expect(await entropy([zeros, every], 256)).toBe(0);
    expect(await entropy([every, zeros, zeros], 256)).toBe(8);
    expect(await entropy([zeros.subarray(0, 2), every.subarray(1, 3), every], 4)).toBe(1.5);
    expect(await entropy([every], 1)).toBe(0);
    const many = Array.from({ length: 80 }, () => new Uint8Array(1000).fill(7));
    expect(await entropy([...many, every])).toBe(0);
    // Above 65535 of one byte, where counters have 32 bits.
    expect(await entropy([...many, ...many.map((part) => part.map(() => 9))], 160_000)).toBe(1);
  });

  it('agrees with the definition and does not depend on how the bytes are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.uint8Array({ maxLength: 300 }), { minLength: 1, maxLength: 8 }),
        fc.integer({ min: 1, max: 2000 }),
        async (parts, maxBytes) => {
          const whole = concat(...parts).subarray(0, maxBytes);
          const value = await entropy(parts, maxBytes);
          if (whole.length === 0) {
            expect(value).toBeNull();
            return;
          }
          expect(value).toBeCloseTo(shannon(whole), 7);
          expect(value).toBeGreaterThanOrEqual(0);
          expect(value).toBeLessThanOrEqual(8);
          expect(await entropy([whole], maxBytes)).toBe(value);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps the flows of two instances, and of two limits, apart', async () => {
    const capture = payloads([every, new Uint8Array(256)]);
    const metrics = { all: payloadEntropy(), again: payloadEntropy(), first: payloadEntropy({ maxBytes: 256 }) };
    for await (const { metrics: found } of lasting(capture, metrics)) {
      expect(found.first).toBe(8);
      expect(found.all).toBe(found.again);
      expect(found.all).toBeCloseTo(shannon(concat(every, new Uint8Array(256))), 7);
    }
  });

  it('refuses another maxBytes', () => {
    for (const maxBytes of [0, -1, 1.5, 2 ** 20 + 1, Number.NaN, '10' as never]) {
      expect(() => payloadEntropy({ maxBytes })).toThrow(NfstreamError);
    }
    expect(() => payloadEntropy({ maxBytes: 0 })).toThrow(
      'Expected an integer from 1 to 1048576 for payloadEntropy maxBytes but received 0',
    );
  });
});

const HAS_PYTHON = spawnSync('python3', ['--version']).status === 0;

/** Reads `key<TAB>hex` lines, appends the bytes of equal keys, prints `key<TAB>entropy` of the first 16384. */
const PYTHON = `
import sys, math, collections
flows = collections.OrderedDict()
for line in sys.stdin:
    key, data = line.rstrip('\\n').split('\\t')
    flows[key] = flows.get(key, b'') + bytes.fromhex(data)
for key, data in flows.items():
    data = data[:16384]
    print(key, -sum(n / len(data) * math.log2(n / len(data)) for n in collections.Counter(data).values()), sep='\\t')
`;

describe.skipIf(!HAS_TSHARK || !HAS_PYTHON)(
  'payloadEntropy and python3 over what tshark exports (skipped without)',
  () => {
    it.each(['fixtures/demo.pcapng', 'fixtures/cooked.pcap', 'fixtures/vlan.pcap'])(
      'agree on the TCP flows of %s',
      async (path) => {
        // The packets of tsharkFlows are in the order of the file by flow; the payloads are asked for likewise.
        const fields = ['tcp.stream', 'vlan.id', 'ip.src', 'ipv6.src', 'tcp.srcport', 'tcp.payload'];
        const rows = tsharkRows(path, fields, ['-Y', 'tcp.payload && !icmp && !icmpv6']);
        const keyOfStream = new Map<string, string>();
        for (const [key, packets] of tsharkFlows(path)) {
          for (const { stream, vlan } of packets) keyOfStream.set(`${stream}/${vlan}`, key);
        }
        const lines = rows.map(
          (cells) => `${keyOfStream.get(`${cells[0]}/${cells[1].split(',').at(-1)}`)}\t${cells[5]}`,
        );
        const answer = execFileSync('python3', ['-c', PYTHON], { input: `${lines.join('\n')}\n`, encoding: 'utf8' });
        const expected = new Map(
          answer
            .trimEnd()
            .split('\n')
            .map((line) => line.split('\t') as [string, string]),
        );
        let compared = 0;
        for await (const flow of lasting(path, { entropy: payloadEntropy() })) {
          if (flow.ip_protocol !== 6) continue;
          const value = expected.get(keyOfFlow(flow));
          if (value === undefined) {
            expect(flow.metrics.entropy, keyOfFlow(flow)).toBeNull();
            continue;
          }
          expect(flow.metrics.entropy, keyOfFlow(flow)).toBeCloseTo(Number(value), 7);
          compared++;
        }
        expect(compared).toBe(expected.size);
        expect(compared).toBeGreaterThan(0);
      },
    );
  },
);
