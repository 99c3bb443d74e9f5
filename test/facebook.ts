// The flow of facebook.pcap that the project promises to give, every value, from the library and the command line.
// The capture is not in the repository: tests skip where `existsSync(FACEBOOK)` is false.
import { join } from 'node:path';

export const FACEBOOK = join(import.meta.dirname, '../../shared/captures/nfstream/facebook.pcap');

/** The columns but `metrics`. It is the first flow of two. */
export const FACEBOOK_CORE = {
  ip_src: '192.168.43.18',
  ip_dst: '66.220.156.68',
  src_port: 52066,
  dst_port: 443,
  ip_protocol: 6,
  vlan_id: 0,
  src_to_dst_pkts: 9,
  dst_to_src_pkts: 10,
  src_to_dst_bytes: 1345,
  dst_to_src_bytes: 4400,
  syn_count: [1, 1],
  cwr_count: [0, 0],
  ece_count: [0, 0],
  urg_count: [0, 0],
  ack_count: [8, 10],
  psh_count: [4, 5],
  rst_count: [0, 0],
  fin_count: [0, 0],
  start_time: 1472393122365.661,
  end_time: 1472393123665.163,
  export_reason: 2,
};

/** In `metrics`, among others. */
export const FACEBOOK_LABELS = {
  application_name: 'TLS.Facebook',
  category_name: 'SocialNetwork',
  http_dns_server_name: '',
  tls_client_server_name: 'facebook.com',
  tls_server_server_name: '*.facebook.com',
  tls_server_organization: 'Facebook, Inc.',
  tls_version: 'TLSv1.2',
  tls_not_before: '2014-08-28 00:00:00+00:00',
  tls_not_after: '2016-12-30 12:00:00+00:00',
};
