// A model of the meter's semantics that is as plain as can be: a Map of objects, every rule applied packet by packet, each
// packet of a flow kept.
import type { MeterOptions } from '../../src/flow/meter-options.ts';
import { OPTIONS, type TestPacket, type TestRecord } from './metered.ts';

/** A packet of a flow, with its direction. */
export interface FlowPacket {
  time: number;
  size: number;
  flags: number;
  direction: 0 | 1;
}

export interface ModelFlow {
  forward: string;
  flowId: number;
  segment: number;
  packets: readonly FlowPacket[];
  reason: number;
}

interface Conversation {
  key: string;
  forward: string;
  flowId: number;
  segment: number;
  /** Of the current segment, and the earliest time of theirs. */
  packets: FlowPacket[];
  start: number;
  /** Time of the last packet on the clock that packets never move back, and its number. */
  clock: number;
  sequence: number;
  /** Clock at the segment's first packet. */
  startClock: number;
  /** By direction: whether a FIN was seen. */
  fins: [boolean, boolean];
  /** When the flow ends because its connection has. */
  closesAt: number;
}

/** How long a flow whose connection has ended takes packets. */
const LINGER_MS = 1000;

const FIN = 0x01;
const SYN = 0x02;
const RST = 0x04;
const ACK = 0x10;

/** The flows in no order. Those that end by the clock alone are found by looking at all. */
export function modelOf(packets: readonly TestPacket[], options: Partial<MeterOptions> = {}): ModelFlow[] {
  return new Model({ ...OPTIONS, ...options }).run(packets);
}

class Model {
  readonly #options: MeterOptions;
  readonly #live = new Map<string, Conversation>();
  readonly #out: ModelFlow[] = [];
  #clock = Number.NEGATIVE_INFINITY;
  #sequence = 0;
  /** No flow ends by the clock before this: all need not be looked at for each packet. */
  #nextEnd = Number.NEGATIVE_INFINITY;

  constructor(options: MeterOptions) {
    this.#options = options;
  }

  run(packets: readonly TestPacket[]): ModelFlow[] {
    packets.forEach((packet, i) => {
      if ((packet.status ?? 0) === 0) this.#meter(packet, i + 1);
    });
    this.#endOverdue();
    for (const flow of [...this.#live.values()]) this.#end(flow, this.#isClosing(flow) ? -2 : 2);
    return this.#out;
  }

  #meter(packet: TestPacket, number: number): void {
    const { time, length = 60, flags = 0 } = packet;
    this.#clock = Math.max(this.#clock, time);
    this.#endOverdue();
    const a = `${packet.src}:${packet.srcPort ?? 0}`;
    const b = `${packet.dst}:${packet.dstPort ?? 0}`;
    const rest = `${packet.protocol ?? 17}/${packet.vlan ?? 0}/${packet.tunnel ?? 0}`;
    const key = `${[a, b].sort().join(' ')} ${rest}`;
    const forward = `${a} ${b} ${rest}`;
    let flow = this.#live.get(key);
    if (flow !== undefined && this.#isClosing(flow) && (flags & (SYN | ACK)) === SYN) {
      this.#end(flow, -2);
      flow = undefined;
    } else if (flow !== undefined && !this.#isClosing(flow) && this.#isTooOld(flow, time)) this.#cut(flow);
    flow ??= this.#start(key, forward, number);
    if (flow.packets.length === 0) {
      flow.startClock = this.#clock;
      flow.start = time;
    }
    flow.start = Math.min(flow.start, time);
    const direction = flow.forward === forward ? 0 : 1;
    flow.packets.push({ time, size: length, flags, direction });
    flow.clock = this.#clock;
    flow.sequence = ++this.#sequence;
    if (!this.#options.tcpEnd || this.#isClosing(flow)) return;
    if ((flags & FIN) !== 0) flow.fins[direction] = true;
    if ((flags & RST) !== 0 || (flow.fins[0] && flow.fins[1])) {
      flow.closesAt = this.#clock + Math.min(LINGER_MS, this.#options.inactiveTimeoutMs);
      this.#nextEnd = Math.min(this.#nextEnd, flow.closesAt);
    }
  }

  #start(key: string, forward: string, flowId: number): Conversation {
    if (this.#live.size === this.#options.capacity) this.#evict();
    const clock = this.#clock;
    const flow: Conversation = {
      key,
      forward,
      flowId,
      segment: 0,
      packets: [],
      start: 0,
      clock,
      sequence: 0,
      startClock: clock,
      fins: [false, false],
      closesAt: Number.POSITIVE_INFINITY,
    };
    this.#live.set(key, flow);
    this.#nextEnd = Math.min(this.#nextEnd, this.#endOf(flow));
    return flow;
  }

  #evict(): void {
    const victim = [...this.#live.values()].reduce((x, y) => (y.sequence < x.sequence ? y : x));
    if (this.#isClosing(victim)) this.#end(victim, -2);
    else if (this.#options.onCapacity === 'export') this.#end(victim, -1);
    else this.#live.delete(victim.key);
  }

  #isClosing(flow: Conversation): boolean {
    return flow.closesAt !== Number.POSITIVE_INFINITY;
  }

  #isTooOld({ start, startClock }: Conversation, time: number): boolean {
    const { activeTimeoutMs, expiresActive } = this.#options;
    if (expiresActive) return this.#clock - startClock >= activeTimeoutMs;
    return time - start >= activeTimeoutMs;
  }

  /** When the flow ends unless a packet comes. */
  #endOf(flow: Conversation): number {
    return this.#isClosing(flow) ? flow.closesAt : flow.clock + this.#options.inactiveTimeoutMs;
  }

  #endOverdue(): void {
    if (this.#clock < this.#nextEnd) return;
    this.#nextEnd = Number.POSITIVE_INFINITY;
    for (const flow of this.#live.values()) {
      const end = this.#endOf(flow);
      if (this.#clock >= end) this.#end(flow, this.#isClosing(flow) ? -2 : 0);
      else this.#nextEnd = Math.min(this.#nextEnd, end);
    }
  }

  #end(flow: Conversation, reason: number): void {
    this.#live.delete(flow.key);
    this.#export(flow, reason);
  }

  #cut(flow: Conversation): void {
    this.#export(flow, 1);
    flow.packets = [];
    flow.segment++;
  }

  #export({ forward, flowId, segment, packets }: Conversation, reason: number): void {
    this.#out.push({ forward, flowId, segment, packets, reason });
  }
}

/** What tells flows apart, in counts. */
export interface ModelRecord {
  forward: string;
  flowId: number;
  segment: number;
  packets: [number, number];
  bytes: [number, number];
  syn: [number, number];
  fin: [number, number];
  start: number;
  end: number;
  reason: number;
}

export function recordOf({ forward, flowId, segment, packets, reason }: ModelFlow): ModelRecord {
  const count = (of: (packet: FlowPacket) => number): [number, number] => {
    const sums: [number, number] = [0, 0];
    for (const packet of packets) sums[packet.direction] += of(packet);
    return sums;
  };
  const times = packets.map(({ time }) => time);
  return {
    forward,
    flowId,
    segment,
    packets: count(() => 1),
    bytes: count(({ size }) => size),
    syn: count(({ flags }) => (flags & SYN) / SYN),
    fin: count(({ flags }) => flags & FIN),
    start: Math.min(...times),
    end: Math.max(...times),
    reason,
  };
}

/** A record of the meter in the shape of the model's. */
export function asModel(record: TestRecord): ModelRecord {
  const number = (text: string) => text.split('.').reduce((value, part) => ((value << 8) | Number(part)) >>> 0, 0);
  return {
    forward: `${number(record.ip_src)}:${record.src_port} ${number(record.ip_dst)}:${record.dst_port} ${record.ip_protocol}/${record.vlan_id}/0`,
    flowId: record.flow_id,
    segment: record.segment,
    packets: [record.src_to_dst_pkts, record.dst_to_src_pkts],
    bytes: [record.src_to_dst_bytes, record.dst_to_src_bytes],
    syn: record.syn_count,
    fin: record.fin_count,
    start: record.start_time,
    end: record.end_time,
    reason: record.export_reason,
  };
}

/** Sorted, so that two runs compare as sets. */
export function asSet(records: readonly ModelRecord[]): string[] {
  return records.map((record) => JSON.stringify(record)).sort();
}
