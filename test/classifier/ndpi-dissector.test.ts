import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { NFStreamClassifier } from '../../src/classifier/classifier.ts';
import type { NfstreamError } from '../../src/errors.ts';
import { NDPI_FIELDS, type NdpiMetrics } from '../../src/flow/fields/ndpi.ts';
import type { Flow } from '../../src/flow/flow.ts';
import { BUILD_COMMAND } from '../../src/native/addon.ts';
import { loadNdpi, type NdpiDetector } from '../../src/native/ndpi.ts';
import type { StreamerOptions } from '../../src/options.ts';
import { Streamer } from '../../src/streamer.ts';
import { FACEBOOK, FACEBOOK_LABELS } from '../facebook.ts';
import { ethernetIp, ipv4, ipv6, ipv6Fragment, tcp, udp } from '../packet/encode.ts';
import { concat, makePcap } from '../source/captures.ts';

/** Calls of all detectors that the classifiers under test make. */
const calls = vi.hoisted(() => ({ open: 0, process: 0, giveUp: 0, guess: 0, free: 0, close: 0 }));
vi.mock('../../src/native/ndpi.ts', async (importOriginal) => {
  const original = await importOriginal<typeof import('../../src/native/ndpi.ts')>();
  const watch = (detector: NdpiDetector): NdpiDetector =>
    new Proxy(detector, {
      get(target, name: keyof NdpiDetector) {
        if (name in calls) calls[name as keyof typeof calls]++;
        return target[name];
      },
    });
  return {
    ...original,
    loadNdpi: () => {
      const loaded = original.loadNdpi();
      if (!loaded.ok) return loaded;
      const { addon } = loaded;
      return { ...loaded, addon: { ...addon, createDetector: () => watch(addon.createDetector()) } };
    },
  };
});

const FIXTURES = join(import.meta.dirname, '../../fixtures');
const loaded = loadNdpi();

afterEach(() => {
  vi.unstubAllEnvs();
  for (const name of Object.keys(calls) as (keyof typeof calls)[]) calls[name] = 0;
});

async function flowsOf(options: StreamerOptions): Promise<Flow[]> {
  const flows: Flow[] = [];
  for await (const flow of new Streamer({ handleSigint: false, ...options })) flows.push(flow);
  return flows;
}

const applicationOf = (flow: Flow) => (flow.metrics as NdpiMetrics).application_name;
const text = (value: string) => new TextEncoder().encode(value);
const capture = (packets: Uint8Array[], cutTo = 65535) =>
  makePcap(
    packets.map((packet, i) => {
      const frame = ethernetIp(packet);
      return { seconds: 1_600_000_000, fraction: i * 1000, data: frame.slice(0, cutTo), wireLength: frame.length };
    }),
  );
const there = { src: '10.0.0.1', dst: '10.0.0.2', protocol: 6 };
const back = { src: '10.0.0.2', dst: '10.0.0.1', protocol: 6 };
const syn = (dstPort: number) => ipv4(there, tcp({ srcPort: 40000, dstPort, flags: 0x02 }));
const request = (payload: Uint8Array, srcPort = 40000, dstPort = 80) =>
  ipv4(there, tcp({ srcPort, dstPort, flags: 0x18 }, payload));
const response = (payload: Uint8Array) => ipv4(back, tcp({ srcPort: 80, dstPort: 40000, flags: 0x18 }, payload));
const GET = text('GET /way?q=1 HTTP/1.1\r\nHost: www.example.org\r\nUser-Agent: probe/1.0\r\n\r\n');
const OK = text('HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<p>Nowhere</p>');

describe.skipIf(!loaded.ok)(`nDPI${loaded.ok ? '' : ` (skipped: ${loaded.message})`}`, () => {
  it('gives a flow up whose packets are all cut, after eight times the budget, and keeps no state until then', async () => {
    const cut = (count: number) => capture(Array<Uint8Array>(count).fill(request(GET, 40000, 443)), 60);
    const seen: number[] = [];
    class Watcher extends NFStreamClassifier {
      override onFlowUpdate(_: unknown, flow: Flow) {
        seen.push(Object.keys(flow.metrics).length);
      }
    }
    const run = (count: number) =>
      flowsOf({ source: cut(count), dissections: 2, userClassifiers: new Watcher('watcher') });
    const [flow] = await run(17);
    // Labelled with the sixteenth packet, the first of which nDPI hears: a guess from the ports.
    expect(seen.map((columns) => columns > 0)).toEqual([...Array(15).fill(false), true, true]);
    expect(applicationOf(flow)).toBe('TLS');
    expect(calls).toMatchObject({ open: 1, process: 0, guess: 1, free: 1 });
  });

  it.skipIf(!existsSync(FACEBOOK))('labels facebook.pcap (skipped without ../shared/captures)', async () => {
    const flows = await flowsOf({ source: FACEBOOK });
    expect(flows[0]?.metrics).toEqual({
      ...FACEBOOK_LABELS,
      application_id: 119,
      master_id: 91,
      category_id: 6,
      application_confidence: 6,
      application_is_guessed: 0,
      risks: [],
      risk_score: 0,
      ja3_client: 'bfcc1a3891601edb4f137ab7ab25b840',
      ja3_server: '2d1eb5817ece335c24904f516ad5da12',
      hassh_client: '',
      hassh_server: '',
      http_user_agent: '',
      http_content_type: '',
      http_url: '',
      http_status: null,
      tls_alpn: 'h2,spdy/3.1,http/1.1',
      tls_issuer: 'C=US, O=DigiCert Inc, OU=www.digicert.com, CN=DigiCert SHA2 High Assurance Server CA',
      tls_subject: 'C=US, ST=CA, L=Menlo Park, O=Facebook, Inc., CN=*.facebook.com',
      tls_cipher: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
      dhcp_fingerprint: '',
      dns_query_type: null,
      host_server_name: '',
    });
    expect(flows[1]?.metrics).toMatchObject({ application_name: 'TLS.Facebook', tls_server_server_name: '' });
  });

  it('gives every flow every column, in order and of its type, and frees every flow', async () => {
    const flows = await flowsOf({
      source: join(FIXTURES, 'demo.pcapng'),
      userMetrics: { seen: (_, flow) => (flow.metrics as { seen: number }).seen + 1 },
    });
    expect(flows.length).toBeGreaterThan(20);
    for (const { metrics } of flows) {
      expect(Object.keys(metrics)).toEqual(['seen', ...NDPI_FIELDS.map(({ name }) => name)]);
      for (const { name, type, ...field } of NDPI_FIELDS) {
        const value = metrics[name];
        if (type === 'string') expect(value, name).toBeTypeOf('string');
        else if (type === 'string-list') expect(value, name).toBeInstanceOf(Array);
        else if (!('nullable' in field) || value !== null) expect(value, name).toSatisfy(Number.isInteger);
      }
    }
    expect(calls.open).toBe(flows.length);
    expect(calls.free).toBe(calls.open);
    expect(calls.close).toBe(1);
    expect(new Set(flows.map(applicationOf))).toContain('DNS.Wikipedia');
    const missing = flows.find((flow) => (flow.metrics as NdpiMetrics).http_url === 'example.org/nothing-here');
    expect(missing?.metrics).toMatchObject({
      http_dns_server_name: 'example.org',
      http_user_agent: 'fixture/1.0',
      http_content_type: 'text/html',
      http_status: 404,
    });
  });

  it('reads an HTTP exchange', async () => {
    const [flow] = await flowsOf({ source: capture([syn(80), request(GET), response(OK)]) });
    expect(flow?.metrics).toMatchObject({
      application_name: 'HTTP',
      http_dns_server_name: 'www.example.org',
      tls_client_server_name: '',
      http_user_agent: 'probe/1.0',
      http_url: 'www.example.org/way?q=1',
      http_status: 404,
      application_confidence: 6,
      application_is_guessed: 0,
    });
  });

  it('shows nDPI no packet after it was complete', async () => {
    const packets = [syn(80), request(GET), response(OK)];
    await flowsOf({ source: capture(packets) });
    const enough = calls.process;
    calls.process = 0;
    await flowsOf({ source: capture([...packets, ...Array(50).fill(request(text('more')))]) });
    expect(calls.process).toBe(enough);
    expect(calls.giveUp).toBe(0);
  });

  it('shows at most `dissections` packets, then guesses by port', async () => {
    const packets = Array.from({ length: 30 }, (_, i) => request(Uint8Array.of(0xde, 0xad, i, 1, 2, 3), 40000, 443));
    for (const dissections of [1, 4, 20]) {
      calls.process = 0;
      const [flow] = await flowsOf({ source: capture([syn(443), ...packets]), dissections });
      expect(calls.process).toBe(dissections);
      expect(flow?.metrics).toMatchObject({
        application_name: 'TLS',
        application_confidence: 1,
        application_is_guessed: 1,
        tls_client_server_name: '',
      });
    }
  });

  it('dissects nothing with `dissections: 0`, and guesses from addresses and ports', async () => {
    const packets = [syn(80), request(GET), ipv6({ nextHeader: 17 }, udp({ srcPort: 9999, dstPort: 53 }, text('?')))];
    const flows = await flowsOf({ source: capture(packets), dissections: 0 });
    expect(calls.process).toBe(0);
    expect(flows.map(applicationOf)).toEqual(['HTTP', 'DNS']);
    expect(flows[0]?.metrics).toMatchObject({ http_url: '', application_confidence: 1, application_is_guessed: 1 });
  });

  it('gives up on a flow that ends before nDPI knows', async () => {
    const [flow] = await flowsOf({ source: capture([syn(22)]) });
    expect(calls).toMatchObject({ process: 1, giveUp: 1, free: 1 });
    expect(flow?.metrics).toMatchObject({ application_name: 'SSH', application_is_guessed: 1 });
  });

  it('shows no cut packet and no later fragment, and guesses when nothing is left', async () => {
    const [cut] = await flowsOf({ source: capture([request(GET), request(GET)], 60) });
    expect(calls).toMatchObject({ process: 0, guess: 1 });
    expect(cut?.metrics).toMatchObject({ application_name: 'HTTP', application_is_guessed: 1, http_url: '' });

    calls.process = 0;
    const datagram = udp({ srcPort: 40000, dstPort: 9999 }, new Uint8Array(1600).fill(7));
    const part = (at: number, end: number, more: boolean) =>
      ipv6({ nextHeader: 44 }, ipv6Fragment({ nextHeader: 17, offset: at, hasMore: more }, datagram.slice(at, end)));
    const flows = await flowsOf({ source: capture([part(0, 800, true), part(800, 1608, false)]) });
    expect(flows.map((flow) => flow.src_to_dst_pkts)).toEqual([2]);
    expect(calls.process).toBe(1);
  });

  it('labels a flow that user code ends, and the one after it', async () => {
    class AfterTwo extends NFStreamClassifier {
      override onFlowUpdate(_: unknown, flow: Flow): void {
        if (flow.src_to_dst_pkts === 2) flow.export_reason = 7;
      }
    }
    const packets = [syn(80), request(GET), request(GET), request(GET)];
    const flows = await flowsOf({ source: capture(packets), userClassifiers: new AfterTwo('after-two') });
    expect(flows.map((flow) => [flow.export_reason, (flow.metrics as NdpiMetrics).http_dns_server_name])).toEqual([
      [7, 'www.example.org'],
      [7, 'www.example.org'],
    ]);
    expect(calls).toMatchObject({ open: 2, free: 2, close: 1 });
  });

  it('gives each flow metrics of its own, though many flows have the same', async () => {
    const packets = Array.from({ length: 3 }, (_, i) => request(GET, 40000 + i));
    const flows = await flowsOf({ source: capture(packets) });
    const before = flows.map(({ metrics }) => structuredClone(metrics));
    expect(before[1]).toEqual(before[0]);
    const [{ metrics }] = flows;
    metrics['application_name'] = 'mine';
    (metrics['risks'] as string[]).push('mine');
    expect(flows.map((flow) => flow.toJSON().metrics)).toEqual([
      { ...before[0], application_name: 'mine', risks: [...(before[0]['risks'] as string[]), 'mine'] },
      ...before.slice(1),
    ]);
  });

  it('gives each flow a list of its own where the list is asked for by its name', async () => {
    const packets = Array.from({ length: 2 }, (_, i) => request(GET, 40000 + i));
    const [first, second] = await flowsOf({ source: capture(packets) });
    const before = [...(second as unknown as NdpiMetrics).risks];
    const risks = (first as unknown as NdpiMetrics).risks;
    risks.push('mine');
    expect((second as unknown as NdpiMetrics).risks).toEqual(before);
    expect(first.metrics['risks']).toBe(risks);
  });

  it('shows user code what it found as soon as that is there, and keeps what user code makes of it', async () => {
    const seen: unknown[] = [];
    class Renamer extends NFStreamClassifier {
      override onFlowUpdate(_: unknown, { metrics }: Flow): void {
        seen.push(metrics['http_status']);
        if (metrics['application_name'] !== undefined) metrics['application_name'] += '!';
      }
    }
    const source = capture([syn(80), request(GET), response(OK)]);
    const [flow] = await flowsOf({ source, userClassifiers: new Renamer('renamer') });
    expect(seen).toEqual([undefined, undefined, 404]);
    expect(applicationOf(flow)).toBe('HTTP!');
    const ended = await flowsOf({ source: capture([syn(80)]), userClassifiers: new Renamer('renamer') });
    expect(ended.map(applicationOf)).toEqual(['HTTP']);
  });

  it('shows metrics what it found as soon as that is there, and keeps what they make of it', async () => {
    const seen: unknown[] = [];
    const names: string[][] = [];
    const source = capture([syn(80), request(GET), response(OK), request(GET)]);
    const [flow] = await flowsOf({
      source,
      userMetrics: {
        packets: (_, { metrics }) => {
          const own = metrics as Record<string, unknown>;
          seen.push(own['http_status'], own['application_name']);
          names.push(Object.keys(JSON.parse(JSON.stringify(metrics))));
          own['application_name'] = `${own['application_name'] ?? 'early'}!`;
          own['mine'] = 'kept';
          return (own['packets'] as number) + 1;
        },
      },
    });
    expect(seen).toEqual([undefined, undefined, undefined, 'early!', 404, 'HTTP', 404, 'HTTP!']);
    const columns = NDPI_FIELDS.map(({ name }) => name);
    expect(names[0]).toEqual(['packets']);
    expect(names[2]).toEqual(['packets', ...columns]);
    expect(Object.keys(flow.metrics)).toEqual(['packets', ...columns, 'mine']);
    expect(flow.metrics).toMatchObject({ packets: 4, application_name: 'HTTP!!', http_status: 404, mine: 'kept' });
  });

  it('tells flows apart of which it finds out more than it keeps', async () => {
    const count = 5000;
    const query = (i: number) =>
      concat(
        Uint8Array.of(0, i, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 9),
        text(`name-${1000 + i}`),
        Uint8Array.of(0, 0, 1, 0, 1),
      );
    const packets = Array.from({ length: count }, (_, i) =>
      ipv4({ ...there, protocol: 17 }, udp({ srcPort: 1024 + i, dstPort: 53 }, query(i))),
    );
    const names: unknown[] = [];
    for await (const batch of new Streamer({ source: capture(packets), handleSigint: false }).batches()) {
      for (let row = 0; row < batch.count; row++) names.push(batch.metrics(row)['http_dns_server_name']);
    }
    expect(names).toEqual(packets.map((_, i) => `name-${1000 + i}`));
  });

  it('survives flows of noise', async () => {
    let seed = 1;
    const noise = (length: number) =>
      new Uint8Array(length).map(() => {
        seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
        return seed >>> 16;
      });
    const packets = Array.from({ length: 2000 }, (_, i) =>
      request(noise(i % 97), 1024 + (i % 211), [80, 443, 53, 22, 25][i % 5]),
    );
    const flows = await flowsOf({ source: capture(packets) });
    expect(flows.reduce((sum, flow) => sum + flow.src_to_dst_pkts, 0)).toBe(2000);
    expect(calls.free).toBe(calls.open);
  });
});

describe('without the addon', () => {
  const failure = (): NfstreamError => {
    try {
      new Streamer({ source: concat() });
    } catch (error) {
      return error as NfstreamError;
    }
    throw new Error('it was constructed');
  };

  it('fails at construction, says what was tried and what to run', () => {
    vi.stubEnv('NFSTREAM_NATIVE', '/no/such/folder');
    const error = failure();
    expect(error.code).toBe('NDPI_UNAVAILABLE');
    expect(error.message).toContain('/no/such/folder/ndpi.node: no such file');
    expect(error.message).toContain(BUILD_COMMAND);
    vi.stubEnv('NFSTREAM_NATIVE', 'off');
    expect(failure().message).toContain('NFSTREAM_NATIVE=off');
  });

  it('is not needed with enableNdpi: false', async () => {
    vi.stubEnv('NFSTREAM_NATIVE', 'off');
    const flows = await flowsOf({ source: capture([syn(80)]), enableNdpi: false });
    expect(flows.map(({ metrics }) => metrics)).toEqual([{}]);
  });
});
