// The decoder against NFStream's expected flows: packets, bytes and TCP flags for each key, summed over time so that no
// flow table is needed. All captures must agree but those listed with the reason why NFStream is wrong there.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeFrames } from './batch.ts';
import { readCapture } from './read-capture.ts';

const CAPTURES = '../shared/captures';
/** From bit 7 of the flag byte to bit 0. */
const FLAGS = ['cwr', 'ece', 'urg', 'ack', 'psh', 'rst', 'syn', 'fin'];

const DIFFERS: Record<string, string> = {
  'ajp.pcap': 'FabricPath frames (EtherType 0x8903) are read as IPv4 by NFStream',
  'anydesk-2.pcap': 'packets with IPv4 total length 0 (left to segmentation offload) are dropped by NFStream',
  'fuzz-2006-06-26-2594.pcap': 'damaged EtherTypes and header lengths are read as IPv4 by NFStream',
  'fuzz-2021-06-07-c6c72a0a56.pcap': 'the stated wire length of 4 GB is cut to 16 bits by NFStream',
  'fuzz-2021-10-13.pcap': 'the address family is not looked at by NFStream',
  'gre.pcapng': 'GRE is not decoded by NFStream',
  'sctp.cap': 'SCTP has ports 0 in NFStream',
  'vxlan.pcap': 'VXLAN is not decoded by NFStream',
};

/** Totals by key, the same text for both directions: packets, bytes, then one count for each of FLAGS. */
type Totals = Map<string, number[]>;

function add(totals: Totals, ends: string[], rest: string, counts: number[]): void {
  const key = `${ends.toSorted().join(' ')} ${rest}`;
  const before = totals.get(key);
  totals.set(key, before === undefined ? counts : before.map((value, index) => value + counts[index]));
}

function sumPackets(path: string): Totals {
  const frames = readCapture(path);
  const totals: Totals = new Map();
  for (const [index, row] of decodeFrames(frames, { fragments: 'ignore' }).entries()) {
    if (row.status !== 'metered') continue;
    const ends = [`${row.src}|${row.srcPort}`, `${row.dst}|${row.dstPort}`];
    const flags = FLAGS.map((_, bit) => (row.tcpFlags >> (7 - bit)) & 1);
    add(totals, ends, `${row.protocol} vlan ${row.vlan}`, [1, frames[index].wireLength!, ...flags]);
  }
  return totals;
}

function sumExpectedFlows(path: string): Totals {
  const [header, ...lines] = readFileSync(path, 'utf8').split('\n').filter(Boolean);
  const totals: Totals = new Map();
  if (header === undefined) return totals;
  const names = header.split(',');
  for (const line of lines) {
    // Quoted fields with commas come after every column that is read here.
    const value = (name: string): string => line.split(',')[names.indexOf(name)].replaceAll('"', '');
    const address = (name: string): string =>
      value(name).includes(':') ? new URL(`http://[${value(name)}]`).hostname.slice(1, -1) : value(name);
    const ends = [`${address('src_ip')}|${value('src_port')}`, `${address('dst_ip')}|${value('dst_port')}`];
    const counts = ['bidirectional_packets', 'bidirectional_bytes'].map((name) => Number(value(name)));
    const flags = FLAGS.map((flag) => Number(value(`bidirectional_${flag}_packets`)));
    add(totals, ends, `${value('protocol')} vlan ${value('vlan_id')}`, [...counts, ...flags]);
  }
  return totals;
}

function areEqual(ours: Totals, theirs: Totals): boolean {
  if (ours.size !== theirs.size) return false;
  return [...theirs].every(([key, counts]) => ours.get(key)?.join() === counts.join());
}

const names = existsSync(CAPTURES)
  ? ['nfstream', 'ndpi'].flatMap((origin) => readdirSync(join(CAPTURES, origin)).map((name) => join(origin, name)))
  : [];

describe.skipIf(names.length === 0)(`NFStream's expected flows (skipped where ${CAPTURES} is not there)`, () => {
  it('have the keys, packets, bytes and flags that the decoder finds', () => {
    const differing = new Set<string>();
    for (const name of names) {
      const ours = sumPackets(join(CAPTURES, name));
      const theirs = sumExpectedFlows(join(CAPTURES, 'expected', `${name}.csv`));
      if (!areEqual(ours, theirs)) differing.add(name.slice(name.indexOf('/') + 1));
    }
    expect(names.length).toBeGreaterThan(300);
    expect([...differing].toSorted()).toEqual(Object.keys(DIFFERS).toSorted());
  });
});
