// The columns that a record has always had, and what else every record knows.
import * as place from '../places.ts';
import * as read from '../read-record.ts';
import { TCP_FLAGS } from '../record.ts';
import type { Field } from './field.ts';
import { flagElement } from './ipfix.ts';

const flag = (name: (typeof TCP_FLAGS)[number][0]) => {
  const index = TCP_FLAGS.findIndex(([known]) => known === name);
  const element = flagElement(name, 0);
  return {
    type: 'flag-count',
    size: 'int64',
    unit: 'packets',
    meaning: `TCP packets with ${name.toUpperCase()} set, [src to dst, dst to src]`,
    ...(element === undefined ? {} : { ipfix: `${element} and ${flagElement(name, 1)}` }),
    read: (store, row) => [read.flags(store, row, index, 0), read.flags(store, row, index, 1)],
    place: place.flagPair(index),
  } as const satisfies Omit<Field, 'name'>;
};

/** The record of the schema `classic`. */
export const CLASSIC_FIELDS = [
  {
    name: 'ip_src',
    type: 'string',
    meaning: "address that sent the conversation's first packet, canonical text (RFC 5952)",
    ipfix: 'sourceIPv4Address / sourceIPv6Address',
    read: read.srcAddress,
    place: place.text('address', 0),
  },
  {
    name: 'ip_dst',
    type: 'string',
    meaning: 'the other address',
    ipfix: 'destinationIPv4Address / destinationIPv6Address',
    read: read.dstAddress,
    place: place.text('address', 1),
  },
  {
    name: 'src_port',
    type: 'integer',
    size: 'uint16',
    meaning: 'transport port of the source, 0 where the protocol has none',
    ipfix: 'sourceTransportPort',
    read: read.srcPort,
    place: place.whole('src_port'),
  },
  {
    name: 'dst_port',
    type: 'integer',
    size: 'uint16',
    meaning: 'transport port of the destination, 0 where the protocol has none',
    ipfix: 'destinationTransportPort',
    read: read.dstPort,
    place: place.whole('dst_port'),
  },
  {
    name: 'ip_protocol',
    type: 'integer',
    size: 'uint8',
    meaning: 'IANA protocol number',
    ipfix: 'protocolIdentifier',
    read: read.ipProtocol,
    place: place.whole('ip_protocol'),
  },
  {
    name: 'vlan_id',
    type: 'integer',
    size: 'uint16',
    meaning: 'innermost VLAN id, 0 for none',
    ipfix: 'dot1qCustomerVlanId',
    read: read.vlanId,
    place: place.whole('vlan_id'),
  },
  {
    name: 'src_to_dst_pkts',
    type: 'integer',
    unit: 'packets',
    meaning: 'packets from ip_src to ip_dst',
    ipfix: 'packetDeltaCount',
    read: (store, row) => read.packets(store, row, 0),
    place: place.counted('packets', 0),
  },
  {
    name: 'dst_to_src_pkts',
    type: 'integer',
    unit: 'packets',
    meaning: 'packets from ip_dst to ip_src',
    ipfix: 'reversePacketDeltaCount',
    read: (store, row) => read.packets(store, row, 1),
    place: place.counted('packets', 1),
  },
  {
    name: 'src_to_dst_bytes',
    type: 'integer',
    unit: 'bytes',
    meaning: 'from ip_src to ip_dst, as accountingMode counts: lengths of frames on the wire unless set',
    ipfix: 'layer2OctetDeltaCount',
    read: (store, row) => read.bytes(store, row, 0),
    place: place.counted('bytes', 0),
  },
  {
    name: 'dst_to_src_bytes',
    type: 'integer',
    unit: 'bytes',
    meaning: 'the same from ip_dst to ip_src',
    ipfix: 'reverseLayer2OctetDeltaCount',
    read: (store, row) => read.bytes(store, row, 1),
    place: place.counted('bytes', 1),
  },
  { name: 'syn_count', ...flag('syn') },
  { name: 'cwr_count', ...flag('cwr') },
  { name: 'ece_count', ...flag('ece') },
  { name: 'urg_count', ...flag('urg') },
  { name: 'ack_count', ...flag('ack') },
  { name: 'psh_count', ...flag('psh') },
  { name: 'rst_count', ...flag('rst') },
  { name: 'fin_count', ...flag('fin') },
  {
    name: 'start_time',
    type: 'timestamp',
    unit: 'ms since 1970-01-01 UTC',
    meaning: 'time of the earliest packet, fraction kept',
    ipfix: 'flowStartMicroseconds',
    read: read.startTime,
    place: place.timed('first_seen', 2, false),
  },
  {
    name: 'end_time',
    type: 'timestamp',
    unit: 'ms since 1970-01-01 UTC',
    meaning: 'time of the latest packet, fraction kept',
    ipfix: 'flowEndMicroseconds',
    read: read.endTime,
    place: place.timed('last_seen', 2, false),
  },
  {
    name: 'export_reason',
    type: 'integer',
    size: 'int32',
    meaning:
      '0 inactive, 1 active, 2 termination, above 2 set by user code, -1 exported for lack of room, -2 end of TCP',
    ipfix: 'flowEndReason (other values)',
    read: read.exportReason,
    place: place.whole('export_reason'),
  },
  {
    name: 'metrics',
    type: 'object',
    meaning: "user metrics and the classifiers' findings, by name",
    read: (_store, _row, metrics) => metrics,
  },
] as const satisfies readonly Field[];

/** In no schema of their own: for lists of columns. */
export const IDENTITY_FIELDS = [
  {
    name: 'flow_id',
    type: 'integer',
    meaning:
      'names the conversation, stable over its segments: number of the packet that began it, from 1 in the order of the source',
    ipfix: 'flowId',
    read: read.flowId,
    place: place.computed(read.flowId),
  },
  {
    name: 'segment',
    type: 'integer',
    size: 'int32',
    meaning: 'how often the active timeout had cut the conversation before this flow: 0 for its first part',
    read: read.segment,
    place: place.computed(read.segment),
  },
] as const satisfies readonly Field[];
