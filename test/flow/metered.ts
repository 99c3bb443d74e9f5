// Drives a FlowMeter with packets given as plain objects, in batches of any size, and a model of the same semantics
// that is as plain as can be: a Map of objects, every rule applied packet by packet.
import type { FlowObserver } from '../../src/flow/flow-observer.ts';
import { FlowMeter } from '../../src/flow/meter.ts';
import type { MeterOptions } from '../../src/flow/meter-options.ts';
import { CLASSIC_SHAPE, type FlowRecord } from '../../src/flow/schema.ts';
import { KEY_WORDS, PacketColumns } from '../../src/packet/packet-columns.ts';
import { PacketBatch } from '../../src/source/source.ts';

export interface TestPacket {
  time: number;
  src: number;
  dst: number;
  srcPort?: number;
  dstPort?: number;
  protocol?: number;
  vlan?: number;
  tunnel?: number;
  length?: number;
  flags?: number;
}

export const OPTIONS: MeterOptions = {
  capacity: 1000,
  activeTimeoutMs: 60_000,
  inactiveTimeoutMs: 30_000,
  expiresActive: false,
  onCapacity: 'drop',
  tcpEnd: false,
  accountingMode: 'frame',
  shape: CLASSIC_SHAPE,
};

export function setRow(batch: PacketBatch, columns: PacketColumns, row: number, packet: TestPacket): void {
  batch.timeMs[row] = packet.time;
  batch.wireLength[row] = packet.length ?? 60;
  columns.status[row] = 0;
  columns.tcpFlags[row] = packet.flags ?? 0;
  const at = row * KEY_WORDS;
  columns.key.fill(0, at, at + KEY_WORDS);
  columns.key[at] = packet.src;
  columns.key[at + 4] = packet.dst;
  columns.key[at + 8] = ((packet.srcPort ?? 0) << 16) | (packet.dstPort ?? 0);
  columns.key[at + 9] = (packet.protocol ?? 17) | (4 << 8) | ((packet.vlan ?? 0) << 16);
  columns.key[at + 10] = packet.tunnel ?? 0;
}

export interface Run {
  records: FlowRecord[];
  meter: FlowMeter;
}

/** Meters the packets and gives the records in the order of their export. */
export function meterPackets(
  packets: readonly TestPacket[],
  options: Partial<MeterOptions> = {},
  batchSize = 256,
  observer: FlowObserver | null = null,
): Run {
  const columns = new PacketColumns(batchSize);
  const batch = new PacketBatch(batchSize);
  const meter = new FlowMeter({ ...OPTIONS, ...options }, columns, observer, batchSize);
  const records: FlowRecord[] = [];
  const take = () => {
    for (const finished of meter.takeFinished()) {
      meter.countExported(finished);
      for (let row = 0; row < finished.count; row++) records.push(finished.flow(row).toJSON());
    }
  };
  for (let at = 0; at < packets.length; at += batchSize) {
    const rows = packets.slice(at, at + batchSize);
    rows.forEach((packet, row) => {
      setRow(batch, columns, row, packet);
    });
    batch.count = rows.length;
    meter.meter(batch);
    take();
  }
  while (meter.terminate(10)) take();
  take();
  return { records, meter };
}

interface ModelFlow {
  key: string;
  forward: string;
  packets: [number, number];
  bytes: [number, number];
  syn: [number, number];
  start: number;
  end: number;
  clock: number;
  sequence: number;
}

export interface ModelRecord {
  forward: string;
  packets: [number, number];
  bytes: [number, number];
  syn: [number, number];
  start: number;
  end: number;
  reason: number;
}

/** The semantics of the design, without any care for speed. Inactive flows are found by looking at all. */
export function modelOf(packets: readonly TestPacket[], options: Partial<MeterOptions> = {}): ModelRecord[] {
  const { capacity, activeTimeoutMs, inactiveTimeoutMs, onCapacity } = { ...OPTIONS, ...options };
  const live = new Map<string, ModelFlow>();
  const out: ModelRecord[] = [];
  let clock = Number.NEGATIVE_INFINITY;
  let sequence = 0;
  const end = (flow: ModelFlow, reason: number) => {
    live.delete(flow.key);
    const { forward, packets, bytes, syn, start, end } = flow;
    out.push({ forward, packets, bytes, syn, start, end, reason });
  };
  for (const packet of packets) {
    clock = Math.max(clock, packet.time);
    const a = `${packet.src}:${packet.srcPort ?? 0}`;
    const b = `${packet.dst}:${packet.dstPort ?? 0}`;
    const rest = `${packet.protocol ?? 17}/${packet.vlan ?? 0}/${packet.tunnel ?? 0}`;
    const key = `${[a, b].sort().join(' ')} ${rest}`;
    const forward = `${a} ${b} ${rest}`;
    let flow = live.get(key);
    if (flow !== undefined && clock - flow.clock >= inactiveTimeoutMs) {
      end(flow, 0);
      flow = undefined;
    } else if (flow !== undefined && packet.time - flow.start >= activeTimeoutMs) {
      end(flow, 1);
      flow = undefined;
    }
    if (flow === undefined) {
      if (live.size === capacity) {
        const idle = [...live.values()].filter((other) => clock - other.clock >= inactiveTimeoutMs);
        if (idle.length > 0) for (const other of idle) end(other, 0);
        else {
          const victim = [...live.values()].reduce((x, y) => (y.sequence < x.sequence ? y : x));
          if (onCapacity === 'export') end(victim, -1);
          else live.delete(victim.key);
        }
      }
      const { time } = packet;
      flow = { key, forward, packets: [0, 0], bytes: [0, 0], syn: [0, 0], start: time, end: time, clock, sequence: 0 };
      live.set(key, flow);
    }
    const direction = flow.forward === forward ? 0 : 1;
    flow.packets[direction]++;
    flow.bytes[direction] += packet.length ?? 60;
    if (((packet.flags ?? 0) & 2) !== 0) flow.syn[direction]++;
    flow.start = Math.min(flow.start, packet.time);
    flow.end = Math.max(flow.end, packet.time);
    flow.clock = clock;
    flow.sequence = ++sequence;
  }
  for (const flow of [...live.values()]) end(flow, clock - flow.clock >= inactiveTimeoutMs ? 0 : 2);
  return out;
}

/** A record of the meter in the shape of the model's. */
export function asModel(record: FlowRecord): ModelRecord {
  const number = (text: string) => text.split('.').reduce((value, part) => ((value << 8) | Number(part)) >>> 0, 0);
  return {
    forward: `${number(record.ip_src)}:${record.src_port} ${number(record.ip_dst)}:${record.dst_port} ${record.ip_protocol}/${record.vlan_id}/0`,
    packets: [record.src_to_dst_pkts, record.dst_to_src_pkts],
    bytes: [record.src_to_dst_bytes, record.dst_to_src_bytes],
    syn: record.syn_count,
    start: record.start_time,
    end: record.end_time,
    reason: record.export_reason,
  };
}

/** Sorted, so that two runs compare as sets. */
export function asSet(records: readonly ModelRecord[]): string[] {
  return records.map((record) => JSON.stringify(record)).sort();
}
