// What is measured of real flows against what tshark says of their packets: times, sizes, flags and the gaps within TCP
// streams.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Streamer } from '../../src/streamer.ts';
import { DEMO, ROOT } from '../streams.ts';
import { HAS_TSHARK, tsharkRows } from '../tshark.ts';
import type { FlowPacket } from './model.ts';
import { differences, measuresOf } from './reference.ts';

const CAPTURES = join(ROOT, '..', 'shared', 'captures');
/** Neither tunnels nor fragments, nor packets out of order: tshark's gaps are from packet to packet. */
const FILES = [
  DEMO,
  ...['nfstream/facebook.pcap', 'nfstream/skype.pcap', 'ndpi/firefox.pcap', 'ndpi/http.pcapng', 'ndpi/1kxun.pcap'].map(
    (name) => join(CAPTURES, name),
  ),
];

const FIELDS = [
  'frame.time_epoch',
  'frame.len',
  'ip.src',
  'ipv6.src',
  'tcp.flags',
  'tcp.stream',
  'udp.stream',
  'tcp.time_delta',
];

interface Stream {
  source: string;
  packets: FlowPacket[];
  /** From each packet to the next one, ms; of TCP alone. */
  gaps: number[];
}

/** Seconds with nine digits behind the point. */
function milliseconds(text: string): number {
  const [whole, fraction] = text.split('.');
  return Number(whole) * 1000 + Number(fraction) / 1e6;
}

/** Streams by the number of their first frame. */
function streamsOf(file: string): Map<number, Stream> {
  const options = ['-o', 'tcp.calculate_timestamps:TRUE', '-o', 'ip.defragment:FALSE', '-E', 'occurrence=f'];
  const byName = new Map<string, Stream>();
  const byFrame = new Map<number, Stream>();
  for (const [i, row] of tsharkRows(file, FIELDS, options).entries()) {
    const [time, length, ip, ip6, flags, tcp, udp, delta] = row;
    if (tcp === '' && udp === '') continue;
    const name = tcp === '' ? `udp ${udp}` : `tcp ${tcp}`;
    const source = ip || ip6;
    let stream = byName.get(name);
    if (stream === undefined) {
      stream = { source, packets: [], gaps: [] };
      byName.set(name, stream);
      byFrame.set(i + 1, stream);
    }
    const direction = source === stream.source ? 0 : 1;
    const tcpFlags = flags === '' ? 0 : Number.parseInt(flags, 16) & 0xff;
    stream.packets.push({ time: milliseconds(time), size: Number(length), flags: tcpFlags, direction });
    if (delta !== '') stream.gaps.push(milliseconds(delta));
  }
  return byFrame;
}

const SPLT = 255;

describe.skipIf(!HAS_TSHARK)('tshark sees the same in each stream (skipped where it is not installed)', () => {
  for (const file of FILES) {
    it.skipIf(!existsSync(file))(`${file} (skipped where it is not there)`, async () => {
      const streams = streamsOf(file);
      for (const exactTimes of [true, false]) {
        const streamer = new Streamer({
          source: file,
          schema: 'nfstream6',
          statistics: true,
          splt: SPLT,
          exactTimes,
          activeTimeout: Number.POSITIVE_INFINITY,
          inactiveTimeout: Number.POSITIVE_INFINITY,
          enableNdpi: false,
          handleSigint: false,
        });
        let compared = 0;
        for await (const flow of streamer) {
          const stream = streams.get(flow.flow_id);
          // A quoted packet in an ICMP error is a stream of tshark's, and ports that are used again are two.
          if (stream === undefined || stream.packets.length !== flow.bidirectional_packets) continue;
          compared++;
          const measures = measuresOf(stream.packets, { splt: SPLT, exactTimes });
          expect(differences(flow.toJSON(), measures, 1e-12), `flow ${flow.flow_id}`).toEqual([]);
          if (!exactTimes || stream.gaps.length === 0) continue;
          const gaps = flow.splt_piat_ms.slice(0, stream.gaps.length);
          // A double holds a time stamp to a quarter of a microsecond.
          for (const [i, gap] of gaps.entries()) expect(Math.abs(gap - stream.gaps[i])).toBeLessThan(0.001);
        }
        expect(compared).toBeGreaterThan(0.8 * streams.size);
        expect(compared).toBeGreaterThan(0);
      }
    });
  }
});
