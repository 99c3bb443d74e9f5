// Test support: drives a FlowMeter with packets given as plain objects, in batches of any size.
import type { FlowObserver } from '../../src/flow/flow-observer.ts';
import { FlowMeter } from '../../src/flow/meter.ts';
import type { MeterOptions } from '../../src/flow/meter-options.ts';
import type { RecordShape } from '../../src/flow/record.ts';
import { CLASSIC_SHAPE, type Column, FIELDS, type FieldValues, type FlowRecord } from '../../src/flow/schema.ts';
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
  /** Index into SKIP_REASONS where the packet is not metered. */
  status?: number;
}

export type TestRecord = FlowRecord & Pick<FieldValues, 'flow_id' | 'segment'>;

const IDENTITY = ['flow_id', 'segment'].map((name) => FIELDS.get(name) as Column);

/** The record of `classic`, and which part of which conversation it is. */
const IDENTIFIED_SHAPE: RecordShape = { ...CLASSIC_SHAPE, columns: [...CLASSIC_SHAPE.columns, ...IDENTITY] };

export const OPTIONS: MeterOptions = {
  capacity: 1000,
  activeTimeoutMs: 60_000,
  inactiveTimeoutMs: 30_000,
  expiresActive: false,
  onCapacity: 'drop',
  tcpEnd: false,
  accountingMode: 'frame',
  shape: IDENTIFIED_SHAPE,
};

export function setRow(batch: PacketBatch, columns: PacketColumns, row: number, packet: TestPacket): void {
  batch.timeMs[row] = packet.time;
  batch.wireLength[row] = packet.length ?? 60;
  columns.status[row] = packet.status ?? 0;
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
  records: TestRecord[];
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
  const meter = new FlowMeter({ ...OPTIONS, ...options }, columns, observer);
  const records: TestRecord[] = [];
  const take = () => {
    for (const finished of meter.takeFinished()) {
      meter.countExported(finished);
      for (let row = 0; row < finished.count; row++) records.push(finished.flow(row).toJSON() as TestRecord);
    }
  };
  for (let at = 0; at < packets.length; at += batchSize) {
    const rows = packets.slice(at, at + batchSize);
    rows.forEach((packet, row) => {
      setRow(batch, columns, row, packet);
    });
    batch.count = rows.length;
    batch.first = at + 1;
    meter.meter(batch);
    take();
  }
  while (meter.terminate(10)) take();
  take();
  return { records, meter };
}
