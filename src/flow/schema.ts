// THE field table: every column that a record can have, listed once. The record's TypeScript type, toJSON, the sinks'
// headers and the data dictionary (docs/data-dictionary.md) come from it; to add a column, add it here and give Flow a
// getter of its name.

/** What a cell holds. `flag-count` is [integer, integer]: source to destination, destination to source. */
export type ColumnType = 'string' | 'integer' | 'number' | 'flag-count' | 'string-list' | 'object';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
  /** Unit of the value, where it has one. */
  readonly unit?: string;
  /** One line for the data dictionary. */
  readonly meaning: string;
  /** IPFIX information element (RFC 7012, reverse direction by RFC 5103), where one means the same. */
  readonly ipfix?: string;
}

const flag = (meaning: string) => `TCP packets with ${meaning} set, [src to dst, dst to src]`;

/** The record of design: always these columns, in this order. */
export const CLASSIC = [
  {
    name: 'ip_src',
    type: 'string',
    meaning: 'address that sent the first packet, canonical text (RFC 5952)',
    ipfix: 'sourceIPv4Address / sourceIPv6Address',
  },
  {
    name: 'ip_dst',
    type: 'string',
    meaning: 'the other address',
    ipfix: 'destinationIPv4Address / destinationIPv6Address',
  },
  {
    name: 'src_port',
    type: 'integer',
    meaning: 'transport port of ip_src, 0 where the protocol has none',
    ipfix: 'sourceTransportPort',
  },
  {
    name: 'dst_port',
    type: 'integer',
    meaning: 'transport port of ip_dst, 0 where the protocol has none',
    ipfix: 'destinationTransportPort',
  },
  { name: 'ip_protocol', type: 'integer', meaning: 'IANA protocol number', ipfix: 'protocolIdentifier' },
  { name: 'vlan_id', type: 'integer', meaning: 'innermost VLAN id, 0 for none', ipfix: 'vlanId' },
  {
    name: 'src_to_dst_pkts',
    type: 'integer',
    unit: 'packets',
    meaning: 'packets from ip_src to ip_dst',
    ipfix: 'packetDeltaCount',
  },
  {
    name: 'dst_to_src_pkts',
    type: 'integer',
    unit: 'packets',
    meaning: 'packets from ip_dst to ip_src',
    ipfix: 'reversePacketDeltaCount',
  },
  {
    name: 'src_to_dst_bytes',
    type: 'integer',
    unit: 'bytes',
    meaning: 'lengths on the wire of the frames from ip_src to ip_dst',
    ipfix: 'layer2OctetDeltaCount',
  },
  {
    name: 'dst_to_src_bytes',
    type: 'integer',
    unit: 'bytes',
    meaning: 'lengths on the wire of the frames from ip_dst to ip_src',
    ipfix: 'reverseLayer2OctetDeltaCount',
  },
  { name: 'syn_count', type: 'flag-count', unit: 'packets', meaning: flag('SYN') },
  { name: 'cwr_count', type: 'flag-count', unit: 'packets', meaning: flag('CWR') },
  { name: 'ece_count', type: 'flag-count', unit: 'packets', meaning: flag('ECE') },
  { name: 'urg_count', type: 'flag-count', unit: 'packets', meaning: flag('URG') },
  { name: 'ack_count', type: 'flag-count', unit: 'packets', meaning: flag('ACK') },
  { name: 'psh_count', type: 'flag-count', unit: 'packets', meaning: flag('PSH') },
  { name: 'rst_count', type: 'flag-count', unit: 'packets', meaning: flag('RST') },
  { name: 'fin_count', type: 'flag-count', unit: 'packets', meaning: flag('FIN') },
  {
    name: 'start_time',
    type: 'number',
    unit: 'ms since 1970-01-01 UTC',
    meaning: 'time of the earliest packet, fraction kept',
    ipfix: 'flowStartMilliseconds',
  },
  {
    name: 'end_time',
    type: 'number',
    unit: 'ms since 1970-01-01 UTC',
    meaning: 'time of the latest packet, fraction kept',
    ipfix: 'flowEndMilliseconds',
  },
  {
    name: 'export_reason',
    type: 'integer',
    meaning: '0 inactive, 1 active, 2 termination, above 2 set by user code, -1 exported for lack of room',
    ipfix: 'flowEndReason (other values)',
  },
  { name: 'metrics', type: 'object', meaning: "user metrics and the classifiers' findings, by name" },
] as const satisfies readonly Column[];

/** What a metric can hold: plain data. A table's cell shows lists and objects as JSON. */
export type MetricValue = number | string | boolean | null | number[] | string[] | { [name: string]: MetricValue };
export type FlowMetrics = Record<string, MetricValue>;

/** [source to destination, destination to source] */
export type FlagCount = [number, number];

interface CellTypes<Metrics> {
  string: string;
  integer: number;
  number: number;
  'flag-count': FlagCount;
  object: Metrics;
}

type ClassicColumn = (typeof CLASSIC)[number];

/** The record as plain data, its columns in the order of CLASSIC: what `flow.toJSON()` gives. */
export type FlowRecord<Metrics extends object = FlowMetrics> = {
  [C in ClassicColumn as C['name']]: CellTypes<Metrics>[C['type']];
};
