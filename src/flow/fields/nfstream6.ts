// The columns of Python NFStream 6 that it always has, under its names. Statistics and sequences of packets have files of
// their own, which any schema may take columns from.
import * as place from '../places.ts';
import * as read from '../read-record.ts';
import type { Field } from './field.ts';

/**
 * DIFFERS: NFStream cuts times to whole milliseconds, and so do these columns (start_time and end_time do not), unless
 * `exactTimes` is set.
 */
const ms = (store: Parameters<Field['read']>[0], time: number) =>
  store.layout.options.exactTimes ? time : Math.floor(time);

const time = (meaning: string) =>
  ({ type: 'integer', exactType: 'number', unit: 'ms since 1970-01-01 UTC', meaning }) as const;
const duration = (meaning: string) => ({ type: 'integer', exactType: 'number', unit: 'ms', meaning }) as const;

const wayTimes = <W extends 'src2dst' | 'dst2src'>(way: W, index: 0 | 1) =>
  [
    {
      name: `${way}_first_seen_ms`,
      ...time('time of the first packet of this direction, 0 where there is none'),
      feature: 'directions',
      ...(index === 1 ? { ipfix: 'reverseFlowStartMilliseconds' } : {}),
      read: (store, row) => ms(store, read.firstSeen(store, row, index)),
      place: place.timed('first_seen', index, true),
    },
    {
      name: `${way}_last_seen_ms`,
      ...time('time of the last packet of this direction, 0 where there is none'),
      feature: 'directions',
      ...(index === 1 ? { ipfix: 'reverseFlowEndMilliseconds' } : {}),
      read: (store, row) => ms(store, read.lastSeen(store, row, index)),
      place: place.timed('last_seen', index, true),
    },
    {
      name: `${way}_duration_ms`,
      ...duration('between the two'),
      feature: 'directions',
      ...(index === 1 ? { ipfix: 'reverseFlowDurationMilliseconds' } : {}),
      read: (store, row) => ms(store, read.lastSeen(store, row, index)) - ms(store, read.firstSeen(store, row, index)),
      place: place.timed('duration', index, true),
    },
    {
      name: `${way}_packets`,
      type: 'integer',
      unit: 'packets',
      meaning: 'packets of this direction',
      ipfix: index === 0 ? 'packetDeltaCount' : 'reversePacketDeltaCount',
      read: (store, row) => read.packets(store, row, index),
      place: place.counted('packets', index),
    },
    {
      name: `${way}_bytes`,
      type: 'integer',
      unit: 'bytes',
      meaning: 'bytes of this direction, as accountingMode counts',
      ipfix: index === 0 ? 'layer2OctetDeltaCount' : 'reverseLayer2OctetDeltaCount',
      read: (store, row) => read.bytes(store, row, index),
      place: place.counted('bytes', index),
    },
  ] as const satisfies readonly Field[];

/** The first columns of the schema `nfstream6`. */
export const NFSTREAM6_FIELDS = [
  {
    name: 'id',
    type: 'integer',
    meaning: 'flows exported before this one in the run',
    read: read.exportId,
    place: place.computed(read.exportId),
  },
  {
    name: 'expiration_id',
    type: 'integer',
    size: 'int32',
    meaning:
      '0 idle or the source ended, 1 active, -1 user code; NFStream does not have -2, end of TCP, and -3, lack of room',
    ipfix: 'flowEndReason (other values)',
    read: read.expirationId,
    place: place.computed(read.expirationId),
  },
  {
    name: 'src_ip',
    type: 'string',
    meaning: "address that sent the conversation's first packet",
    ipfix: 'sourceIPv4Address / sourceIPv6Address',
    read: read.srcAddress,
    place: place.text('address', 0),
  },
  {
    name: 'src_mac',
    type: 'string',
    repeats: true,
    meaning: 'its MAC address in the first packet; zeros where the link has none',
    ipfix: 'sourceMacAddress',
    feature: 'macs',
    read: (store, row) => read.macAddress(store, row, 0),
    place: place.text('mac', 0),
  },
  {
    name: 'src_oui',
    type: 'string',
    repeats: true,
    meaning: 'the first three bytes of src_mac, which identify the vendor',
    feature: 'macs',
    read: (store, row) => read.oui(store, row, 0),
    place: place.text('oui', 0),
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
    name: 'dst_ip',
    type: 'string',
    meaning: 'the other address',
    ipfix: 'destinationIPv4Address / destinationIPv6Address',
    read: read.dstAddress,
    place: place.text('address', 1),
  },
  {
    name: 'dst_mac',
    type: 'string',
    repeats: true,
    meaning: 'its MAC address in the first packet; zeros where the link has none',
    ipfix: 'destinationMacAddress',
    feature: 'macs',
    read: (store, row) => read.macAddress(store, row, 1),
    place: place.text('mac', 1),
  },
  {
    name: 'dst_oui',
    type: 'string',
    repeats: true,
    meaning: 'the first three bytes of dst_mac',
    feature: 'macs',
    read: (store, row) => read.oui(store, row, 1),
    place: place.text('oui', 1),
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
    name: 'protocol',
    type: 'integer',
    size: 'uint8',
    meaning: 'IANA protocol number',
    ipfix: 'protocolIdentifier',
    read: read.ipProtocol,
    place: place.whole('ip_protocol'),
  },
  {
    name: 'ip_version',
    type: 'integer',
    size: 'uint8',
    meaning: 'IP version, 4 or 6',
    ipfix: 'ipVersion',
    read: read.ipVersion,
    place: place.whole('ip_version'),
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
    name: 'tunnel_id',
    type: 'integer',
    size: 'uint8',
    meaning:
      'innermost tunnel: 0 none, 1 GTP-U, 2 CAPWAP, 3 TZSP, and what NFStream does not have: 4 VXLAN, 5 Geneve, 6 GRE, 7 IP in IP',
    feature: 'tunnels',
    read: read.tunnelId,
    place: place.whole('tunnel_id'),
  },
  {
    name: 'bidirectional_first_seen_ms',
    ...time('time of the earliest packet'),
    ipfix: 'flowStartMilliseconds',
    read: (store, row) => ms(store, read.startTime(store, row)),
    place: place.timed('first_seen', 2, true),
  },
  {
    name: 'bidirectional_last_seen_ms',
    ...time('time of the latest packet'),
    ipfix: 'flowEndMilliseconds',
    read: (store, row) => ms(store, read.endTime(store, row)),
    place: place.timed('last_seen', 2, true),
  },
  {
    name: 'bidirectional_duration_ms',
    ...duration('between the two'),
    ipfix: 'flowDurationMilliseconds',
    read: (store, row) => ms(store, read.endTime(store, row)) - ms(store, read.startTime(store, row)),
    place: place.timed('duration', 2, true),
  },
  {
    name: 'bidirectional_packets',
    type: 'integer',
    unit: 'packets',
    meaning: 'packets of both directions',
    read: (store, row) => read.packets(store, row, 2),
    place: place.counted('packets', 2),
  },
  {
    name: 'bidirectional_bytes',
    type: 'integer',
    unit: 'bytes',
    meaning: 'bytes of both directions, as accountingMode counts',
    read: (store, row) => read.bytes(store, row, 2),
    place: place.counted('bytes', 2),
  },
  ...wayTimes('src2dst', 0),
  ...wayTimes('dst2src', 1),
] as const satisfies readonly Field[];

/** What nDPI finds, as NFStream names it and where nDPI has more than one place for it, in one. */
export const NFSTREAM6_NDPI_FIELDS = [
  {
    name: 'application_name',
    type: 'string',
    repeats: true,
    meaning: 'application as nDPI names it, "master.app" where one runs over the other (TLS.Facebook); Unknown',
    ipfix: 'applicationName',
    feature: 'ndpi',
    read: (_store, _row, metrics) => metrics['application_name'] ?? '',
  },
  {
    name: 'application_category_name',
    type: 'string',
    repeats: true,
    meaning: "nDPI's category of the application; Unspecified",
    ipfix: 'applicationCategoryName',
    feature: 'ndpi',
    read: (_store, _row, metrics) => metrics['category_name'] ?? '',
  },
  {
    name: 'application_is_guessed',
    type: 'integer',
    size: 'uint8',
    meaning: '1 when packets did not tell and nDPI guessed, otherwise 0',
    feature: 'ndpi',
    read: (_store, _row, metrics) => metrics['application_is_guessed'] ?? 0,
  },
  {
    name: 'application_confidence',
    type: 'integer',
    size: 'uint8',
    meaning:
      '0 unknown, 1 by port, 2 by address or custom rule, 3 partial or aggressive inspection, ' +
      '4 the same from a cache, 5 inspection of a related flow (cache), 6 deep packet inspection',
    feature: 'ndpi',
    read: (_store, _row, metrics) => metrics['application_confidence'] ?? 0,
  },
  {
    name: 'requested_server_name',
    type: 'string',
    meaning: 'name that a TLS or QUIC client, an HTTP request or a DNS query asks for, or that another protocol tells',
    feature: 'ndpi',
    read: (_store, _row, metrics) =>
      metrics['tls_client_server_name'] || metrics['http_dns_server_name'] || metrics['host_server_name'] || '',
  },
  {
    name: 'client_fingerprint',
    type: 'string',
    repeats: true,
    meaning: 'JA3 of a TLS or QUIC client, HASSH of an SSH client, parameters that a DHCP client requests',
    feature: 'ndpi',
    read: (_store, _row, metrics) =>
      metrics['ja3_client'] || metrics['hassh_client'] || metrics['dhcp_fingerprint'] || '',
  },
  {
    name: 'server_fingerprint',
    type: 'string',
    repeats: true,
    meaning: 'JA3S of a TLS server, HASSH of an SSH server',
    feature: 'ndpi',
    read: (_store, _row, metrics) => metrics['ja3_server'] || metrics['hassh_server'] || '',
  },
  {
    name: 'user_agent',
    type: 'string',
    repeats: true,
    meaning: 'User-Agent of an HTTP request, or of a QUIC client',
    ipfix: 'httpUserAgent',
    feature: 'ndpi',
    read: (_store, _row, metrics) => metrics['http_user_agent'] ?? '',
  },
  {
    name: 'content_type',
    type: 'string',
    repeats: true,
    meaning: 'Content-Type of an HTTP response',
    ipfix: 'httpContentType',
    feature: 'ndpi',
    read: (_store, _row, metrics) => metrics['http_content_type'] ?? '',
  },
] as const satisfies readonly Field[];

/** The last columns of the schema `nfstream6`. */
export const NFSTREAM6_LAST_FIELDS = [
  {
    name: 'udps',
    type: 'object',
    meaning: 'what user code measured and found, by name; in a table a column udps.NAME each',
    feature: 'userCode',
    read: ({ shape }, _row, metrics) =>
      Object.fromEntries(Object.entries(metrics).filter(([name]) => !shape.findings.has(name))),
  },
  {
    name: 'system_process_pid',
    type: 'integer',
    size: 'int32',
    meaning: 'process on this host whose socket the flow belongs to, -1 where unknown',
    feature: 'processes',
    read: (_store, _row, metrics) => metrics['process_id'] ?? -1,
  },
  {
    name: 'system_process_name',
    type: 'string',
    repeats: true,
    meaning: 'its name, empty where unknown',
    feature: 'processes',
    read: (_store, _row, metrics) => metrics['process_name'] ?? '',
  },
] as const satisfies readonly Field[];
