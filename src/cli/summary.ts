// Finished flows into the figures of `--summary`: totals, bytes by application (or by protocol and port where nothing
// labels flows), bytes by address. Memory is bounded (top-counter.ts).
import type { FlowBatch } from '../flow/flow-batch.ts';
import { TopCounter } from './top-counter.ts';

/** Addresses and applications that are counted exactly; some 20 MB when all are used. */
const EXACT_KEYS = 1 << 16;

export class Summary {
  /** Whether flows are told apart by application; by protocol and port otherwise. */
  readonly hasApplications: boolean;
  readonly applications: TopCounter;
  readonly talkers: TopCounter;
  flows = 0;
  packets = 0;
  bytes = 0;
  /** Time of the first and of the last packet, ms; Infinity and -Infinity without flows. */
  firstMs = Number.POSITIVE_INFINITY;
  lastMs = Number.NEGATIVE_INFINITY;

  constructor(hasApplications: boolean, exactKeys: number = EXACT_KEYS) {
    this.hasApplications = hasApplications;
    this.applications = new TopCounter(exactKeys);
    this.talkers = new TopCounter(exactKeys);
  }

  add(batch: FlowBatch): void {
    for (let row = 0; row < batch.count; row++) {
      const flow = batch.flow(row);
      const forth = flow.src_to_dst_bytes;
      const back = flow.dst_to_src_bytes;
      const packets = flow.src_to_dst_pkts + flow.dst_to_src_pkts;
      this.flows++;
      this.packets += packets;
      this.bytes += forth + back;
      this.firstMs = Math.min(this.firstMs, flow.start_time);
      this.lastMs = Math.max(this.lastMs, flow.end_time);
      const { application_name } = flow.metrics;
      const label = this.hasApplications
        ? String(application_name ?? 'Unknown')
        : serviceOf(flow.ip_protocol, flow.src_port, flow.dst_port);
      this.applications.add(label, packets, forth, back);
      const { ip_src, ip_dst } = flow;
      this.talkers.add(ip_src, packets, forth, back);
      // A host that talks to itself talks once.
      if (ip_dst !== ip_src) this.talkers.add(ip_dst, packets, back, forth);
    }
  }
}

/** IANA, "Assigned Internet Protocol Numbers"; the ones that captures show. */
const PROTOCOLS: Readonly<Record<number, string>> = {
  0: 'IPv6 hop-by-hop',
  1: 'ICMP',
  2: 'IGMP',
  4: 'IPv4 in IP',
  6: 'TCP',
  17: 'UDP',
  33: 'DCCP',
  41: 'IPv6 in IP',
  47: 'GRE',
  50: 'ESP',
  51: 'AH',
  58: 'ICMPv6',
  88: 'EIGRP',
  89: 'OSPF',
  103: 'PIM',
  112: 'VRRP',
  115: 'L2TP',
  132: 'SCTP',
  136: 'UDP-Lite',
};

/** `TCP 443`, `ICMP`, `IP protocol 253`. Of the two ports the lower one: servers have it, whoever was seen first. */
function serviceOf(protocol: number, srcPort: number, dstPort: number): string {
  const name = PROTOCOLS[protocol] ?? `IP protocol ${protocol}`;
  const port = Math.min(srcPort, dstPort);
  return port === 0 ? name : `${name} ${port}`;
}
