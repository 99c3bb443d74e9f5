// Reads an expected file (NFStream 6's CSV, one row a flow) and our own flows into one shape, so that they can be
// compared field by field.
import { readFileSync } from 'node:fs';

/** The classic record's flags, each [src to dst, dst to src]. */
export const FLAGS = ['syn', 'cwr', 'ece', 'urg', 'ack', 'psh', 'rst', 'fin'];

/**
 * A flow as the comparison sees it. Times are whole milliseconds, as NFStream has them.
 * @typedef {object} Row
 * @property {string} src address and port: `10.0.0.1 443`
 * @property {string} dst
 * @property {number} protocol
 * @property {number} vlan
 * @property {number} first ms
 * @property {number} last ms
 * @property {string} packets `there/back`
 * @property {string} bytes `there/back`
 * @property {string} flags `syn 1/1 ack 8/10`, those that are not 0
 * @property {string} application
 */

/**
 * @param {string} path
 * @returns {Row[]}
 */
export function readExpected(path) {
  const [header, ...lines] = readFileSync(path, 'utf8').split(/\r?\n/).filter(Boolean).map(splitLine);
  return lines.map((cells) => {
    /** @type {Record<string, string>} */
    const row = Object.fromEntries(header.map((name, i) => [name, cells[i]]));
    return {
      src: `${row.src_ip} ${row.src_port}`,
      dst: `${row.dst_ip} ${row.dst_port}`,
      protocol: Number(row.protocol),
      vlan: Number(row.vlan_id),
      first: Number(row.bidirectional_first_seen_ms),
      last: Number(row.bidirectional_last_seen_ms),
      packets: `${row.src2dst_packets}/${row.dst2src_packets}`,
      bytes: `${row.src2dst_bytes}/${row.dst2src_bytes}`,
      flags: flagText((flag) => [Number(row[`src2dst_${flag}_packets`]), Number(row[`dst2src_${flag}_packets`])]),
      application: row.application_name,
    };
  });
}

/**
 * @param {Record<string, any>} flow a classic record
 * @returns {Row}
 */
export function rowOf(flow) {
  return {
    src: `${flow.ip_src} ${flow.src_port}`,
    dst: `${flow.ip_dst} ${flow.dst_port}`,
    protocol: flow.ip_protocol,
    vlan: flow.vlan_id,
    first: Math.floor(flow.start_time),
    last: Math.floor(flow.end_time),
    packets: `${flow.src_to_dst_pkts}/${flow.dst_to_src_pkts}`,
    bytes: `${flow.src_to_dst_bytes}/${flow.dst_to_src_bytes}`,
    flags: flagText((flag) => flow[`${flag}_count`]),
    application: flow.metrics.application_name ?? '',
  };
}

/** @param {(flag: string) => readonly number[]} countsOf */
function flagText(countsOf) {
  const counts = FLAGS.map((flag) => ({ flag, ways: countsOf(flag) }));
  return counts
    .filter(({ ways }) => ways[0] + ways[1] > 0)
    .map(({ flag, ways }) => `${flag} ${ways[0]}/${ways[1]}`)
    .join(' ');
}

/** One line of CSV: quotes around cells with commas, doubled inside. @param {string} line */
export function splitLine(line) {
  const cells = line.match(/("([^"]|"")*"|[^,]*)(,|$)/g) ?? [];
  // The last match is the empty one at the line's end.
  return cells
    .slice(0, line.endsWith(',') ? undefined : -1)
    .map((cell) => cell.replace(/,$/, ''))
    .map((cell) => (cell.startsWith('"') ? cell.slice(1, -1).replaceAll('""', '"') : cell));
}
