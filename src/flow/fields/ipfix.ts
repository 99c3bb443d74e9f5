// Names of IPFIX information elements (IANA's registry, RFC 7012), and of those of the reverse direction (RFC 5103).
import type { TCP_FLAGS } from '../record.ts';

type FlagName = (typeof TCP_FLAGS)[number][0];

/** What counts packets with a flag; there are none for those of explicit congestion notification, CWR and ECE. */
const FLAG_ELEMENTS: Partial<Record<FlagName, string>> = {
  syn: 'tcpSynTotalCount',
  urg: 'tcpUrgTotalCount',
  ack: 'tcpAckTotalCount',
  psh: 'tcpPshTotalCount',
  rst: 'tcpRstTotalCount',
  fin: 'tcpFinTotalCount',
};

/** An element of one direction: source to destination (0), or back (1). */
export function directed(element: string, way: 0 | 1): string {
  return way === 0 ? element : `reverse${element[0].toUpperCase()}${element.slice(1)}`;
}

export function flagElement(flag: FlagName, way: 0 | 1): string | undefined {
  const element = FLAG_ELEMENTS[flag];
  return element === undefined ? undefined : directed(element, way);
}
