// The schemas classic and nfstream6 beside each other: records of the same flows, measured in two runs, must agree in what
// both say.

const OPTIONS = { inactiveTimeout: 120, activeTimeout: 1800, enableNdpi: false };
const FLAGS = ['syn', 'cwr', 'ece', 'urg', 'ack', 'psh', 'rst', 'fin'];
const EXPORT_ACTIVE = 1;

/**
 * @param {import('./frames.mjs').Library} library
 * @param {string} path of a capture
 * @returns {Promise<{ flows: number, disagreements: { classic?: object, nfstream6?: object }[] }>}
 */
export async function compareSchemas(library, path) {
  const classic = await records(library, { source: path, schema: 'classic', ...OPTIONS });
  const nfstream6 = await records(library, { source: path, schema: 'nfstream6', statistics: true, ...OPTIONS });
  const disagreements = [];
  const flows = Math.max(classic.length, nfstream6.length);
  // Both come in the order in which flows end.
  for (let i = 0; i < flows; i++) {
    const pair = {
      classic: classic[i] && saidByClassic(classic[i]),
      nfstream6: nfstream6[i] && saidByBoth(nfstream6[i]),
    };
    if (JSON.stringify(pair.classic) !== JSON.stringify(pair.nfstream6)) disagreements.push(pair);
  }
  return { flows, disagreements };
}

async function records({ Streamer }, options) {
  const rows = [];
  try {
    for await (const flow of new Streamer(options)) rows.push(flow.toJSON());
  } catch (error) {
    if (!/_CAPTURE$/.test(error?.code)) throw error;
  }
  return rows;
}

function saidByClassic(row) {
  return {
    src: `${row.ip_src} ${row.src_port}`,
    dst: `${row.ip_dst} ${row.dst_port}`,
    protocol: row.ip_protocol,
    vlan: row.vlan_id,
    times: [Math.floor(row.start_time), Math.floor(row.end_time)],
    packets: [row.src_to_dst_pkts, row.dst_to_src_pkts],
    bytes: [row.src_to_dst_bytes, row.dst_to_src_bytes],
    flags: FLAGS.map((flag) => row[`${flag}_count`]),
    expiration: row.export_reason === EXPORT_ACTIVE ? 1 : 0,
  };
}

function saidByBoth(row) {
  return {
    src: `${row.src_ip} ${row.src_port}`,
    dst: `${row.dst_ip} ${row.dst_port}`,
    protocol: row.protocol,
    vlan: row.vlan_id,
    times: [row.bidirectional_first_seen_ms, row.bidirectional_last_seen_ms],
    packets: [row.src2dst_packets, row.dst2src_packets],
    bytes: [row.src2dst_bytes, row.dst2src_bytes],
    flags: FLAGS.map((flag) => [row[`src2dst_${flag}_packets`], row[`dst2src_${flag}_packets`]]),
    expiration: row.expiration_id,
  };
}
