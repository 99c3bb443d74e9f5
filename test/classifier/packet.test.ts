// What user code sees of a packet against tshark's fields of the same packets.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Packet } from '../../src/classifier/packet.ts';
import type { UserMetric } from '../../src/metric/metric.ts';
import { collect, DEMO, plain } from '../streams.ts';
import { HAS_TSHARK, tsharkRows } from '../tshark.ts';

const SHARED = ['facebook.pcap', 'http_ipv6.pcap', 'instagram.pcap'].map(
  (name) => `../shared/captures/nfstream/${name}`,
);

const FIELDS = [
  'frame.time_epoch',
  'frame.len',
  'frame.cap_len',
  'ip.src',
  'ip.dst',
  'ipv6.src',
  'ipv6.dst',
  'ip.ttl',
  'ipv6.hlim',
  'tcp.srcport',
  'tcp.dstport',
  'tcp.seq_raw',
  'tcp.ack_raw',
  'tcp.window_size_value',
  'tcp.len',
  'tcp.time_delta',
  'tcp.flags',
] as const;

type Fields = Record<(typeof FIELDS)[number], string>;

/** TCP packets that carry no other packet in a payload (an ICMP error quotes one). */
const FILTER = 'tcp && !icmp && !icmpv6';

function tshark(capture: string): Fields[] {
  const args = ['-Y', FILTER, '-o', 'ip.defragment:FALSE', '-o', 'tcp.desegment_tcp_streams:FALSE'];
  return tsharkRows(capture, FIELDS, args).map(
    (row) => Object.fromEntries(row.map((cell, i) => [FIELDS[i], cell])) as Fields,
  );
}

async function packetsOf(source: string): Promise<Fields[]> {
  const rows: Fields[] = [];
  const see: UserMetric = (packet: Packet) => {
    const is6 = packet.version === 6;
    rows.push({
      'frame.time_epoch': packet.timestamp.toFixed(3),
      'frame.len': String(packet.length),
      'frame.cap_len': String(packet.captureLength),
      'ip.src': is6 ? '' : packet.ipSrc,
      'ip.dst': is6 ? '' : packet.ipDst,
      'ipv6.src': is6 ? packet.ipSrc : '',
      'ipv6.dst': is6 ? packet.ipDst : '',
      'ip.ttl': is6 ? '' : String(packet.ttl),
      'ipv6.hlim': is6 ? String(packet.ttl) : '',
      'tcp.srcport': String(packet.srcPort),
      'tcp.dstport': String(packet.dstPort),
      'tcp.seq_raw': String(packet.tcpSeq),
      'tcp.ack_raw': String(packet.tcpAck),
      'tcp.window_size_value': String(packet.tcpWindow),
      'tcp.len': String(packet.payloadSize),
      'tcp.time_delta': packet.deltaTime.toFixed(3),
      'tcp.flags': `0x${packet.tcpFlags.toString(16).padStart(4, '0')}`,
    });
    return 0;
  };
  const never = { activeTimeout: Number.POSITIVE_INFINITY, inactiveTimeout: Number.POSITIVE_INFINITY };
  await collect(plain({ source, ...never, bpfFilter: 'tcp', userMetrics: { see } }));
  return rows;
}

describe.skipIf(!HAS_TSHARK)('a packet has what tshark reads', () => {
  it.each([DEMO, ...SHARED])('%s', async (capture) => {
    if (!existsSync(capture)) return console.warn(`skipped: no ${capture} beside the project`);
    await compare(capture);
  });

  it.each([50, 58, 62, 66])('in frames cut to %i bytes', async (snaplen) => {
    const cut = join(mkdtempSync(join(tmpdir(), 'nfstream-cut-')), 'cut.pcapng');
    execFileSync('editcap', ['-s', String(snaplen), DEMO, cut]);
    // tshark computes no times for headers that are cut.
    await compare(cut, { 'tcp.time_delta': '' });
    rmSync(dirname(cut), { recursive: true });
  });

  async function compare(capture: string, blanks: Partial<Fields> = {}): Promise<void> {
    const rows = await packetsOf(capture);
    const expected = tshark(capture).map((row) => ({
      ...row,
      'frame.time_epoch': (Number(row['frame.time_epoch']) * 1000).toFixed(3),
      'tcp.time_delta': (Number(row['tcp.time_delta']) * 1000).toFixed(3),
      // The reserved bits and the accurate ECN bit are no flags here.
      'tcp.flags': `0x${(Number(row['tcp.flags']) & 0xff).toString(16).padStart(4, '0')}`,
    }));
    expect(rows.length).toBeGreaterThan(20);
    expect(rows).toHaveLength(expected.length);
    // Where not even the fixed header was captured tshark says nothing of it.
    const isWhole = (_: unknown, i: number) => expected[i]['tcp.len'] !== '';
    const withBlanks = (list: Fields[]) => list.filter(isWhole).map((row) => ({ ...row, ...blanks }));
    expect(withBlanks(rows)).toEqual(withBlanks(expected));
  }
});

describe('hash', () => {
  it('is one number for both directions of a flow, and others for others', async () => {
    const flows = await collect(
      plain({
        userMetrics: {
          // Called before `hash`, which still is the one of the packet before.
          changes: (packet, flow) =>
            flow.metrics.changes + (flow.metrics.hash === 0 || flow.metrics.hash === packet.hash ? 0 : 1),
          hash: (packet) => packet.hash,
        },
      }),
    );
    expect(flows.some((flow) => flow.dst_to_src_pkts > 0)).toBe(true);
    expect(flows.every(({ metrics }) => metrics.changes === 0)).toBe(true);
    expect(new Set(flows.map(({ metrics }) => metrics.hash)).size).toBe(flows.length);
  });
});
